//! Tests that take their time: deadlines at their real length, thousands of peers, streams at the
//! speed of a bad line. Not part of `cargo test`; `cargo test --test slow` runs them, as CI does.

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

/// Accepting, and how long a connection stays open without a word.
mod accepting;
/// Connections without a server.
mod alone;
/// RFC 7692: compression.
#[cfg(feature = "deflate")]
mod deflate;
/// Both engines, beside each other.
#[cfg(all(feature = "deflate", feature = "event-loop", feature = "tls", target_os = "linux"))]
mod engines;
/// §10.4: memory.
mod memory;
/// The start of the program, as a race.
#[cfg(unix)]
mod os;
/// Queues before connections.
mod queues;
/// Who sends to connections.
mod senders;
/// What is sent to peers that take it slowly.
mod writing;
