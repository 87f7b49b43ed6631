//! What is known of a payload: of one that comes in parts, and of one that is there as a whole.

use std::ops::Range;

use crate::proto::event::MessageType;
use crate::proto::frame::{Header, OpCode};
use crate::proto::mask;
use crate::proto::utf8::is_text;

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

impl Unfragmented {
    /// The one at the start of `input`, if all of it is there, and no more than so many bytes.
    #[inline(always)]
    pub(super) fn decode(input: &[u8], most: u64) -> Option<Self> {
        let (header, start) = Header::decode(input).ok()??;
        let kind = match header.opcode {
            OpCode::Text => MessageType::Text,
            OpCode::Binary => MessageType::Binary,
            _ => return None,
        };
        let rest = (input.len() - start) as u64;
        if !header.fin || header.len > most || header.len > rest {
            return None;
        }
        let payload = start..start + header.len as usize;
        Some(Self { kind, key: header.mask?, payload })
    }

    /// Unmasks it into `out`, whose contents it replaces; whether it is what its type says.
    #[inline(always)]
    pub(super) fn copy(&self, input: &[u8], out: &mut Vec<u8>) -> bool {
        let payload = &input[self.payload.clone()];
        if out.len() != payload.len() {
            out.resize(payload.len(), 0);
        }
        mask::copy(payload, out, self.key);
        let is_good = self.kind == MessageType::Binary || is_text(out);
        if !is_good {
            out.clear();
        }
        is_good
    }

    /// Unmasks it where it lies, unless it is not what its type says; whether it is.
    #[inline(always)]
    pub(super) fn unmask(&self, input: &mut [u8]) -> bool {
        let payload = &mut input[self.payload.clone()];
        mask::apply(payload, self.key, 0);
        let is_good = self.kind == MessageType::Binary || is_text(payload);
        if !is_good {
            // As it was.
            mask::apply(payload, self.key, 0);
        }
        is_good
    }
}
