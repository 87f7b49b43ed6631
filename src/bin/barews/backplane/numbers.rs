//! What a room has heard of each process, by which it knows what it has missed.
//!
//! ```text
//!   message n: n = last + 1 ──> new                  mark n: n = last ──> nothing missed
//!              n > last + 1 ──> new, n - last - 1 lost       n > last ──> n - last lost
//!              n ≤ last     ──> repeated, and ignored        n < last ──> late, and ignored
//! ```
//!
//! A new run begins at 0. Of a process that is heard for the first time nobody knows how many came
//! before the room was subscribed, so the first number is where to count from; but not so once all had
//! the time to send a mark ([`SETTLE_TIME`]): who is new after that began after that. No clock in here:
//! the time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Within this time from its first subscription on, a room learns who else is there, and where they are.
pub const SETTLE_TIME: Duration = Duration::from_secs(5);

/// How many processes a room tells apart. With more, the one that was not heard for longest is
/// forgotten, and what it had sent counts from then on anew.
const MAX_ORIGINS: usize = 1024;

/// Nobody loses so many messages; these numbers are made up.
const MAX_GAP: u64 = 1 << 32;

/// What a room has heard of each process.
#[derive(Debug, Default)]
pub struct Numbers {
    heard: HashMap<u64, Heard>,
    /// When the room was first subscribed.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Heard {
    run: u64,
    number: u64,
    at: Instant,
}

/// What a number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the next one, after so many that are lost.
    New { lost: u64 },
    /// It has come before.
    Repeated,
    /// It cannot be.
    Implausible,
}

impl Numbers {
    /// The room is subscribed.
    pub fn subscribed(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// A message with this number has come.
    pub fn message(&mut self, origin: u64, run: u64, number: u64, now: Instant) -> Verdict {
        self.observe(origin, run, number, 1, now)
    }

    /// Somebody says that the last message has this number.
    pub fn mark(&mut self, origin: u64, run: u64, number: u64, now: Instant) -> Verdict {
        self.observe(origin, run, number, 0, now)
    }

    /// `here` of the messages that this number counts are not lost: one, if it came with its message.
    fn observe(&mut self, origin: u64, run: u64, number: u64, here: u64, now: Instant) -> Verdict {
        let is_settled = self.since.is_some_and(|since| now.duration_since(since) > SETTLE_TIME);
        let last = match self.heard.get(&origin) {
            Some(heard) if run < heard.run => return Verdict::Repeated,
            Some(heard) if run == heard.run && number < heard.number + here => {
                return Verdict::Repeated;
            }
            Some(heard) if run == heard.run => heard.number,
            None if !is_settled => number - here,
            // A run of which nothing was heard yet.
            Some(_) | None => 0,
        };
        let lost = number - here - last;
        if lost >= MAX_GAP {
            return Verdict::Implausible;
        }
        if self.heard.len() >= MAX_ORIGINS && !self.heard.contains_key(&origin) {
            self.forget_one();
        }
        self.heard.insert(origin, Heard { run, number, at: now });
        Verdict::New { lost }
    }

    fn forget_one(&mut self) {
        let oldest = self.heard.iter().min_by_key(|(_, heard)| heard.at);
        if let Some(origin) = oldest.map(|(origin, _)| *origin) {
            self.heard.remove(&origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Room {
        numbers: Numbers,
        now: Instant,
    }

    impl Room {
        /// One that is subscribed, for so many seconds.
        fn after(seconds: u64) -> Self {
            let (mut numbers, now) = (Numbers::default(), Instant::now());
            numbers.subscribed(now);
            Self { numbers, now: now + Duration::from_secs(seconds) }
        }

        #[track_caller]
        fn message(&mut self, [origin, run, number]: [u64; 3], expected: Verdict) {
            assert_eq!(self.numbers.message(origin, run, number, self.now), expected);
        }

        #[track_caller]
        fn mark(&mut self, [origin, run, number]: [u64; 3], expected: Verdict) {
            assert_eq!(self.numbers.mark(origin, run, number, self.now), expected);
        }
    }

    const NEXT: Verdict = Verdict::New { lost: 0 };

    fn lost(lost: u64) -> Verdict {
        Verdict::New { lost }
    }

    #[test]
    fn gaps_are_counted_and_repetitions_ignored() {
        let mut room = Room::after(0);
        room.message([1, 1, 5], NEXT);
        room.message([1, 1, 6], NEXT);
        room.message([1, 1, 6], Verdict::Repeated);
        room.message([1, 1, 2], Verdict::Repeated);
        room.message([1, 1, 10], lost(3));
        // Another process has numbers of its own.
        room.message([2, 1, 1], NEXT);
        room.message([1, 1, 11], NEXT);
    }

    #[test]
    fn a_mark_tells_what_was_lost_last() {
        let mut room = Room::after(0);
        room.message([1, 1, 5], NEXT);
        room.mark([1, 1, 5], NEXT);
        room.mark([1, 1, 8], lost(3));
        room.mark([1, 1, 7], Verdict::Repeated);
        room.message([1, 1, 8], Verdict::Repeated);
        room.message([1, 1, 9], NEXT);
        room.mark([1, 1, 9], NEXT);
    }

    #[test]
    fn a_run_begins_anew() {
        let mut room = Room::after(0);
        room.message([1, 1, 5], NEXT);
        room.message([1, 2, 1], NEXT);
        room.message([1, 1, 6], Verdict::Repeated);
        room.message([1, 3, 3], lost(2));
        room.mark([1, 4, 2], lost(2));
        room.mark([1, 3, 9], Verdict::Repeated);
    }

    #[test]
    fn who_is_new_later_began_later() {
        let mut early = Room::after(5);
        early.message([1, 1, 5], NEXT);
        early.mark([2, 1, 5], NEXT);
        early.message([2, 1, 6], NEXT);
        let mut late = Room::after(6);
        late.message([1, 1, 5], lost(4));
        late.mark([2, 1, 5], lost(5));
        late.mark([3, 1, 0], NEXT);
        late.message([3, 1, 1], NEXT);
        // It is not subscribed yet: what can come are its own.
        let mut room = Room { numbers: Numbers::default(), now: Instant::now() };
        room.message([1, 1, 5], NEXT);
    }

    #[test]
    fn made_up_numbers_change_nothing() {
        let mut room = Room::after(6);
        room.message([1, 1, 1], NEXT);
        room.message([1, 1, MAX_GAP + 2], Verdict::Implausible);
        room.mark([1, 2, MAX_GAP], Verdict::Implausible);
        room.message([1, 1, 2], NEXT);
        room.message([1, 1, MAX_GAP + 2], lost(MAX_GAP - 1));
    }

    #[test]
    fn many_processes_do_not_fill_the_memory() {
        let mut room = Room::after(0);
        for origin in 0..3 * MAX_ORIGINS as u64 {
            room.now += Duration::from_millis(1);
            room.message([origin, 1, 1], NEXT);
            // It is heard all the time.
            room.message([u64::MAX, 1, origin + 1], NEXT);
        }
        assert_eq!(room.numbers.heard.len(), MAX_ORIGINS);
        assert!(room.numbers.heard.contains_key(&u64::MAX));
    }
}
