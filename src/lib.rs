//! A strict RFC 6455 WebSocket server on blocking sockets: a thread for each connection, `std` and
//! two small crates, no `unsafe`. With the feature `event-loop` it has a second engine, for many
//! connections on a few threads.
//!
//! ```no_run
//! use barews::{Connection, Server};
//!
//! fn main() -> std::io::Result<()> {
//!     Server::bind("127.0.0.1:9001")?.run(|mut conn: Connection| {
//!         let mut buf = Vec::new();
//!         while let Some(message) = conn.recv(&mut buf)? {
//!             conn.send(message)?;
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # Map
//!
//! A [`Server`] accepts streams and gives each a thread. An [`Upgrade`] reads the request and
//! answers it; with a listener of your own, start there, with any [`Transport`]. The result is a
//! [`Connection`], which can be [split](Connection::split) into a [`Receiver`] and any number of
//! thread-safe [`Sender`]s. [`Config`] holds every limit and deadline. `Server::run_event_loop` has an
//! `EventHandler` called for many connections on one thread.
//!
//! Inside, the crate has seven rooms. Each uses only those above it in this table. The first three
//! have no socket, no thread and no clock in them; they are public, to be tested and to be read.
//!
//! | Room | What it is |
//! |---|---|
//! | [`proto`] | the protocol after the handshake: bytes to events, messages to frames |
//! | [`http`] | the opening handshake |
//! | [`session`] | what a connection is without a socket |
//! | `io` | a blocking stream with deadlines, and where streams come from |
//! | `connection` | an open connection as a handler has it |
//! | `server` | from a listener to a handler on a thread, and the way to stop |
//! | `event_loop` | the second engine: many connections on a thread, driving the same `session` |
//!
//! The binary in `src/bin/barews` is built on what these give. SIGTERM is its own: `os/signals.rs`
//! waits for it, `shutdown.rs` calls [`ShutdownHandle::shutdown`] with the grace, and the process
//! exits with 0 once [`Server::run`] has returned.
//!
//! ```text
//!  server ─ a stream ─▶ http: the handshake ─▶ connection ─▶ the handler, on its own thread
//!
//!  io ─ bytes ─▶ proto ─ events ─▶ session ─ messages ─▶ connection: recv
//!  io ◀─ bytes ─ proto ◀─ frames ─ session ◀─ messages ─ connection: send
//! ```
//!
//! # Features
//!
//! None is on by default, and the default build needs nothing of them. `full` is all of them.
//!
//! | Feature | What it adds | Crate |
//! |---|---|---|
//! | `backplane` | nothing here: the binary's rooms across processes, through Redis; [`Backplane`] needs no feature | `redis` |
//! | `deflate` | compression of messages, permessage-deflate (RFC 7692): `Config::compression`, and `Deflate` has an example | `zlib-rs` |
//! | `event-loop` | a second engine, one thread for each core: `Server::run_event_loop`, `EventHandler` | `mio` |
//! | `simd` | long text beyond ASCII is checked with the AVX2, SSE4.2 or NEON that the processor is found to have | `simdutf8` |
//! | `tls` | TLS: `Server::tls`, `TlsStream`, `SelfSigned` for tests and development | `rustls` with `ring`, `rcgen` |
//!
//! A section sign means a section of RFC 6455 unless it names another.

#![forbid(unsafe_code)]
#![deny(missing_debug_implementations, missing_docs, unreachable_pub)]

pub mod proto;
pub mod http;
mod config;
mod connection_limits;
pub mod session;
mod error;
mod io;
mod connection;
mod backplane;
mod server;
#[cfg(feature = "event-loop")]
mod event_loop;

pub use backplane::{Backplane, Local, PublishError};
#[cfg(feature = "deflate")]
pub use config::Deflate;
pub use config::{Config, Limits, Timeouts};
pub use connection::{
    Broadcast, Chunk, Connection, Message, MessageReader, MessageWriter, OwnedMessage, RawStream,
    Receiver, Request, SendQueue, Sender, Text, TrySendError, broadcast, broadcast_all,
};
pub use connection_limits::ConnectionLimits;
pub use error::{Error, UpgradeError};
#[cfg(feature = "event-loop")]
pub use event_loop::{CloseInfo, EventHandler, Outbox};
pub use http::{Accept, Reject, Response, Status};
#[cfg(feature = "deflate")]
pub use http::{DeflateOffer, DeflateParams};
pub use io::{Listener, Transport, WrappedListener};
#[cfg(feature = "tls")]
pub use io::{SelfSigned, TlsInfo, TlsStream};
pub use proto::{CloseCode, CloseFrame, MessageType, ProtocolError};
#[cfg(feature = "deflate")]
pub use server::StatsHandle;
pub use server::{BoxError, ErrorContext, RunningServer, Server, ShutdownHandle, Upgrade};
pub use session::Deadline;
#[cfg(feature = "deflate")]
pub use session::codecs::DeflateStats;

/// TLS, in the version that [`Server::tls`] and [`TlsStream`] take their settings of.
#[cfg(feature = "tls")]
pub use rustls;

/// The README's examples are tested with those of the documentation. Two need a feature.
#[cfg(all(doctest, feature = "tls", feature = "event-loop"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// And so is the program of this page.
#[cfg(doctest)]
#[doc = include_str!("../docs/coming-from.md")]
struct ComingFrom;
