//! Why receiving ends.

use crate::proto::{CloseCode, ProtocolError};
use crate::session::assembler::Overloaded;
#[cfg(feature = "deflate")]
use crate::session::inflation::InflateError;

/// Why nothing more can be received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveError {
    /// The peer broke a rule.
    Protocol(ProtocolError),
    /// There is no memory for its message.
    Overloaded,
}

impl ReceiveError {
    /// The code that the peer is told (§7.4.1).
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Protocol(error) => error.close_code(),
            Self::Overloaded => CloseCode::TRY_AGAIN_LATER,
        }
    }
}

impl From<ProtocolError> for ReceiveError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<Overloaded> for ReceiveError {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

#[cfg(feature = "deflate")]
impl From<InflateError> for ReceiveError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Protocol(error) => Self::Protocol(error),
            InflateError::Overloaded => Self::Overloaded,
        }
    }
}
