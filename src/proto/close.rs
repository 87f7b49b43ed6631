//! Closing on the wire: the status codes (§7.4) and the payload of a Close frame (§5.5.1).
//!
//! [`CloseCode`] is any 16-bit number, and knows which may be sent. [`CloseFrame`] is a code and a
//! reason. [`ProtocolError::close_code`] is the one table from what a peer did wrong to the code
//! that answers it.
//!
//! ```text
//! +------+------+- - - - - - - - - - - -+
//! |  code, 16   |  reason, UTF-8, 0-123 |
//! +------+------+- - - - - - - - - - - -+
//! ```

use std::fmt;

use super::error::ProtocolError;
use super::frame::MAX_CONTROL;

/// The longest reason that a Close frame can carry, in bytes (§5.5, less the code).
pub const MAX_REASON: usize = MAX_CONTROL - 2;

/// The status code of a Close frame (§7.4).
///
/// Any 16-bit number can be held, since a peer can send any; [`is_sendable`](Self::is_sendable)
/// tells whether it may stand in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: an endpoint is going away, such as a server that shuts down.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: a protocol error.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a type of data that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: never on the wire; stands for a Close frame without a code. Who passes a Close on, as a proxy
    /// does, sends [`NORMAL`](Self::NORMAL) for it.
    pub const NO_STATUS: Self = Self(1005);
    /// 1006: never on the wire; stands for a connection that ended with no Close frame. Who passes
    /// that on aborts: [`Sender::abort`](crate::Sender::abort).
    pub const ABNORMAL: Self = Self(1006);
    /// 1007: data that does not fit its type, such as text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a policy was violated.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const TOO_BIG: Self = Self(1009);
    /// 1010: the client missed an extension it needs.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: the server met a condition it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts; come back, after a random time (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server is overloaded; try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a server behind this one, which is a gateway, gave no valid answer (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Whether the code may stand in a Close frame.
    ///
    /// §7.4.1 defines 1000 to 1003 and 1007 to 1011; the IANA registry it founded has added 1012
    /// to 1014. 1004 is reserved; 1005, 1006 and 1015 are for local use only. §7.4.2 leaves 3000
    /// to 3999 to libraries and 4000 to 4999 to applications.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

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

/// Writes the payload of a Close frame and returns its length. A reason beyond
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

impl ProtocolError {
    /// The status code of the Close frame that answers this error (§7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::ReservedBits(_)
            | Self::ReservedOpCode(_)
            | Self::Unmasked
            | Self::FragmentedControl
            | Self::OversizedControl(_)
            | Self::LengthNotMinimal(_)
            | Self::LengthTooLarge(_)
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage
            | Self::CloseTooShort
            | Self::CloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::CloseReasonNotUtf8 | Self::TextNotUtf8 => CloseCode::INVALID_DATA,
            #[cfg(feature = "deflate")]
            Self::NotDeflate | Self::IncompleteDeflate => CloseCode::INVALID_DATA,
            Self::TooManyFragments(_) => CloseCode::POLICY_VIOLATION,
            Self::MessageTooBig(_) => CloseCode::TOO_BIG,
        }
    }
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

    #[test]
    fn all_65536_codes_against_a_table() {
        const ALLOWED: [std::ops::RangeInclusive<u16>; 3] = [1000..=1003, 1007..=1014, 3000..=4999];
        for code in 0..=u16::MAX {
            let expected = ALLOWED.iter().any(|range| range.contains(&code));
            assert_eq!(CloseCode(code).is_sendable(), expected, "{code}");
        }
    }

    #[test]
    fn shown_and_converted() {
        let code = CloseCode::from(1009);
        assert_eq!(code, CloseCode::TOO_BIG);
        assert_eq!(u16::from(code), 1009);
        assert_eq!(format!("{code} {code:?}"), "1009 CloseCode(1009)");
    }
}
