//! What the backplane has done, for the metrics and the log.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A family of the metrics: its name, its type, what it is, and its values behind their labels.
pub type Family = (&'static str, &'static str, &'static str, Vec<(&'static str, f64)>);

/// Counters of one process, each from its start on.
#[derive(Debug, Default)]
pub struct Stats {
    pub is_up: AtomicBool,
    /// Messages of this process that Redis has taken.
    pub published: AtomicU64,
    /// Messages of other processes that were delivered here.
    pub received: AtomicU64,
    /// Messages of other processes that have not come.
    pub lost_in: AtomicU64,
    /// Messages of this process for which there was no room in the queue. Others count them too.
    pub lost_out: AtomicU64,
    /// What somebody else has published to our channels.
    pub ignored: AtomicU64,
    /// Outages that are over.
    pub reconnects: AtomicU64,
    /// The time from here to Redis and back, in microseconds.
    round_trip: AtomicU64,
}

impl Stats {
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub fn set_round_trip(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.round_trip.store(micros, Ordering::Relaxed);
    }

    /// Both counts of lost messages: of others, and of this process.
    pub fn lost(&self) -> (u64, u64) {
        (self.lost_in.load(Ordering::Relaxed), self.lost_out.load(Ordering::Relaxed))
    }

    /// What the metrics tell; the queue has its own counts, of messages and bytes.
    pub fn families(&self, (messages, bytes): (usize, usize), max: usize) -> Vec<Family> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let one = |value| vec![("", value)];
        let (lost_in, lost_out) = self.lost();
        let lost =
            vec![("{direction=\"in\"}", lost_in as f64), ("{direction=\"out\"}", lost_out as f64)];
        let is_up = self.is_up.load(Ordering::Relaxed);
        let round_trip = self.round_trip.load(Ordering::Relaxed) as f64 / 1e6;
        vec![
            ("backplane_connected", "gauge", "Whether Redis is there.", one(is_up.into())),
            (
                "backplane_published_messages_total",
                "counter",
                "Messages that Redis has taken.",
                one(count(&self.published)),
            ),
            (
                "backplane_received_messages_total",
                "counter",
                "Messages of other processes.",
                one(count(&self.received)),
            ),
            (
                "backplane_lost_messages_total",
                "counter",
                "Messages of others that did not come (in), and that could not be sent (out).",
                lost,
            ),
            (
                "backplane_ignored_messages_total",
                "counter",
                "What strangers have published to the channels of rooms.",
                one(count(&self.ignored)),
            ),
            (
                "backplane_reconnects_total",
                "counter",
                "Times that Redis came back.",
                one(count(&self.reconnects)),
            ),
            ("backplane_queue_messages", "gauge", "Messages to be sent.", one(messages as f64)),
            ("backplane_queue_bytes", "gauge", "Bytes for what is under way.", one(bytes as f64)),
            (
                "backplane_max_queue_bytes",
                "gauge",
                "What it may be (--backplane-queue).",
                one(max as f64),
            ),
            ("backplane_round_trip_seconds", "gauge", "To Redis and back.", one(round_trip)),
        ]
    }
}
