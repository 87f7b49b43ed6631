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
        // It takes all when it wakes, so the first one is enough.
        if let [_] = notified[..] {
            let _ = self.waker.wake();
        }
    }

    /// Whom others have notified since this was asked. By now another connection may have a slot.
    pub(crate) fn take_notified(&self) -> Vec<u32> {
        mem::take(&mut *self.notified.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
