//! Who waits at a listener.
//!
//! Several threads accept, and each serves what it has accepted: to hand a stream over to another
//! thread takes two context switches, as long as much of a handshake. One that would leave nobody
//! at the door does hand it over, and stays. So in a burst of streams there is always a thread that
//! does nothing but accept. When the system has run out of something, only that one rests: others
//! leave.

use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::listener::Listener;

/// How many threads wait at a listener, at the most.
pub(crate) const PLACES: usize = 2;

/// See the top of the file.
pub(crate) struct Door {
    /// `None` once the door is closed.
    listener: Mutex<Option<Arc<Listener>>>,
    waiting: Waiting,
    /// Hears what makes the listener useless, and of the door's end.
    failed: Sender<io::Error>,
}

/// How many threads wait at a listener, or have a stream that they have yet to see to.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<usize>>);

impl Door {
    pub(crate) fn new(listener: Listener, waiting: Waiting, failed: Sender<io::Error>) -> Self {
        Self { listener: Mutex::new(Some(Arc::new(listener))), waiting, failed }
    }

    /// Takes a place at the listener, if there is one left.
    pub(crate) fn enter(&self) -> Option<Arc<Listener>> {
        let mut waiting = self.waiting.lock();
        let listener = self.listener().clone().filter(|_| *waiting < PLACES)?;
        *waiting += 1;
        Some(listener)
    }

    /// Gives the place up, if another thread has one; whether it was so.
    pub(crate) fn leave(&self) -> bool {
        let mut waiting = self.waiting.lock();
        let others = *waiting > 1;
        if others {
            *waiting -= 1;
        }
        others
    }

    /// Gives the place up, and nobody takes one any more. The listener is closed when the last one
    /// at it is gone.
    pub(crate) fn close(&self) {
        *self.waiting.lock() -= 1;
        // Outside the lock.
        let listener = self.listener().take();
        drop(listener);
    }

    /// Tells why the door is closed.
    pub(crate) fn fail(&self, error: io::Error) {
        // Nobody hears of a second one.
        let _ = self.failed.send(error);
    }

    fn listener(&self) -> MutexGuard<'_, Option<Arc<Listener>>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    pub(crate) fn count(&self) -> usize {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::mpsc::channel;

    #[test]
    fn one_stays_and_no_more_enter_than_there_are_places() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (failed, failures) = channel();
        let door = Door::new(listener.into(), Waiting::default(), failed);
        for _ in 0..PLACES {
            assert!(door.enter().is_some());
        }
        assert!(door.enter().is_none());
        for _ in 1..PLACES {
            assert!(door.leave());
        }
        assert!(!door.leave());
        assert!(door.enter().is_some());
        door.close();
        assert_eq!(door.waiting.count(), PLACES - 1);
        assert!(door.enter().is_none());
        door.fail(io::ErrorKind::InvalidInput.into());
        assert_eq!(failures.recv().unwrap().kind(), io::ErrorKind::InvalidInput);
        drop(door);
        assert!(failures.recv().is_err());
    }
}
