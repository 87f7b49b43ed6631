//! The tests of `rfc7692` on event loops, as `rfc6455_event_loop` has those of `rfc6455`.
#![cfg(all(feature = "deflate", feature = "event-loop"))]

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

#[path = "../rfc7692/frames.rs"]
mod frames;
#[path = "../rfc7692/streams.rs"]
mod streams;
#[path = "../rfc7692/windows.rs"]
mod windows;
#[path = "../rfc7692/limits.rs"]
mod limits;
#[path = "../rfc7692/offers.rs"]
mod offers;
#[path = "../rfc7692/receiving.rs"]
mod receiving;
#[path = "../rfc7692/sending.rs"]
mod sending;
#[path = "../rfc7692/senders.rs"]
mod senders;
#[path = "../rfc7692/text.rs"]
mod text;
