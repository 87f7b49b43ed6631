//! An open connection as a handler has it: blocking, in two halves, each for a thread of its own.
//!
//! It drives the state machines of [`session`](crate::session), and may import what is below that
//! and `io`; the server is none of its business.
//!
//! ```text
//!   stream ──▶ read_buffer ──▶ reader ──▶ receiver ──▶ recv, recv_chunk ──┐
//!                                 │ Pongs, and the answer to a Close      ├─ Connection: both in one
//!   stream ◀── write_lock ◀── writer ◀── sender ◀── send, write ──────────┘
//!                  │           ▲  ▲
//!                outbox        │  lifecycle: how it ends, and who waits how long
//!                              └── turn ◀── flusher ◀── backlog ◀── queue: try_send, broadcast
//! ```
//!
//! Who may write: one thread at a time, whole frames ([`writer`]); what is sent compressed holds the
//! turn of a message from before it is deflated until it is out (`compression`). What is queued is written
//! by the flusher's threads, which wait for no peer (`sender::flusher`). A Ping is answered in
//! [`reader`]: the Pong joins the queue that goes out before the next read, or, where the halves
//! are apart, the outbox, since it must not wait for a blocked sender. An error is told once:
//! [`FrameReader::failed`](reader::FrameReader::failed) sends the peer a Close with its code, where it
//! can be told, by [`ConnectionShared::finish`](lifecycle::ConnectionShared::finish), and the caller gets an [`Error`](crate::Error).

mod message;
mod owned_message;
mod request;
mod buffer_pool;
pub(crate) mod writer;
#[cfg(feature = "deflate")]
pub(crate) mod compression;
pub(crate) mod lifecycle;
mod reader;
pub(crate) mod sender;
mod receiver;
mod message_reader;
mod raw_stream;
mod whole;

pub use message::{Chunk, Message, Text};
pub use message_reader::MessageReader;
pub use owned_message::OwnedMessage;
pub use raw_stream::RawStream;
pub use receiver::Receiver;
pub use request::Request;
pub use sender::{
    Broadcast, MessageWriter, SendQueue, Sender, TrySendError, broadcast, broadcast_all,
};
pub use whole::Connection;
