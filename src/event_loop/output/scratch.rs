//! Memory of a loop for what its connections send.

use crate::connection::writer::Unsent;

/// Payloads up to this length are copied to be written together, in bytes.
pub(super) const MAX_COPIED: usize = 16 << 10;

/// How much is written together, in bytes.
pub(super) const MAX_BATCH: usize = 64 << 10;

/// Memory of a loop, for the connection whose turn it is.
pub(crate) struct Scratch {
    /// Whole frames that go out at the end of the turn.
    pub(super) frames: Vec<u8>,
    /// The same, deflated.
    pub(super) deflated: Vec<u8>,
    pub(super) unsent: Unsent,
}

impl Scratch {
    pub(in crate::event_loop) fn new() -> Self {
        Self {
            frames: Vec::with_capacity(MAX_BATCH + MAX_COPIED),
            deflated: Vec::new(),
            unsent: Unsent::new(Vec::new()),
        }
    }
}
