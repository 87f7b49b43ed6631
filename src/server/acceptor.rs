//! Who waits at a listener.
//!
//! Several threads accept, and each serves what it has accepted: to hand a stream over to another
//! thread takes two context switches, as long as much of a handshake. One that would leave nobody
//! at the door does hand it over, and stays. So in a burst of streams there is always a thread that
//! does nothing but accept. When the system has run out of something, only that one rests: others
//! leave.
//!
//! Nobody wakes them when the server is to stop: no wait is long, and after each they look.

use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::io::timed_listener::{LONGEST_WAIT, TimedListener};

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
    listener: Option<Arc<TimedListener>>,
    /// How many threads wait, or have a stream that they have yet to see to.
    waiting: usize,
}

/// How long one who accepts waits and rests.
pub(crate) struct Pace {
    /// When it last had a stream, or began.
    busy: Instant,
    rest: Duration,
}

/// How long one accept waits, at first and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(10), LONGEST_WAIT);

/// How long accepting rests when the system has run out of something, at first and at most.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

impl Door {
    pub(crate) fn new(listener: TimedListener, failed: Sender<io::Error>) -> Self {
        let listener = Some(Arc::new(listener));
        Self { state: Mutex::new(State { listener, waiting: 0 }), failed }
    }

    /// Takes a place at the listener, if there is one left.
    pub(crate) fn enter(&self) -> Option<Arc<TimedListener>> {
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

    /// Gives the place up, and nobody takes one any more. The listener is closed when the last one
    /// at it is gone.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.waiting -= 1;
        let listener = state.listener.take();
        // Outside the lock.
        drop(state);
        drop(listener);
    }

    /// Tells why the door is closed.
    pub(crate) fn fail(&self, error: io::Error) {
        // Nobody hears of a second one.
        let _ = self.failed.send(error);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { busy: Instant::now(), rest: REST.0 }
    }

    /// How long to wait for the next stream: as long as none has come already. So a server that
    /// is at work stops at once, and one that has nothing to do hardly wakes.
    pub(crate) fn wait(&self) -> Duration {
        self.busy.elapsed().clamp(WAIT.0, WAIT.1)
    }

    /// Accepting works, whether a stream has come or not.
    pub(crate) fn fine(&mut self) {
        self.rest = REST.0;
    }

    /// How long to rest, now that accepting has failed: longer each time.
    pub(crate) fn rest(&mut self) -> Duration {
        let rest = self.rest;
        self.rest = (rest * 2).min(REST.1);
        rest
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
        let door = Door::new(TimedListener::new(listener.into()).unwrap(), failed);
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
        assert_eq!(door.lock().waiting, PLACES - 1);
        assert!(door.enter().is_none());
        door.fail(io::ErrorKind::InvalidInput.into());
        assert_eq!(failures.recv().unwrap().kind(), io::ErrorKind::InvalidInput);
        drop(door);
        assert!(failures.recv().is_err());
    }

    #[test]
    fn a_rest_is_longer_each_time_until_it_was_fine() {
        let mut pace = Pace::new();
        for _ in 0..2 {
            for rest in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
                assert_eq!(pace.rest(), Duration::from_millis(rest));
            }
            pace.fine();
        }
        assert!(pace.wait() >= WAIT.0 && pace.wait() <= WAIT.1);
        pace.busy = pace.busy.checked_sub(Duration::from_secs(60)).expect("a machine that is up");
        assert_eq!(pace.wait(), WAIT.1);
    }
}
