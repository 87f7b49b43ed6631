//! What all connections share and none may use up: memory for messages that wait to be sent, and
//! threads that send them.
//!
//! ```text
//! Quota ── take ──> Share ── drop ──> Quota
//!   MEMORY: a StoredMessage holds a share for its bytes, a Queue one for its slots
//!   THREADS: spawn() holds a share while the thread runs
//! ```
//!
//! A share is given back when it is dropped, so an early return or a panic loses nothing. Where a
//! quota is used up, the one who asks is told at once (backpressure): a path then closes with 1013.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use barews::{Message, MessageType, OwnedMessage};

/// Bytes that may wait to be sent, on all connections together: many of them must not hold much
/// each.
const MAX_STORED_BYTES: usize = 256 << 20;

/// Sending threads that there may be. These and the default of connections, with four memory maps
/// each, leave a quarter of the 65,530 that Linux grants a process; std aborts where it cannot map
/// a signal stack.
const MAX_SENDING_THREADS: usize = 4096;

/// From how many bytes on no more messages may wait in one queue.
const MAX_QUEUED_BYTES: usize = 1 << 20;

/// What a message takes besides its bytes, so that empty ones are not free: the counts of
/// references, the allocator's own.
const MESSAGE_OVERHEAD: usize = 128;

/// The least slots of a queue that is in use.
const MIN_SLOTS: usize = 16;

/// Stack size of a sending thread, in bytes.
const STACK_SIZE: usize = 64 << 10;

/// Memory that must stay free for what cannot be refused, in bytes. As the library has it for the
/// threads of connections: more than 32 MiB, which glibc always has from the system and gives back.
const HEADROOM: usize = 33 << 20;

pub static MEMORY: Quota = Quota::new(MAX_STORED_BYTES);
static THREADS: Quota = Quota::new(MAX_SENDING_THREADS);

/// How much is left of something, in bytes or in pieces.
#[derive(Debug)]
pub struct Quota(AtomicUsize);

/// Part of a quota, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    quota: &'static Quota,
    amount: usize,
}

/// A message that counts against a quota until it is dropped.
#[derive(Debug)]
pub struct StoredMessage {
    message: OwnedMessage,
    share: Share,
}

/// Messages that wait to be sent, in order. Their number and their bytes have a bound; the memory
/// of the queue itself counts against a quota too, and shrinks again.
#[derive(Debug)]
pub struct Queue<T> {
    items: VecDeque<T>,
    slots: Share,
    /// Of all messages in it.
    bytes: usize,
    max_messages: usize,
}

impl Quota {
    pub const fn new(amount: usize) -> Self {
        Self(AtomicUsize::new(amount))
    }

    /// A share of nothing yet.
    pub const fn empty_share(&'static self) -> Share {
        Share { quota: self, amount: 0 }
    }

    /// A share of this size, if so much is left.
    pub fn take(&'static self, amount: usize) -> Option<Share> {
        let mut share = self.empty_share();
        share.resize(amount).then_some(share)
    }

    /// Keeps a message as it was received, if there is room for it.
    pub fn store(&'static self, kind: MessageType, bytes: Vec<u8>) -> Option<StoredMessage> {
        self.store_copies(1, kind, bytes)
    }

    /// The same for one that is sent to many, who share it: it may be kept as it is and compressed.
    pub fn store_for_many(
        &'static self,
        kind: MessageType,
        bytes: Vec<u8>,
    ) -> Option<OwnedMessage> {
        let copies = if cfg!(feature = "deflate") { 2 } else { 1 };
        let StoredMessage { message, share } = self.store_copies(copies, kind, bytes)?;
        Some(message.with_guard(share))
    }

    fn store_copies(
        &'static self,
        copies: usize,
        kind: MessageType,
        bytes: Vec<u8>,
    ) -> Option<StoredMessage> {
        let taken = bytes.capacity().saturating_mul(copies);
        let share = self.take(taken.saturating_add(MESSAGE_OVERHEAD))?;
        let message = match kind {
            // The price of text that is kept: it is checked once more.
            MessageType::Text => {
                String::from_utf8(bytes).expect("it was checked as it came").into()
            }
            MessageType::Binary => OwnedMessage::from(bytes),
        };
        Some(StoredMessage { message, share })
    }
}

impl Share {
    /// Makes it a share of this size; whether so much was left. To give some back always works.
    pub fn resize(&mut self, amount: usize) -> bool {
        let left = &self.quota.0;
        if amount > self.amount {
            let take = |left: usize| left.checked_sub(amount - self.amount);
            if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                return false;
            }
        } else {
            left.fetch_add(self.amount - amount, Ordering::Relaxed);
        }
        self.amount = amount;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

impl StoredMessage {
    pub fn message(&self) -> Message<'_> {
        self.message.message()
    }
}

impl<T: AsRef<StoredMessage>> Queue<T> {
    pub fn new(quota: &'static Quota, max_messages: usize) -> Self {
        let slots = quota.empty_share();
        Self { items: VecDeque::new(), slots, bytes: 0, max_messages }
    }

    /// Adds a message at the end; whether there was memory for its slot.
    #[must_use]
    pub fn push(&mut self, item: T) -> bool {
        let len = self.items.len();
        if len == self.items.capacity() {
            let slots = (2 * len).max(MIN_SLOTS);
            if !self.slots.resize(slots * size_of::<T>()) {
                return false;
            }
            self.items.reserve_exact(slots - len);
        }
        self.bytes += item.as_ref().message.len();
        self.items.push_back(item);
        true
    }

    /// Takes the first message out.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.bytes -= item.as_ref().message.len();
        let capacity = self.items.capacity();
        if capacity > MIN_SLOTS && self.items.len() <= capacity / 4 {
            self.items.shrink_to(capacity / 2);
            self.slots.resize(self.items.capacity() * size_of::<T>());
        }
        Some(item)
    }

    pub fn first(&self) -> Option<&T> {
        self.items.front()
    }

    pub fn last(&self) -> Option<&T> {
        self.items.back()
    }

    pub fn is_full(&self) -> bool {
        self.items.len() >= self.max_messages || self.bytes >= MAX_QUEUED_BYTES
    }
}

/// Runs `work` on a thread of its own; whether there was one to be had.
pub fn spawn(work: impl FnOnce() + Send + 'static) -> bool {
    // A thread that finds no memory for itself is the end of the process.
    let Some(share) = THREADS.take(1).filter(|_| is_memory_left(STACK_SIZE)) else { return false };
    let work = move || {
        work();
        drop(share);
    };
    thread::Builder::new().name("sender".to_owned()).stack_size(STACK_SIZE).spawn(work).is_ok()
}

/// Whether `len` bytes are left for something that can be refused. It takes two system calls.
pub fn is_memory_left(len: usize) -> bool {
    let mut memory = Vec::<u8>::new();
    let is_left = memory.try_reserve_exact(HEADROOM + len).is_ok();
    // An allocation that nobody looks at is one that the optimiser leaves out.
    black_box(&mut memory);
    is_left
}

#[cfg(test)]
mod tests;
