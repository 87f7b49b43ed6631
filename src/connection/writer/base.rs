//! The write timeout of a connection, which is read at every write.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// The write timeout for what is short. It is set again, if at all, while nobody writes, so that
/// its two parts need not be read at once.
pub(super) struct Base {
    secs: AtomicU64,
    nanos: AtomicU32,
}

impl Base {
    pub(super) fn new(timeout: Duration) -> Self {
        let base = Self { secs: AtomicU64::new(0), nanos: AtomicU32::new(0) };
        base.set(timeout);
        base
    }

    pub(super) fn set(&self, timeout: Duration) {
        self.secs.store(timeout.as_secs(), Ordering::Relaxed);
        self.nanos.store(timeout.subsec_nanos(), Ordering::Relaxed);
    }

    #[inline(always)]
    pub(super) fn get(&self) -> Duration {
        Duration::new(self.secs.load(Ordering::Relaxed), self.nanos.load(Ordering::Relaxed))
    }
}
