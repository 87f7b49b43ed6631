//! How long a call that receives may take.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::io::expiry::Expiry;

/// When a call that receives has waited long enough, counted from its first read: what has arrived
/// by then is received, however long it took to send what had to go first.
#[derive(Debug)]
pub(crate) struct CallExpiry {
    timeout: Option<Duration>,
    expiry: Option<Expiry>,
}

impl CallExpiry {
    /// A shorter timeout than a millisecond counts as one; `None` is never.
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, expiry: None }
    }

    /// At this point in time, or a millisecond from now if it has passed: what has arrived is
    /// received first.
    pub(crate) fn at(at: Instant) -> Self {
        let soon = Instant::now() + Duration::from_millis(1);
        Self {
            timeout: Some(Duration::ZERO),
            expiry: Some(Expiry::since(at.max(soon), Duration::ZERO)),
        }
    }

    pub(super) fn left(&mut self) -> Result<Duration, Error> {
        let Some(timeout) = self.timeout else { return Ok(Duration::MAX) };
        let timeout = timeout.max(Duration::from_millis(1));
        let expiry = self.expiry.get_or_insert_with(|| Expiry::after(timeout));
        expiry.left().ok_or(Error::RecvTimeout)
    }
}
