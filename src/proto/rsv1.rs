//! RSV1, the mark of a compressed message (RFC 7692 §6): where it may stand once compression is agreed
//! on.
//!
//! [`Header::decode`] knows no extension and refuses that bit like the others. So frames without it
//! take the way they always take, and those with it are looked at a second time.

use super::deflate::RSV1;
use super::error::ProtocolError;
use super::frame::{Header, MAX_HEADER};

/// Whether frames may have RSV1 set, and whether the last one had.
#[derive(Debug)]
pub(super) struct Rsv1 {
    is_allowed: bool,
    /// Whether the header that was decoded last had it, until that is asked for.
    is_marked: bool,
}

impl Rsv1 {
    pub(super) const REFUSED: Self = Self { is_allowed: false, is_marked: false };

    pub(super) const ALLOWED: Self = Self { is_allowed: true, is_marked: false };

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

    /// Whether the header that was decoded last had the mark.
    #[inline]
    pub(super) const fn take_mark(&mut self) -> bool {
        let is_marked = self.is_marked;
        self.is_marked = false;
        is_marked
    }

    /// Takes the mark off a header that it alone makes an error.
    #[cold]
    #[inline(never)]
    fn marked_header(
        &mut self,
        bytes: &[u8],
        error: ProtocolError,
    ) -> Result<Option<(Header, usize)>, ProtocolError> {
        let mut unmarked = [0; MAX_HEADER];
        let len = bytes.len().min(MAX_HEADER);
        unmarked[..len].copy_from_slice(&bytes[..len]);
        // RFC 7692 §6.1: never on a control frame, nor on a fragment that is not the first.
        let may_be_marked = matches!(unmarked[0] & 0xf, 1 | 2);
        let is_rsv1_alone = error == ProtocolError::ReservedBits(RSV1 >> 4);
        if !self.is_allowed || !is_rsv1_alone || !may_be_marked {
            return Err(error);
        }
        unmarked[0] &= !RSV1;
        let header = Header::decode(&unmarked[..len])?;
        self.is_marked = header.is_some();
        Ok(header)
    }
}

#[cfg(test)]
mod tests;
