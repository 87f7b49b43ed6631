//! The turn to write, and what waits for whoever has it.

use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use super::atomic::Ordering;
use super::{CloseAction, Failure, MutexGuard, Phase, State, Writer};
use crate::error::{Deadline, Error};
use crate::io::deadline::Expiry;
use crate::io::stream::Sink;
use crate::proto::Event;
use crate::session::Closing;

/// What waits for whoever has the turn.
#[derive(Default)]
pub(super) struct Outbox {
    /// The rest of what was written in part.
    pub(super) unsent: Vec<u8>,
    /// Whole Ping and Pong frames.
    pub(super) frames: Vec<u8>,
    /// In the order of posting.
    pub(super) actions: Vec<CloseAction>,
}

/// How long what waits in the outbox may hold up the one who sends it.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    Within(Duration),
    /// Not at all: what the peer has no room for stays there.
    None,
}

/// The turn, to be [passed on](Self::pass).
pub(super) struct Turn<'a, S: Sink> {
    pub(super) writer: &'a Writer,
    pub(super) sink: &'a S,
}

impl<S: Sink> Turn<'_, S> {
    /// Takes note of how a write came out, sends what waits in the outbox, and gives the turn up.
    ///
    /// # Errors
    ///
    /// That of the write.
    #[inline]
    pub(super) fn pass(self, result: io::Result<()>, patience: Patience) -> Result<(), Error> {
        let mut state = self.writer.lock();
        let result = match result {
            Ok(()) => Ok(()),
            Err(error) => Err(self.fail(&mut state, error)),
        };
        if state.outbox.is_some() {
            state = self.empty_outbox(state, patience);
        }
        state.turn = false;
        self.writer.notify(&state);
        drop(state);
        mem::forget(self);
        result
    }

    /// Sends what waits in the outbox. The time holds for all of it, however often a peer's Pings
    /// fill the outbox again.
    #[cold]
    fn empty_outbox<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        patience: Patience,
    ) -> MutexGuard<'a, State>
    where
        Self: 'a,
    {
        let deadline = match patience {
            Patience::Within(within) => Expiry::after(within),
            Patience::None => Expiry::NEVER,
        };
        let mut again = false;
        while let State { phase: Phase::Open(closing), outbox, .. } = &mut *state
            && let Some(outbox) = outbox.take()
        {
            let left = deadline.left();
            if again && closing.may_send() && left.is_none() && outbox.actions.is_empty() {
                // Nobody but an attacker has so many Pings, and this thread has its own to do. A
                // Close ends it just as well.
                self.fail(&mut state, ErrorKind::TimedOut.into());
                break;
            }
            again = true;
            let bytes = outbox.encode(closing);
            if !closing.may_send() {
                self.writer.closing.store(true, Ordering::Relaxed);
            }
            drop(state);
            let written = match patience {
                Patience::Within(_) => {
                    let left = left.unwrap_or_default();
                    self.sink.write_all(&mut [IoSlice::new(&bytes)], left).map(|()| bytes.len())
                }
                Patience::None => self.sink.try_write(&bytes),
            };
            state = self.writer.lock();
            match written {
                Ok(len) if len < bytes.len() => {
                    // What was posted meanwhile comes behind it.
                    state.outbox.get_or_insert_default().unsent = bytes[len..].to_vec();
                    break;
                }
                Ok(_) => self.end_behind_close(&mut state),
                Err(error) => drop(self.fail(&mut state, error)),
            }
        }
        state
    }

    /// §7.1.1: our side of the stream ends with our Close.
    fn end_behind_close(&self, state: &mut State) {
        if let Phase::Open(closing) = state.phase
            && !closing.may_send()
        {
            state.closed_at.get_or_insert_with(Instant::now);
            if state.finished {
                self.sink.shutdown(Shutdown::Write);
            }
        }
    }

    /// Part of a frame may be out, so no other can follow it; the reader is woken.
    #[cold]
    fn fail(&self, state: &mut State, error: io::Error) -> Error {
        // If the stream was ended by us, the reason for that is the news.
        if let Phase::Failed(failure) = state.phase {
            return failure.error();
        }
        let timed_out = error.kind() == ErrorKind::TimedOut;
        let failure = match timed_out {
            true => Failure::WriteTimeout,
            false => Failure::Write(error.kind()),
        };
        self.writer.fail_state(state, failure);
        self.sink.shutdown(Shutdown::Both);
        if timed_out { Error::DeadlineExceeded(Deadline::Write) } else { Error::Io(error) }
    }
}

impl<S: Sink> Drop for Turn<'_, S> {
    /// A transport has panicked, perhaps half-way through a frame. What the peer has still to say
    /// can be received.
    fn drop(&mut self) {
        let mut state = self.writer.lock();
        self.writer.fail_state(&mut state, Failure::Write(ErrorKind::Other));
        state.turn = false;
        self.writer.notify(&state);
    }
}

impl Outbox {
    /// All that may still be sent, in its order.
    fn encode(self, closing: &mut Closing) -> Vec<u8> {
        let Self { unsent: mut bytes, frames, actions } = self;
        if closing.may_send() {
            bytes.extend_from_slice(&frames);
        }
        for action in actions {
            match action {
                CloseAction::Reply(theirs) => {
                    closing.answer(&Event::Close(theirs), &[], &mut bytes)
                }
                CloseAction::Initiate(code, reason) => closing.start(code, &reason, &mut bytes),
                CloseAction::Abort(code, reason) => closing.fail(code, &reason, &mut bytes),
            }
        }
        bytes
    }
}
