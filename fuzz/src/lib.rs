//! The invariants that the fuzzers try to break.
//!
//! Each target has a module here with a `check`, which panics if the invariant does not hold. The
//! programs in `fuzz_targets` only call it, and so does `tests/replay.rs`, which includes this file
//! and replays the corpora without a fuzzer: hence no crate is used here that the tests of the
//! library lack. What the checks compare with is written from the RFCs a second time, as naively
//! as it goes, and calls nothing of what it judges.

#[cfg(feature = "deflate")]
pub mod blocks;
pub mod bytes;
#[cfg(feature = "deflate")]
pub mod deflate_seeds;
pub mod reference;
#[cfg(feature = "deflate")]
pub mod rsv1;
pub mod seeds;
#[cfg(feature = "deflate")]
pub mod sending;
pub mod watch;

#[cfg(feature = "deflate")]
pub mod compressed_session;
pub mod conversation;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(feature = "deflate")]
pub mod deflate_distance;
pub mod diff_tungstenite;
pub mod frame_header;
pub mod handshake;
#[cfg(feature = "deflate")]
pub mod inflate;
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
    #[cfg(feature = "deflate")]
    ("inflate", inflate::check),
    #[cfg(feature = "deflate")]
    ("deflate", deflate::check),
    #[cfg(feature = "deflate")]
    ("deflate_distance", deflate_distance::check),
    #[cfg(feature = "deflate")]
    ("compressed_session", compressed_session::check),
    ("utf8_stream", utf8_stream::check),
    ("mask", mask::check),
    ("roundtrip", roundtrip::check),
    ("diff_tungstenite", diff_tungstenite::check),
];
