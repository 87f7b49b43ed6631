//! How long a call that receives may take.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::io::expiry::Expiry;

/// When a call that receives has waited long enough, from its first read on: what has arrived
/// by then is received, however long it took to send what had to go first.
#[derive(Debug)]
pub(crate) enum CallExpiry {
    /// It has not read yet, and may for so long then; `None` is never.
    After(Option<Duration>),
    /// The same, until then.
    At(Instant),
    /// It has.
    Begun(Expiry),
}

/// How long it looks at what has arrived, whatever its time.
const LEAST: Duration = Duration::from_millis(1);

impl CallExpiry {
    /// A shorter timeout than a millisecond counts as one; `None` is never.
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self::After(timeout)
    }

    /// At this point in time, or a millisecond from the first read if it has passed by then.
    pub(crate) fn at(at: Instant) -> Self {
        Self::At(at)
    }

    pub(super) fn left(&mut self) -> Result<Duration, Error> {
        let left = match *self {
            Self::After(None) => return Ok(Duration::MAX),
            Self::After(Some(timeout)) => timeout.max(LEAST),
            Self::At(at) => at.saturating_duration_since(Instant::now()).max(LEAST),
            Self::Begun(expiry) => return expiry.left().ok_or(Error::RecvTimeout),
        };
        *self = Self::Begun(Expiry::after(left));
        Ok(left)
    }
}
