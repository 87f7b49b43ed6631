//! What is different about frames once compression is agreed on (RFC 7692 §6): the first one of a
//! message may have RSV1 set.
//!
//! [`Header::decode`] knows no extension and refuses that bit like the others. So frames without it
//! take the way they always take, and those with it are looked at a second time.

use super::Decoder;
use crate::proto::deflate::RSV1;
use crate::proto::error::ProtocolError;
use crate::proto::frame::{Header, MAX_HEADER};

/// Whether messages may be compressed.
#[derive(Debug)]
pub(super) struct Compression {
    is_agreed: bool,
    /// Whether the header that was decoded last had RSV1 set, until it is used.
    is_marked: bool,
}

impl Compression {
    pub(super) const NONE: Self = Self { is_agreed: false, is_marked: false };
}

impl Decoder {
    /// The peer may compress messages: RSV1 on the first frame of one says that it did. What comes of
    /// these is [`Event::Compressed`](super::Event::Compressed).
    #[must_use]
    pub const fn with_compression(mut self) -> Self {
        self.compression.is_agreed = true;
        self
    }

    /// The header at the start of `bytes`, and how many of them it takes; `None` asks for more.
    #[inline]
    pub(super) fn header(
        &mut self,
        bytes: &[u8],
    ) -> Result<Option<(Header, usize)>, ProtocolError> {
        match Header::decode(bytes) {
            Err(error) => self.marked_header(bytes, error),
            header => header,
        }
    }

    /// Takes the mark off a header that it alone makes an error.
    #[cold]
    fn marked_header(
        &mut self,
        bytes: &[u8],
        error: ProtocolError,
    ) -> Result<Option<(Header, usize)>, ProtocolError> {
        let mut unmarked = [0; MAX_HEADER];
        let len = bytes.len().min(MAX_HEADER);
        unmarked[..len].copy_from_slice(&bytes[..len]);
        let opcode = unmarked[0] & 0xf;
        // RFC 7692 §6.1: never on a control frame, nor on a fragment that is not the first.
        if !self.compression.is_agreed
            || error != ProtocolError::ReservedBits(RSV1 >> 4)
            || !matches!(opcode, 1 | 2)
        {
            return Err(error);
        }
        unmarked[0] &= !RSV1;
        let header = Header::decode(&unmarked[..len])?;
        self.compression.is_marked = header.is_some();
        Ok(header)
    }

    /// A message begins with the header that was decoded last.
    #[inline]
    pub(super) const fn begin_compressed(&mut self) {
        self.message.is_compressed = self.compression.is_marked;
        self.compression.is_marked = false;
    }
}
