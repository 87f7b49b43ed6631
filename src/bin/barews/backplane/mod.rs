//! Rooms across processes, through Redis (`--backplane`).
//!
//! ```text
//!               publish                     PUBLISH
//!   routes::rooms ──> channel ──> outbox ──> publisher ──> Redis ──> the other processes
//!         ^              │   └─ bounded, kept until Redis has it        │
//!         └── deliver ───┴────────────────────── link <─────────────────┘ SUBSCRIBE
//! ```
//!
//! A message goes to Redis, and each process delivers what comes back, its own messages too: so the
//! order in a room is one for all. `envelope` is what goes over the wire. While Redis is away, rooms are
//! local and what is published is kept, as much as there is room for; then it is sent, in order and a
//! little faster than it was said. `numbers` knows by the numbers of messages which ones did not come,
//! and ignores those that come twice; `report` tells the log, `stats` the metrics.
//!
//! What a member sees: its own messages and those of its process once, in order, always. Those of
//! others once, in the order of their sender, but for those that are counted as lost: published while
//! this process was not subscribed, or when the other's queue was full.

mod envelope;
mod numbers;
mod stats;
mod target;
mod outbox;
mod report;
mod channel;
mod process;
mod publisher;
mod link;

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use barews::{Backplane, OwnedMessage, PublishError};

use crate::log::Log;
use channel::{ChannelShared, Deliver};
use outbox::{Item, Outbox};
use process::{Connections, Process, random};
use report::Report;
pub use stats::Family;
use stats::Stats;
use target::Failure;
pub use target::Target;

/// How long one who publishes waits for those before.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a new member waits to be heard by others.
const JOIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Which Redis, and how much may wait for it.
#[derive(Debug)]
pub struct Settings {
    pub target: Target,
    /// In bytes.
    pub max_queue: usize,
    /// The longest message, in bytes: what is longer is none of ours.
    pub max_message: usize,
}

/// A backplane, until it is dropped.
pub struct RedisBackplane(Arc<Process>);

impl RedisBackplane {
    /// Connects, and keeps being connected. `deliver` must not block.
    ///
    /// # Errors
    ///
    /// A line on what is wrong, if Redis does not let this process in, or there is no thread to be had.
    /// That it cannot be reached is none: it may come.
    pub fn start(settings: Settings, log: Log, deliver: Deliver) -> Result<Self, String> {
        let Settings { target, max_queue, max_message } = settings;
        let context = ChannelShared {
            origin: random(),
            max_message,
            deliver,
            outbox: Outbox::new(max_queue),
            stats: Stats::default(),
        };
        let report = Report::new(log, target.to_string());
        let start = Instant::now();
        let shared = Process { target, start, context, report, channels: Mutex::default() };
        let first = match shared.connect() {
            Err(Failure::Refused(why)) => {
                return Err(format!("backplane {}: {why}", shared.target));
            }
            first => first,
        };
        let backplane = Self(Arc::new(shared));
        backplane.spawn(first).map_err(|error| format!("cannot start a thread: {error}"))?;
        Ok(backplane)
    }

    /// What the metrics tell.
    pub fn families(&self) -> Vec<Family> {
        let ChannelShared { outbox, stats, .. } = &self.0.context;
        stats.families(outbox.len(), outbox.budget.max())
    }

    /// Sends what waits, within this time, and tells the log what was left.
    pub fn flush(&self, within: Duration) {
        match self.0.context.outbox.flush(within) {
            0 => {}
            left => self.0.report.abandoned(left),
        }
    }

    fn spawn(&self, first: Result<Connections, Failure>) -> io::Result<()> {
        let publisher = Arc::clone(&self.0);
        let publish = move || publisher::run(&publisher.context, publisher.start);
        thread::Builder::new().name("publisher".to_owned()).spawn(publish)?;
        let shared = Arc::clone(&self.0);
        let listen = move || link::run(&shared, first);
        thread::Builder::new().name("backplane".to_owned()).spawn(listen)?;
        Ok(())
    }
}

impl Backplane for RedisBackplane {
    fn publish(&self, channel: &str, message: &OwnedMessage) -> Result<(), PublishError> {
        let Process { context, .. } = &*self.0;
        let found = self.0.channels().find(channel);
        let found = found.ok_or_else(|| {
            PublishError::Unreachable("nobody here has joined the channel".into())
        })?;
        found.wait_for_room(PUBLISH_TIMEOUT);
        let cost = Item::cost(channel, message.len());
        let charge = context.outbox.budget.take(cost, PUBLISH_TIMEOUT);
        found.publish(context, message, charge)
    }

    fn subscribe(&self, channel: &str) {
        let Process { context, .. } = &*self.0;
        let (found, is_new) = self.0.channels().add_member(channel);
        if is_new {
            context.outbox.wake_link();
        }
        found.wait_until_live(JOIN_TIMEOUT, || context.is_up() && context.outbox.is_caught_up());
    }

    fn unsubscribe(&self, channel: &str) {
        // In its own time, the link looks for those that are of no interest any more.
        self.0.channels().remove_member(channel);
    }
}

impl Drop for RedisBackplane {
    fn drop(&mut self) {
        self.0.context.outbox.stop();
    }
}
