//! Which threads accept on a listener.
//!
//! Several accept, and each serves what it has accepted: to hand a stream over to another thread
//! takes two context switches, as long as much of a handshake. One that would leave no thread to
//! accept does hand it over, and goes on. So in a burst of streams there is always a thread that does
//! nothing but accept. When the system has run out of something, only that one backs off: others
//! leave.
//!
//! A shutdown does not wake them: no accept waits long, and before each they look for it.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::io::listener::MAX_ACCEPT_TIMEOUT;
use crate::io::timed_listener::TimedListener;

/// How many threads accept on a listener, at the most.
pub(crate) const MAX_ACCEPTING: usize = 2;

/// A listener, which is closed when the last thread that holds this drops it.
pub(crate) struct Acceptor {
    pub(crate) listener: TimedListener,
    /// How many threads accept, or have a stream that they have yet to admit.
    accepting: AtomicUsize,
}

/// How long a thread that accepts waits, and backs off.
pub(crate) struct AcceptTimer {
    /// When it last had a stream, or began.
    last_stream: Instant,
    backoff: Duration,
}

/// How long one accept waits, at first and at most.
const ACCEPT_TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), MAX_ACCEPT_TIMEOUT);

/// How long accepting stops when the system has run out of something, at first and at most.
const ACCEPT_BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

impl Acceptor {
    pub(crate) fn new(listener: TimedListener) -> Self {
        Self { listener, accepting: AtomicUsize::new(0) }
    }

    /// Counts one more thread that accepts, if one more may.
    pub(crate) fn acquire(&self) -> bool {
        self.update(|accepting| (accepting < MAX_ACCEPTING).then_some(accepting + 1))
    }

    /// Stops to accept, if another thread does; whether it was so.
    pub(crate) fn release(&self) -> bool {
        self.update(|accepting| (accepting > 1).then_some(accepting - 1))
    }

    // The count is all that they share, so no order with other memory is needed.
    fn update(&self, f: impl FnMut(usize) -> Option<usize>) -> bool {
        self.accepting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, f).is_ok()
    }

    /// Whether an error of `accept` is the listener's end, and no lack that may pass.
    pub(crate) fn is_broken(&self, error: &io::Error) -> bool {
        // It listens no more, or is no socket any more.
        error.kind() == ErrorKind::InvalidInput || self.listener.addr().is_err()
    }
}

impl AcceptTimer {
    pub(crate) fn new() -> Self {
        Self { last_stream: Instant::now(), backoff: ACCEPT_BACKOFF.0 }
    }

    /// How long to wait for the next stream: as long as none has come already. So a server that
    /// is at work stops at once, and one that has nothing to do hardly wakes.
    pub(crate) fn timeout(&self) -> Duration {
        self.last_stream.elapsed().clamp(ACCEPT_TIMEOUT.0, ACCEPT_TIMEOUT.1)
    }

    /// Accepting works, whether a stream has come or not.
    pub(crate) fn reset_backoff(&mut self) {
        self.backoff = ACCEPT_BACKOFF.0;
    }

    /// How long to stop, now that accepting has failed: longer each time.
    pub(crate) fn next_backoff(&mut self) -> Duration {
        let backoff = self.backoff;
        self.backoff = (backoff * 2).min(ACCEPT_BACKOFF.1);
        backoff
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn one_stays_and_no_more_accept_than_may() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let acceptor = Acceptor::new(TimedListener::new(listener.into()).unwrap());
        for _ in 0..MAX_ACCEPTING {
            assert!(acceptor.acquire());
        }
        assert!(!acceptor.acquire());
        for _ in 1..MAX_ACCEPTING {
            assert!(acceptor.release());
        }
        assert!(!acceptor.release());
        assert!(acceptor.acquire());
    }

    #[test]
    fn a_rest_is_longer_each_time_until_it_was_fine() {
        let mut timer = AcceptTimer::new();
        for _ in 0..2 {
            for rest in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
                assert_eq!(timer.next_backoff(), Duration::from_millis(rest));
            }
            timer.reset_backoff();
        }
        assert!(timer.timeout() >= ACCEPT_TIMEOUT.0 && timer.timeout() <= ACCEPT_TIMEOUT.1);
        timer.last_stream =
            timer.last_stream.checked_sub(Duration::from_secs(60)).expect("a machine that is up");
        assert_eq!(timer.timeout(), ACCEPT_TIMEOUT.1);
    }
}
