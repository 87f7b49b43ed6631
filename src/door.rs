//! Who waits at a listener.
//!
//! Several threads accept, and each serves what it has accepted: to hand a stream over to another
//! thread takes two context switches, as long as much of a handshake. One that would leave nobody
//! at the door does hand it over, and stays. So in a burst of streams there is always a thread that
//! does nothing but accept.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, mem};

use crate::listener::Listener;

/// How many threads wait at a listener, at the most.
pub(crate) const PLACES: usize = 2;

/// See the top of the file.
pub(crate) struct Door {
    state: Mutex<State>,
    /// Hears what makes the listener useless, and of the door's end.
    failed: Sender<io::Error>,
}

struct State {
    /// `None` once the door is closed.
    listener: Option<Arc<Listener>>,
    /// How many threads wait at it, or have a stream that they have yet to see to.
    waiting: usize,
}

impl Door {
    pub(crate) fn new(listener: Listener, failed: Sender<io::Error>) -> Self {
        let listener = Some(Arc::new(listener));
        Self { state: Mutex::new(State { listener, waiting: 0 }), failed }
    }

    /// Takes a place at the listener, if there is one left.
    pub(crate) fn enter(&self) -> Option<Arc<Listener>> {
        let mut state = self.lock();
        let listener = state.listener.clone().filter(|_| state.waiting < PLACES)?;
        state.waiting += 1;
        Some(listener)
    }

    /// Gives the place up, if another thread has one; whether it was so.
    pub(crate) fn leave(&self) -> bool {
        let mut state = self.lock();
        let others = state.waiting > 1;
        if others {
            state.waiting -= 1;
        }
        others
    }

    /// Nobody takes a place any more. The listener is closed when the last one at it is gone.
    pub(crate) fn close(&self) {
        // Outside the lock.
        let listener = mem::take(&mut self.lock().listener);
        drop(listener);
    }

    /// The same, for a reason.
    pub(crate) fn fail(&self, error: io::Error) {
        self.close();
        // Nobody hears of a second one.
        let _ = self.failed.send(error);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let door = Door::new(listener.into(), failed);
        for _ in 0..PLACES {
            assert!(door.enter().is_some());
        }
        assert!(door.enter().is_none());
        for _ in 1..PLACES {
            assert!(door.leave());
        }
        assert!(!door.leave());
        assert!(door.enter().is_some());
        door.fail(io::ErrorKind::InvalidInput.into());
        assert!(door.leave() && door.enter().is_none());
        assert_eq!(failures.recv().unwrap().kind(), io::ErrorKind::InvalidInput);
        drop(door);
        assert!(failures.recv().is_err());
    }
}
