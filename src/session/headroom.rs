//! Memory that is left for what cannot be refused.
//!
//! Where memory ends before the machine's does, as `ulimit -v` has it, whoever asks next is told so,
//! and for nearly all of std that is the end of the process. So what is long, and what is
//! there for each connection, is allocated here: only while so much is left that the rest, which is
//! small, does not come to the end. There is no portable way to ask how much is left but to
//! allocate it, and give it back.
//!
//! One look is good for a few mebibytes, so that what grows in small steps pays for few. Looks come
//! one after the other, or two would find each other's memory missing; what others have been
//! granted and have yet to allocate is looked for as well.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

/// How much must stay free when a thread is started, in bytes. More than 32 MiB, since glibc's
/// malloc has that much from the system, whatever came before, and gives it back to the system; of
/// smaller blocks it learns to keep them.
const FOR_THREADS: usize = 33 << 20;

/// And when a message or a buffer grows: these are refused before connections are.
const FOR_MESSAGES: usize = 40 << 20;

/// How much is granted by one look beside what it was for, in bytes.
const GRANT: usize = 1 << 20;

/// What cannot be refused, or need not be, is shorter, in bytes.
pub(crate) const SMALL: usize = 4 << 10;

/// How much a connection may come to need of what cannot be refused, in bytes: a request's head, and
/// buffers while they are [`SMALL`].
const SHARE: usize = 24 << 10;

/// What must stay free besides, in bytes: the shares of those that are there.
static SHARES: AtomicUsize = AtomicUsize::new(0);

static THREADS: Memory = Memory::new(FOR_THREADS);
static MESSAGES: Memory = Memory::new(FOR_MESSAGES);

/// Memory of this process, as far as it has been looked at.
struct Memory {
    /// How much must stay free, in bytes.
    headroom: usize,
    /// How much may be allocated before the next look, in bytes.
    granted: AtomicUsize,
    /// How much of what was granted is being allocated at this moment, in bytes.
    pending: AtomicUsize,
    /// Held for a look.
    look: Mutex<()>,
}

/// Has `start` start a thread with a stack of `len` bytes if they are left besides the headroom;
/// what it gives, or `None` if they are not.
pub(crate) fn start_thread<T>(len: usize, start: impl FnOnce() -> T) -> Option<T> {
    THREADS.allocate(len, is_left, start)
}

/// Has `allocate` allocate `len` bytes for a message, in the same way.
pub(crate) fn allocate<T>(len: usize, allocate: impl FnOnce() -> T) -> Option<T> {
    MESSAGES.allocate(len, is_left, allocate)
}

impl Memory {
    const fn new(headroom: usize) -> Self {
        let [granted, pending] = [const { AtomicUsize::new(0) }; 2];
        Self { headroom, granted, pending, look: Mutex::new(()) }
    }

    fn allocate<T>(
        &self,
        len: usize,
        is_left: impl FnOnce(usize) -> bool,
        allocate: impl FnOnce() -> T,
    ) -> Option<T> {
        // What no machine has would have the looks of others fail meanwhile.
        if len >= usize::MAX / 4 {
            return None;
        }
        // Before it is taken from what was granted, so that a look counts it once at least.
        self.pending.fetch_add(len, SeqCst);
        let result = (self.take(len) || self.look(len, is_left)).then(allocate);
        self.pending.fetch_sub(len, SeqCst);
        result
    }

    /// Takes from what was granted before.
    fn take(&self, len: usize) -> bool {
        let take = |granted: usize| granted.checked_sub(len);
        self.granted.fetch_update(SeqCst, SeqCst, take).is_ok()
    }

    /// Looks whether all that is pending is left, these `len` bytes with it, and more for later.
    #[cold]
    fn look(&self, len: usize, is_left: impl FnOnce(usize) -> bool) -> bool {
        let _alone = self.look.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have looked meanwhile.
        if self.take(len) {
            return true;
        }
        self.granted.store(0, SeqCst);
        let pending = self.pending.load(SeqCst);
        let is_left = is_left(pending.saturating_add(self.headroom + GRANT));
        if is_left {
            self.granted.store(GRANT, SeqCst);
        }
        is_left
    }
}

/// Part of the headroom that is for one connection, until it is dropped.
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

/// Whether so many bytes could be allocated, and all shares besides.
fn is_left(len: usize) -> bool {
    let mut memory = Vec::<u8>::new();
    let is_left = memory.try_reserve_exact(len.saturating_add(SHARES.load(SeqCst))).is_ok();
    // An allocation that nobody looks at is one that the optimiser leaves out.
    black_box(&mut memory);
    is_left
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADROOM: usize = 40;

    /// Beyond what any machine has. Where the optimiser leaves the allocation out, it is there.
    #[test]
    fn edge_b_what_is_not_there_is_not_found() {
        assert!(is_left(1 << 20));
        assert!(!is_left(usize::MAX / 4));
        assert_eq!(allocate(usize::MAX / 4, || ()), None);
        assert_eq!(allocate(1, || 7), Some(7));
    }

    #[test]
    fn edge_b_one_look_is_good_for_many_short_allocations() {
        let memory = Memory::new(HEADROOM);
        let mut looks = Vec::new();
        for _ in 0..=2 * GRANT / SMALL {
            let granted = memory.allocate(
                SMALL,
                |len| {
                    looks.push(len);
                    true
                },
                || (),
            );
            assert!(granted.is_some());
        }
        assert_eq!(looks, [HEADROOM + GRANT + SMALL; 2]);
        assert_eq!(memory.pending.into_inner(), 0);
    }

    #[test]
    fn edge_b_what_others_have_yet_to_allocate_is_looked_for_too() {
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
        // A look that has found nothing leaves nothing of what was granted before.
        assert_eq!(memory.allocate(1, |_| false, || ()), None);
    }
}
