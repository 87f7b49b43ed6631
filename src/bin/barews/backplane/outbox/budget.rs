//! How much may wait to be published, in bytes.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many bytes, shared by all that waits.
pub struct Budget {
    max: usize,
    state: Mutex<State>,
    /// Signalled when some are given back, and when nobody is to wait any more.
    changed: Condvar,
}

struct State {
    used: usize,
    /// Whether it makes sense to wait for some: what was taken is on its way.
    is_draining: bool,
}

/// A part of a budget, given back when it is dropped.
pub struct Charge {
    budget: Arc<Budget>,
    amount: usize,
}

impl Budget {
    pub fn new(max: usize) -> Self {
        let state = State { used: 0, is_draining: false };
        Self { max, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Takes so many bytes; waits for them at most so long, and only while it drains.
    pub fn take(self: &Arc<Self>, amount: usize, within: Duration) -> Option<Charge> {
        let is_short = |state: &mut State| {
            let is_short = state.used.saturating_add(amount) > self.max;
            is_short && state.is_draining && amount <= self.max
        };
        let waited = self.changed.wait_timeout_while(self.lock(), within, is_short);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let used = state.used.checked_add(amount).filter(|used| *used <= self.max)?;
        state.used = used;
        Some(Charge { budget: Arc::clone(self), amount })
    }

    /// Says whether it drains.
    pub fn set_draining(&self, is_draining: bool) {
        self.lock().is_draining = is_draining;
        self.changed.notify_all();
    }

    pub fn used(&self) -> usize {
        self.lock().used
    }

    pub fn max(&self) -> usize {
        self.max
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.lock().used -= self.amount;
        self.budget.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    const NOW: Duration = Duration::ZERO;
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_dropped_is_given_back() {
        let budget = Arc::new(Budget::new(10));
        let charge = budget.take(7, NOW).expect("there is enough");
        assert!(budget.take(4, NOW).is_none());
        assert_eq!(budget.used(), 7);
        drop(charge);
        assert!(budget.take(10, NOW).is_some());
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn waiting_ends_when_it_is_of_no_use() {
        let budget = Arc::new(Budget::new(10));
        let charge = budget.take(7, NOW).expect("there is enough");
        // It does not drain, or would never have so much: nobody waits.
        assert!(budget.take(4, LONG).is_none());
        budget.set_draining(true);
        assert!(budget.take(11, LONG).is_none());
        assert!(budget.take(usize::MAX, LONG).is_none());
        thread::scope(|scope| {
            let waiting = scope.spawn(|| budget.take(4, LONG).is_some());
            drop(charge);
            assert!(waiting.join().unwrap());
            let charge = budget.take(7, NOW).expect("it was given back");
            let waiting = scope.spawn(|| budget.take(4, LONG).is_none());
            budget.set_draining(false);
            assert!(waiting.join().unwrap());
            drop(charge);
        });
    }
}
