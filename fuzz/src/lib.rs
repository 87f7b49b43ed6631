//! The invariants that the fuzzers try to break.
//!
//! Each target has a module here with a `check`, which panics if the invariant does not hold. The
//! programs in `fuzz_targets` only call it, and so does `tests/replay.rs`, which includes this file
//! and replays the corpora without a fuzzer: hence no crate is used here that the tests of the
//! library lack. What the checks compare with is written from the RFCs a second time, as naively
//! as it goes, and calls nothing of what it judges.

pub mod bytes;
pub mod reference;
pub mod seeds;
pub mod watch;

pub mod conversation;
pub mod diff_tungstenite;
pub mod frame_header;
pub mod handshake;
pub mod mask;
#[cfg(feature = "deflate")]
pub mod offers;
pub mod receive_split;
pub mod request_head;
pub mod roundtrip;
pub mod session;
pub mod utf8_stream;

/// One target: its name, and its invariant.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("frame_header", frame_header::check),
    ("receive_split", receive_split::check),
    ("conversation", conversation::check),
    ("session", session::check),
    ("request_head", request_head::check),
    ("handshake", handshake::check),
    #[cfg(feature = "deflate")]
    ("offers", offers::check),
    ("utf8_stream", utf8_stream::check),
    ("mask", mask::check),
    ("roundtrip", roundtrip::check),
    ("diff_tungstenite", diff_tungstenite::check),
];
