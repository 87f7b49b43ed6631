//! Deadlines of many connections, the nearest first.
//!
//! A deadline that moves on need not be taken out: whoever it was is asked, when its time has come,
//! whether it still counts.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem;
use std::time::Instant;

/// Milliseconds since the loop began.
pub(super) type Tick = u64;

/// The tick in which this moment is, or one that never comes.
pub(super) fn tick(start: Instant, at: Instant) -> Tick {
    let millis = at.saturating_duration_since(start).as_millis();
    Tick::try_from(millis).unwrap_or(Tick::MAX)
}

/// How many that count no more are kept.
const MAX_STALE: usize = 4096;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Deadlines {
    entries: BinaryHeap<Reverse<Entry>>,
}

/// Who is to be asked at this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) at: Tick,
    pub(super) slot: u32,
}

impl Deadlines {
    pub(super) fn add(&mut self, entry: Entry) {
        self.entries.push(Reverse(entry));
    }

    /// When the nearest is due.
    pub(super) fn next(&self) -> Option<Tick> {
        Some(self.entries.peek()?.0.at)
    }

    /// Takes out the nearest, if it is due by now.
    pub(super) fn pop_due(&mut self, now: Tick) -> Option<Entry> {
        self.entries.peek().filter(|entry| entry.0.at <= now)?;
        Some(self.entries.pop()?.0)
    }

    /// Takes out those that count no more, if there are many beside so many others.
    #[inline]
    pub(super) fn sweep(&mut self, others: usize, counts: impl Fn(&Entry) -> bool) {
        if self.entries.len() > MAX_STALE + others {
            let mut entries = mem::take(&mut self.entries).into_vec();
            entries.retain(|entry| counts(&entry.0));
            // The same one is noted down again behind each nearer one, such as a timer's.
            entries.sort_unstable();
            entries.dedup();
            entries.shrink_to_fit();
            self.entries = entries.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn all_due(deadlines: &mut Deadlines, now: Tick) -> Vec<Tick> {
        std::iter::from_fn(|| deadlines.pop_due(now)).map(|entry| entry.at).collect()
    }

    #[test]
    fn each_is_due_at_its_tick_and_the_nearest_first() {
        let mut deadlines = Deadlines::default();
        for at in [300, 7, 1, 65_536, 7] {
            deadlines.add(Entry { at, slot: 0 });
        }
        for (now, due) in [(0, &[][..]), (6, &[1]), (7, &[7, 7]), (70_000, &[300, 65_536])] {
            assert_eq!(all_due(&mut deadlines, now), due, "{now}");
        }
        assert_eq!(deadlines.next(), None);
    }

    /// An application may well take its greatest number for never.
    #[test]
    fn a_far_moment_is_not_taken_for_a_near_one() {
        let start = Instant::now();
        let at = |after| start.checked_add(after).map(|at| tick(start, at));
        assert_eq!(at(Duration::from_millis(1500)), Some(1500));
        for never in [Duration::from_millis(u64::MAX), Duration::from_secs(u64::MAX / 4)] {
            assert!(at(never).is_none_or(|tick| tick == Tick::MAX), "{never:?}");
        }
        assert_eq!(tick(start + Duration::from_secs(1), start), 0, "it has passed");
    }

    #[test]
    fn those_that_count_no_more_are_taken_out() {
        let mut deadlines = Deadlines::default();
        let most = MAX_STALE as Tick + 10;
        (1..=most).for_each(|at| deadlines.add(Entry { at, slot: 0 }));
        let counts = |entry: &Entry| entry.at.is_multiple_of(10);
        deadlines.sweep(10, counts);
        assert_eq!(deadlines.next(), Some(1), "there are few");
        deadlines.sweep(9, counts);
        assert!(all_due(&mut deadlines, most).into_iter().eq((10..=most).step_by(10)));
    }

    /// Else those that count are looked at in vain at each turn.
    #[test]
    fn one_that_was_noted_down_again_and_again_is_kept_once() {
        let mut deadlines = Deadlines::default();
        for _ in 0..MAX_STALE {
            deadlines.add(Entry { at: 7, slot: 1 });
            deadlines.add(Entry { at: 7, slot: 0 });
        }
        deadlines.sweep(2, |_| true);
        assert_eq!(all_due(&mut deadlines, 7), [7, 7]);
    }
}
