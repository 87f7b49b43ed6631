//! Deadlines of many connections, in two wheels: one of milliseconds for those that are near, one of
//! quarters of a second for the rest, which comes round to the first in time.
//!
//! A deadline that moves on need not be taken out: whoever it was is asked, when its turn comes,
//! whether it still counts.
//!
//! ```text
//!   far   │ 256 ms │ 256 ms │ …        each slot moves to the near wheel when its time begins
//!   near  │ 1 ms │ 1 ms │ …            each slot is due when its time is over
//! ```

use std::collections::VecDeque;
use std::mem;

/// Milliseconds since the loop began.
pub(super) type Tick = u64;

/// How many slots a wheel has.
const SLOTS: u64 = 256;

/// See the [module](self).
pub(super) struct Wheel {
    near: Ring,
    far: Ring,
    now: Tick,
    /// How many entries there are, also of those that count no more.
    len: usize,
}

/// Who is to be asked at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) slot: u32,
    /// Tells who has the slot from who had it before.
    pub(super) generation: u32,
    pub(super) at: Tick,
}

struct Ring {
    slots: Vec<Vec<Entry>>,
    /// Which slots have something in them, a bit each.
    used: [u64; 4],
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { near: Ring::new(), far: Ring::new(), now: 0, len: 0 }
    }

    /// Adds a deadline; one that has passed is due at the next tick.
    pub(super) fn add(&mut self, entry: Entry) {
        self.len += 1;
        self.insert(entry);
    }

    fn insert(&mut self, entry: Entry) {
        let at = entry.at.max(self.now + 1);
        if at - self.now <= SLOTS {
            self.near.push(at, entry);
        } else {
            // What is further than the wheel reaches stands in its last slot, and is added again.
            self.far.push((at / SLOTS).min(self.now / SLOTS + SLOTS - 1), entry);
        }
    }

    /// Goes on to this tick; what is due by then is in `due`.
    pub(super) fn advance(&mut self, now: Tick, due: &mut VecDeque<Entry>) {
        let before = due.len();
        while self.now < now {
            let next = self.now + 1;
            if next.is_multiple_of(SLOTS) {
                self.far.take(next / SLOTS).into_iter().for_each(|entry| self.insert(entry));
            }
            self.now = next;
            due.extend(self.near.take(self.now));
        }
        self.len -= due.len() - before;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes out those that count no more.
    pub(super) fn retain(&mut self, counts: impl Fn(&Entry) -> bool) {
        self.len = 0;
        for slot in self.near.slots.iter_mut().chain(&mut self.far.slots) {
            slot.retain(&counts);
            slot.shrink_to_fit();
            self.len += slot.len();
        }
    }

    /// How many ticks there are until something may be due; none, if nothing is near.
    pub(super) fn until_next(&self) -> Option<Tick> {
        let turn = SLOTS - self.now % SLOTS;
        match self.near.distance(self.now + 1) {
            Some(distance) => Some((distance + 1).min(turn)),
            None => Some(turn).filter(|_| !self.far.is_empty()),
        }
    }
}

impl Ring {
    fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), used: [0; 4] }
    }

    fn push(&mut self, at: u64, entry: Entry) {
        let slot = (at % SLOTS) as usize;
        self.used[slot / 64] |= 1 << (slot % 64);
        self.slots[slot].push(entry);
    }

    fn take(&mut self, at: u64) -> Vec<Entry> {
        let slot = (at % SLOTS) as usize;
        self.used[slot / 64] &= !(1 << (slot % 64));
        mem::take(&mut self.slots[slot])
    }

    fn is_empty(&self) -> bool {
        self.used == [0; 4]
    }

    /// How far the first slot is behind this one that has something in it.
    fn distance(&self, from: u64) -> Option<u64> {
        let from = (from % SLOTS) as usize;
        // The word that the first slot is in is looked at twice: its end first, its beginning last.
        (0..=4).find_map(|step| {
            let word = (from / 64 + step) % 4;
            let mask = match step {
                0 => u64::MAX << (from % 64),
                4 => !(u64::MAX << (from % 64)),
                _ => u64::MAX,
            };
            let used = self.used[word] & mask;
            let slot = word * 64 + used.trailing_zeros() as usize;
            (used != 0).then(|| (slot as u64 + SLOTS - from as u64) % SLOTS)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: Tick) -> Entry {
        Entry { slot: at as u32, generation: 0, at }
    }

    #[test]
    fn each_is_due_at_its_tick_and_none_is_missed() {
        let times = [1, 2, 63, 64, 65, 255, 256, 257, 300, 511, 512, 65_535, 65_536, 200_000];
        for start in [0, 1, 100, 255, 256, 1000] {
            let mut wheel = Wheel::new();
            let mut due = VecDeque::new();
            wheel.advance(start, &mut due);
            times.iter().for_each(|time| wheel.add(entry(start + time)));
            for time in times {
                let mut now = wheel.now;
                while due.is_empty() {
                    now += wheel.until_next().expect("there is more to come");
                    wheel.advance(now, &mut due);
                }
                assert_eq!(due, [entry(start + time)], "{start}");
                assert_eq!(wheel.now, start + time);
                due.clear();
            }
            assert_eq!(wheel.until_next(), None);
        }
    }

    #[test]
    fn those_that_count_no_more_are_taken_out() {
        let mut wheel = Wheel::new();
        let mut due = VecDeque::new();
        (1..=1000).for_each(|time| wheel.add(entry(time)));
        wheel.advance(100, &mut due);
        assert_eq!((due.len(), wheel.len()), (100, 900));
        wheel.retain(|entry| entry.at % 10 == 0);
        assert_eq!(wheel.len(), 90);
        due.clear();
        wheel.advance(1000, &mut due);
        assert!(due.iter().map(|entry| entry.at).eq((110..=1000).step_by(10)), "{due:?}");
        assert_eq!((wheel.len(), wheel.until_next()), (0, None));
    }

    #[test]
    fn what_has_passed_is_due_next() {
        let mut wheel = Wheel::new();
        let mut due = VecDeque::new();
        wheel.advance(1000, &mut due);
        wheel.add(entry(5));
        assert_eq!(wheel.until_next(), Some(1));
        wheel.advance(1001, &mut due);
        assert_eq!(due, [entry(5)]);
    }
}
