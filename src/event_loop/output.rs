//! What a connection of a loop sends, without waiting for its peer.
//!
//! ```text
//!   push ──▶ frames, of the loop's one buffer ──▶ flush, once a batch ──▶ the socket
//!                                                   ├─ others write ─────────▶ backpressure: held
//!                                                   └─ the peer has no room ─▶ backpressure: unsent, and
//!   resume ◀── there is room, or others may be through ◀──────────────────────── the right to write
//! ```
//!
//! While there is any of that, the connection is *congested*: nothing of its peer is read, so that what it
//! calls for stays bounded. Where compression was agreed on, what goes out is deflated when we have
//! the right to write, since it refers to what went out before; what is long, a part a turn, and so it is
//! held too.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::writer::{Denied, Progress, Unsent, Waiter};
use crate::error::Error;
use crate::proto::OpCode;
use crate::proto::encoder::{self, FrameHeader};
use crate::session::{Charge, CloseAction};

#[cfg(feature = "deflate")]
mod deflating;
#[cfg(not(feature = "deflate"))]
mod plain;
mod scratch;
mod writing;
mod backpressure;

pub(super) use backpressure::{Backpressure, MAX_BACKPRESSURE, ROOM_INTERVAL};
use deflating::{to_send, within};
#[cfg(not(feature = "deflate"))]
use plain as deflating;
pub(crate) use scratch::Scratch;
use scratch::{MAX_BATCH, MAX_COPIED, MAX_WRITE, MIN_DEFLATED};
use writing::{proceed, send};

/// The sending side of a connection.
pub(crate) struct Output {
    pub(super) shared: Arc<ConnectionShared>,
    pub(super) backpressure: Option<Box<Backpressure>>,
    /// Why nothing more can be sent, if that has come to light.
    pub(super) failed: Option<Box<Error>>,
    /// The Close that is due behind all that was sent.
    pub(super) close: Option<Box<DueClose>>,
    /// Whether messages are thrown away behind that.
    pub(super) discards: bool,
    /// Whether a control frame or a Close waits for room, or for others who write.
    pub(super) is_posted: bool,
    /// When the handler wants to be called.
    pub(super) timer: Option<Box<Instant>>,
    /// While the peer is not read, though nothing is queued, or input waits.
    pub(super) paused: Option<Box<Paused>>,
    /// Whether others have their turn first, and nothing else is waited for: with what is queued, for which
    /// there was still room, or with input.
    pub(super) goes_on: bool,
}

/// A Close that the handler wants, or that the peer has called for.
pub(super) struct DueClose {
    pub(super) action: CloseAction,
    /// What was wrong with what the peer has sent, if that is the reason.
    pub(super) error: Option<Error>,
}

/// What has come of a peer that is not read.
#[derive(Default)]
pub(super) struct Paused {
    rest: Vec<u8>,
    charge: Option<Charge>,
    /// Whether the handler wants that. Else it is over once the handler has returned, and what is queued
    /// is sent.
    pub(super) is_wanted: bool,
}

impl Output {
    pub(super) fn new(shared: Arc<ConnectionShared>) -> Self {
        Self {
            shared,
            backpressure: None,
            failed: None,
            close: None,
            discards: false,
            is_posted: false,
            timer: None,
            paused: None,
            goes_on: false,
        }
    }

    #[inline]
    pub(super) fn is_congested(&self) -> bool {
        self.backpressure.is_some()
    }

    /// Whether what is queued waits for others who write.
    pub(super) fn waits_for_others(&self) -> bool {
        self.backpressure.as_ref().is_some_and(|queued| queued.blocked.is_some())
    }

    /// Whether there is something else to do than to take the next message.
    #[inline]
    pub(super) fn is_disturbed(&self) -> bool {
        self.reads_nothing() || self.close.is_some() || self.failed.is_some()
    }

    /// Whether the peer is not read.
    #[inline]
    pub(super) fn reads_nothing(&self) -> bool {
        self.is_congested() || self.paused.is_some()
    }

    /// The peer is not read for now.
    pub(super) fn pause_reading(&mut self) {
        self.paused.get_or_insert_default().is_wanted = true;
    }

    /// The peer is read again.
    pub(super) fn resume_reading(&mut self) {
        if let Some(paused) = &mut self.paused {
            paused.is_wanted = false;
        }
    }

    /// Has input wait, if it is not looked at now; whether there is memory for it, if so.
    pub(super) fn put_aside(&mut self, input: &[u8]) -> Option<bool> {
        if self.is_congested() || self.goes_on {
            self.paused.get_or_insert_default();
        } else {
            // A pause that was over in the same call was none.
            self.paused.take_if(|paused| !paused.is_wanted && paused.rest.is_empty());
        }
        let paused = self.paused.as_mut()?;
        paused.rest.extend_from_slice(input);
        let budget = &self.shared.server.budget;
        let charge = paused.charge.get_or_insert_with(|| Charge::new(budget));
        Some(charge.grow(paused.rest.len() as u64))
    }

    /// The input that waited, if it is time for it.
    #[inline]
    pub(super) fn unpause(&mut self) -> Option<Vec<u8>> {
        if self.is_congested() || self.goes_on {
            return None;
        }
        Some(self.paused.take_if(|paused| !paused.is_wanted)?.rest)
    }

    /// Sends a control frame or a Close that waits, if that can be now.
    pub(super) fn retry_posted(&mut self) {
        self.is_posted = !self.shared.writer.retry();
    }

    /// How much is queued and not written, in bytes.
    pub(super) fn queued_bytes(&self) -> usize {
        self.backpressure.as_ref().map_or(0, |queued| queued.left())
    }

    /// Whether nothing can be sent any more.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        let writer = &self.shared.writer;
        // Others may still write ahead of it.
        self.close.is_some() || writer.is_closed() || self.is_posted && !writer.may_send()
    }

    /// Sends the 101, which lets frames follow it.
    pub(super) fn begin(&mut self, scratch: &mut Scratch, reply: &[u8]) {
        let writer = &self.shared.writer;
        let timeout = writer.timeout(reply.len() as u64);
        // The right to write is ours from the start.
        let unsent = &mut scratch.unsent;
        let progress = writer.resume().send_now(&[reply], usize::MAX, unsent, timeout);
        self.sent(scratch, progress, MAX_WRITE);
    }

    /// Has a frame go out.
    #[inline(always)]
    pub(super) fn push(&mut self, scratch: &mut Scratch, opcode: OpCode, payload: &[u8]) {
        if self.backpressure.is_some() || payload.len() > MAX_COPIED {
            return self.push_later(scratch, opcode, payload);
        }
        encoder::frame(opcode, payload, &mut scratch.frames);
        if scratch.frames.len() >= MAX_BATCH {
            self.flush(scratch);
        }
    }

    /// The same for one that waits, or is worth no copy.
    #[inline(never)]
    fn push_later(&mut self, scratch: &mut Scratch, opcode: OpCode, payload: &[u8]) {
        if self.backpressure.is_some() || self.compresses() {
            return self.push_marked(scratch, opcode, payload, 0);
        }
        let header = FrameHeader::new(true, opcode, payload.len());
        self.flush_with(scratch, [header.as_bytes(), payload]);
        scratch.give_back();
    }

    /// The same for one that is not to be compressed.
    #[cfg(feature = "deflate")]
    pub(super) fn push_plain(&mut self, scratch: &mut Scratch, opcode: OpCode, payload: &[u8]) {
        match self.compresses() {
            true => self.push_marked(scratch, opcode, payload, deflating::PLAIN),
            false => self.push(scratch, opcode, payload),
        }
    }

    /// Has a frame with this mark go out, or wait.
    fn push_marked(&mut self, scratch: &mut Scratch, opcode: OpCode, payload: &[u8], mark: u8) {
        let queued = self.backpressure.as_mut().map(|queued| &mut queued.held);
        let frames = queued.unwrap_or(&mut scratch.frames);
        let at = frames.len();
        encoder::frame(opcode, payload, frames);
        frames[at] |= mark;
        self.charge();
        self.flush(scratch);
        scratch.give_back();
    }

    /// Whether compression was agreed on.
    fn compresses(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.shared.compression().is_some();
        #[cfg(not(feature = "deflate"))]
        false
    }

    /// Sends what was pushed.
    pub(super) fn flush(&mut self, scratch: &mut Scratch) {
        if !scratch.frames.is_empty() {
            self.flush_with(scratch, [&[]; 2]);
        }
    }

    /// The same, and a frame of this header and payload behind it.
    fn flush_with(&mut self, scratch: &mut Scratch, frame: [&[u8]; 2]) {
        debug_assert!(self.backpressure.is_none());
        let most = MAX_WRITE.min(scratch.left);
        let most_work = MIN_DEFLATED.max(scratch.to_deflate);
        let (len, work) = within(&self.shared, &scratch.frames, most_work);
        if most == 0 || len < scratch.frames.len() {
            self.goes_on = true;
            return self.hold(scratch, frame);
        }
        let sent = self.shared.writer.try_acquire(Waiter::Loop, &mut true, true).map(|guard| {
            let Scratch { frames, deflated, unsent, .. } = &mut *scratch;
            let bufs = to_send(&self.shared, frames, deflated, frame);
            send(guard, &self.shared, bufs, most, unsent)
        });
        match sent {
            Ok(progress) => {
                let len = len + frame[0].len() + frame[1].len();
                scratch.left = scratch.left.saturating_sub(len);
                scratch.to_deflate = scratch.to_deflate.saturating_sub(work);
                self.sent(scratch, progress, most.saturating_sub(len));
            }
            Err(Denied::Busy) => {
                self.hold(scratch, frame);
                if let Some(queued) = &mut self.backpressure {
                    let _ = queued.wait_for_others(&self.shared);
                }
                return;
            }
            Err(Denied::Over) => {}
        }
        scratch.frames.clear();
    }

    /// Nothing can be begun now.
    #[cold]
    fn hold(&mut self, scratch: &mut Scratch, [header, payload]: [&[u8]; 2]) {
        // It may be long.
        let mut held = mem::take(&mut scratch.frames);
        held.extend_from_slice(header);
        held.extend_from_slice(payload);
        held.shrink_to_fit();
        self.keep(Unsent::new(Vec::new()), false, held);
    }

    /// A write has come so far, and so much more may be written.
    #[inline(always)]
    fn sent(
        &mut self,
        scratch: &mut Scratch,
        mut progress: Result<Progress, Error>,
        mut most: usize,
    ) {
        // No news of room comes before a write that finds none.
        while let Ok(Progress::More { moved: true }) = progress
            && most > 0
        {
            progress = proceed(&self.shared, &mut scratch.unsent, &mut most);
        }
        match progress {
            Ok(Progress::Done) => {}
            Ok(Progress::More { moved }) => {
                let unsent = mem::replace(&mut scratch.unsent, Unsent::new(Vec::new()));
                self.goes_on |= moved;
                self.keep(unsent, true, Vec::new());
            }
            Err(error) => {
                // What was left of it goes nowhere.
                scratch.unsent = Unsent::new(Vec::new());
                self.failed = Some(Box::new(error));
            }
        }
    }

    #[cold]
    fn keep(&mut self, unsent: Unsent, is_begun: bool, held: Vec<u8>) {
        let charge = Charge::new(&self.shared.server.budget);
        self.backpressure = Some(Box::new(Backpressure {
            unsent,
            is_begun,
            held,
            deflating: None,
            charge,
            blocked: None,
        }));
        self.charge();
    }

    /// Charges what is queued, or fails.
    fn charge(&mut self) {
        if !self.charge_queued() {
            self.failed = Some(Box::new(Error::Overloaded));
        }
    }

    /// Charges what is queued; whether there is memory for it.
    fn charge_queued(&mut self) -> bool {
        self.backpressure.as_mut().is_none_or(|queued| {
            queued.charge.grow(queued.len().next_multiple_of(MAX_BATCH) as u64)
        })
    }

    /// Goes on with what is queued: there may be room. Whether something was, and is no more.
    pub(super) fn resume(&mut self, scratch: &mut Scratch) -> bool {
        let Some(mut queued) = self.backpressure.take() else { return false };
        self.goes_on = false;
        match queued.resume(&self.shared, scratch) {
            Ok(Progress::Done) => return true,
            Ok(Progress::More { moved }) => {
                (self.backpressure, self.goes_on) = (Some(queued), moved);
            }
            Err(error) => self.failed = Some(Box::new(error)),
        }
        false
    }

    /// Nothing more is to be begun, and what has come of the peer goes unheard; whether there is memory
    /// for what was begun.
    pub(super) fn abandon_waiting(&mut self) -> bool {
        self.paused = None;
        if let Some(queued) = &self.backpressure {
            // The right to write has to be given up.
            self.goes_on |= queued.deflating.is_some();
        }
        self.backpressure.take_if(|queued| !queued.abandon_held());
        self.charge_queued()
    }

    /// When what is queued has to be looked at, whatever the socket says.
    pub(super) fn look_at(&self, now: Instant) -> Option<Instant> {
        Some(self.backpressure.as_ref()?.look_at(now))
    }
}
