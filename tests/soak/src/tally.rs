//! What the honest clients of one thread have seen.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::histogram::Histogram;

/// Shared by the clients of a thread.
pub(crate) type Shared = Rc<RefCell<Tally>>;

#[derive(Clone, Default)]
pub(crate) struct Tally {
    /// Connections that were opened.
    pub(crate) opened: u64,
    /// Connections that ended as §7 wants it, after a Close of ours.
    pub(crate) closed: u64,
    /// Messages sent, as far as the socket is concerned or at least put in line.
    pub(crate) sent: u64,
    /// Messages that came back, each as it was sent and in its order.
    pub(crate) echoed: u64,
    /// Pings of the server that were answered.
    pub(crate) pings: u64,
    /// From the sending of a message to the last byte of its echo.
    pub(crate) latency: Histogram,
    /// Connections that failed, by what was wrong. A client that fails is done.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Set to make the clients fall silent.
    pub(crate) quiet: bool,
}

impl Tally {
    pub(crate) fn shared() -> Shared {
        Shared::default()
    }

    pub(crate) fn fail(&mut self, what: String) {
        *self.failures.entry(what).or_default() += 1;
    }

    /// How many connections failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// How many failed, and of what most of them.
    pub(crate) fn failures(&self) -> String {
        match self.failures.iter().max_by_key(|(_, count)| **count) {
            None => "0".to_owned(),
            Some((what, count)) => format!("{} ({count} × {what})", self.failed()),
        }
    }

    /// Messages that never came back.
    pub(crate) fn missing(&self) -> u64 {
        self.sent - self.echoed
    }
}
