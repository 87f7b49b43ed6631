//! Blocking streams with deadlines, and the listeners that they come from.
//!
//! It imports nothing of the other rooms.
//!
//! ```text
//!   listener ─▶ timed_listener: accept, at most 200 ms ─▶ stream: TimedStream over a transport
//!
//!   read    how long the timers let it wait ─▶ read timeout of the socket ─▶ read
//!             ─▶ Some(bytes), Some(0) at the end of the stream, None if nothing came in time
//!   write   buffers and their expiry ─▶ writes of at most 1 s each, until all is written
//!             ─▶ done, or TimedOut: then nobody knows how much of it the peer has
//! ```
//!
//! The timeout of a read is a value, since it may just be time for a Ping; that of a write is an
//! error, and the end of the stream. Any other error ends the stream as well, but that of a signal:
//! then the call is made again.

pub(crate) mod expiry;
pub(crate) mod transport;
pub(crate) mod stream;
pub(crate) mod listener;
pub(crate) mod timed_listener;

pub use listener::Listener;
pub use transport::Transport;
