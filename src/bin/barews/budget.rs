//! Memory for messages that wait to be sent: so much for all connections together, lest many of
//! them hold a long one each.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use barews::{Kind, Message};

/// How much may wait in all, in bytes.
const MOST: usize = 256 << 20;

/// What a message takes besides its bytes, lest empty ones be free: an entry in a queue, the counts
/// of references, the allocator's own.
const OVERHEAD: usize = 128;

/// What is left of it.
#[derive(Clone)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// A message that counts against the budget until it is dropped.
pub(crate) struct Held {
    kind: Kind,
    bytes: Vec<u8>,
    budget: Budget,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MOST)))
    }

    /// Keeps a message as it was received, if there is room for it.
    pub(crate) fn hold(&self, kind: Kind, bytes: Vec<u8>) -> Option<Held> {
        let take = |left: usize| left.checked_sub(cost(&bytes));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Held { kind, bytes, budget: self.clone() })
    }
}

impl Held {
    pub(crate) fn message(&self) -> Message<'_> {
        match self.kind {
            // The price of text that is kept: it is looked at once more.
            Kind::Text => {
                std::str::from_utf8(&self.bytes).expect("it was checked as it came").into()
            }
            Kind::Binary => Message::from(&self.bytes),
        }
    }

    /// Length of the message in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_add(cost(&self.bytes), Ordering::Relaxed);
    }
}

fn cost(bytes: &Vec<u8>) -> usize {
    bytes.capacity().saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_given_back() {
        let budget = Budget::new();
        let hold = |bytes| budget.hold(Kind::Binary, bytes);
        let rest = OVERHEAD + 1;
        let most = MOST - OVERHEAD - rest;
        let held = hold(Vec::with_capacity(most)).expect("there is room");
        assert!(hold(Vec::with_capacity(2)).is_none());
        let small = hold(Vec::with_capacity(1)).expect("there is still room");
        assert!(hold(Vec::new()).is_none(), "an empty one is not free");
        drop((held, small));
        assert_eq!(budget.0.load(Ordering::Relaxed), MOST);
    }
}
