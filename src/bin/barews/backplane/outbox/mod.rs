//! What waits to be published, in order.
//!
//! ```text
//! channels ── push ──> queue ── next_batch ──> publisher ── Redis has it ──> published
//!                        └─ nothing leaves it before, so what is not answered is sent again
//! ```
//!
//! The thread of the link hands the publisher a connection and takes it away again; each has a number,
//! the epoch, so that neither works with one that is given up.

mod budget;
mod catch_up;

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use barews::OwnedMessage;
use redis::Connection;

use super::envelope::{HEADER_LEN, Header};
use budget::Budget;
pub use budget::Charge;
use catch_up::CatchUp;

/// What a message takes besides its payload, in bytes: its place in two queues, the allocator's own.
const OVERHEAD: usize = 256;

/// How much is sent before the answers are awaited: enough to make the way back and forth cheap, and
/// not so much that a beat comes late.
const MAX_BATCH: usize = 512;
const MAX_BATCH_BYTES: usize = 256 << 10;

/// What waits to be published.
pub struct Outbox {
    state: Mutex<State>,
    /// Signalled when there is something to do for the publisher, or the queue is empty.
    changed: Condvar,
    pub budget: Arc<Budget>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Arc<Item>>,
    epoch: u64,
    /// For the publisher, to be taken.
    connection: Option<Connection>,
    /// Whether a connection is in use.
    is_connected: bool,
    /// If what waits is what was kept.
    catch_up: Option<CatchUp>,
    /// Why the publisher has given up its connection.
    failure: Option<String>,
    /// Whether the link is to be woken by a beat.
    is_beat_due: bool,
    is_stopped: bool,
}

/// One message, or a word between processes.
pub struct Item {
    pub channel: Arc<str>,
    pub header: Header,
    pub message: Option<OwnedMessage>,
    /// When it was published.
    pub at: Instant,
    _charge: Option<Charge>,
}

/// What to do next for the publisher.
pub enum Work {
    /// To send these, and a beat.
    Send(Vec<Arc<Item>>, bool),
    /// To give the connection up.
    End,
}

impl Item {
    pub fn new(
        channel: &Arc<str>,
        header: Header,
        message: Option<OwnedMessage>,
        charge: Option<Charge>,
    ) -> Arc<Self> {
        let (channel, at) = (Arc::clone(channel), Instant::now());
        Arc::new(Self { channel, header, message, at, _charge: charge })
    }

    /// What it takes, in bytes.
    pub fn cost(channel: &str, payload: usize) -> usize {
        payload.saturating_add(channel.len() + HEADER_LEN + OVERHEAD)
    }

    /// Its payload, in bytes.
    pub fn len(&self) -> usize {
        self.message.as_ref().map_or(0, OwnedMessage::len)
    }
}

impl Outbox {
    pub fn new(max_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            budget: Arc::new(Budget::new(max_bytes)),
        }
    }

    pub fn push(&self, item: Arc<Item>) {
        self.lock().queue.push_back(item);
        self.changed.notify_all();
    }

    /// Has the link look what has changed: it waits for what Redis sends.
    pub fn wake_link(&self) {
        self.lock().is_beat_due = true;
        self.changed.notify_all();
    }

    /// Hands the publisher a connection.
    pub fn connect(&self, connection: Connection) {
        let mut state = self.lock();
        state.epoch += 1;
        (state.connection, state.is_connected) = (Some(connection), true);
        state.catch_up = (!state.queue.is_empty()).then(|| CatchUp::new(Instant::now()));
        drop(state);
        self.budget.set_draining(true);
        self.changed.notify_all();
    }

    /// Has the publisher give it up.
    pub fn disconnect(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        (state.connection, state.is_connected, state.failure) = (None, false, None);
        drop(state);
        self.budget.set_draining(false);
        self.changed.notify_all();
    }

    /// Why the publisher has given up the connection, if it has.
    pub fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// Waits for a connection, with its epoch; `None` if there will be none.
    pub fn wait_for_connection(&self) -> Option<(Connection, u64)> {
        let waits = |state: &mut State| state.connection.is_none() && !state.is_stopped;
        let state = self.changed.wait_while(self.lock(), waits);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        let epoch = state.epoch;
        state.connection.take().map(|connection| (connection, epoch))
    }

    /// Waits for something to send, at most until it is time for a beat.
    pub fn next_batch(&self, epoch: u64, beat_at: Instant) -> Work {
        let mut state = self.lock();
        loop {
            if state.epoch != epoch || state.is_stopped && state.queue.is_empty() {
                return Work::End;
            }
            let now = Instant::now();
            let batch = state.batch(now);
            if !batch.is_empty() || state.is_beat_due || now >= beat_at {
                let is_beat_due = mem::take(&mut state.is_beat_due) || now >= beat_at;
                return Work::Send(batch, is_beat_due);
            }
            let due = state.next_due().map_or(beat_at, |due| due.min(beat_at));
            let waited = self.changed.wait_timeout(state, due.saturating_duration_since(now));
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether all that was kept is sent.
    pub fn is_caught_up(&self) -> bool {
        self.lock().catch_up.is_none()
    }

    /// Redis has the first so many, unless this epoch is over: then they are sent once more.
    pub fn published(&self, epoch: u64, count: usize) {
        let mut state = self.lock();
        if state.epoch == epoch {
            let done: Vec<_> = state.queue.drain(..count).collect();
            let is_empty = state.queue.is_empty();
            if is_empty {
                state.catch_up = None;
            }
            drop(state);
            // Payloads are freed outside the lock.
            drop(done);
            if is_empty {
                self.changed.notify_all();
            }
        }
    }

    /// The publisher's connection is of no more use.
    pub fn fail(&self, epoch: u64, why: String) {
        let mut state = self.lock();
        if state.epoch == epoch {
            state.failure = Some(why);
        }
    }

    /// Messages that wait, and the bytes for all that is under way.
    pub fn len(&self) -> (usize, usize) {
        (self.lock().queue.len(), self.budget.used())
    }

    /// Waits until all is published, as long as that can be; how many messages are left.
    pub fn flush(&self, within: Duration) -> usize {
        let waits = |state: &mut State| !state.queue.is_empty() && state.is_connected;
        let waited = self.changed.wait_timeout_while(self.lock(), within, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.queue.iter().filter(|item| item.message.is_some()).count()
    }

    /// Ends the threads.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Waits so long, or until it is stopped; whether it is.
    pub fn wait_for_stop(&self, timeout: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), timeout, |s| !s.is_stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What may be sent now: it stays where it is until Redis has it.
    fn batch(&mut self, now: Instant) -> Vec<Arc<Item>> {
        let (queue, catch_up) = (&self.queue, &mut self.catch_up);
        let mut bytes = 0;
        let fits = queue.iter().take(MAX_BATCH).take_while(|item| {
            let fits = bytes < MAX_BATCH_BYTES;
            bytes += item.len();
            match catch_up {
                Some(catch_up) if fits && catch_up.due(item.at) <= now => {
                    catch_up.sent(item.at, item.len());
                    true
                }
                Some(_) => false,
                None => fits,
            }
        });
        fits.cloned().collect()
    }

    /// When the next of what was kept is due.
    fn next_due(&self) -> Option<Instant> {
        Some(self.catch_up.as_ref()?.due(self.queue.front()?.at))
    }
}
