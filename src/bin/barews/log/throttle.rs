//! A line that would come again and again, now and then.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a row of lines is followed by none.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Lets so many lines through, and counts those that it does not.
#[derive(Debug)]
pub struct Throttle {
    most: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the first line of the row was let through.
    start: Option<Instant>,
    /// How many were since.
    passed: u64,
    left_out: u64,
}

impl Throttle {
    /// Lets `most` lines through in a row.
    pub fn new(most: u64) -> Self {
        Self { most, state: Mutex::default() }
    }

    /// Whether it is time for a line: then how many have been left out since the last one.
    pub fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |start| now.saturating_duration_since(start) >= LINE_INTERVAL;
        if state.start.is_none_or(is_over) {
            state.start = Some(now);
            state.passed = 0;
        }
        if state.passed == self.most {
            state.left_out += 1;
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_ac_a_line_every_ten_seconds_tells_what_was_left_out() {
        let throttle = Throttle::new(1);
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

    #[test]
    fn a_row_of_lines_comes_before_any_is_left_out() {
        let throttle = Throttle::new(3);
        let start = Instant::now();
        let passes: Vec<_> =
            (0..14).map(|second| throttle.pass(start + Duration::from_secs(second))).collect();
        let (row, rest) = passes.split_at(3);
        assert_eq!(row, [Some(0); 3]);
        assert!(rest[..7].iter().all(Option::is_none), "{passes:?}");
        assert_eq!(rest[7..], [Some(7), Some(0), Some(0), None]);
    }
}
