//! How what was kept is sent once Redis is back: not all at once, or the queues of members elsewhere
//! would overflow who can well follow what is said at its usual speed.
//!
//! Each message follows the one before it after half the time that was between them, and after a moment
//! at the most: so this gets to its end whatever is said meanwhile. No clock in here: the time is an
//! argument.

use std::time::{Duration, Instant};

/// The longest time between two messages, for the messages themselves.
const MAX_GAP: Duration = Duration::from_millis(1);

/// And for what is in them, in bytes a second.
const MAX_RATE: f64 = 8e6;

/// When what was kept is due.
#[derive(Debug)]
pub struct CatchUp {
    /// When the last one was.
    due: Instant,
    /// When that one was published, and its length.
    last: Option<(Instant, usize)>,
}

impl CatchUp {
    pub fn new(now: Instant) -> Self {
        Self { due: now, last: None }
    }

    /// When the next message is due, which was published then.
    pub fn due(&self, published: Instant) -> Instant {
        let Some((last, len)) = self.last else { return self.due };
        let most = MAX_GAP + Duration::from_secs_f64(len as f64 / MAX_RATE);
        self.due + (published.saturating_duration_since(last) / 2).min(most)
    }

    /// It is sent.
    pub fn sent(&mut self, published: Instant, len: usize) {
        self.due = self.due(published);
        self.last = Some((published, len));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_as_fast_as_it_was_said() {
        let (start, ms) = (Instant::now(), Duration::from_millis(1));
        let mut catch_up = CatchUp::new(start + 100 * ms);
        for i in 0..10 {
            let published = start + i * ms;
            assert_eq!(catch_up.due(published), start + 100 * ms + i * ms / 2);
            catch_up.sent(published, 0);
        }
    }

    #[test]
    fn silence_is_left_out() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut catch_up = CatchUp::new(start);
        catch_up.sent(start, 0);
        assert_eq!(catch_up.due(start + 3600 * second), start + MAX_GAP);
        catch_up.sent(start + 3600 * second, 8_000_000);
        // What is long takes longer.
        let due = catch_up.due(start + 7200 * second);
        assert_eq!(due, start + 2 * MAX_GAP + second);
    }
}
