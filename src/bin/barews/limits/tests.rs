use super::*;
use std::sync::Arc;

impl Quota {
    pub fn left(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One for a test alone.
    pub fn leaked(amount: usize) -> &'static Self {
        Box::leak(Box::new(Self::new(amount)))
    }
}

#[test]
fn what_is_held_is_given_back() {
    let quota = Quota::leaked(MAX_STORED_BYTES);
    let store = |bytes| quota.store(MessageType::Binary, bytes);
    let rest = MESSAGE_OVERHEAD + 1;
    let most = MAX_STORED_BYTES - MESSAGE_OVERHEAD - rest;
    let stored = store(Vec::with_capacity(most)).expect("there is room");
    assert!(store(Vec::with_capacity(2)).is_none());
    let small = store(Vec::with_capacity(1)).expect("there is still room");
    assert!(store(Vec::new()).is_none(), "an empty one is not free");
    drop((stored, small));
    assert_eq!(quota.left(), MAX_STORED_BYTES);
    // What may be kept compressed too is paid for twice.
    let copies = if cfg!(feature = "deflate") { 2 } else { 1 };
    let _stored = quota.store_for_many(MessageType::Binary, Vec::with_capacity(1000));
    assert_eq!(quota.left(), MAX_STORED_BYTES - MESSAGE_OVERHEAD - copies * 1000);
}

#[test]
fn permits_are_given_back() {
    let quota = Quota::leaked(2);
    let first = quota.take(1);
    let second = quota.take(1);
    assert!(first.is_some() && second.is_some() && quota.take(1).is_none());
    drop(first);
    assert!(quota.take(1).is_some(), "it is given back at once");
    drop(second);
    assert_eq!(quota.left(), 2);
}

#[test]
fn edge_m_a_queue_pays_for_its_slots_and_gives_them_back() {
    const MOST: usize = MAX_STORED_BYTES;
    let messages = Quota::leaked(MOST);
    let quota = Quota::leaked(MOST);
    let mut queue = Queue::new(quota, 20_000);
    // Distinguished by their length.
    let message = |len: usize| {
        let message = messages.store(MessageType::Binary, vec![0; len % 100]);
        Arc::new(message.expect("there is room"))
    };
    for n in 0..16_000 {
        assert!(queue.push(message(n)));
        assert_eq!(MOST - quota.left(), 8 * queue.items.capacity());
    }
    assert!(queue.items.capacity() >= 16_000);
    for n in 0..16_000 {
        assert_eq!(queue.pop().expect("a message").message().len(), n % 100);
        assert_eq!(MOST - quota.left(), 8 * queue.items.capacity());
        let len = queue.items.len();
        assert!(queue.items.capacity() <= (4 * len).max(2 * MIN_SLOTS), "{len}");
    }
    drop(queue);
    assert_eq!((quota.left(), messages.left()), (MOST, MOST));
    let mut queue = Queue::new(quota, 20_000);
    // Where there is no memory for another slot, those there are go on to serve.
    let _rest = quota.take(MOST - 8 * MIN_SLOTS).expect("there is room");
    assert!((0..MIN_SLOTS).all(|n| queue.push(message(n))));
    assert!(!queue.push(message(16)));
    assert_eq!(queue.pop().expect("a message").message().len(), 0);
    assert_eq!(queue.items.len(), MIN_SLOTS - 1);
    drop(queue);
    assert_eq!(quota.left(), 8 * MIN_SLOTS);
}

#[test]
fn a_queue_is_full_by_messages_or_by_bytes() {
    let quota = Quota::leaked(MAX_STORED_BYTES);
    let message = |len| Arc::new(quota.store(MessageType::Binary, vec![0; len]).unwrap());
    let mut queue = Queue::new(quota, 4);
    for is_full in [false, false, false, true] {
        assert!(queue.push(message(0)));
        assert_eq!(queue.is_full(), is_full);
    }
    while queue.pop().is_some() {}
    assert!(queue.push(message(MAX_QUEUED_BYTES - 1)) && !queue.is_full());
    assert!(queue.push(message(1)) && queue.is_full());
    queue.pop();
    assert!(!queue.is_full());
}

/// Beyond what any machine has. Where the optimiser leaves the allocation out, it is there.
#[test]
fn edge_b_what_is_not_there_is_not_found() {
    assert!(is_memory_left(0));
    assert!(!is_memory_left(usize::MAX / 4));
}
