//! Blocking streams with deadlines, and the listeners that they come from.
//!
//! It imports nothing of the other rooms.
//!
//! ```text
//!   listener ─▶ timed_listener: accept, at most 200 ms ─▶ stream: TimedStream over a transport:
//!                 the socket itself, or tls over it, or wrapped, an application's own over it
//!
//!   loop_listener, loop_stream: the same for an event loop, which waits for all its sockets at once
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
#[cfg(feature = "tls")]
mod tls_info;
pub(crate) mod transport;
#[cfg(feature = "event-loop")]
pub(crate) mod loop_handle;
#[cfg(feature = "event-loop")]
pub(crate) mod loop_stream;
pub(crate) mod any_stream;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod wrapped;
pub(crate) mod stream;
pub(crate) mod listener;
#[cfg(feature = "event-loop")]
pub(crate) mod loop_listener;
pub(crate) mod timed_listener;

pub use listener::Listener;
#[cfg(feature = "tls")]
pub use tls::{SelfSigned, TlsStream};
#[cfg(feature = "tls")]
pub use tls_info::TlsInfo;
pub use transport::Transport;
pub use wrapped::WrappedListener;
