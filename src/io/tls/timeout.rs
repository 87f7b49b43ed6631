//! The timeout that was asked for, to be put back after another was needed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A timeout in nanoseconds; [`u64::MAX`] for none.
pub(super) struct Timeout(AtomicU64);

impl Default for Timeout {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Timeout {
    pub(super) fn set(&self, timeout: Option<Duration>) {
        let nanos = timeout.and_then(|timeout| u64::try_from(timeout.as_nanos()).ok());
        self.0.store(nanos.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<Duration> {
        let nanos = self.0.load(Ordering::Relaxed);
        (nanos != u64::MAX).then(|| Duration::from_nanos(nanos))
    }
}
