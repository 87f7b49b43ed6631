//! What is known of a payload: of one that comes in parts, and of one that is there as a whole.

use std::ops::Range;

use crate::proto::event::MessageType;
use crate::proto::frame::{Header, OpCode};
use crate::proto::mask;
use crate::proto::message_state::DecoderLimits;
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

/// The first byte of a message in one frame, and the bit of the second that says it is masked (§5.2).
const TEXT: u8 = 0x80 | OpCode::Text as u8;
const BINARY: u8 = 0x80 | OpCode::Binary as u8;
const MASKED: u8 = 0x80;

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

impl DecoderLimits {
    /// Decodes an unfragmented message that lies complete at the start of `input`, between two messages
    /// and where compression was not agreed on: unmasks it where it lies, and returns where that is, up
    /// to the end of what it took, and its type. `None` if there is no such message, or it breaks a rule;
    /// a [`Decoder`](crate::proto::Decoder) tells which, and `input` is as it was.
    ///
    /// Most messages arrive like this, and need no decoder.
    #[inline(always)]
    #[must_use]
    pub fn message_in_place(&self, input: &mut [u8]) -> Option<(Range<usize>, MessageType)> {
        let most = if self.max_fragments > 0 { self.max_message_size } else { return None };
        let message = Unfragmented::decode(input, most)?;
        message.unmask(input).then_some((message.payload, message.kind))
    }
}

impl Unfragmented {
    /// The one at the start of `input`, if all of it is there, and no more than so many bytes.
    #[inline(always)]
    pub(super) fn decode(input: &[u8], most: u64) -> Option<Self> {
        let &[first, second] = input.first_chunk()?;
        let kind = match first {
            TEXT => MessageType::Text,
            BINARY => MessageType::Binary,
            _ => return None,
        };
        // Of a length in two bytes or eight, the whole header tells what it is worth.
        if !(MASKED..MASKED | 126).contains(&second) {
            return Self::decode_long(input, kind, most);
        }
        let (&key, rest) = input[2..].split_first_chunk()?;
        let len = usize::from(second & !MASKED);
        let is_whole = len <= rest.len() && len as u64 <= most;
        is_whole.then_some(Self { kind, key, payload: 6..6 + len })
    }

    /// The same for one that is longer.
    #[inline]
    fn decode_long(input: &[u8], kind: MessageType, most: u64) -> Option<Self> {
        let (Header { mask, len, .. }, start) = Header::decode(input).ok()??;
        let rest = (input.len() - start) as u64;
        if len > most || len > rest {
            return None;
        }
        Some(Self { kind, key: mask?, payload: start..start + len as usize })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What begins with any two bytes is what its whole header says, and nothing else is taken.
    #[test]
    fn every_header() {
        for (first, second) in
            (0..=u8::MAX).flat_map(|first| (0..=u8::MAX).map(move |b| (first, b)))
        {
            for long in [[0; 8], [0, 0, 0, 0, 0, 1, 0, 0], [0, 126, 0, 0, 0, 0, 0, 0], [0xff; 8]] {
                let mut input = [&[first, second][..], &long, &[7; 300]].concat();
                for (len, most) in
                    [(input.len(), 1 << 20), (input.len(), 124), (131, 1 << 20), (5, 9)]
                {
                    input.truncate(len);
                    let whole =
                        Header::decode(&input).ok().flatten().and_then(|(header, start)| {
                            let is_data = matches!(header.opcode, OpCode::Text | OpCode::Binary);
                            let end = start as u64 + header.len;
                            let is_whole = header.fin && header.len <= most && end <= len as u64;
                            let key = header.mask.filter(|_| is_data && is_whole)?;
                            Some((header.opcode, key, start..end as usize))
                        });
                    let taken = Unfragmented::decode(&input, most);
                    let taken = taken.map(|taken| (taken.kind.opcode(), taken.key, taken.payload));
                    assert_eq!(taken, whole, "{first:02x} {second:02x}");
                }
            }
        }
    }

    #[test]
    fn text_in_place_is_checked_and_else_left_as_it_was() {
        let limits = DecoderLimits { max_message_size: 5, max_fragments: 1 };
        let frame = |payload: &[u8]| {
            let masked =
                payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key);
            [0x81, 0x80 | payload.len() as u8, 1, 2, 3, 4]
                .into_iter()
                .chain(masked)
                .collect::<Vec<_>>()
        };
        let mut good = frame(b"Hello");
        assert_eq!(limits.message_in_place(&mut good), Some((6..11, MessageType::Text)));
        assert_eq!(&good[6..], b"Hello");
        for bad in [frame(b"Hell\xff"), frame(b"Hello!")] {
            let mut input = bad.clone();
            assert_eq!(limits.message_in_place(&mut input), None);
            assert_eq!(input, bad);
        }
        let none = DecoderLimits { max_fragments: 0, ..limits };
        assert_eq!(none.message_in_place(&mut frame(b"Hello")), None);
    }
}
