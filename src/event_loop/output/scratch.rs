//! Memory of a loop for what its connections send.

use crate::connection::writer::Unsent;

/// Payloads up to this length are copied to be written together, in bytes.
pub(super) const MAX_COPIED: usize = 16 << 10;

/// How much is written together, in bytes.
pub(super) const MAX_BATCH: usize = 64 << 10;

/// How much is written in one call of a handler's, in bytes: one that sends for as long as it may comes
/// to an end, also if the peer reads as quickly.
const MAX_TURN: usize = 16 << 20;

/// How much is written before others have their turn, in bytes. What is left of a message is copied, and
/// smaller steps take longer: an echo of 16 MiB took a tenth more of the processor with 2 MiB.
pub(super) const MAX_WRITE: usize = 8 << 20;

/// How much is deflated before others have their turn, in bytes.
pub(super) const MAX_DEFLATED: usize = 256 << 10;

/// What is deflated at once, however much others have, in bytes: it is worth no turn of its own.
pub(super) const MIN_DEFLATED: usize = 4 << 10;

/// The most memory of each kind that is kept for the next, in bytes.
const MAX_KEPT: usize = 1 << 20;

/// What a loop has for the connection whose turn it is.
pub(crate) struct Scratch {
    /// Whole frames that go out at the end of the turn.
    pub(super) frames: Vec<u8>,
    /// The same, deflated.
    pub(super) deflated: Vec<u8>,
    pub(super) unsent: Unsent,
    /// How much more may be begun in this turn, in bytes.
    pub(super) left: usize,
    /// How much more may be deflated before all have had their turn, in bytes.
    pub(super) to_deflate: usize,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self {
            frames: Vec::with_capacity(MAX_BATCH + MAX_COPIED),
            deflated: Vec::new(),
            unsent: Unsent::new(Vec::new()),
            left: MAX_TURN,
            to_deflate: MAX_DEFLATED,
        }
    }

    /// A turn of the loop.
    pub(crate) fn begin_round(&mut self) {
        self.to_deflate = MAX_DEFLATED;
    }

    /// The turn of another connection.
    #[inline]
    pub(crate) fn begin_turn(&mut self) {
        self.left = MAX_TURN;
    }

    /// A long message is sent: gives back what few others need.
    pub(crate) fn give_back(&mut self) {
        self.shrink(MAX_KEPT);
    }

    /// Gives memory back, since nothing has happened for a while.
    pub(crate) fn trim(&mut self) {
        self.shrink(MAX_BATCH + MAX_COPIED);
    }

    fn shrink(&mut self, most: usize) {
        for bytes in [&mut self.frames, &mut self.deflated] {
            if bytes.capacity() > most {
                *bytes = Vec::new();
            }
        }
        // What was in there is written by now, or it would have been taken out.
        if self.unsent.bytes.capacity() > most {
            self.unsent = Unsent::new(Vec::new());
        }
    }
}
