//! What a connection is, without a socket: bytes and the time go in; messages, frames to send and the
//! next deadline come out.
//!
//! Each file is a small state machine whose states hold their data. None of them knows who waits. An
//! *engine* does, and there are two: the room `connection`, whose threads block in a read, and the
//! room `event_loop`, where one thread waits for many. Both have [`closing`] under the lock of those
//! who write, and the rest with whoever reads. It
//! may import [`proto`](crate::proto), [`http`](crate::http) and the settings, and nothing that does
//! I/O, starts threads or reads a clock.
//!
//! ```text
//!   bytes ──▶ opening ──▶ receiving: proto::Decoder ──▶ assembler ──▶ message
//!                │              │                │ charged to the budget, or 1013
//!                │              ├─▶ Ping ──▶ Pong, while closing may_send
//!              4xx, 5xx         └─▶ Close, ProtocolError ──▶ closing ──▶ one Close frame
//!                                                               ▲
//!   time ───▶ timers ──▶ how long to wait, a Ping, or a Deadline┘
//! ```
//!
//! With the feature `deflate` (RFC 7692), `compression` is what an opening agrees on: an `inflation`
//! between the decoder and the assembler, a `deflation` ahead of what is sent, and `codecs`, which all
//! connections share.

pub(crate) mod memory;
pub mod opening;
pub mod budget;
pub mod timers;
pub mod closing;
pub mod assembler;
#[cfg(feature = "deflate")]
pub mod codecs;
#[cfg(feature = "deflate")]
pub mod inflation;
#[cfg(feature = "deflate")]
pub mod deflation;
#[cfg(feature = "deflate")]
pub mod compression;
pub mod receiving;

pub(crate) use memory::headroom;

pub use assembler::{MessageAssembler, Overloaded};
pub use budget::{Budget, Charge};
pub use closing::{CloseAction, Closing};
pub use receiving::{ReceiveError, Receiving};
pub use timers::{Deadline, Pending, ReadTimers};
