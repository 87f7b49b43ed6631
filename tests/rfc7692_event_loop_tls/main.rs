//! The tests of `rfc7692` on event loops over TLS, as far as they are about what a stream does to them.
#![cfg(all(feature = "deflate", feature = "event-loop", feature = "tls"))]

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

#[path = "../rfc7692/frames.rs"]
mod frames;
#[path = "../rfc7692/limits.rs"]
mod limits;
#[path = "../rfc7692/receiving.rs"]
mod receiving;
#[path = "../rfc7692/sending.rs"]
mod sending;
#[path = "../rfc7692/senders.rs"]
mod senders;
