//! What a queue says to a message that it does not take.

use std::fmt;

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrySendError {
    /// It would be more than `max_bytes`.
    Full,
    /// The connection is closed, or closing, or the queue is: nothing can be sent any more.
    Closed,
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the queue is full",
            Self::Closed => "the connection is closed",
        })
    }
}

impl std::error::Error for TrySendError {}
