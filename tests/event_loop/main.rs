//! The second engine, as far as it promises something of its own: its handler's calls, what it keeps for a
//! peer that does not read, senders beside it, and that nobody holds up the others. Bytes in, bytes out,
//! and what the API says of them.

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

/// A server on event loops whose handler is a closure.
mod server;

/// Streams that have waited.
mod accepting;
/// Requests that are asked about on a thread.
mod asking;
/// Many that mean no good, and a few that do.
mod attack;
/// Peers that do not read.
mod backpressure;
/// Long messages where there is little memory for them.
mod budget;
/// Closes by other threads.
mod closes;
/// Ends that a handler wants, and those that it does not.
mod closing;
/// Compression, with several who send.
#[cfg(feature = "deflate")]
mod compression;
#[cfg(feature = "deflate")]
mod deflating;
/// And how long those few wait.
mod healthy;
/// What must not be lost when a connection ends, and what must not be kept.
mod ends;
/// Limits and deadlines.
mod limits;
/// Where streams come from, and how many loops there are.
mod listening;
/// Messages in, messages out.
mod messages;
/// Other threads that want a handler called.
mod notices;
/// What an application may do where nobody looks.
mod applications;
/// Senders on other threads.
mod senders;
/// The end of them all.
mod shutdown;
/// Connections that have a thread.
mod threads;
/// Peers that are not read for a while.
mod pausing;
/// When the handler wants to be called.
mod timers;
/// Peers that have to wait for others.
mod waiting;
/// Encrypted streams.
#[cfg(feature = "tls")]
mod tls;
