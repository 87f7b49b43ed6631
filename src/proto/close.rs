//! The payload of a Close frame (§5.5.1).
//!
//! ```text
//! +------+------+- - - - - - - - - - - -+
//! |  code, 16   |  reason, UTF-8, 0-123 |
//! +------+------+- - - - - - - - - - - -+
//! ```

use super::code::CloseCode;
use super::error::ProtocolError;
use super::frame::MAX_CONTROL;

/// The longest reason that a Close frame can carry, in bytes (§5.5, less the code).
pub const MAX_REASON: usize = MAX_CONTROL - 2;

/// What a Close frame said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseFrame {
    /// The status code; [`CloseCode::NO_STATUS`] if the frame was empty.
    pub code: CloseCode,
    /// The reason: at most 123 bytes, often empty.
    pub reason: String,
}

impl CloseFrame {
    /// Reads the payload of a Close frame.
    ///
    /// # Errors
    ///
    /// A payload of one byte, a code that must not be sent (§7.4), or a reason that is not
    /// UTF-8.
    pub fn decode(payload: &[u8]) -> Result<Self, ProtocolError> {
        let (code, reason) = match payload.split_first_chunk() {
            Some((&code, reason)) => (CloseCode(u16::from_be_bytes(code)), reason),
            // §7.1.5: a Close frame without a code counts as 1005.
            None if payload.is_empty() => (CloseCode::NO_STATUS, payload),
            // §5.5.1: a body begins with a code of two bytes.
            None => return Err(ProtocolError::CloseTooShort),
        };
        // §7.4: codes that are reserved or not assigned stay off the wire.
        if !payload.is_empty() && !code.is_sendable() {
            return Err(ProtocolError::CloseCode(code.0));
        }
        // §5.5.1: what follows the code is UTF-8.
        let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::CloseReasonNotUtf8)?;
        Ok(Self { code, reason: reason.to_owned() })
    }
}

/// Writes the payload of a Close frame and tells its length. A reason beyond
/// [`MAX_REASON`] bytes is cut at a character; [`CloseCode::NO_STATUS`] makes an empty one.
pub fn encode(code: CloseCode, reason: &str, out: &mut [u8; MAX_CONTROL]) -> usize {
    if code == CloseCode::NO_STATUS {
        return 0;
    }
    let reason = &reason.as_bytes()[..reason.floor_char_boundary(MAX_REASON)];
    out[..2].copy_from_slice(&code.0.to_be_bytes());
    out[2..2 + reason.len()].copy_from_slice(reason);
    2 + reason.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(code: u16, reason: &str) -> Vec<u8> {
        let mut out = [0; MAX_CONTROL];
        let len = encode(CloseCode(code), reason, &mut out);
        out[..len].to_vec()
    }

    #[test]
    fn every_code_round_trips_or_is_refused() {
        for code in 0..=u16::MAX {
            let decoded = CloseFrame::decode(&code.to_be_bytes());
            if CloseCode(code).is_sendable() {
                let expected = CloseFrame { code: CloseCode(code), reason: String::new() };
                assert_eq!(decoded, Ok(expected));
                assert_eq!(encoded(code, ""), code.to_be_bytes());
            } else {
                assert_eq!(decoded, Err(ProtocolError::CloseCode(code)));
            }
        }
    }

    #[test]
    fn an_empty_payload_is_1005_and_back() {
        let frame = CloseFrame::decode(b"").unwrap();
        assert_eq!(frame.code, CloseCode::NO_STATUS);
        assert_eq!(encoded(1005, "dropped"), b"");
    }

    #[test]
    fn one_byte_is_too_short() {
        for byte in 0..=u8::MAX {
            assert_eq!(CloseFrame::decode(&[byte]), Err(ProtocolError::CloseTooShort));
        }
    }

    #[test]
    fn reasons_are_utf8() {
        let frame = CloseFrame::decode(b"\x03\xe8\xe2\x98\x83").unwrap();
        assert_eq!(frame.reason, "\u{2603}");
        assert_eq!(CloseFrame::decode(b"\x03\xe8\xc3\x28"), Err(ProtocolError::CloseReasonNotUtf8));
    }

    #[test]
    fn long_reasons_are_cut_at_a_character() {
        assert_eq!(encoded(1000, &"x".repeat(123)).len(), 125);
        assert_eq!(encoded(1000, &"x".repeat(124)).len(), 125);
        // 41 snowmen are 123 bytes; shifted by one, the last no longer fits.
        assert_eq!(encoded(1000, &"\u{2603}".repeat(42)).len(), 125);
        let cut = encoded(1000, &format!("x{}", "\u{2603}".repeat(41)));
        assert_eq!(cut.len(), 2 + 1 + 40 * 3);
        assert!(CloseFrame::decode(&cut).is_ok());
    }
}
