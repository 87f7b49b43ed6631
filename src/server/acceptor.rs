//! Which threads accept on a listener.
//!
//! Several accept, and each serves what it has accepted: to hand a stream over to another thread
//! takes two context switches, as long as much of a handshake. One that would leave nobody to accept
//! does hand it over, and goes on. So in a burst of streams there is always a thread that does
//! nothing but accept. When the system has run out of something, only that one backs off: others
//! leave.
//!
//! Nobody wakes them when the server is to stop: no accept waits long, and after each they look.

use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::io::listener::MAX_ACCEPT_TIMEOUT;
use crate::io::timed_listener::TimedListener;

/// How many threads accept on a listener, at the most.
pub(crate) const MAX_ACCEPTING: usize = 2;

/// See the top of the file.
pub(crate) struct Acceptor {
    state: Mutex<State>,
    /// Told what makes the listener useless; dropped when nobody accepts any more.
    failed: Sender<io::Error>,
}

struct State {
    /// `None` once nobody is to accept any more.
    listener: Option<Arc<TimedListener>>,
    /// How many threads accept, or have a stream that they have yet to admit.
    accepting: usize,
}

/// How long one who accepts waits, and backs off.
pub(crate) struct Pace {
    /// When it last had a stream, or began.
    last_stream: Instant,
    backoff: Duration,
}

/// How long one accept waits, at first and at most.
const ACCEPT_TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), MAX_ACCEPT_TIMEOUT);

/// How long accepting stops when the system has run out of something, at first and at most.
const ACCEPT_BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

impl Acceptor {
    pub(crate) fn new(listener: TimedListener, failed: Sender<io::Error>) -> Self {
        let listener = Some(Arc::new(listener));
        Self { state: Mutex::new(State { listener, accepting: 0 }), failed }
    }

    /// The listener, if one more thread may accept on it.
    pub(crate) fn acquire(&self) -> Option<Arc<TimedListener>> {
        let mut state = self.lock();
        let listener = state.listener.clone().filter(|_| state.accepting < MAX_ACCEPTING)?;
        state.accepting += 1;
        Some(listener)
    }

    /// Stops to accept, if another thread does; whether it was so.
    pub(crate) fn release(&self) -> bool {
        let mut state = self.lock();
        let others = state.accepting > 1;
        if others {
            state.accepting -= 1;
        }
        others
    }

    /// Stops to accept, and nobody begins any more. The listener is closed when the last one is
    /// through.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.accepting -= 1;
        let listener = state.listener.take();
        // Outside the lock.
        drop(state);
        drop(listener);
    }

    /// Tells why nobody accepts any more.
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
        Self { last_stream: Instant::now(), backoff: ACCEPT_BACKOFF.0 }
    }

    /// How long to wait for the next stream: as long as none has come already. So a server that
    /// is at work stops at once, and one that has nothing to do hardly wakes.
    pub(crate) fn timeout(&self) -> Duration {
        self.last_stream.elapsed().clamp(ACCEPT_TIMEOUT.0, ACCEPT_TIMEOUT.1)
    }

    /// Accepting works, whether a stream has come or not.
    pub(crate) fn succeeded(&mut self) {
        self.backoff = ACCEPT_BACKOFF.0;
    }

    /// How long to stop, now that accepting has failed: longer each time.
    pub(crate) fn back_off(&mut self) -> Duration {
        let backoff = self.backoff;
        self.backoff = (backoff * 2).min(ACCEPT_BACKOFF.1);
        backoff
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
        let acceptor = Acceptor::new(TimedListener::new(listener.into()).unwrap(), failed);
        for _ in 0..MAX_ACCEPTING {
            assert!(acceptor.acquire().is_some());
        }
        assert!(acceptor.acquire().is_none());
        for _ in 1..MAX_ACCEPTING {
            assert!(acceptor.release());
        }
        assert!(!acceptor.release());
        assert!(acceptor.acquire().is_some());
        acceptor.close();
        assert_eq!(acceptor.lock().accepting, MAX_ACCEPTING - 1);
        assert!(acceptor.acquire().is_none());
        acceptor.fail(io::ErrorKind::InvalidInput.into());
        assert_eq!(failures.recv().unwrap().kind(), io::ErrorKind::InvalidInput);
        drop(acceptor);
        assert!(failures.recv().is_err());
    }

    #[test]
    fn a_rest_is_longer_each_time_until_it_was_fine() {
        let mut pace = Pace::new();
        for _ in 0..2 {
            for rest in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
                assert_eq!(pace.back_off(), Duration::from_millis(rest));
            }
            pace.succeeded();
        }
        assert!(pace.timeout() >= ACCEPT_TIMEOUT.0 && pace.timeout() <= ACCEPT_TIMEOUT.1);
        pace.last_stream =
            pace.last_stream.checked_sub(Duration::from_secs(60)).expect("a machine that is up");
        assert_eq!(pace.timeout(), ACCEPT_TIMEOUT.1);
    }
}
