//! Memory for all that waits to be sent: so much for all connections together, lest many of them
//! hold much each.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use barews::{Message, MessageType};

/// How much may wait in all, in bytes.
const MOST: usize = 256 << 20;

/// What a message takes besides its bytes, lest empty ones be free: the counts of references, the
/// allocator's own.
const OVERHEAD: usize = 128;

/// The least slots of a queue that is in use.
const SLOTS: usize = 16;

/// What is left of it.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    bytes: usize,
    budget: Budget,
}

/// A message that counts against the budget until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    kind: MessageType,
    bytes: Vec<u8>,
    _charge: Charge,
}

/// A queue whose own memory counts against the budget, and shrinks again.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    items: VecDeque<T>,
    slots: Charge,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(MOST)))
    }

    /// A share of so many bytes, if there is room for it.
    pub(crate) fn charge(&self, bytes: usize) -> Option<Charge> {
        let mut charge = Charge { bytes: 0, budget: self.clone() };
        charge.resize(bytes).then_some(charge)
    }

    /// Keeps a message as it was received, if there is room for it.
    pub(crate) fn hold(&self, kind: MessageType, bytes: Vec<u8>) -> Option<Held> {
        let charge = self.charge(bytes.capacity().saturating_add(OVERHEAD))?;
        Some(Held { kind, bytes, _charge: charge })
    }
}

impl Charge {
    /// Makes it a share of so many bytes; whether there is room. To give some back always works.
    fn resize(&mut self, bytes: usize) -> bool {
        let left = &self.budget.0;
        if bytes > self.bytes {
            let take = |left: usize| left.checked_sub(bytes - self.bytes);
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                return false;
            }
        } else {
            left.fetch_add(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.resize(0);
    }
}

impl Held {
    pub(crate) fn message(&self) -> Message<'_> {
        match self.kind {
            // The price of text that is kept: it is looked at once more.
            MessageType::Text => {
                std::str::from_utf8(&self.bytes).expect("it was checked as it came").into()
            }
            MessageType::Binary => Message::from(&self.bytes),
        }
    }

    /// Length of the message in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl<T> Queue<T> {
    pub(crate) fn new(budget: &Budget) -> Self {
        let slots = Charge { bytes: 0, budget: budget.clone() };
        Self { items: VecDeque::new(), slots }
    }

    /// Adds an item at the end; whether there was memory for its slot.
    #[must_use]
    pub(crate) fn push(&mut self, item: T) -> bool {
        let len = self.items.len();
        if len == self.items.capacity() {
            let slots = (2 * len).max(SLOTS);
            if !self.slots.resize(slots * size_of::<T>()) {
                return false;
            }
            self.items.reserve_exact(slots - len);
        }
        self.items.push_back(item);
        true
    }

    /// Takes the first item out.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front();
        let capacity = self.items.capacity();
        if capacity > SLOTS && self.items.len() <= capacity / 4 {
            self.items.shrink_to(capacity / 2);
            self.slots.resize(self.items.capacity() * size_of::<T>());
        }
        item
    }

    /// Empties it, and gives its memory back; what was in it.
    pub(crate) fn take(&mut self) -> VecDeque<T> {
        let items = mem::take(&mut self.items);
        self.slots.resize(0);
        items
    }

    pub(crate) fn first(&self) -> Option<&T> {
        self.items.front()
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.items.back()
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Budget {
        pub(crate) fn left(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn what_is_held_is_given_back() {
        let budget = Budget::new();
        let hold = |bytes| budget.hold(MessageType::Binary, bytes);
        let rest = OVERHEAD + 1;
        let most = MOST - OVERHEAD - rest;
        let held = hold(Vec::with_capacity(most)).expect("there is room");
        assert!(hold(Vec::with_capacity(2)).is_none());
        let small = hold(Vec::with_capacity(1)).expect("there is still room");
        assert!(hold(Vec::new()).is_none(), "an empty one is not free");
        drop((held, small));
        assert_eq!(budget.left(), MOST);
    }

    #[test]
    fn edge_m_a_queue_pays_for_its_slots_and_gives_them_back() {
        let budget = Budget::new();
        let mut queue = Queue::new(&budget);
        for n in 0..16_000u64 {
            assert!(queue.push(n));
            assert_eq!(MOST - budget.left(), 8 * queue.items.capacity());
        }
        assert!(queue.items.capacity() >= 16_000);
        for n in 0..16_000 {
            assert_eq!(queue.pop(), Some(n));
            assert_eq!(MOST - budget.left(), 8 * queue.items.capacity());
            assert!(queue.items.capacity() <= (4 * queue.len()).max(2 * SLOTS), "{}", queue.len());
        }
        assert!(queue.push(1) && queue.take() == [1]);
        assert_eq!(budget.left(), MOST);
        // Where there is no memory for another slot, those there are go on to serve.
        let _rest = budget.charge(MOST - 8 * SLOTS).expect("there is room");
        assert!((0..SLOTS as u64).all(|n| queue.push(n)));
        assert!(!queue.push(16));
        assert_eq!((queue.pop(), queue.len()), (Some(0), SLOTS - 1));
        drop(queue);
        assert_eq!(budget.left(), 8 * SLOTS);
    }
}
