//! A room that this process has members in: what it has published, and what it has heard.
//!
//! ```text
//!              confirm: Redis sends what is published
//!   local ───────────────────────────────────────────────> live
//!     │   <──────────── suspend: nobody knows any more ────  │
//!     └─ a message is delivered here at once,                └─ it is delivered when it comes back,
//!        and published when that can be                         so that the order is the same for all
//! ```
//!
//! What is published while the room is live is remembered until it comes back. If it cannot come back,
//! it is delivered from memory, in order; so the members of this process have each message of their own
//! once, whatever happens to Redis.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use barews::{OwnedMessage, PublishError};

use super::envelope::{Content, Header, is_valid};
use super::numbers::{Numbers, Verdict};
use super::outbox::{Charge, Item, Outbox};
use super::stats::Stats;
use crate::limits::MEMORY;

/// How much may be on its way to Redis and back before the next message waits: half of what a member's
/// queue may hold, so that it never overflows by what came from its own process alone.
const MAX_UNRETURNED_BYTES: usize = 256 << 10;
const MAX_UNRETURNED: usize = 4096;

/// Hands a message to each member of a room, in this process.
pub type Deliver = Box<dyn Fn(&str, &OwnedMessage) + Send + Sync>;

/// What all channels of a process share.
pub struct ChannelShared {
    /// This process, by chance.
    pub origin: u64,
    /// In bytes.
    pub max_message: usize,
    pub deliver: Deliver,
    pub outbox: Outbox,
    pub stats: Stats,
}

/// A room.
pub struct Channel {
    pub name: Arc<str>,
    /// Of the times that this process had members in a room, which one this is.
    run: u64,
    state: Mutex<State>,
    /// Signalled when it becomes live or is no more, and when a message has come back.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_live: bool,
    /// Of the last message that was published here.
    number: u64,
    /// Published while it was live, and not delivered yet.
    unreturned: VecDeque<Arc<Item>>,
    /// Of all payloads in there.
    unreturned_bytes: usize,
    numbers: Numbers,
    /// Whether somebody has asked for a mark.
    is_mark_due: bool,
}

impl Channel {
    pub fn new(name: Arc<str>, run: u64) -> Self {
        Self { name, run, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits at most so long until what was published has come back, but for a little.
    pub fn wait_for_room(&self, within: Duration) {
        let is_full = |state: &mut State| {
            state.is_live
                && (state.unreturned_bytes > MAX_UNRETURNED_BYTES
                    || state.unreturned.len() >= MAX_UNRETURNED)
        };
        // The bound on all that is under way holds whatever comes of this.
        let _waited = self.changed.wait_timeout_while(self.lock(), within, is_full);
    }

    /// Waits at most so long until it is live; `goes_on` says whether that can be expected.
    pub fn wait_until_live(&self, within: Duration, goes_on: impl Fn() -> bool) {
        let waits = |state: &mut State| !state.is_live && goes_on();
        let _waited = self.changed.wait_timeout_while(self.lock(), within, waits);
    }

    /// Publishes a message, or only delivers it if it may not wait.
    pub fn publish(
        &self,
        context: &ChannelShared,
        message: &OwnedMessage,
        charge: Option<Charge>,
    ) -> Result<(), PublishError> {
        let mut state = self.lock();
        state.number += 1;
        let Some(charge) = charge else {
            // Its number is missed by the others, who count it too.
            Stats::add(&context.stats.lost_out, 1);
            state.deliver_unreturned(self, context);
            (context.deliver)(&self.name, message);
            return Err(PublishError::Full);
        };
        let header = self.header(context, Content::Message(message.kind()), state.number);
        let item = Item::new(&self.name, header, Some(message.clone()), Some(charge));
        if state.is_live {
            state.unreturned_bytes += item.len();
            state.unreturned.push_back(Arc::clone(&item));
        } else {
            (context.deliver)(&self.name, message);
        }
        // Under the lock, for the order of the numbers.
        context.outbox.push(item);
        Ok(())
    }

    /// Redis sends from now on what is published. Asks the others what they have sent so far.
    pub fn confirm(&self, context: &ChannelShared, now: Instant) {
        let mut state = self.lock();
        state.is_live = true;
        state.numbers.subscribed(now);
        self.push_mark(context, &state, true);
        self.changed.notify_all();
    }

    /// Nobody knows what Redis still sends.
    pub fn suspend(&self, context: &ChannelShared) {
        let mut state = self.lock();
        state.is_live = false;
        state.deliver_unreturned(self, context);
        self.changed.notify_all();
    }

    /// Something was published. Whether somebody else asks for a mark, for the first time since there
    /// was one.
    pub fn received(&self, context: &ChannelShared, header: Header, payload: &[u8]) -> bool {
        let mut state = self.lock();
        if header.origin == context.origin {
            self.returned(context, &mut state, header);
            return false;
        }
        let now = Instant::now();
        let (verdict, kind) = match header.content {
            Content::Message(kind) => {
                if payload.len() > context.max_message || !is_valid(kind, payload) {
                    Stats::add(&context.stats.ignored, 1);
                    return false;
                }
                let Header { origin, run, number, .. } = header;
                (state.numbers.message(origin, run, number, now), Some(kind))
            }
            Content::Mark { .. } => {
                (state.numbers.mark(header.origin, header.run, header.number, now), None)
            }
            Content::Beat => (Verdict::Implausible, None),
        };
        match verdict {
            Verdict::New { lost } => Stats::add(&context.stats.lost_in, lost),
            Verdict::Repeated => {}
            Verdict::Implausible => Stats::add(&context.stats.ignored, 1),
        }
        if let (Verdict::New { .. }, Some(kind)) = (verdict, kind) {
            match MEMORY.store_for_many(kind, payload.to_vec()) {
                Some(message) => {
                    Stats::add(&context.stats.received, 1);
                    // Under the lock, for the order.
                    (context.deliver)(&self.name, &message);
                }
                // It has come this far, but no further.
                None => Stats::add(&context.stats.lost_in, 1),
            }
        }
        let asks =
            header.content == Content::Mark { asks: true } && verdict != Verdict::Implausible;
        asks && !std::mem::replace(&mut state.is_mark_due, true)
    }

    /// Whether something was published so long ago and has not come back.
    pub fn is_overdue(&self, now: Instant, after: Duration) -> bool {
        let state = self.lock();
        state.unreturned.front().is_some_and(|item| now.saturating_duration_since(item.at) > after)
    }

    /// Sends the mark that was asked for.
    pub fn mark(&self, context: &ChannelShared) {
        let mut state = self.lock();
        state.is_mark_due = false;
        self.push_mark(context, &state, false);
    }

    /// One of our own has come back, and with it those before.
    fn returned(&self, context: &ChannelShared, state: &mut State, header: Header) {
        if !matches!(header.content, Content::Message(_)) || header.run != self.run {
            return;
        }
        while let Some(item) = state.unreturned.front()
            && item.header.number <= header.number
        {
            state.deliver_first(self, context);
        }
        self.changed.notify_all();
    }

    fn push_mark(&self, context: &ChannelShared, state: &State, asks: bool) {
        // Without room for it the next message tells as much.
        let cost = Item::cost(&self.name, 0);
        let Some(charge) = context.outbox.budget.take(cost, Duration::ZERO) else { return };
        let header = self.header(context, Content::Mark { asks }, state.number);
        context.outbox.push(Item::new(&self.name, header, None, Some(charge)));
    }

    fn header(&self, context: &ChannelShared, kind: Content, number: u64) -> Header {
        Header { content: kind, origin: context.origin, run: self.run, number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn deliver_unreturned(&mut self, channel: &Channel, context: &ChannelShared) {
        while !self.unreturned.is_empty() {
            self.deliver_first(channel, context);
        }
    }

    fn deliver_first(&mut self, channel: &Channel, context: &ChannelShared) {
        let Some(item) = self.unreturned.pop_front() else { return };
        self.unreturned_bytes -= item.len();
        if let Some(message) = &item.message {
            (context.deliver)(&channel.name, message);
        }
    }
}

impl ChannelShared {
    /// Whether Redis is there.
    pub fn is_up(&self) -> bool {
        self.stats.is_up.load(Ordering::Relaxed)
    }
}
