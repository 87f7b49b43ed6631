//! The queues of a connection, and what its end means for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::io::expiry::Expiry;

/// Messages that wait to be sent.
pub(crate) trait Queue: Send + Sync {
    /// Takes nothing more.
    fn drain(&self);

    /// Waits until all is sent, so long at the most.
    fn wait_drained(&self, within: Duration);

    /// What waits is of no more use.
    fn shut(&self);
}

/// The queues of a connection, closed when it is dropped.
#[derive(Default)]
pub(super) struct Queues(Mutex<Vec<Weak<dyn Queue>>>);

impl Queues {
    pub(super) fn add(&self, queue: &Arc<dyn Queue>) {
        let mut queues = self.lock();
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(queue));
    }

    /// Has what is queued go out, and takes nothing more.
    pub(super) fn drain(&self, expiry: Expiry) {
        let queues = self.all();
        queues.iter().for_each(|queue| queue.drain());
        queues.iter().for_each(|queue| queue.wait_drained(expiry.left().unwrap_or_default()));
    }

    fn all(&self) -> Vec<Arc<dyn Queue>> {
        self.lock().iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn shut(&self) {
        self.all().iter().for_each(|queue| queue.shut());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<dyn Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        self.shut();
    }
}
