//! The thread that listens, and that opens both connections anew when one of them is lost.
//!
//! ```text
//!          ┌── connect: both, or wait 50 ms, 100 ms … 2 s, by chance up to half less ──┐
//!   local ─┴─> listening: subscribed to all rooms, for as long as others may still wait so
//!     ^              │
//!     │              └──> up: what was kept is published; then rooms are live
//!     │                   │ no beat came for 3 s, the publisher has failed,
//!     └───────────────────┘ or Redis has closed the connection
//! ```
//!
//! All processes lose Redis at the same time, and each comes back at a time of its own. Who published at
//! once what it has kept would find nobody there. Everything that changes what a room is (live or local)
//! is done here, one thing after the other.

use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{Connection, Msg, PubSub, RedisError};

use super::channel::Channel;
use super::envelope::{Content, Header};
use super::process::{
    ANSWER_TIMEOUT, CHANNEL_PREFIX, Connections, Process, process_channel, random,
};
use super::stats::Stats;
use super::target::{Failure, describe};

/// How long the link waits for a message before it looks around.
const TICK: Duration = Duration::from_millis(250);

/// After which silence Redis is not there any more: three beats.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a message may take to Redis and back, a full queue before it. The client does not tell that
/// Redis has refused to subscribe to a room, so this is how it is found out.
const RETURN_TIMEOUT: Duration = Duration::from_secs(10);

const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// A connection that has lasted so long was not lost at once.
const STABLE_TIME: Duration = Duration::from_secs(5);

/// How many rooms one command subscribes to.
const MAX_NAMES: usize = 1000;

/// What is subscribed to, on the connection of the link.
struct Subscription<'a> {
    pubsub: PubSub<'a>,
    names: HashSet<Arc<str>>,
    /// When something came for the last time.
    heard: Instant,
    /// Rooms in which somebody has asked for a mark.
    asked: Vec<Arc<Channel>>,
    /// Whether rooms become live as soon as they are subscribed.
    is_live: bool,
}

/// Keeps the process connected until it is stopped; `first` is what came of the first attempt.
pub fn run(shared: &Process, first: Result<Connections, Failure>) {
    let mut backoff = MIN_BACKOFF;
    let mut attempt = first.map(|connections| (connections, Duration::ZERO));
    loop {
        match attempt {
            Ok((connections, pause)) => {
                let start = Instant::now();
                // A thread that is gone would leave all rooms silent.
                let listen = AssertUnwindSafe(|| listen(shared, connections, pause));
                let why = panic::catch_unwind(listen).unwrap_or_else(|_| "a panic".to_owned());
                go_down(shared, &why);
                // One that is lost again at once must not be had again at once.
                if start.elapsed() > STABLE_TIME {
                    backoff = MIN_BACKOFF;
                }
            }
            Err(why) => shared.report.unreachable(&why),
        }
        let wait = backoff.mul_f64(0.5 + f64::from(random() as u32) / f64::from(u32::MAX) / 2.0);
        if shared.context.outbox.wait_for_stop(wait) {
            return;
        }
        shared.report.losses(shared.context.stats.lost());
        // Others may be one attempt behind.
        backoff = (2 * backoff).min(MAX_BACKOFF);
        attempt = shared.connect().map(|connections| (connections, backoff));
    }
}

/// Delivers what comes until it is over; why it is. Publishes nothing in the first `pause`.
fn listen(shared: &Process, connections: Connections, pause: Duration) -> String {
    let Connections { mut subscriber, publisher } = connections;
    let start = Instant::now();
    let mut subscription = Subscription {
        pubsub: subscriber.as_pubsub(),
        names: HashSet::new(),
        heard: start,
        asked: Vec::new(),
        is_live: false,
    };
    let listen = || {
        let failed = |error: RedisError| format!("listening: {}", describe(&error));
        let process = process_channel(shared.context.origin);
        subscription.command(|pubsub| pubsub.subscribe(&process)).map_err(failed)?;
        shared.channels().all_changed();
        let (mut publisher, mut next_tick) = (Some(publisher), start);
        while !shared.context.outbox.wait_for_stop(Duration::ZERO) {
            if let Some(publisher) = publisher.take_if(|_| start.elapsed() >= pause) {
                go_up(shared, publisher);
            }
            subscription.update(shared).map_err(failed)?;
            match subscription.pubsub.get_message() {
                Ok(message) => subscription.receive(shared, &message),
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(failed(error)),
            }
            let now = Instant::now();
            if now >= next_tick {
                next_tick = now + TICK;
                subscription.look_around(shared, now)?;
            }
        }
        Ok(())
    };
    match listen() {
        Ok(()) => "stopped".to_owned(),
        Err(why) => why,
    }
}

fn go_up(shared: &Process, publisher: Connection) {
    let stats = &shared.context.stats;
    stats.is_up.store(true, Ordering::Relaxed);
    if shared.report.up(shared.context.outbox.len()) {
        Stats::add(&stats.reconnects, 1);
    }
    shared.context.outbox.connect(publisher);
}

fn go_down(shared: &Process, why: &str) {
    let context = &shared.context;
    context.outbox.disconnect();
    let was_up = context.stats.is_up.swap(false, Ordering::Relaxed);
    let all: Vec<_> = shared.channels().all().collect();
    for channel in all {
        channel.suspend(context);
    }
    if was_up {
        shared.report.down(why, context.outbox.len());
    } else {
        shared.report.unreachable(&Failure::Unreachable(why.to_owned()));
    }
}

impl Subscription<'_> {
    /// Subscribes to rooms that have their first member, and leaves those that had their last.
    fn update(&mut self, shared: &Process) -> Result<(), RedisError> {
        let changed = shared.channels().take_changed();
        let mut changed = changed.into_iter().peekable();
        while changed.peek().is_some() {
            let names: Vec<_> = changed.by_ref().take(MAX_NAMES).collect();
            let channels: Vec<_> = {
                let channels = shared.channels();
                names.iter().map(|name| channels.find(name)).collect()
            };
            let (mut more, mut less) = (Vec::new(), Vec::new());
            for (name, channel) in names.iter().zip(&channels) {
                let full_name = || format!("{CHANNEL_PREFIX}{name}");
                match channel {
                    Some(_) if self.names.insert(Arc::clone(name)) => more.push(full_name()),
                    None if self.names.remove(name) => less.push(full_name()),
                    _ => {}
                }
            }
            if !more.is_empty() {
                self.command(|pubsub| pubsub.subscribe(more))?;
            }
            if !less.is_empty() {
                self.command(|pubsub| pubsub.unsubscribe(less))?;
            }
            let confirmed = channels.iter().flatten().filter(|_| self.is_live);
            confirmed.for_each(|channel| channel.confirm(&shared.context, Instant::now()));
        }
        Ok(())
    }

    /// Sends a command and awaits its answer: to the first of its names, but Redis does all at once.
    fn command(
        &mut self,
        send: impl FnOnce(&mut PubSub<'_>) -> Result<(), RedisError>,
    ) -> Result<(), RedisError> {
        self.pubsub.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let sent = send(&mut self.pubsub);
        // Whatever came of it: the client reads once more when this is dropped.
        self.pubsub.set_read_timeout(Some(TICK))?;
        sent
    }

    fn receive(&mut self, shared: &Process, message: &Msg) {
        self.heard = Instant::now();
        let context = &shared.context;
        let decoded = Header::decode(message.get_payload_bytes());
        match (message.get_channel_name().strip_prefix(CHANNEL_PREFIX), decoded) {
            (Some(name), Some((header, payload))) => {
                // Without it the last member has just left.
                let Some(channel) = shared.channels().find(name) else { return };
                if channel.received(context, header, payload) {
                    self.asked.push(channel);
                }
            }
            (None, Some((Header { content: Content::Beat, origin, number, .. }, _)))
                if origin == context.origin =>
            {
                let sent = Duration::from_micros(number);
                context.stats.set_round_trip(shared.start.elapsed().saturating_sub(sent));
            }
            _ => Stats::add(&context.stats.ignored, 1),
        }
    }

    /// Does what is to be done a few times a second, or finds that it is over.
    fn look_around(&mut self, shared: &Process, now: Instant) -> Result<(), String> {
        let context = &shared.context;
        if let Some(why) = context.outbox.failure() {
            return Err(why);
        }
        if now.duration_since(self.heard) > SILENCE_TIMEOUT {
            return Err(format!("listening: silence for {} s", SILENCE_TIMEOUT.as_secs()));
        }
        if shared.channels().all().any(|channel| channel.is_overdue(now, RETURN_TIMEOUT)) {
            let seconds = RETURN_TIMEOUT.as_secs();
            return Err(format!("listening: what was published did not come back in {seconds} s"));
        }
        // Until what was kept is sent, what is new would wait behind it.
        if !self.is_live && context.is_up() && context.outbox.is_caught_up() {
            self.is_live = true;
            shared.channels().all_changed();
        }
        // All who have asked meanwhile have one answer.
        for channel in self.asked.drain(..) {
            channel.mark(context);
        }
        shared.report.losses(context.stats.lost());
        Ok(())
    }
}
