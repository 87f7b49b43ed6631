//! Bytes that all connections of a server share.
//!
//! Who holds memory holds a [`Charge`] for it, which gives itself back when it is dropped. Memory
//! that is retained while nothing is under way has a sixteenth of its own on top, so that it does not
//! crowd out messages: once bytes come for it, the charge is moved to those of messages.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much may be charged, and how much is.
#[derive(Debug)]
pub struct Budget {
    /// For messages, in bytes.
    limit: u64,
    messages: AtomicU64,
    retained: AtomicU64,
}

/// What one holder has of a [`Budget`], until it is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
    purpose: Purpose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Message,
    Retained,
}

impl Budget {
    /// A budget of so many bytes for messages, and a sixteenth for what is retained.
    pub fn new(limit: u64) -> Self {
        Self { limit, messages: AtomicU64::new(0), retained: AtomicU64::new(0) }
    }

    /// How many bytes are charged in all.
    pub fn charged(&self) -> u64 {
        self.messages.load(Ordering::Relaxed) + self.retained.load(Ordering::Relaxed)
    }

    fn count(&self, purpose: Purpose) -> (&AtomicU64, u64) {
        match purpose {
            Purpose::Message => (&self.messages, self.limit),
            Purpose::Retained => (&self.retained, self.limit / 16),
        }
    }

    fn take(&self, bytes: u64, purpose: Purpose) -> bool {
        let (count, limit) = self.count(purpose);
        let take = |had: u64| had.checked_add(bytes).filter(|sum| *sum <= limit);
        bytes == 0 || count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

impl Charge {
    /// Nothing yet.
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0, purpose: Purpose::Message }
    }

    /// Another one of the same budget, with nothing yet.
    pub fn beside(&self) -> Self {
        Self::new(&self.budget)
    }

    /// How many bytes it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it at least so many bytes of a message, if the budget has them; whether it has.
    pub fn grow(&mut self, bytes: u64) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let had = if self.purpose == Purpose::Message { self.bytes } else { 0 };
        let granted = self.budget.take(bytes - had, Purpose::Message);
        if granted {
            if self.purpose == Purpose::Retained {
                self.clear();
            }
            (self.bytes, self.purpose) = (bytes, Purpose::Message);
        }
        granted
    }

    /// Makes it so many bytes of retained memory, if the budget has them; else it is none.
    pub fn retain(&mut self, bytes: u64) -> bool {
        if bytes == self.bytes && (self.purpose == Purpose::Retained || bytes == 0) {
            return true;
        }
        self.clear();
        let granted = self.budget.take(bytes, Purpose::Retained);
        if granted {
            (self.bytes, self.purpose) = (bytes, Purpose::Retained);
        }
        granted
    }

    /// Gives all back.
    pub fn clear(&mut self) {
        if self.bytes > 0 {
            let (count, _) = self.budget.count(self.purpose);
            count.fetch_sub(mem::take(&mut self.bytes), Ordering::Relaxed);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_charged_and_given_back() {
        let budget = Arc::new(Budget::new(160));
        let (mut one, mut other) = (Charge::new(&budget), Charge::new(&budget));
        assert!(one.grow(100) && other.grow(60));
        assert!(!other.grow(61) && other.bytes() == 60);
        assert!(one.grow(50) && one.bytes() == 100, "it does not shrink");
        // A sixteenth is retained beside it, and no more.
        let mut third = one.beside();
        assert!(third.retain(10) && !third.retain(11) && third.bytes() == 0);
        assert!(third.retain(4) && one.retain(6) && !other.retain(1));
        assert_eq!(budget.charged(), 10);
        // What bytes come for is a message's.
        assert!(one.grow(6) && one.grow(160) && other.retain(6));
        assert!(!third.grow(5) && third.bytes() == 4);
        assert!(third.retain(0) && one.retain(0));
        drop((other, third));
        assert!(one.grow(160) && !one.grow(u64::MAX));
        drop(one);
        assert_eq!(budget.charged(), 0);
    }
}
