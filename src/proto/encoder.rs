//! From messages to frames: the sending half of the protocol.
//!
//! A server's frames are not masked (§5.1), so a payload leaves as it is: only a header is
//! made, here, and the caller sends the two together without a copy. Small frames that wait to
//! be sent in one go are appended whole to a buffer instead.

use super::close::{self, CloseCode};
#[cfg(feature = "deflate")]
use super::deflate::RSV1;
use super::event::MessageType;
use super::frame::{Header, MAX_CONTROL, MAX_HEADER, OpCode};

/// The first bit of a header: it is of the last frame of a message, or the only one (§5.2).
const FIN: u8 = 0x80;

/// The header of an unmasked frame, ready to send.
#[derive(Debug, Clone, Copy)]
pub struct FrameHeader {
    bytes: [u8; MAX_HEADER],
    /// 2, 4 or 10.
    len: usize,
}

impl FrameHeader {
    /// The header of a frame with a payload of `len` bytes.
    #[inline]
    #[must_use]
    pub fn new(fin: bool, opcode: OpCode, len: usize) -> Self {
        Self::with_len(fin, opcode, len as u64)
    }

    /// The same for a payload that need not fit in memory: of at most 2^63 - 1 bytes (§5.2).
    #[inline]
    #[must_use]
    pub fn with_len(fin: bool, opcode: OpCode, len: u64) -> Self {
        let header = Header { fin, opcode, mask: None, len };
        let mut bytes = [0; MAX_HEADER];
        let len = header.encode(&mut bytes);
        Self { bytes, len }
    }

    /// The same for the first frame of a message that is compressed: RSV1 is set (RFC 7692 §6).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn compressed(mut self) -> Self {
        self.bytes[0] |= RSV1;
        self
    }

    /// The header's bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl MessageType {
    /// The opcode of the first frame of a message of this type.
    #[must_use]
    pub const fn opcode(self) -> OpCode {
        match self {
            Self::Text => OpCode::Text,
            Self::Binary => OpCode::Binary,
        }
    }
}

/// Appends a message of one frame.
#[inline]
pub fn message(kind: MessageType, payload: &[u8], out: &mut Vec<u8>) {
    frame(kind.opcode(), payload, out);
}

/// Appends a Ping (§5.5.2). `payload` holds at most 125 bytes.
pub fn ping(payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(payload.len() <= MAX_CONTROL);
    frame(OpCode::Ping, payload, out);
}

/// Appends a Pong (§5.5.3). `payload` holds at most 125 bytes.
pub fn pong(payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(payload.len() <= MAX_CONTROL);
    frame(OpCode::Pong, payload, out);
}

/// Appends a Close (§5.5.1); [`close::encode`] says what becomes of the code and the reason.
pub fn close(code: CloseCode, reason: &str, out: &mut Vec<u8>) {
    let mut payload = [0; MAX_CONTROL];
    let len = close::encode(code, reason, &mut payload);
    frame(OpCode::Close, &payload[..len], out);
}

/// Appends a whole frame.
// Inlined: 25 instructions less for 20 bytes.
#[inline(always)]
pub(crate) fn frame(opcode: OpCode, payload: &[u8], out: &mut Vec<u8>) {
    // Most are short, and their header is quickly made (§5.2).
    match u8::try_from(payload.len()) {
        Ok(len @ 0..=125) => {
            out.reserve(2 + payload.len());
            out.extend_from_slice(&[FIN | opcode as u8, len]);
        }
        _ => {
            let header = FrameHeader::new(true, opcode, payload.len());
            out.reserve(MAX_HEADER + payload.len());
            out.extend_from_slice(header.as_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn the_unmasked_examples_of_section_5_7() {
        assert_eq!(
            written(|out| message(MessageType::Text, b"Hello", out)),
            [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]
        );
        assert_eq!(written(|out| ping(b"Hello", out)), [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(written(|out| pong(b"Hello", out)), [0x8a, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        let binary = written(|out| message(MessageType::Binary, &[7; 256], out));
        assert_eq!((&binary[..4], binary.len()), (&[0x82, 0x7e, 0x01, 0x00][..], 260));
        let binary = written(|out| message(MessageType::Binary, &[7; 65_536], out));
        assert_eq!(binary[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(binary.len(), 10 + 65_536);
        // The two fragments of "Hel" and "lo".
        assert_eq!(FrameHeader::new(false, OpCode::Text, 3).as_bytes(), [0x01, 0x03]);
        assert_eq!(FrameHeader::new(true, OpCode::Continuation, 2).as_bytes(), [0x80, 0x02]);
    }

    #[test]
    fn close_frames() {
        assert_eq!(written(|out| close(CloseCode::NORMAL, "bye", out)), b"\x88\x05\x03\xe8bye");
        assert_eq!(written(|out| close(CloseCode::NO_STATUS, "", out)), b"\x88\x00");
    }
}
