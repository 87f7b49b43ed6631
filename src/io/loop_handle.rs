//! What others than a loop have of it: where its sockets are heard of, and whom it is to look at.

use std::io;
use std::mem;
use std::sync::{Mutex, PoisonError};

use mio::{Registry, Token, Waker};

/// See the [module](self).
pub(crate) struct LoopHandle {
    pub(crate) registry: Registry,
    waker: Waker,
    /// The slots of connections that others have [notified](Self::notify).
    notified: Mutex<Vec<u32>>,
}

impl LoopHandle {
    /// The token by which the loop hears that somebody was notified: no socket has it.
    pub(crate) const NOTIFIED: Token = Token(usize::MAX);

    pub(crate) fn new(registry: &Registry) -> io::Result<Self> {
        let waker = Waker::new(registry, Self::NOTIFIED)?;
        Ok(Self { registry: registry.try_clone()?, waker, notified: Mutex::default() })
    }

    /// Has the loop look at a connection.
    pub(crate) fn notify(&self, slot: u32) {
        let mut notified = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
        notified.push(slot);
        // It is awake until there is none.
        if let [_] = notified[..] {
            let _ = self.waker.wake();
        }
    }

    /// So many at the most of those that others have notified; the loop wakes again for the rest. By now
    /// another connection may have a slot.
    pub(crate) fn take_notified(&self, most: usize) -> Vec<u32> {
        let mut notified = self.notified.lock().unwrap_or_else(PoisonError::into_inner);
        let count = most.min(notified.len());
        let rest = notified.split_off(count);
        if !rest.is_empty() {
            let _ = self.waker.wake();
        }
        mem::replace(&mut notified, rest)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    /// Whether the loop wakes.
    fn wakes(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO)).expect("a poll");
        events.iter().any(|event| event.token() == LoopHandle::NOTIFIED)
    }

    #[test]
    fn it_wakes_until_all_are_taken() {
        let mut poll = Poll::new().expect("a poll");
        let handle = LoopHandle::new(poll.registry()).expect("a handle");
        assert!(!wakes(&mut poll));
        for slot in 0..5 {
            handle.notify(slot);
        }
        assert!(wakes(&mut poll) && !wakes(&mut poll), "once for all");
        assert_eq!(handle.take_notified(3), [0, 1, 2]);
        handle.notify(5);
        assert!(wakes(&mut poll) && !wakes(&mut poll), "for the rest, and who has come behind it");
        assert_eq!(handle.take_notified(3), [3, 4, 5]);
        assert!(!wakes(&mut poll));
        handle.notify(6);
        assert!(wakes(&mut poll));
        assert_eq!(handle.take_notified(3), [6]);
        assert_eq!(handle.take_notified(3), []);
        assert!(!wakes(&mut poll));
    }
}
