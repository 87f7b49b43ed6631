//! Echoes that come later, and in order.
//!
//! Messages wait in a queue with the time at which each is due; the connection's own thread sends
//! those that are due and receives in between, with the time to the next one as its timeout.

use std::hash::{BuildHasher, RandomState};
use std::mem;
use std::time::{Duration, Instant};

use barews::{Connection, Error};

use super::echo;
use crate::limits::{MEMORY, Queue, StoredMessage};
use crate::metrics::Counters;

/// How many messages may wait at the most.
const MAX_WAITING: usize = 1000;

struct DelayedMessage {
    due: Instant,
    message: StoredMessage,
}

impl AsRef<StoredMessage> for DelayedMessage {
    fn as_ref(&self) -> &StoredMessage {
        &self.message
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
    let mut queue = Queue::new(&MEMORY, MAX_WAITING);
    let mut buf = Vec::new();
    loop {
        send_due(&mut queue, conn, counters)?;
        let next = queue.first().map(|next: &DelayedMessage| next.due);
        conn.set_recv_timeout(next.map(|due| due.saturating_duration_since(Instant::now())));
        let message = match conn.recv(&mut buf) {
            Err(Error::RecvTimeout) => continue,
            result => result?,
        };
        let Some(message) = message else { return Ok(()) };
        counters.count_received(message);
        let kind = message.kind();
        // Nobody overtakes.
        let due = Instant::now() + delay();
        let due = queue.last().map_or(due, |last| due.max(last.due));
        // One may be of any size. To read no more until there is room would be to hear no Ping nor
        // Close either.
        let stored = if queue.is_full() { None } else { MEMORY.store(kind, mem::take(&mut buf)) };
        if !stored.is_some_and(|message| queue.push(DelayedMessage { due, message })) {
            return echo::close_overloaded(conn, counters);
        }
    }
}

fn send_due(
    queue: &mut Queue<DelayedMessage>,
    conn: &mut Connection,
    counters: &Counters,
) -> Result<(), Error> {
    while queue.first().is_some_and(|next| next.due <= Instant::now())
        && let Some(next) = queue.pop()
    {
        echo::ignore_closed(echo::reply(conn, counters, next.message.message()))?;
    }
    Ok(())
}
