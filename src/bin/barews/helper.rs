//! Second threads, for connections that send without being asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::headroom;

/// Stack size of such a thread, in bytes.
const STACK: usize = 64 << 10;

/// How many there may be. These and the default of connections, with four memory maps each, leave
/// a quarter of the 65,530 that Linux grants a process; std aborts where it cannot map a signal
/// stack.
const MOST: usize = 4096;

static HELPERS: Limit = Limit(AtomicUsize::new(MOST));

/// How many more there may be.
struct Limit(AtomicUsize);

/// Leave to be one of them, given back when it is dropped.
struct Permit<'a>(&'a Limit);

/// Has `work` done by a thread of its own; whether there was one to be had.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    // A thread that finds no memory for itself is the end of the process.
    let permit = if headroom::is_left(STACK) { HELPERS.permit() } else { None };
    let Some(permit) = permit else { return false };
    let work = move || {
        work();
        drop(permit);
    };
    thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work).is_ok()
}

impl Limit {
    fn permit(&self) -> Option<Permit<'_>> {
        let take = |left: usize| left.checked_sub(1);
        let taken = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken.is_ok().then(|| Permit(self))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permits_are_given_back() {
        let limit = Limit(AtomicUsize::new(2));
        let first = limit.permit();
        let second = limit.permit();
        assert!(first.is_some() && second.is_some() && limit.permit().is_none());
        drop(first);
        assert!(limit.permit().is_some(), "it is given back at once");
        drop(second);
        assert_eq!(limit.0.load(Ordering::Relaxed), 2);
    }
}
