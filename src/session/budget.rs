//! Bytes that all connections of a server share.
//!
//! Who holds memory holds a [`Charge`] for it, which gives itself back when it is dropped. Memory
//! that is kept while nothing is under way may not crowd out messages: it is granted only from the
//! first sixteenth.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much is charged in all, and how much may be.
#[derive(Debug)]
pub struct Budget {
    /// In bytes.
    limit: u64,
    /// In bytes.
    charged: AtomicU64,
}

/// What one holder has of a [`Budget`], in bytes, until it is dropped.
#[derive(Debug)]
pub struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, charged: AtomicU64::new(0) }
    }

    /// How many bytes are charged.
    pub fn charged(&self) -> u64 {
        self.charged.load(Ordering::Relaxed)
    }
}

impl Charge {
    /// Nothing yet.
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Another one of the same budget, with nothing yet.
    pub fn beside(&self) -> Self {
        Self::new(&self.budget)
    }

    /// How many bytes it is.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes it at least so many bytes, if the budget has them; whether it has.
    pub fn grow(&mut self, bytes: u64) -> bool {
        bytes <= self.bytes || self.set(bytes, self.budget.limit)
    }

    /// Makes it so many bytes, for memory that is kept while nothing is under way; whether they are
    /// granted. If not, it is none.
    pub fn retain(&mut self, bytes: u64) -> bool {
        let granted = bytes == self.bytes || self.set(bytes, self.budget.limit / 16);
        if !granted {
            self.clear();
        }
        granted
    }

    /// Gives all back.
    pub fn clear(&mut self) {
        if self.bytes > 0 {
            let bytes = mem::take(&mut self.bytes);
            self.budget.charged.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn set(&mut self, bytes: u64, limit: u64) -> bool {
        let change = |charged: u64| {
            let charged = (charged - self.bytes).checked_add(bytes)?;
            (bytes <= self.bytes || charged <= limit).then_some(charged)
        };
        let charged = &self.budget.charged;
        let granted = charged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok();
        if granted {
            self.bytes = bytes;
        }
        granted
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
        assert!(one.retain(5), "less is always granted");
        assert_eq!(budget.charged(), 65);
        assert!(!one.retain(6) && one.bytes() == 0, "others have the first sixteenth");
        drop(other);
        assert!(one.retain(10) && !one.retain(11));
        assert!(one.grow(160) && !one.grow(u64::MAX));
        drop(one);
        assert_eq!(budget.charged(), 0);
    }
}
