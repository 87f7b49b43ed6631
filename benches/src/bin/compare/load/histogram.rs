//! Latencies, kept in buckets a thirty-second part of their value wide.

use std::time::Duration;

const STEPS: usize = 32;

pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; 64 * STEPS], count: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration, times: u64) {
        self.buckets[bucket(latency.as_nanos() as u64)] += times;
        self.count += times;
    }

    /// The latency in microseconds that the fraction `part` of all stay within.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let wanted = (self.count as f64 * part).ceil() as u64;
        let mut seen = 0;
        let found = self.buckets.iter().position(|&count| {
            seen += count;
            seen >= wanted.max(1)
        });
        found.map_or(f64::NAN, |i| value(i) / 1000.0)
    }
}

/// Below `STEPS` a bucket a nanosecond; above, `STEPS` buckets for each power of two.
fn bucket(nanos: u64) -> usize {
    let power = (nanos.max(1).ilog2() as usize).saturating_sub(STEPS.ilog2() as usize);
    power * STEPS + (nanos >> power) as usize
}

/// The middle of a bucket, in nanoseconds.
fn value(bucket: usize) -> f64 {
    let power = (bucket / STEPS).saturating_sub(1);
    ((bucket - power * STEPS) as f64 + 0.5) * 2f64.powi(power as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_s_middle_is_within_two_percent_of_its_values() {
        for nanos in (0..60).flat_map(|p| [1u64 << p, (1 << p) + (1 << p >> 1), (2 << p) - 1]) {
            let middle = value(bucket(nanos));
            assert!((middle - nanos as f64).abs() <= 0.5 + nanos as f64 * 0.02, "{nanos} {middle}");
        }
    }

    #[test]
    fn quantiles() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_micros(10), 98);
        histogram.record(Duration::from_micros(1000), 2);
        assert!((histogram.quantile(0.5) - 10.0).abs() < 0.3);
        assert!((histogram.quantile(0.98) - 10.0).abs() < 0.3);
        assert!((histogram.quantile(0.99) - 1000.0).abs() < 30.0);
    }
}
