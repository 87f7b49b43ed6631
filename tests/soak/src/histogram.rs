//! Durations by the million, in little memory: counted in buckets less than 1 % wide.

use std::time::Duration;

/// Buckets for each doubling, as a power of two.
const FINENESS: u32 = 7;

#[derive(Clone, Default)]
pub(crate) struct Histogram {
    /// By bucket; see [`bucket`].
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Histogram {
    pub(crate) fn record(&mut self, duration: Duration) {
        let at = bucket(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] += 1;
        self.total += 1;
        self.longest = self.longest.max(duration);
    }

    pub(crate) fn longest(&self) -> Duration {
        self.longest
    }

    /// The duration that a share of `part` does not pass; zero if there is none.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let rank = (self.total as f64 * part).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return Duration::from_micros(ceiling(at)).min(self.longest);
            }
        }
        Duration::ZERO
    }
}

/// Below 2^[`FINENESS`] every value has a bucket; from there on every doubling has so many.
fn bucket(value: u64) -> usize {
    let doublings = (u64::BITS - value.leading_zeros()).saturating_sub(FINENESS + 1);
    ((u64::from(doublings) << FINENESS) + (value >> doublings)) as usize
}

/// The largest value of a bucket.
fn ceiling(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket >> FINENESS).saturating_sub(1);
    ((bucket - (doublings << FINENESS) + 1) << doublings) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_in_order_and_narrow() {
        let mut last = 0;
        for value in (0..5_000).chain((5_000..50_000_000).step_by(997)) {
            let at = bucket(value);
            assert!(at >= last && ceiling(at) >= value, "{value}");
            assert!(ceiling(at) - value <= value / 128, "{value}");
            last = at;
        }
    }

    #[test]
    fn quantiles() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.99), Duration::ZERO);
        for ms in 1..=1000 {
            histogram.record(Duration::from_millis(ms));
        }
        let p99 = histogram.quantile(0.99).as_secs_f64();
        assert!((0.990..=0.998).contains(&p99), "{p99}");
        assert_eq!(histogram.quantile(1.0), Duration::from_secs(1));
        assert_eq!(histogram.longest(), Duration::from_secs(1));
    }
}
