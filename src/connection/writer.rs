//! Who may write to the stream, and in which order.
//!
//! One thread at a time has the *turn*, for whole frames, so that frames never mix. A control frame
//! must not wait for a thread that is blocked in a long write: it goes to the outbox, and whoever
//! has the turn sends what is there before passing the turn on.
//!
//! ```text
//!   send ───── waits for the turn ────▶ turn ── writes, no lock held ──▶ outbox empty? ──▶ free
//!   push_control, close ─▶ outbox ──── takes the turn only if it is free ──▲    │ no: writes that
//!                                                                          └────┘
//! ```
//!
//! All of it is one state under one lock, which nobody holds while they write. So the outbox is
//! found empty in the same step in which the turn is given up, and nothing that is posted can be
//! missed. `loom` tries every order of these steps, in `writer/models.rs`.

use std::io::{ErrorKind, IoSlice};
use std::mem;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex, MutexGuard, atomic};

#[cfg(all(test, loom))]
mod models;
mod turn;

use atomic::{AtomicBool, Ordering};

use crate::error::{Deadline, Error};
use crate::io::deadline::Expiry;
use crate::io::stream::Sink;
use crate::proto::{CloseCode, CloseFrame};
use crate::session::Closing;
use turn::{Outbox, Patience, Turn};

/// How much of Pongs waits for a blocked writer before the older ones are dropped, in bytes.
const OUTBOX: usize = 4 << 10;

/// See the top of the file.
pub(crate) struct Writer {
    state: Mutex<State>,
    /// Signalled when something has changed that somebody waits for.
    changed: Condvar,
    /// Whether our Close has passed, or none can: what [`Phase`] says, without the lock.
    closing: AtomicBool,
}

struct State {
    /// Whether somebody has the turn.
    turn: bool,
    /// Whether a message is being sent in fragments, so that no other may begin (§5.4).
    message: bool,
    /// Whether the connection is to end behind our Close (§7.1.1).
    finished: bool,
    /// Whether a receiving half may still read the stream.
    receiving: bool,
    /// How many threads wait for a change.
    waiting: u32,
    phase: Phase,
    /// When the last byte of our Close was written.
    closed_at: Option<Instant>,
    /// `None` unless something waits.
    outbox: Option<Box<Outbox>>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// The 101 is not out yet: no frame may come before it.
    Opening,
    /// Frames may be sent, as far as the closing handshake lets them.
    Open(Closing),
    /// Nothing can follow what failed.
    Failed(Failure),
    /// The stream is somebody else's: not even a Close may come.
    Detached,
}

/// Why we ended the stream, for the one who then finds it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The peer did not take what was sent in time.
    WriteTimeout,
    /// It did not answer our Close in time.
    CloseTimeout,
    /// A write failed, perhaps part of the way.
    Write(ErrorKind),
}

/// A Close frame to send.
#[derive(Debug, Clone)]
pub(crate) enum CloseAction {
    /// The answer to the peer's.
    Reply(CloseFrame),
    /// The start of the closing handshake.
    Initiate(CloseCode, String),
    /// The end of a connection that has failed.
    Abort(CloseCode, String),
}

/// What a thread has to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Whole messages, none of which may come between the fragments of another.
    Messages,
    /// A fragment of the message that this thread has begun.
    Fragment,
}

impl Writer {
    pub(crate) fn new() -> Self {
        let state = State {
            turn: false,
            message: false,
            finished: false,
            receiving: false,
            waiting: 0,
            phase: Phase::Opening,
            closed_at: None,
            outbox: None,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), closing: AtomicBool::new(false) }
    }

    /// Writes the answer that opens the connection, lets frames follow it, and counts on a
    /// receiving half from now on.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub(crate) fn open(
        &self,
        sink: &impl Sink,
        reply: &[u8],
        within: Duration,
    ) -> Result<(), Error> {
        // Nobody else takes the turn before the connection is open.
        let turn = self.take_turn(&mut self.lock(), sink);
        let result = sink.write_all(&mut [IoSlice::new(reply)], within);
        let mut state = self.lock();
        if result.is_ok() && matches!(state.phase, Phase::Opening) {
            state.phase = Phase::Open(Closing::Open);
            state.receiving = true;
        }
        drop(state);
        turn.pass(result, Patience::Within(within))
    }

    /// Writes whole frames of data within such a time, and waits for the turn before that for no
    /// longer; `control` is the time that control frames
    /// may take which have to go out behind them.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once a Close has passed; [`Error::DeadlineExceeded`] if `within` passes, and
    /// [`Error::Io`].
    #[inline(always)]
    pub(crate) fn send(
        &self,
        sink: &impl Sink,
        frames: &mut [IoSlice<'_>],
        unit: Unit,
        within: Duration,
        control: Duration,
    ) -> Result<(), Error> {
        let mut state = self.lock();
        if state.is_busy_for(unit) {
            state = self.wait_for_turn(state, unit, within)?;
        }
        if !state.may_send() {
            return Err(Error::Closed);
        }
        let turn = self.take_turn(&mut state, sink);
        drop(state);
        let result = sink.write_all(frames, within);
        turn.pass(result, Patience::Within(control))
    }

    /// Sends whole control frames, without waiting for a thread that is blocked.
    pub(crate) fn push_control(&self, sink: &impl Sink, frames: &[u8], within: Duration) {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Opening) && !state.may_send() {
            return;
        }
        let outbox = state.outbox.get_or_insert_default();
        // §5.5.3: only the latest Ping needs an answer, so older ones may go.
        if outbox.frames.len() + frames.len() > OUTBOX {
            outbox.frames.clear();
        }
        outbox.frames.extend_from_slice(frames);
        self.deliver(state, sink, Patience::Within(within));
    }

    /// Sends a Close, unless one has passed, without waiting for a thread that is blocked.
    pub(crate) fn close(&self, sink: &impl Sink, action: CloseAction, within: Duration) {
        self.post_close(sink, action, Patience::Within(within));
    }

    /// The same, without waiting for the peer either: what it has no room for is left to
    /// [`retry`](Self::retry), or to whoever sends next.
    pub(crate) fn try_close(&self, sink: &impl Sink, action: CloseAction) {
        self.post_close(sink, action, Patience::None);
    }

    /// Sends what waits, as far as the peer has room for it now; whether nothing is left.
    pub(crate) fn retry(&self, sink: &impl Sink) -> bool {
        let state = self.lock();
        if state.outbox.is_none() {
            return true;
        }
        self.deliver(state, sink, Patience::None);
        self.lock().outbox.is_none()
    }

    /// Begins a message in fragments; others wait for [`end_message`](Self::end_message).
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub(crate) fn begin_message(&self, within: Duration) -> Result<(), Error> {
        let mut state = self.wait_for_turn(self.lock(), Unit::Messages, within)?;
        if !state.may_send() {
            return Err(Error::Closed);
        }
        state.message = true;
        Ok(())
    }

    /// The message in fragments is over, or never will be.
    pub(crate) fn end_message(&self) {
        let mut state = self.lock();
        state.message = false;
        self.notify(&state);
    }

    /// When our Close was sent, if it is.
    pub(crate) fn closed_at(&self) -> Option<Instant> {
        self.lock().closed_at
    }

    /// Whether somebody is writing.
    pub(crate) fn is_writing(&self) -> bool {
        self.lock().turn
    }

    /// Whether a Close of ours has been sent, or the connection has ended without. It may be so a
    /// moment later.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// Has our side of the stream end behind our Close; whether this is the first such call.
    pub(crate) fn finish(&self) -> bool {
        self.closing.store(true, Ordering::Relaxed);
        !mem::replace(&mut self.lock().finished, true)
    }

    /// Nothing more can be sent, for this reason, unless there is another already.
    pub(crate) fn fail(&self, failure: Failure) {
        self.fail_state(&mut self.lock(), failure);
    }

    /// Hands the stream over to somebody who will speak for themselves, once whoever has the turn
    /// is through, or has had `within`.
    pub(crate) fn detach(&self, within: Duration) {
        let deadline = Expiry::after(within);
        let mut state = self.lock();
        while state.turn
            && let Some(left) = deadline.left()
        {
            state = self.wait(state, left);
        }
        self.closing.store(true, Ordering::Relaxed);
        state.finished = true;
        state.outbox = None;
        if !matches!(state.phase, Phase::Failed(_)) {
            state.phase = Phase::Detached;
        }
        self.notify(&state);
    }

    /// Why we ended the stream, if we did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self.lock().phase {
            Phase::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The receiving half reads the stream no more.
    pub(crate) fn stop_receiving(&self) {
        let mut state = self.lock();
        state.receiving = false;
        self.notify(&state);
    }

    /// Waits until no receiving half reads the stream, so that another may; whether that is so by
    /// the deadline.
    pub(crate) fn wait_for_receiver(&self, deadline: Expiry) -> bool {
        let mut state = self.lock();
        while state.receiving
            && let Some(left) = deadline.left()
        {
            state = self.wait(state, left);
        }
        !state.receiving
    }

    fn post_close(&self, sink: &impl Sink, action: CloseAction, patience: Patience) {
        let mut state = self.lock();
        if matches!(state.phase, Phase::Opening | Phase::Open(_)) {
            state.outbox.get_or_insert_default().actions.push(action);
            self.deliver(state, sink, patience);
        }
    }

    /// Sends what waits in the outbox, unless somebody else has the turn, or has yet to open the
    /// connection, and so will.
    fn deliver(&self, mut state: MutexGuard<'_, State>, sink: &impl Sink, patience: Patience) {
        if state.turn || !matches!(state.phase, Phase::Open(_)) {
            return;
        }
        let turn = self.take_turn(&mut state, sink);
        drop(state);
        // The outbox is no caller's own write: who receives hears of its failure.
        let _ = turn.pass(Ok(()), patience);
    }

    fn take_turn<'a, S: Sink>(&'a self, state: &mut State, sink: &'a S) -> Turn<'a, S> {
        debug_assert!(!state.turn);
        state.turn = true;
        Turn { writer: self, sink }
    }

    /// Waits until this may be sent, or nothing may. What others take is not this one's: it has all
    /// of its own time then.
    #[cold]
    fn wait_for_turn<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        unit: Unit,
        within: Duration,
    ) -> Result<MutexGuard<'a, State>, Error> {
        let deadline = Expiry::after(within);
        while state.may_send() && state.is_busy_for(unit) {
            let left = deadline.left().ok_or(Error::DeadlineExceeded(Deadline::Write))?;
            state = self.wait(state, left);
        }
        Ok(state)
    }

    fn wait<'a>(&self, mut state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        state.waiting += 1;
        // Longer ones would overflow in some system's clock.
        let waited = self.changed.wait_timeout(state, most.min(Duration::from_secs(3600)));
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.waiting -= 1;
        state
    }

    #[inline]
    fn notify(&self, state: &State) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
    }

    fn fail_state(&self, state: &mut State, failure: Failure) {
        self.closing.store(true, Ordering::Relaxed);
        if matches!(state.phase, Phase::Opening | Phase::Open(_)) {
            state.phase = Phase::Failed(failure);
        }
        state.outbox = None;
        self.notify(state);
    }

    /// The state stays whole whatever panics: nothing that can panic runs under its lock.
    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether data may be sent: §5.5.1: none after a Close.
    #[inline]
    fn may_send(&self) -> bool {
        matches!(self.phase, Phase::Open(Closing::Open))
    }

    #[inline]
    fn is_busy_for(&self, unit: Unit) -> bool {
        self.turn || (unit == Unit::Messages && self.message)
    }
}

impl Failure {
    /// What a call that receives says of it.
    pub(crate) fn error(self) -> Error {
        match self {
            Self::WriteTimeout => Error::DeadlineExceeded(Deadline::Write),
            Self::CloseTimeout => Error::DeadlineExceeded(Deadline::Close),
            Self::Write(kind) => Error::Io(kind.into()),
        }
    }
}
