//! How a thread waits for its turn to write.

use std::time::Duration;

use super::line::Waiter;
use super::write_lock::{FlushLimit, StateGuard, WriteLock, WriteState};
use crate::error::Error;
use crate::io::stream::Sink;
use crate::session::Deadline;

/// For how long whoever comes may come before a thread that waits. To hand the right to a thread that has to
/// wake takes longer than to write: two that send 20 bytes each made a fifth of the messages without this.
const MAX_OVERTAKEN: Duration = Duration::from_micros(if cfg!(loom) { 0 } else { 500 });

/// What a thread has to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Whole messages, none of which may come between the fragments of another.
    Messages,
    /// A fragment of the message that this thread has begun.
    Fragment,
}

impl<S: Sink> WriteLock<S> {
    /// Waits until this may be sent, or nothing may. What others take is not this one's: it has all
    /// of its own time then, and so has what is half sent. Who has waited for [`MAX_OVERTAKEN`] comes
    /// before those who come later.
    // An echo of 20 bytes: 1,340 instructions, 1,350 without it.
    #[cold]
    pub(super) fn wait_to_write<'a>(
        &'a self,
        mut state: StateGuard<'a>,
        unit: Unit,
        within: Duration,
        to_flush: Duration,
    ) -> Result<StateGuard<'a>, Error> {
        let mut waiter = None;
        let in_time = loop {
            let is_new = unit == Unit::Messages && waiter.is_none();
            let most = if is_new { within.min(MAX_OVERTAKEN) } else { within };
            let (waited, in_time) = self.wait_while(state, most, |state| {
                unit.is_held_up(state, waiter) && !state.is_half_sent() && state.closing.may_send()
            });
            state = waited;
            if !in_time && most < within {
                waiter = Some(Waiter::Thread);
                state.begin_waiting();
                continue;
            }
            if !in_time || !state.is_half_sent() {
                break in_time;
            }
            self.flush(state, FlushLimit::Within(to_flush));
            state = self.lock();
        };
        if waiter.is_some() {
            state.end_waiting();
        }
        if !in_time {
            self.notify(&state);
            return Err(Error::DeadlineExceeded(Deadline::Write));
        }
        Ok(state)
    }
}

impl WriteState {
    /// Whether no message may begin: none of this one's, who is in line, or of somebody who is not.
    pub(super) fn is_held(&self, waiter: Option<Waiter>) -> bool {
        self.writing || !self.line.admits(waiter) || self.is_half_sent()
    }

    /// A thread begins to wait for its turn.
    pub(super) fn begin_waiting(&mut self) {
        self.senders += 1;
        self.line.join(Waiter::Thread);
    }

    /// It does so no more; others may.
    pub(super) fn end_waiting(&mut self) {
        self.senders -= 1;
        self.line.remove(Waiter::Thread);
        if self.senders > 0 {
            self.line.join(Waiter::Thread);
        }
    }
}

impl Unit {
    /// Whether this has to wait for others.
    pub(super) fn is_held_up(self, state: &WriteState, waiter: Option<Waiter>) -> bool {
        match self {
            Self::Messages => state.is_held(waiter),
            Self::Fragment => state.writing || state.is_half_sent(),
        }
    }
}
