//! How much memory must stay free, and who is refused when it is not.
//!
//! Under a memory limit (`ulimit -v`, a container), nearly all of std ends the process when an
//! allocation fails. So the large ones, threads, messages and buffers, are allocated only while a
//! *headroom* stays free for the small ones, which cannot be refused. There is no portable way to
//! ask how much memory is free but to allocate it and give it back: a *probe*.
//!
//! ```text
//!   allocate(len) --- granted by an earlier probe? --- yes ---> allocate
//!                                | no
//!                     probe: pending + headroom + shares + GRANT free? --- yes ---> allocate
//!                                | no
//!                              None
//! ```
//!
//! One probe grants [`GRANT`] bytes in advance, so small steps need few. Probes run one at a time,
//! or two would find each other's memory missing; what other threads were granted and have not yet
//! allocated is counted as pending.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

/// What must stay free when a thread starts, in bytes. More than 32 MiB: a block of that size glibc's
/// malloc always takes from the system and gives back to it; smaller ones it learns to keep.
const THREAD_HEADROOM: usize = 33 << 20;

/// What must stay free when a message or a buffer grows, in bytes. More than for a thread: messages
/// are refused before connections are.
const MESSAGE_HEADROOM: usize = 40 << 20;

/// What one probe grants in advance, in bytes.
const GRANT: usize = 1 << 20;

/// Allocations below this size are not refused, in bytes.
pub(crate) const SMALL: usize = 4 << 10;

/// What a connection may need in allocations that cannot be refused, in bytes: a request's head, and
/// buffers below [`SMALL`].
const SHARE: usize = 24 << 10;

/// The shares of all connections, in bytes. They must stay free besides the headroom.
static SHARES: AtomicUsize = AtomicUsize::new(0);

static THREADS: Memory = Memory::new(THREAD_HEADROOM);
static MESSAGES: Memory = Memory::new(MESSAGE_HEADROOM);

/// What is known about free memory.
struct Memory {
    /// What must stay free, in bytes.
    headroom: usize,
    /// What may be allocated before the next probe, in bytes.
    granted: AtomicUsize,
    /// What was granted and is being allocated at this moment, in bytes.
    pending: AtomicUsize,
    /// Held during a probe.
    probe: Mutex<()>,
}

/// Calls `start` to start a thread with a stack of `len` bytes, and returns its result; `None` if
/// that would not leave the headroom free.
pub(crate) fn start_thread<T>(len: usize, start: impl FnOnce() -> T) -> Option<T> {
    THREADS.allocate(len, is_free, start)
}

/// Calls `allocate` to allocate `len` bytes for a message or a buffer, and returns its result; `None`
/// if that would not leave the headroom free.
pub(crate) fn allocate<T>(len: usize, allocate: impl FnOnce() -> T) -> Option<T> {
    MESSAGES.allocate(len, is_free, allocate)
}

impl Memory {
    const fn new(headroom: usize) -> Self {
        let [granted, pending] = [const { AtomicUsize::new(0) }; 2];
        Self { headroom, granted, pending, probe: Mutex::new(()) }
    }

    fn allocate<T>(
        &self,
        len: usize,
        is_free: impl FnOnce(usize) -> bool,
        allocate: impl FnOnce() -> T,
    ) -> Option<T> {
        // No machine has as much, and as pending it would fail the probes of others.
        if len >= usize::MAX / 4 {
            return None;
        }
        // Before it is taken from what was granted, so that a probe counts it at least once.
        self.pending.fetch_add(len, SeqCst);
        let result = (self.take_granted(len) || self.probe(len, is_free)).then(allocate);
        self.pending.fetch_sub(len, SeqCst);
        result
    }

    /// Takes `len` bytes of what an earlier probe granted.
    fn take_granted(&self, len: usize) -> bool {
        let take = |granted: usize| granted.checked_sub(len);
        self.granted.fetch_update(SeqCst, SeqCst, take).is_ok()
    }

    /// Checks that all that is pending, these `len` bytes included, is free, and a grant besides.
    fn probe(&self, len: usize, is_free: impl FnOnce(usize) -> bool) -> bool {
        let _alone = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have probed meanwhile.
        if self.take_granted(len) {
            return true;
        }
        self.granted.store(0, SeqCst);
        let pending = self.pending.load(SeqCst);
        let is_free = is_free(pending.saturating_add(self.headroom + GRANT));
        if is_free {
            self.granted.store(GRANT, SeqCst);
        }
        is_free
    }
}

/// The part of the headroom that belongs to one connection; given back when dropped.
pub(crate) struct Share(());

impl Share {
    pub(crate) fn new() -> Self {
        SHARES.fetch_add(SHARE, SeqCst);
        Self(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        SHARES.fetch_sub(SHARE, SeqCst);
    }
}

/// Whether `len` bytes and all shares can be allocated.
fn is_free(len: usize) -> bool {
    let mut memory = Vec::<u8>::new();
    let is_free = memory.try_reserve_exact(len.saturating_add(SHARES.load(SeqCst))).is_ok();
    // The optimiser removes an allocation that nothing reads.
    black_box(&mut memory);
    is_free
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADROOM: usize = 40;

    /// Beyond what any machine has. Where the optimiser leaves the allocation out, it is there.
    #[test]
    fn edge_b_what_is_not_there_is_not_found() {
        assert!(is_free(1 << 20));
        assert!(!is_free(usize::MAX / 4));
        assert_eq!(allocate(usize::MAX / 4, || ()), None);
        assert_eq!(allocate(1, || 7), Some(7));
    }

    #[test]
    fn edge_b_one_probe_is_good_for_many_short_allocations() {
        let memory = Memory::new(HEADROOM);
        let mut probes = Vec::new();
        for _ in 0..=2 * GRANT / SMALL {
            let granted = memory.allocate(
                SMALL,
                |len| {
                    probes.push(len);
                    true
                },
                || (),
            );
            assert!(granted.is_some());
        }
        assert_eq!(probes, [HEADROOM + GRANT + SMALL; 2]);
        assert_eq!(memory.pending.into_inner(), 0);
    }

    #[test]
    fn edge_b_what_others_have_yet_to_allocate_is_probed_for_too() {
        let memory = Memory::new(HEADROOM);
        let inner = |len| {
            assert_eq!(len, HEADROOM + GRANT + (24 << 20));
            false
        };
        let outer = memory.allocate(
            16 << 20,
            |len| len == HEADROOM + GRANT + (16 << 20),
            || memory.allocate(8 << 20, inner, || ()),
        );
        assert_eq!(outer, Some(None));
        assert_eq!(memory.pending.load(SeqCst), 0);
        // A probe that has failed leaves nothing of what was granted before.
        assert_eq!(memory.allocate(1, |_| false, || ()), None);
    }
}
