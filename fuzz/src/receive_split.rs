//! A stream in any split gives what a naive model makes of it as a whole, wherever payload is read.
//!
//! The first byte chooses limits, the next two a split and a gap; the stream is the rest.

use barews::proto::DecoderLimits;

use super::bytes::{Bytes, pieces};
use super::reference::judge;
use super::watch::Watch;

/// Generous ones, and some that are soon reached.
pub const LIMITS: [DecoderLimits; 4] = [
    DecoderLimits { max_message_size: 16 << 20, max_fragments: 131_072 },
    DecoderLimits { max_message_size: 64, max_fragments: 4 },
    DecoderLimits { max_message_size: u64::MAX, max_fragments: u32::MAX },
    DecoderLimits { max_message_size: 0, max_fragments: 1 },
];

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (limits, seed, stream) = (bytes.pick(&LIMITS), bytes.short(), bytes.rest());
    let verdict = judge(stream, limits);
    for seed in [0, 1, seed] {
        let mut watch = Watch::new(limits);
        for piece in pieces(seed, stream) {
            watch.feed(piece, |_, _| ());
        }
        watch.assert_is(&verdict);
    }
    let mut watch = Watch::behind(limits, usize::from(seed >> 8) * 9);
    for piece in pieces(seed, stream) {
        watch.feed(piece, |_, _| ());
    }
    watch.assert_is(&verdict);
}
