//! What the log has of the backplane: that it is lost and that it is back, and what was lost meanwhile.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::target::Failure;
use crate::log::{Log, json};

/// How often losses have a line, while there are more and more.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// For how long there must be no more of them, for their line to come sooner.
const QUIET_TIME: Duration = Duration::from_secs(1);

/// Tells the log.
pub struct Report {
    log: Log,
    /// Which Redis.
    target: String,
    state: Mutex<State>,
}

struct State {
    /// Since when it is not there; from the start on that is so.
    down: Option<Instant>,
    /// Whether it ever was.
    was_up: bool,
    /// Whether its absence has a line.
    is_told: bool,
    /// Whether there is one that it does not let us in any more.
    is_refusal_told: bool,
    /// Lost messages: of others, and of this process.
    losses: Losses,
}

#[derive(Default)]
struct Losses {
    seen: (u64, u64),
    seen_at: Option<Instant>,
    told: (u64, u64),
    told_at: Option<Instant>,
}

impl Report {
    pub fn new(log: Log, target: String) -> Self {
        let (down, losses) = (Some(Instant::now()), Losses::default());
        let state = State { down, was_up: false, is_told: false, is_refusal_told: false, losses };
        Self { log, target, state: Mutex::new(state) }
    }

    /// It is there; whether it was before.
    pub fn up(&self, (messages, bytes): (usize, usize)) -> bool {
        let mut state = self.lock();
        (state.is_told, state.is_refusal_told) = (false, false);
        let down = state.down.take().map_or(Duration::ZERO, |since| since.elapsed());
        let was_up = mem::replace(&mut state.was_up, true);
        drop(state);
        let seconds = down.as_secs_f64();
        let target = &self.target;
        self.log.log_event(
            "backplane_up",
            || match was_up || messages > 0 {
                true => format!(
                    "backplane {target}: back after {seconds:.1} s; {messages} messages \
                     ({bytes} bytes) were kept for other processes"
                ),
                false => format!("backplane {target}: connected"),
            },
            || {
                vec![
                    ("backplane", json::string(target)),
                    ("seconds", format!("{seconds:.6}")),
                    ("queue_messages", messages.to_string()),
                    ("queue_bytes", bytes.to_string()),
                ]
            },
        );
        was_up
    }

    /// It is lost.
    pub fn down(&self, why: &str, (messages, bytes): (usize, usize)) {
        let mut state = self.lock();
        (state.down, state.is_told) = (Some(Instant::now()), true);
        drop(state);
        let target = &self.target;
        self.log.log_event(
            "backplane_down",
            || {
                format!(
                    "backplane {target}: lost ({why}); rooms are local until it is back, and \
                     {messages} messages ({bytes} bytes) are kept for other processes"
                )
            },
            || {
                vec![
                    ("backplane", json::string(target)),
                    ("reason", json::string(why)),
                    ("queue_messages", messages.to_string()),
                    ("queue_bytes", bytes.to_string()),
                ]
            },
        );
    }

    /// It cannot be reached: said once for each time that it is lost.
    pub fn unreachable(&self, why: &Failure) {
        let mut state = self.lock();
        let is_told = match why {
            // That is news even if its absence is not.
            Failure::Refused(_) => !mem::replace(&mut state.is_refusal_told, true),
            Failure::Unreachable(_) => !mem::replace(&mut state.is_told, true),
        };
        drop(state);
        if is_told {
            let target = &self.target;
            let why = why.to_string();
            self.log.log_event(
                "backplane_unreachable",
                || format!("backplane {target}: {why}; rooms are local until it can be reached"),
                || vec![("backplane", json::string(target)), ("reason", json::string(&why))],
            );
        }
    }

    /// The process ends, and nobody else will have these.
    pub fn abandoned(&self, messages: usize) {
        let target = &self.target;
        self.log.log_event(
            "backplane_abandoned",
            || format!("backplane {target}: {messages} messages were not sent before the end"),
            || vec![("backplane", json::string(target)), ("messages", messages.to_string())],
        );
    }

    /// Tells of losses: once there are no more of them, and meanwhile now and then.
    pub fn losses(&self, lost: (u64, u64)) {
        let mut state = self.lock();
        let now = Instant::now();
        let Some((others, ours)) = state.losses.due(lost, now) else { return };
        drop(state);
        let target = &self.target;
        let (lost_in, lost_out) = lost;
        self.log.log_event(
            "backplane_lost",
            || {
                format!(
                    "backplane {target}: lost {others} messages of other processes, and {ours} of \
                     this one could not be kept for them; since the start {lost_in} and {lost_out}"
                )
            },
            || {
                vec![
                    ("backplane", json::string(target)),
                    ("lost_in", others.to_string()),
                    ("lost_out", ours.to_string()),
                    ("lost_in_total", lost_in.to_string()),
                    ("lost_out_total", lost_out.to_string()),
                ]
            },
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Losses {
    /// What is to be told now, if something is: how many more there are than were told.
    fn due(&mut self, lost: (u64, u64), now: Instant) -> Option<(u64, u64)> {
        if lost != self.seen {
            (self.seen, self.seen_at) = (lost, Some(now));
        }
        let is_after =
            |at: Option<Instant>, time| at.is_none_or(|at| now.duration_since(at) >= time);
        let is_due = is_after(self.seen_at, QUIET_TIME)
            || self.told_at.is_some() && is_after(self.told_at, LINE_INTERVAL);
        if lost == self.told || !is_due {
            return None;
        }
        let more = (lost.0 - self.told.0, lost.1 - self.told.1);
        (self.told, self.told_at) = (lost, Some(now));
        Some(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_when_they_are_over_and_now_and_then() {
        let start = Instant::now();
        let mut losses = Losses::default();
        let mut due = |millis, lost| losses.due(lost, start + Duration::from_millis(millis));
        assert_eq!(due(0, (0, 0)), None);
        assert_eq!(due(100, (3, 0)), None);
        assert_eq!(due(900, (5, 1)), None);
        assert_eq!(due(1_800, (5, 1)), None);
        assert_eq!(due(1_900, (5, 1)), Some((5, 1)));
        assert_eq!(due(5_000, (5, 1)), None);
        // More and more, without an end.
        for second in 6..11 {
            assert_eq!(due(1_000 * second + 900, (second, 1)), None);
        }
        assert_eq!(due(11_900, (11, 2)), Some((6, 1)));
        assert_eq!(due(12_500, (12, 2)), None);
        assert_eq!(due(13_500, (12, 2)), Some((1, 0)));
    }
}
