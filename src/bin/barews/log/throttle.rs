//! A line that would come again and again, now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long no line follows a line.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Lets a line through, and counts those that it does not.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<(Option<Instant>, u64)>);

impl Throttle {
    /// Whether it is time for a line: then how many have been left out since the last one.
    pub fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, left_out) = &mut *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < LINE_INTERVAL) {
            *left_out += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_ac_a_line_every_ten_seconds_tells_what_was_left_out() {
        let throttle = Throttle::default();
        let start = Instant::now();
        let passes: Vec<_> =
            (0..25).map(|second| throttle.pass(start + Duration::from_secs(second))).collect();
        for (second, pass) in passes.iter().enumerate() {
            let due = match second {
                0 => Some(0),
                10 | 20 => Some(9),
                _ => None,
            };
            assert_eq!(*pass, due, "{second}");
        }
    }
}
