//! How long things took: counts of those up to each of some bounds.

use std::time::Duration;

use super::text::Text;

/// Counts in the buckets of Prometheus.
pub struct Histogram {
    /// In seconds, ascending.
    bounds: &'static [f64],
    /// One for each bound, and one for what is beyond.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    pub fn observe(&mut self, length: Duration) {
        let seconds = length.as_secs_f64();
        self.counts[self.bounds.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += seconds;
    }

    pub fn write(&self, text: &mut Text, name: &str, help: &str) {
        text.header(name, "histogram", help);
        let bounds = self.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let mut sum = 0;
        for (bound, count) in bounds.zip(&self.counts) {
            sum += count;
            text.line(&format!("{name}_bucket{{le=\"{bound}\"}}"), sum);
        }
        text.line(&format!("{name}_sum"), self.sum);
        text.line(&format!("{name}_count"), sum);
    }
}
