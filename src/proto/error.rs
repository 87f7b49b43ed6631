//! Every way a peer can break the protocol, with the section of the rule.
//!
//! [`ProtocolError`] is what [`Decoder::feed`](super::Decoder::feed) fails with. Each variant cites
//! its section, and its text fits a close reason. Which close code answers which error stands in
//! `close.rs`.

use std::fmt;

/// A rule of RFC 6455 that the peer broke, or a limit of ours that it passed.
///
/// The connection cannot go on: the answer is a Close frame with
/// [`close_code`](Self::close_code), and then the end (§7.1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set, and no extension was negotiated that gives it a meaning (§5.2).
    /// Holds the three bits, RSV1 being 4.
    ReservedBits(u8),
    /// An opcode that the RFC reserves for later (§5.2): 3 to 7 or 11 to 15.
    ReservedOpCode(u8),
    /// A frame from the client is not masked (§5.1).
    Unmasked,
    /// A control frame is fragmented (§5.5).
    FragmentedControl,
    /// A control frame declares a payload of more than 125 bytes (§5.5).
    /// Holds the 7-bit length field: 126 or 127.
    OversizedControl(u8),
    /// A payload length is not in its shortest encoding (§5.2). Holds the length.
    LengthNotMinimal(u64),
    /// The highest bit of a 64-bit payload length is set (§5.2). Holds the length.
    LengthTooLarge(u64),
    /// A continuation frame arrived while no message was being continued (§5.4).
    UnexpectedContinuation,
    /// A new message began before the last fragment of the one before (§5.4).
    UnfinishedMessage,
    /// A Close payload of a single byte: too short for a code (§5.5.1).
    CloseTooShort,
    /// A close code that must not be sent (§7.4). Holds the code.
    CloseCode(u16),
    /// A close reason that is not UTF-8 (§5.5.1).
    CloseReasonNotUtf8,
    /// A text message that is not UTF-8 (§8.1).
    TextNotUtf8,
    /// A compressed message that is no DEFLATE stream, or refers further back than anything was said
    /// (RFC 7692 §7.2.2).
    #[cfg(feature = "deflate")]
    NotDeflate,
    /// A compressed message that does not end where its last block does: it was cut short, or has
    /// the end of its sync flush still on it (RFC 7692 §7.2.2).
    #[cfg(feature = "deflate")]
    IncompleteDeflate,
    /// A message is longer than this end accepts (§10.4): 1009. Holds the limit in bytes.
    MessageTooBig(u64),
    /// A message comes in more fragments than this end accepts (§10.4): 1008. Holds the limit.
    TooManyFragments(u32),
}

impl ProtocolError {
    /// The section of RFC 6455 that holds the rule, or of RFC 7692 if it is about compression.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Unmasked => "5.1",
            Self::ReservedBits(_)
            | Self::ReservedOpCode(_)
            | Self::LengthNotMinimal(_)
            | Self::LengthTooLarge(_) => "5.2",
            Self::UnexpectedContinuation | Self::UnfinishedMessage => "5.4",
            Self::FragmentedControl | Self::OversizedControl(_) => "5.5",
            Self::CloseTooShort | Self::CloseReasonNotUtf8 => "5.5.1",
            Self::CloseCode(_) => "7.4",
            Self::TextNotUtf8 => "8.1",
            #[cfg(feature = "deflate")]
            Self::NotDeflate | Self::IncompleteDeflate => "7.2.2",
            Self::MessageTooBig(_) | Self::TooManyFragments(_) => "10.4",
        }
    }

    /// The RFC that the section is of.
    const fn rfc(self) -> u16 {
        match self {
            #[cfg(feature = "deflate")]
            Self::NotDeflate | Self::IncompleteDeflate => 7692,
            _ => 6455,
        }
    }
}

impl fmt::Display for ProtocolError {
    /// One line that fits a close reason: at most 123 bytes (§5.5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits(bits) => write!(f, "reserved bits {bits:03b} are set"),
            Self::ReservedOpCode(code) => write!(f, "opcode {code:#x} is reserved"),
            Self::Unmasked => f.write_str("a client's frame must be masked"),
            Self::FragmentedControl => f.write_str("a control frame must not be fragmented"),
            Self::OversizedControl(_) => f.write_str("a control frame holds at most 125 bytes"),
            Self::LengthNotMinimal(len) => {
                write!(f, "length {len} is not in its shortest encoding")
            }
            Self::LengthTooLarge(len) => write!(f, "length {len:#x} has its highest bit set"),
            Self::UnexpectedContinuation => f.write_str("nothing to continue"),
            Self::UnfinishedMessage => f.write_str("the message before is not finished"),
            Self::CloseTooShort => f.write_str("a close payload of one byte"),
            Self::CloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::CloseReasonNotUtf8 => f.write_str("the close reason is not UTF-8"),
            Self::TextNotUtf8 => f.write_str("the text is not UTF-8"),
            #[cfg(feature = "deflate")]
            Self::NotDeflate => f.write_str("the compressed message is not DEFLATE"),
            #[cfg(feature = "deflate")]
            Self::IncompleteDeflate => {
                f.write_str("the compressed message does not end with its last block")
            }
            Self::MessageTooBig(max) => write!(f, "a message holds at most {max} bytes"),
            Self::TooManyFragments(max) => write!(f, "a message has at most {max} fragments"),
        }?;
        write!(f, " (RFC {} §{})", self.rfc(), self.section())
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::CloseCode;

    /// One of each, with the largest numbers each can hold.
    const ALL: &[ProtocolError] = &[
        ProtocolError::ReservedBits(7),
        ProtocolError::ReservedOpCode(15),
        ProtocolError::Unmasked,
        ProtocolError::FragmentedControl,
        ProtocolError::OversizedControl(127),
        ProtocolError::LengthNotMinimal(u64::MAX),
        ProtocolError::LengthTooLarge(u64::MAX),
        ProtocolError::UnexpectedContinuation,
        ProtocolError::UnfinishedMessage,
        ProtocolError::CloseTooShort,
        ProtocolError::CloseCode(u16::MAX),
        ProtocolError::CloseReasonNotUtf8,
        ProtocolError::TextNotUtf8,
        ProtocolError::MessageTooBig(u64::MAX),
        ProtocolError::TooManyFragments(u32::MAX),
        #[cfg(feature = "deflate")]
        ProtocolError::NotDeflate,
        #[cfg(feature = "deflate")]
        ProtocolError::IncompleteDeflate,
    ];

    #[test]
    fn each_text_fits_a_close_reason() {
        for &error in ALL {
            let text = error.to_string();
            assert!(text.len() <= 123, "{} bytes: {text}", text.len());
            assert!(!text.contains('\n'));
            assert!(text.ends_with(&format!(" §{})", error.section())));
        }
    }

    #[test]
    fn each_has_the_code_of_its_kind() {
        for &error in ALL {
            let expected = match error {
                ProtocolError::MessageTooBig(_) => 1009,
                ProtocolError::TooManyFragments(_) => 1008,
                ProtocolError::TextNotUtf8 | ProtocolError::CloseReasonNotUtf8 => 1007,
                #[cfg(feature = "deflate")]
                ProtocolError::NotDeflate | ProtocolError::IncompleteDeflate => 1007,
                _ => 1002,
            };
            assert_eq!(error.close_code(), CloseCode(expected), "{error}");
        }
    }

    #[test]
    fn each_has_the_section_of_its_rule() {
        let sections: Vec<_> = ALL.iter().map(|error| error.section()).collect();
        let expected = [
            "5.2", "5.2", "5.1", "5.5", "5.5", "5.2", "5.2", "5.4", "5.4", "5.5.1", "7.4", "5.5.1",
            "8.1", "10.4", "10.4", "7.2.2", "7.2.2",
        ];
        assert_eq!(sections, expected[..ALL.len()]);
    }
}
