//! Echoes that come later, and in order.
//!
//! Messages wait in a queue with the time at which each is due; the connection's own thread sends
//! those that are due and receives in between, with the time to the next one as its timeout.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::time::{Duration, Instant};

use barews::{Connection, Error, Message, MessageType};

use super::echo;
use crate::limits::{MEMORY, Queue, StoredMessage};
use crate::metrics::Counters;

/// How many messages may wait at the most.
const MAX_WAITING: usize = 1000;

/// Messages that wait for their time, each of them for one of its own.
pub struct DelayQueue(Queue<DelayedMessage>);

struct DelayedMessage {
    due: Instant,
    message: StoredMessage,
}

impl AsRef<StoredMessage> for DelayedMessage {
    fn as_ref(&self) -> &StoredMessage {
        &self.message
    }
}

impl DelayQueue {
    pub fn new() -> Self {
        Self(Queue::new(&MEMORY, MAX_WAITING))
    }

    /// Keeps a message for so long, and until those before it are due; whether there was room.
    /// Its bytes are asked for only if it may be.
    pub fn push(
        &mut self,
        kind: MessageType,
        bytes: impl FnOnce() -> Option<Vec<u8>>,
        delay: Duration,
    ) -> bool {
        // Nobody overtakes.
        let due = Instant::now() + delay;
        let due = self.0.last().map_or(due, |last| due.max(last.due));
        // One may be of any size. To read no more until there is room would be to hear no Ping nor
        // Close either.
        if self.0.is_full() {
            return false;
        }
        let stored = bytes().and_then(|bytes| MEMORY.store(kind, bytes));
        stored.is_some_and(|message| self.0.push(DelayedMessage { due, message }))
    }

    /// The first message, if it is due.
    pub fn due(&self) -> Option<Message<'_>> {
        let first = self.0.first().filter(|first| first.due <= Instant::now())?;
        Some(first.message.message())
    }

    /// The first message was sent.
    pub fn pop(&mut self) {
        drop(self.0.pop());
    }

    /// How long until the first message is due.
    pub fn next(&self) -> Option<Duration> {
        Some(self.0.first()?.due.saturating_duration_since(Instant::now()))
    }
}

/// A random time up to `max`.
pub fn random(max: Duration) -> Duration {
    // A hasher of random keys is all the randomness that std has.
    let random = RandomState::new().hash_one(0) as u32;
    max.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Sends every message back, each by `delay` after it came and in order.
#[inline(never)]
pub fn delayed_echo(
    conn: &mut Connection,
    counters: &Counters,
    delay: impl Fn() -> Duration,
) -> Result<(), Error> {
    let mut queue = DelayQueue::new();
    let mut buf = Vec::new();
    loop {
        while let Some(message) = queue.due() {
            echo::ignore_closed(echo::reply(conn, counters, message))?;
            queue.pop();
        }
        conn.set_recv_timeout(queue.next());
        let message = match conn.recv(&mut buf) {
            Err(Error::RecvTimeout) => continue,
            result => result?,
        };
        let Some(message) = message else { return Ok(()) };
        counters.count_received(message);
        let kind = message.kind();
        if !queue.push(kind, || Some(mem::take(&mut buf)), delay()) {
            return echo::close_overloaded(conn, counters);
        }
    }
}
