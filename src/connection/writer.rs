//! Who may write to the stream, and in which order.
//!
//! ```text
//!   send ── waits for the right to write ──▶ writes, no lock held ──▶ release: outbox empty? ──▶ free
//!   push_control, close ──▶ outbox ── only if nobody writes ──────────▲    │ no: writes that
//!                                                                     └────┘
//! ```
//!
//! A control frame must not wait for a thread that is blocked in a long write: it goes to the
//! outbox, and whoever may write sends what is there before giving that up. `loom` tries every order
//! of these steps, in `writer/models.rs`.

use std::io::{self, IoSlice};
use std::mem;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use crate::config::Timeouts;
use crate::error::Error;
use crate::io::expiry::Expiry;
use crate::io::stream::Sink;
use crate::session::timers::allowance;
use crate::session::{CloseAction, Closing};

mod base;
mod line;
mod write_lock;
mod unsent;
mod waiting;
#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom), feature = "event-loop"))]
mod tests;

use base::Base;
pub(crate) use line::Waiter;
pub(crate) use unsent::{Progress, Unsent};
pub(crate) use waiting::Unit;
pub(crate) use write_lock::Failure;
pub(crate) use write_lock::WriteGuard;
use write_lock::{FlushLimit, StateGuard, WriteLock};

/// How much of Pings and Pongs waits for a blocked writer before the older ones are dropped, in
/// bytes.
const MAX_CONTROL_QUEUED: usize = 4 << 10;

/// See the [module](self).
pub(crate) struct Writer<S> {
    lock: WriteLock<S>,
    timeout: Base,
}

/// Why the right to write is not to be had.
pub(crate) enum Denied {
    /// Others have it, or a message in fragments is under way.
    Busy,
    /// Nothing can be sent any more.
    Over,
}

impl<S: Sink> Writer<S> {
    /// Of a stream that has been accepted; no frame may be sent on it yet.
    pub(crate) fn new(stream: S, timeouts: &Timeouts) -> Self {
        Self { lock: WriteLock::new(stream), timeout: Base::new(timeouts.write) }
    }

    pub(crate) fn stream(&self) -> &S {
        &self.lock.stream
    }

    /// How long a write of `len` bytes may take.
    pub(crate) fn timeout(&self, len: u64) -> Duration {
        allowance(self.timeout.get(), len)
    }

    /// Another write timeout for the connection that is about to [`open`](Self::open).
    pub(crate) fn set_timeout(&self, timeout: Duration) {
        self.timeout.set(timeout);
    }

    /// Writes the answer that opens the connection, lets frames follow it, and counts on a
    /// receiving half from now on.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub(crate) fn open(&self, reply: &[u8]) -> Result<(), Error> {
        let guard = self.lock.resume();
        let result = self.stream().write_all(&mut [IoSlice::new(reply)], self.timeout.get());
        if result.is_ok() {
            self.lock.lock().receiving = true;
        }
        guard.release(result, FlushLimit::Within(self.timeout.get()))
    }

    /// Writes whole messages within their time, and waits for others who write before that for no
    /// longer.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once our Close is due; [`Error::DeadlineExceeded`] if the time passes, and
    /// [`Error::Io`].
    // An echo of 20 bytes: 1,340 instructions, 1,370 without it.
    #[inline(always)]
    pub(crate) fn send(&self, frames: &mut [IoSlice<'_>]) -> Result<(), Error> {
        let len: usize = frames.iter().map(|frame| frame.len()).sum();
        self.send_within(frames, Unit::Messages, self.timeout(len as u64))
    }

    /// The same for one unit or the other, within a time of the caller's.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    // An echo of 20 bytes: 1,340 instructions, 1,368 without it.
    #[inline(always)]
    pub(crate) fn send_within(
        &self,
        frames: &mut [IoSlice<'_>],
        unit: Unit,
        within: Duration,
    ) -> Result<(), Error> {
        let mut state = self.lock.lock();
        if unit.is_held_up(&state, None) {
            state = self.lock.wait_to_write(state, unit, within, self.timeout.get())?;
        }
        if !state.closing.may_send() {
            return Err(Error::Closed);
        }
        let guard = self.lock.acquire(&mut state);
        drop(state);
        let result = self.stream().write_all(frames, within);
        guard.release(result, FlushLimit::Within(self.timeout.get()))
    }

    /// Takes the right to write whole messages, if it is free, to [proceed](WriteGuard::proceed) with. If it
    /// is not and `joins`, the caller is in line from then on, unless another of the kind is, and comes back;
    /// a loop hears when it is first.
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub(crate) fn try_acquire(
        &self,
        waiter: Waiter,
        in_line: &mut bool,
        joins: bool,
    ) -> Result<WriteGuard<'_, S>, Denied> {
        let mut state = self.lock.lock();
        if state.is_half_sent() {
            self.lock.flush(state, FlushLimit::NonBlocking(self.timeout.get()));
            state = self.lock.lock();
        }
        if !state.closing.may_send() {
            Err(Denied::Over)
        } else if state.is_held(in_line.then_some(waiter)) {
            *in_line |= joins && state.line.join(waiter);
            Err(Denied::Busy)
        } else {
            if mem::take(in_line) {
                state.line.remove(waiter);
            }
            Ok(self.lock.acquire(&mut state))
        }
    }

    /// Waits for the right to write whole messages.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); nothing was sent.
    pub(crate) fn acquire(&self) -> Result<WriteGuard<'_, S>, Error> {
        Ok(self.lock.acquire(&mut *self.wait_to_begin()?))
    }

    /// Gives the right up after a write that came out so.
    ///
    /// # Errors
    ///
    /// That of the write.
    pub(crate) fn release(
        &self,
        guard: WriteGuard<'_, S>,
        result: io::Result<()>,
    ) -> Result<(), Error> {
        guard.release(result, FlushLimit::Within(self.timeout.get()))
    }

    /// The right that was kept when there was [more](Progress::More) to write.
    pub(crate) fn resume(&self) -> WriteGuard<'_, S> {
        self.lock.resume()
    }

    /// Sends whole control frames, without waiting for a thread that is blocked.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once our Close is due.
    pub(crate) fn push_control(&self, frames: &[u8]) -> Result<(), Error> {
        self.post_control(frames, FlushLimit::Within(self.timeout.get()))
    }

    /// The same, without waiting for the peer either.
    #[cfg(feature = "event-loop")]
    pub(crate) fn try_push_control(&self, frames: &[u8]) -> Result<(), Error> {
        self.post_control(frames, FlushLimit::NonBlocking(self.timeout.get()))?;
        let state = self.lock.lock();
        if !state.writing && state.outbox.is_some() {
            // Nobody else sees to it that the peer takes the rest in time.
            self.stream().notify_loop();
        }
        Ok(())
    }

    /// Sends a Close, unless one has passed, without waiting for a thread that is blocked.
    pub(crate) fn close(&self, action: CloseAction, within: Duration) {
        self.post_close(action, FlushLimit::Within(within));
    }

    /// The same, without waiting for the peer either: what it has no room for is left to
    /// [`retry`](Self::retry), or to whoever sends next.
    pub(crate) fn try_close(&self, action: CloseAction) {
        self.post_close(action, FlushLimit::NonBlocking(self.timeout.get()));
    }

    /// Sends what waits, as far as the peer has room for it now; whether nothing is left.
    pub(crate) fn retry(&self) -> bool {
        self.lock.flush(self.lock.lock(), FlushLimit::NonBlocking(self.timeout.get()));
        self.lock.lock().is_flushed()
    }

    /// Begins a message in fragments; others wait for [`end_message`](Self::end_message).
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub(crate) fn begin_message(&self) -> Result<(), Error> {
        self.wait_to_begin()?.line.set_fragmented(true);
        Ok(())
    }

    /// The message in fragments is over, or never will be.
    pub(crate) fn end_message(&self) {
        let mut state = self.lock.lock();
        state.line.set_fragmented(false);
        self.lock.notify(&state);
    }

    /// When our Close was written, if it is.
    pub(crate) fn closed_at(&self) -> Option<Instant> {
        self.lock.lock().closing.written_at()
    }

    /// Whether the stream has failed, or is somebody else's.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.lock.lock().closing, Closing::Failed(_) | Closing::Detached)
    }

    /// Whether no Close of ours is due.
    pub(crate) fn may_send(&self) -> bool {
        self.lock.lock().closing.may_send()
    }

    /// Whether somebody is writing.
    pub(crate) fn is_writing(&self) -> bool {
        self.lock.lock().writing
    }

    /// Whether a message would have to wait for others.
    #[cfg(feature = "event-loop")]
    pub(crate) fn is_busy(&self) -> bool {
        self.lock.lock().is_held(None)
    }

    /// Whether our Close has gone out by now, or the connection has ended without.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock.is_closed()
    }

    /// Nothing more can be sent, for this reason, unless there is another already.
    pub(crate) fn fail(&self, failure: Failure) {
        self.lock.end(&mut self.lock.lock(), |closing| closing.fail(failure));
    }

    /// What to tell of a stream that failed or ended: the reason why we ended it, if we did.
    pub(crate) fn cause_of(&self, error: Error) -> Error {
        match self.lock.lock().closing {
            Closing::Failed(failure) => failure.error(),
            _ => error,
        }
    }

    /// Hands the stream over to somebody who will speak for themselves, once whoever writes is
    /// through, or has had the write timeout. Whether our Close is out.
    pub(crate) fn detach(&self) -> bool {
        let mut state = self.lock.wait_for_writer(self.timeout.get());
        let close_sent = state.closing.is_sent();
        self.lock.end(&mut state, |closing| closing.detach());
        close_sent
    }

    /// The same before anything was sent, by whoever would have opened the connection.
    pub(crate) fn hand_over(&self) {
        let guard = self.lock.resume();
        let mut state = self.lock.lock();
        self.lock.end(&mut state, |closing| closing.detach());
        guard.end(&mut state);
    }

    /// The receiving half reads the stream no more.
    pub(crate) fn release_reader(&self) {
        let mut state = self.lock.lock();
        state.receiving = false;
        self.lock.notify(&state);
    }

    /// Begins to end the connection; whether nobody else does already, and the stream is still ours.
    pub(crate) fn begin_end(&self) -> bool {
        let mut state = self.lock.lock();
        !mem::replace(&mut state.ending, true) && state.closing != Closing::Detached
    }

    /// Waits until no receiving half reads the stream, so that another may; whether none does then.
    pub(crate) fn wait_for_reader(&self, expiry: Expiry) -> bool {
        let left = expiry.left().unwrap_or_default();
        self.lock.wait_while(self.lock.lock(), left, |state| state.receiving).1
    }

    /// Waits until nobody writes: what waits in the outbox is out by then.
    pub(crate) fn wait_for_writer(&self, expiry: Expiry) {
        drop(self.lock.wait_for_writer(expiry.left().unwrap_or_default()));
    }

    /// Waits until a message may begin.
    fn wait_to_begin(&self) -> Result<StateGuard<'_>, Error> {
        let (state, timeout) = (self.lock.lock(), self.timeout.get());
        let state = self.lock.wait_to_write(state, Unit::Messages, timeout, timeout)?;
        if state.closing.may_send() { Ok(state) } else { Err(Error::Closed) }
    }

    fn post_control(&self, frames: &[u8], limit: FlushLimit) -> Result<(), Error> {
        let mut state = self.lock.lock();
        if !state.closing.may_send() {
            return Err(Error::Closed);
        }
        let control = &mut state.outbox().control;
        // §5.5.3: only the latest Ping needs an answer, so older ones may go.
        if control.len() + frames.len() > MAX_CONTROL_QUEUED {
            control.clear();
        }
        control.extend_from_slice(frames);
        self.lock.flush(state, limit);
        Ok(())
    }

    /// Puts the Close that this calls for into the outbox, and sends what is there if nobody writes.
    fn post_close(&self, action: CloseAction, limit: FlushLimit) {
        let mut state = self.lock.lock();
        let mut frame = Vec::new();
        if state.closing.close(action, &mut frame) {
            // Our Close is out: §7.1.1: our side of the stream ends behind it.
            self.stream().shutdown(Shutdown::Write);
        }
        if !frame.is_empty() {
            state.outbox().close = frame;
            // Nobody may send any more, whether they wait for it or not.
            self.lock.notify(&state);
        }
        // Also one that an earlier call found no room for.
        self.lock.flush(state, limit);
    }
}
