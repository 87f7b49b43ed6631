//! A stream in any split gives what a naive model makes of it as a whole.
//!
//! The first byte chooses limits, the next two a split; the stream is the rest.

use barews::proto::ReceiveLimits;

use super::bytes::{Bytes, pieces};
use super::reference::judge;
use super::watch::Watch;

/// Generous ones, and some that are soon reached.
pub const LIMITS: [ReceiveLimits; 4] = [
    ReceiveLimits { message: 16 << 20, fragments: 131_072 },
    ReceiveLimits { message: 64, fragments: 4 },
    ReceiveLimits { message: u64::MAX, fragments: u32::MAX },
    ReceiveLimits { message: 0, fragments: 1 },
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
}
