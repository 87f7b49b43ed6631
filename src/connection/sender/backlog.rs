//! What waits in a queue, and who is told of it.
//!
//! ```text
//!   Open ──drain──▶ Draining ──┐
//!     ├───close──▶ Closing ────┴─▶ Closed: the connection ends
//!     └────────────────────────────▲
//! ```
//!
//! A queue in which something waits is on its flusher's list, or in that flusher's hands: it is
//! *scheduled*. Who queues the first message schedules it, and the flusher finds nothing left in the
//! same step in which it gives it up. So no message is forgotten.
//!
//! Locks: a flusher's list is locked inside this state's lock, and nothing is inside that. Nobody
//! writes while they hold either.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use std::{mem, slice};

use crate::connection::lifecycle::{ConnectionShared, Queue};
use crate::connection::owned_message::OwnedMessage;
use crate::connection::sender::batch::{Batch, OnSent};
use crate::connection::sender::quietly::quietly;
use crate::connection::sender::try_send_error::TrySendError;
use crate::error::Error;
use crate::io::expiry::Expiry;
use crate::proto::CloseCode;
use crate::proto::frame::MAX_HEADER;
use crate::session::headroom;

/// What a message counts beside its payload, in bytes: its place, the counts of references, and the
/// allocator's own.
const MESSAGE_OVERHEAD: usize = 128;

/// Up to this length, messages are copied to be written together, in bytes.
pub(super) const MAX_COPIED: usize = 16 << 10;

/// How much is written together, in bytes.
pub(super) const MAX_BATCH: usize = 64 << 10;

/// How many places an empty queue keeps.
const MAX_PLACES_KEPT: usize = 64;

/// Up to so many places are not refused.
const SMALL: usize = headroom::SMALL / size_of::<OwnedMessage>();

/// See the [module](self).
pub(crate) struct Backlog {
    state: Mutex<State>,
    /// Signalled when something was written, or the queue is closed, and somebody waits for that.
    changed: Condvar,
    connection: Weak<ConnectionShared>,
    max_bytes: usize,
    /// How often a payload may be in memory: as it is, and compressed.
    copies: usize,
}

struct State {
    status: Status,
    messages: VecDeque<OwnedMessage>,
    /// What the messages count, in bytes, and those that are being written. At most `max_bytes`.
    charged: usize,
    /// Of that, what is being written, and how many messages that is.
    writing: usize,
    writing_count: usize,
    scheduled: bool,
    /// Whether the next room is that of somebody who waits for it.
    claimed: bool,
    /// Messages that were ever queued; of these so many are written, with so many bytes of payload.
    pushed: u64,
    sent: u64,
    sent_bytes: u64,
    /// How many threads wait for a change.
    waiting: u32,
    on_sent: Option<Arc<OnSent>>,
    /// Who writes; `None` once the queue is closed.
    flusher: Option<Box<dyn Flush>>,
}

#[derive(Debug, PartialEq, Eq)]
enum Status {
    Open,
    /// Takes nothing more; whoever waits for what is queued ends the connection.
    Draining,
    /// Takes nothing more; this Close follows what is queued.
    Closing(CloseCode, String),
    Closed,
}

/// Who writes what is queued.
pub(super) trait Flush: Send + Sync {
    /// Looks after a queue in which something waits.
    fn push(&self, backlog: Arc<Backlog>);
}

impl Backlog {
    pub(super) fn new(
        shared: &Arc<ConnectionShared>,
        max_bytes: usize,
        flusher: Box<dyn Flush>,
    ) -> Self {
        let state = State {
            status: Status::Open,
            messages: VecDeque::new(),
            charged: 0,
            writing: 0,
            writing_count: 0,
            scheduled: false,
            claimed: false,
            pushed: 0,
            sent: 0,
            sent_bytes: 0,
            waiting: 0,
            on_sent: None,
            flusher: Some(flusher),
        };
        #[cfg(feature = "deflate")]
        let copies = if shared.compression().is_some() { 2 } else { 1 };
        #[cfg(not(feature = "deflate"))]
        let copies = 1;
        let connection = Arc::downgrade(shared);
        Self { state: Mutex::new(state), changed: Condvar::new(), connection, max_bytes, copies }
    }

    pub(super) fn connection(&self) -> Option<Arc<ConnectionShared>> {
        self.connection.upgrade()
    }

    /// Queues all of these, or none.
    pub(super) fn push(self: &Arc<Self>, messages: &[OwnedMessage]) -> Result<(), TrySendError> {
        let add = |sum: usize, message| sum.saturating_add(self.charge(message));
        let charge = messages.iter().fold(0, add);
        self.push_to(self.lock(), messages, charge)
    }

    pub(super) fn push_within(
        self: &Arc<Self>,
        message: &OwnedMessage,
        within: Duration,
    ) -> Result<(), TrySendError> {
        let charge = self.charge(message);
        let mut has_claim = false;
        // Those who have less to queue come behind one who waits, or there would be no room for much.
        let is_full = |state: &mut State| {
            let is_full = charge > self.max_bytes.saturating_sub(state.charged);
            let waits = state.status == Status::Open && (is_full || state.claimed && !has_claim);
            has_claim |= waits && !mem::replace(&mut state.claimed, true);
            waits
        };
        let within = if charge > self.max_bytes { Duration::ZERO } else { within };
        let mut state = self.wait_while(within, is_full);
        if has_claim {
            state.claimed = false;
            self.notify(&state);
        }
        self.push_to(state, slice::from_ref(message), charge)
    }

    fn push_to(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        messages: &[OwnedMessage],
        charge: usize,
    ) -> Result<(), TrySendError> {
        if state.status != Status::Open {
            return Err(TrySendError::Closed);
        }
        let has_room = charge <= self.max_bytes.saturating_sub(state.charged);
        if !has_room || !reserve(&mut state.messages, messages.len()) {
            return Err(TrySendError::Full);
        }
        state.messages.extend(messages.iter().cloned());
        state.charged += charge;
        state.pushed += messages.len() as u64;
        if !messages.is_empty() {
            self.schedule(&mut state);
        }
        Ok(())
    }

    /// Drops what waits, and takes nothing more.
    pub(super) fn drop_messages(&self) {
        let mut state = self.lock();
        if state.status == Status::Open {
            state.status = Status::Draining;
        }
        state.charged = state.writing;
        let messages = mem::take(&mut state.messages);
        self.notify(&state);
        drop(state);
        drop(messages);
    }

    pub(super) fn close(self: &Arc<Self>, code: CloseCode, reason: &str) {
        let mut state = self.lock();
        if let Status::Open | Status::Draining = state.status {
            state.status = Status::Closing(code, reason.to_owned());
            self.notify(&state);
            self.schedule(&mut state);
        }
    }

    /// The same for the flusher, when what it has begun to write will never be.
    pub(super) fn fail(&self) {
        self.shut();
        let mut state = self.lock();
        (state.charged, state.writing, state.writing_count) = (0, 0, 0);
    }

    pub(super) fn wait_for_room(&self, most: usize, within: Duration) -> bool {
        let is_more = |state: &mut State| state.status != Status::Closed && state.charged > most;
        !is_more(&mut self.wait_while(within, is_more))
    }

    pub(super) fn flush(&self, within: Duration) -> Result<bool, Error> {
        let pushed = self.lock().pushed;
        let state =
            self.wait_while(within, |state| state.status != Status::Closed && state.sent < pushed);
        match state.sent >= pushed {
            false if state.status == Status::Closed => Err(Error::Closed),
            is_sent => Ok(is_sent),
        }
    }

    pub(super) fn on_sent(&self, f: Arc<OnSent>) {
        let mut state = self.lock();
        let before = match state.status {
            Status::Closed => Some(f),
            _ => state.on_sent.replace(f),
        };
        drop(state);
        drop(before);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().status != Status::Open
    }

    pub(super) fn len(&self) -> usize {
        let state = self.lock();
        state.messages.len() + state.writing_count
    }

    pub(super) fn charged(&self) -> usize {
        self.lock().charged
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Messages that were written, and the bytes of payload in them.
    pub(super) fn sent(&self) -> (u64, u64) {
        let state = self.lock();
        (state.sent, state.sent_bytes)
    }

    /// Takes out what is to be written together next, for the flusher.
    pub(super) fn take(&self, batch: &mut Batch) {
        let mut state = self.lock();
        while let Some(message) = state.messages.front() {
            let len = message.len();
            // Headers too, so that there are not too many of empty ones.
            let size = batch.len + len + (batch.count + 1) * MAX_HEADER;
            if batch.count > 0 && size > MAX_BATCH {
                break;
            }
            batch.len += len;
            batch.count += 1;
            batch.charged += self.charge(message);
            batch.messages.extend(state.messages.pop_front());
            if len > MAX_COPIED {
                break;
            }
        }
        if state.messages.is_empty() && state.messages.capacity() > MAX_PLACES_KEPT {
            state.messages = VecDeque::new();
        }
        (state.writing, state.writing_count) = (batch.charged, batch.count);
        batch.on_sent.clone_from(&state.on_sent);
        if batch.count == 0
            && let Status::Closing(code, reason) = &state.status
        {
            batch.close = Some((*code, reason.clone()));
        }
    }

    /// A batch is written and counts no more, which is `told` before anybody else may write; whether
    /// there is more to do for the flusher, which gives the queue up otherwise.
    pub(super) fn written(&self, batch: &Batch, told: impl FnOnce()) -> bool {
        let mut state = self.lock();
        state.charged -= batch.charged;
        (state.writing, state.writing_count) = (0, 0);
        drop(state);
        told();
        let mut state = self.lock();
        state.sent += batch.count as u64;
        state.sent_bytes += batch.len as u64;
        self.notify(&state);
        state.scheduled = !state.messages.is_empty() || matches!(state.status, Status::Closing(..));
        state.scheduled
    }

    fn schedule(self: &Arc<Self>, state: &mut State) {
        if !state.scheduled
            && let Some(flusher) = &state.flusher
        {
            flusher.push(Arc::clone(self));
            state.scheduled = true;
        }
    }

    fn charge(&self, message: &OwnedMessage) -> usize {
        message.capacity().saturating_mul(self.copies).saturating_add(MESSAGE_OVERHEAD)
    }

    fn wait_while(
        &self,
        within: Duration,
        mut is_so: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'_, State> {
        let expiry = Expiry::after(within);
        let mut state = self.lock();
        while is_so(&mut state)
            && let Some(left) = expiry.left()
        {
            state.waiting += 1;
            // Longer ones would overflow in some system's clock.
            let waited = self.changed.wait_timeout(state, left.min(Duration::from_secs(3600)));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        state
    }

    fn notify(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Nothing that can panic runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue for Backlog {
    fn drain(&self) {
        let mut state = self.lock();
        if state.status == Status::Open {
            state.status = Status::Draining;
            self.notify(&state);
        }
    }

    fn wait_drained(&self, within: Duration) {
        drop(self.wait_while(within, |state| match state.status {
            Status::Open | Status::Draining => state.sent < state.pushed,
            Status::Closing(..) => true,
            Status::Closed => false,
        }));
    }

    fn shut(&self) {
        let mut state = self.lock();
        state.status = Status::Closed;
        state.charged = state.writing;
        // Dropped outside the lock: it may be much, and the last of a flusher's queues.
        let rest = (mem::take(&mut state.messages), state.flusher.take());
        let on_sent = state.on_sent.take();
        self.notify(&state);
        drop(state);
        drop(rest);
        // It is the application's, and may panic: whoever ends a connection has more to do, and others.
        quietly(|| drop(on_sent));
    }
}

/// Makes room for so many more, if there is memory for it.
fn reserve(messages: &mut VecDeque<OwnedMessage>, more: usize) -> bool {
    let len = messages.len().saturating_add(more);
    if len <= messages.capacity() {
        return true;
    }
    let mut grow = || messages.try_reserve(more).is_ok();
    match len < SMALL {
        true => grow(),
        false => headroom::allocate(2 * len * size_of::<OwnedMessage>(), grow) == Some(true),
    }
}
