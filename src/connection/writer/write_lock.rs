//! The right to write to the stream, and what waits for whoever has it.
//!
//! One thread at a time may write, whole frames, so that frames never mix. All that has to do with
//! it is one state under one lock, which nobody holds while they write. A [`WriteGuard`] stands for
//! the right: its release sends what waits in the outbox, and finds the outbox empty in the same
//! step in which the right is given up. So nothing that is posted can be missed.

use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::Shutdown;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
use std::sync::{Condvar, Mutex, MutexGuard, atomic};

use atomic::{AtomicBool, Ordering};

use super::line::{Line, Waiter};
use crate::error::Error;
use crate::io::expiry::Expiry;
use crate::io::stream::Sink;
#[cfg(feature = "event-loop")]
use crate::proto::CloseCode;
#[cfg(feature = "event-loop")]
use crate::session::CloseAction;
use crate::session::{Closing, Deadline};

/// See the [module](self).
pub(crate) struct WriteLock<S> {
    pub(super) stream: S,
    state: Mutex<WriteState>,
    /// Signalled when something has changed that somebody waits for.
    changed: Condvar,
    /// Whether our Close has gone out, or none can: what the state says, without the lock.
    closed: AtomicBool,
}

/// What all who write share.
pub(super) struct WriteState {
    /// Whether somebody has the right to write. At first that is whoever opens the connection: no
    /// frame may come before the 101.
    pub(super) writing: bool,
    pub(super) line: Line,
    /// Whether a receiving half reads the stream.
    pub(super) receiving: bool,
    /// Whether somebody ends the connection, so that nobody else has to.
    pub(super) ending: bool,
    pub(super) closing: Closing<Failure>,
    /// `None` unless something waits.
    pub(super) outbox: Option<Box<Outbox>>,
    /// How many threads wait for a change,
    waiting: u16,
    /// and how many of them to begin a message.
    pub(super) senders: u16,
}

pub(super) type StateGuard<'a> = MutexGuard<'a, WriteState>;

/// Why we ended the stream, for the one who then finds it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The peer did not take what was sent, or did not answer our Close, in time.
    Deadline(Deadline),
    /// A write failed, perhaps part of the way.
    Write(ErrorKind),
}

/// What waits for whoever may write, in the order in which it is sent.
#[derive(Default)]
pub(super) struct Outbox {
    /// The rest of what was written in part.
    pub(super) unsent: Vec<u8>,
    /// When the peer must have taken that.
    expiry: Option<Expiry>,
    /// Whole Ping and Pong frames.
    pub(super) control: Vec<u8>,
    /// A Close frame.
    pub(super) close: Vec<u8>,
}

/// How long what waits in the outbox may hold up the one who sends it.
#[derive(Clone, Copy)]
pub(super) enum FlushLimit {
    /// All of it together.
    Within(Duration),
    /// Not at all: what the peer has no room for stays there. If it is still there after so long, the
    /// connection fails at the next attempt.
    NonBlocking(Duration),
}

/// The right to write, to be [released](Self::release).
pub(crate) struct WriteGuard<'a, S: Sink>(pub(super) &'a WriteLock<S>);

impl<S: Sink> WriteLock<S> {
    pub(super) fn new(stream: S) -> Self {
        let state = WriteState {
            writing: true,
            line: Line::default(),
            receiving: false,
            ending: false,
            closing: Closing::Open,
            outbox: None,
            waiting: 0,
            senders: 0,
        };
        let (changed, closed) = (Condvar::new(), AtomicBool::new(false));
        Self { stream, state: Mutex::new(state), changed, closed }
    }

    /// The state stays whole whatever panics: nothing that can panic runs under its lock.
    pub(super) fn lock(&self) -> StateGuard<'_> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether our Close has gone out, or the connection has ended without. It may be so a moment
    /// later.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Our Close is about to go out.
    pub(super) fn set_closed(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// The right of whoever opens the connection, which is there from the start, or the one that a
    /// caller has [kept](WriteGuard::keep).
    pub(super) fn resume(&self) -> WriteGuard<'_, S> {
        WriteGuard(self)
    }

    /// Takes the right to write, which must be free.
    pub(super) fn acquire(&self, state: &mut WriteState) -> WriteGuard<'_, S> {
        debug_assert!(!state.writing);
        state.writing = true;
        WriteGuard(self)
    }

    /// Sends what waits in the outbox, unless somebody else may write, and so will.
    pub(super) fn flush(&self, mut state: StateGuard<'_>, limit: FlushLimit) {
        if !state.writing && state.outbox.is_some() {
            let guard = self.acquire(&mut state);
            drop(state);
            // It is no caller's own write: who receives hears of its failure.
            let _ = guard.release(Ok(()), limit);
        }
    }

    /// Waits while `is_so`, at most so long; whether it is so no more.
    pub(super) fn wait_while<'a>(
        &'a self,
        mut state: StateGuard<'a>,
        most: Duration,
        mut is_so: impl FnMut(&mut WriteState) -> bool,
    ) -> (StateGuard<'a>, bool) {
        let expiry = Expiry::after(most);
        while is_so(&mut state) {
            let Some(left) = expiry.left() else { return (state, false) };
            state.waiting += 1;
            // Longer ones would overflow in some system's clock.
            let waited = self.changed.wait_timeout(state, left.min(Duration::from_secs(3600)));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        (state, true)
    }

    /// Waits until nobody writes, at most so long.
    pub(super) fn wait_for_writer(&self, most: Duration) -> StateGuard<'_> {
        self.wait_while(self.lock(), most, |state| state.writing).0
    }

    /// All that waited is written, and with it our Close, if it is due.
    pub(super) fn outbox_written(&self, state: &mut WriteState) {
        let is_due = state.is_close_due();
        if state.closing.close_written(Instant::now()) {
            self.stream.shutdown(Shutdown::Write);
        } else if is_due {
            self.stream.notify_loop();
        }
    }

    /// Wakes those who wait for a change.
    pub(super) fn notify(&self, state: &WriteState) {
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        // While a frame is half out the peer has no room, and behind a Close nothing is begun.
        let is_free = !state.writing && !state.is_half_sent() && state.closing.may_send();
        if is_free && state.line.is_first(Waiter::Loop) {
            self.stream.notify_loop();
        }
    }

    /// Changes the state to one in which nothing can be sent.
    pub(super) fn end(&self, state: &mut WriteState, end: impl FnOnce(&mut Closing<Failure>)) {
        end(&mut state.closing);
        self.set_closed();
        state.outbox = None;
        self.notify(state);
    }
}

impl WriteState {
    /// What waits, to add to it.
    pub(super) fn outbox(&mut self) -> &mut Outbox {
        self.outbox.get_or_insert_default()
    }

    /// Whether a frame is out in part that nobody is at, so that it comes before all else. TLS may have
    /// it whole, and counts on the same bytes.
    pub(super) fn is_half_sent(&self) -> bool {
        !self.writing
            && self.outbox.as_ref().is_some_and(|outbox| !outbox.unsent.is_empty())
            && self.closing.may_send()
    }

    /// Whether nothing waits, and nobody is at our Close.
    pub(super) fn is_flushed(&self) -> bool {
        self.outbox.is_none() && !self.is_close_due()
    }

    /// Whether our Close is to be written, or somebody is at it.
    fn is_close_due(&self) -> bool {
        self.closing.is_sent() && self.closing.written_at().is_none()
    }

    #[cfg(all(test, loom))]
    pub(super) fn is_at_rest(&self) -> bool {
        let is_empty = self.line.admits(None) || !self.closing.may_send();
        !self.writing && self.outbox.is_none() && self.waiting == 0 && is_empty
    }
}

impl FlushLimit {
    fn expiry(self) -> Expiry {
        let (Self::Within(time) | Self::NonBlocking(time)) = self;
        Expiry::after(time)
    }
}

impl Outbox {
    fn keep(&mut self, unsent: &[u8], expiry: Expiry) {
        (self.unsent, self.expiry) = (unsent.to_vec(), Some(expiry));
    }

    fn is_empty(&self) -> bool {
        self.unsent.is_empty() && self.control.is_empty() && self.close.is_empty()
    }
}

impl<S: Sink> WriteGuard<'_, S> {
    /// Keeps the right without the guard: the caller comes back for it, whatever happens.
    pub(crate) fn keep(self) {
        mem::forget(self);
    }

    /// Sends what is said in place of the 101, as the last there is, and gives the right up. It has this
    /// time; what the peer has no room for waits in the outbox.
    #[cfg(feature = "event-loop")]
    pub(crate) fn answer(self, answer: Vec<u8>, timeout: Duration) {
        let mut state = self.0.lock();
        // It stands where our Close would.
        let last = CloseAction::Abort(CloseCode::NORMAL, String::new());
        state.closing.close(last, &mut Vec::new());
        // In place of what was posted for a connection that there is not.
        state.outbox = Some(Box::new(Outbox { close: answer, ..Outbox::default() }));
        drop(state);
        // Who reads hears of a failure.
        let _ = self.release(Ok(()), FlushLimit::NonBlocking(timeout));
    }

    /// Gives the right up in a state in which nothing waits.
    pub(super) fn end(self, state: &mut WriteState) {
        state.writing = false;
        self.0.notify(state);
        mem::forget(self);
    }

    /// Ends the caller's write, which came out so: sends what waits in the outbox, and gives the
    /// right to write up.
    ///
    /// # Errors
    ///
    /// That of the write.
    pub(super) fn release(self, result: io::Result<()>, limit: FlushLimit) -> Result<(), Error> {
        let mut state = self.0.lock();
        let result = match result {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(&mut state, error)),
        };
        if state.outbox.is_some() {
            state = self.flush(state, limit);
        }
        self.end(&mut state);
        result
    }

    /// Sends what waits in the outbox, however often a peer's Pings fill it again.
    // An echo of 20 bytes: 1,340 instructions, 1,351 without it.
    #[cold]
    fn flush<'a>(&self, mut state: StateGuard<'a>, limit: FlushLimit) -> StateGuard<'a>
    where
        Self: 'a,
    {
        let expiry = match limit {
            FlushLimit::Within(_) => limit.expiry(),
            FlushLimit::NonBlocking(_) => Expiry::NEVER,
        };
        let mut again = false;
        while let Some(mut outbox) = state.outbox.take() {
            let left = expiry.left();
            if again && left.is_none() && outbox.close.is_empty() {
                // Nobody but an attacker has so many Pings, and this thread has its own to do. A
                // Close ends it just as well.
                self.fail(&mut state, ErrorKind::TimedOut.into());
                break;
            }
            again = true;
            if !state.closing.may_send() {
                self.0.set_closed();
            }
            let (mut bytes, begun) = (mem::take(&mut outbox.unsent), outbox.expiry.take());
            if bytes.is_empty() || matches!(limit, FlushLimit::Within(_)) {
                bytes = [bytes, outbox.control, outbox.close].concat();
            } else {
                // What the stream was given before comes first, and alone: what waits behind it has a
                // bound.
                state.outbox = Some(outbox).filter(|outbox| !outbox.is_empty());
            }
            drop(state);
            let written = match limit {
                FlushLimit::Within(_) => {
                    let left = left.unwrap_or_default();
                    let written = self.0.stream.write_all(&mut [IoSlice::new(&bytes)], left);
                    written.map(|()| bytes.len())
                }
                FlushLimit::NonBlocking(_) => self.0.stream.try_write(&mut [IoSlice::new(&bytes)]),
            };
            state = self.0.lock();
            match written {
                Ok(len) if len < bytes.len() => {
                    let expiry = begun.unwrap_or_else(|| limit.expiry());
                    match expiry.left() {
                        // What was posted meanwhile comes behind it.
                        Some(_) => state.outbox().keep(&bytes[len..], expiry),
                        None => drop(self.fail(&mut state, ErrorKind::TimedOut.into())),
                    }
                    break;
                }
                Ok(_) if state.outbox.is_some() => {}
                Ok(_) => self.0.outbox_written(&mut state),
                Err(error) => drop(self.fail(&mut state, error)),
            }
        }
        state
    }

    /// Part of a frame may be out, so no other can follow it; the reader is woken.
    fn fail(&self, state: &mut WriteState, error: io::Error) -> Error {
        // If the stream was ended by us, the reason for that is the news.
        if let Closing::Failed(failure) = state.closing {
            return failure.error();
        }
        let (failure, error) = match error.kind() {
            ErrorKind::TimedOut => {
                (Failure::Deadline(Deadline::Write), Error::DeadlineExceeded(Deadline::Write))
            }
            kind => (Failure::Write(kind), Error::Io(error)),
        };
        self.0.end(state, |closing| closing.fail(failure));
        self.0.stream.shutdown(Shutdown::Both);
        error
    }
}

impl<S: Sink> Drop for WriteGuard<'_, S> {
    /// A transport has panicked, perhaps half-way through a frame. What the peer has still to say
    /// can be received.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        self.0.end(&mut state, |closing| closing.fail(Failure::Write(ErrorKind::Other)));
        state.writing = false;
        self.0.notify(&state);
    }
}

impl Failure {
    /// What a call that receives says of it.
    pub(super) fn error(self) -> Error {
        match self {
            Self::Deadline(deadline) => Error::DeadlineExceeded(deadline),
            Self::Write(kind) => Error::Io(kind.into()),
        }
    }
}
