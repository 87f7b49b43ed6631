//! What is known of a payload: of one that comes in parts, and of one that is there as a whole.

use std::ops::Range;

use crate::proto::event::MessageType;
use crate::proto::frame::OpCode;

/// The frame whose payload is arriving.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) fin: bool,
    pub(super) opcode: OpCode,
    /// The masking key, turned so that it begins with the next byte.
    pub(super) key: [u8; 4],
    /// Payload bytes yet to come.
    pub(super) left: u64,
}

/// An unfragmented message that lies complete in the input.
pub(super) struct Unfragmented {
    pub(super) kind: MessageType,
    pub(super) key: [u8; 4],
    /// Where in the input it lies, behind its header.
    pub(super) payload: Range<usize>,
}

impl Frame {
    /// Before the first one.
    pub(super) const NONE: Self = Self { fin: true, opcode: OpCode::Close, key: [0; 4], left: 0 };

    /// How many of `len` bytes that come next are its payload's.
    #[inline]
    pub(super) fn within(&self, len: usize) -> usize {
        usize::try_from(self.left).map_or(len, |left| left.min(len))
    }

    /// So many more bytes of it have come; whether these were the last.
    #[inline]
    pub(super) fn advance(&mut self, len: usize) -> bool {
        self.left -= len as u64;
        self.key.rotate_left(len % 4);
        self.left == 0
    }
}
