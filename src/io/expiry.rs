//! Absolute deadlines, made of a socket's per-call timeouts.
//!
//! A socket timeout bounds one call, and a call that makes a little progress starts it anew; so
//! a peer that takes a byte now and then could hold a thread for ever. An [`Expiry`] is a point in
//! time: what is left of it bounds the next call, and when nothing is left it is over.

use std::time::{Duration, Instant};

/// A point in time, or never.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expiry(Option<Instant>);

impl Expiry {
    /// No deadline at all.
    pub(crate) const NEVER: Self = Self(None);

    /// The point `wait` from now; one too far off to count is never.
    pub(crate) fn after(wait: Duration) -> Self {
        Self::since(Instant::now(), wait)
    }

    /// The point `wait` from `start`.
    pub(crate) fn since(start: Instant, wait: Duration) -> Self {
        Self(start.checked_add(wait))
    }

    /// What is left, at most [`Duration::MAX`]; `None` once the point is reached.
    pub(crate) fn left(self) -> Option<Duration> {
        match self.0 {
            None => Some(Duration::MAX),
            Some(at) => at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()),
        }
    }
}

impl Expiry {
    /// The point itself; `None` is never.
    #[cfg(feature = "event-loop")]
    pub(crate) fn at(self) -> Option<Instant> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_shrinks_and_ends() {
        let left = Expiry::after(Duration::from_secs(60)).left().unwrap();
        assert!(left <= Duration::from_secs(60) && left > Duration::from_secs(30));
        assert_eq!(Expiry::after(Duration::ZERO).left(), None);
        assert_eq!(Expiry::after(Duration::MAX).left(), Some(Duration::MAX));
    }
}
