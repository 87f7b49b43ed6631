//! The closing handshake (§7) as a state machine: who may still send, and what is due.
//!
//! Each end sends one Close frame and receives one, in either order, and nothing follows it. A
//! connection that has failed is not waited for: our Close is the last word (§7.1.7). Whoever holds
//! a [`Closing`] asks it before each frame, and sends what it gives.
//!
//! ```text
//!            Initiate              Reply, Abort
//!   Open ─────────────▶ Initiated ─────────────▶ Closed ──▶ our side of the stream ends
//!     └───────────────────────────────────────────▲         once our Close is written (§7.1.1)
//!                   Reply, Abort
//!
//!   any of these ──fail──▶ Failed      any but Failed ──detach──▶ Detached
//! ```

use std::time::Instant;

use crate::proto::{CloseCode, CloseFrame, encoder};

/// How far the closing handshake has come. `F` says why a stream has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Closing<F> {
    /// Neither end has sent a Close: frames may be sent.
    #[default]
    Open,
    /// We have begun, and the peer's Close is due.
    Initiated {
        /// When the last byte of our Close was written, once it is.
        written: Option<Instant>,
    },
    /// Nothing is due: both Closes have passed, or ours is the last word.
    Closed {
        /// The same.
        written: Option<Instant>,
    },
    /// The stream is broken, or was cut: nothing can be sent.
    Failed(F),
    /// The stream is somebody else's: not even a Close may come.
    Detached,
}

/// A Close frame to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseAction {
    /// The answer to the peer's (§5.5.1), with its code and reason.
    Reply(CloseFrame),
    /// The start of the closing handshake (§7.1.2): the peer's Close is due then.
    Initiate(CloseCode, String),
    /// Our last word: the connection has failed (§7.1.7), or nobody is left to wait for an answer.
    Abort(CloseCode, String),
}

impl<F> Closing<F> {
    /// Whether frames may still be sent (§5.5.1: none after a Close).
    pub fn may_send(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Writes to `out` the Close that an action calls for, unless one has passed; whether our side
    /// of the stream is to end at once, for our Close is out already.
    pub fn close(&mut self, action: CloseAction, out: &mut Vec<u8>) -> bool {
        let is_last = !matches!(action, CloseAction::Initiate(..));
        let (code, reason) = match action {
            // §5.5.1: the answer usually repeats the code; ours repeats it all.
            CloseAction::Reply(theirs) => (theirs.code, theirs.reason),
            CloseAction::Initiate(code, reason) | CloseAction::Abort(code, reason) => {
                (code, reason)
            }
        };
        match *self {
            Self::Open => {
                encoder::close(code, &reason, out);
                *self = match is_last {
                    true => Self::Closed { written: None },
                    false => Self::Initiated { written: None },
                };
                false
            }
            Self::Initiated { written } if is_last => {
                *self = Self::Closed { written };
                written.is_some()
            }
            Self::Initiated { .. } | Self::Closed { .. } | Self::Failed(_) | Self::Detached => {
                false
            }
        }
    }

    /// Our Close is written; whether our side of the stream is to end behind it (§7.1.1).
    pub fn close_written(&mut self, now: Instant) -> bool {
        match self {
            Self::Initiated { written } => {
                written.get_or_insert(now);
                false
            }
            Self::Closed { written } => {
                written.get_or_insert(now);
                true
            }
            Self::Open | Self::Failed(_) | Self::Detached => false,
        }
    }

    /// When our Close was written, if it is.
    pub fn written_at(&self) -> Option<Instant> {
        match self {
            Self::Initiated { written } | Self::Closed { written } => *written,
            Self::Open | Self::Failed(_) | Self::Detached => None,
        }
    }

    /// The stream is of no more use, for this reason; the first one counts.
    pub fn fail(&mut self, why: F) {
        match self {
            Self::Open | Self::Initiated { .. } | Self::Closed { .. } => *self = Self::Failed(why),
            Self::Failed(_) | Self::Detached => {}
        }
    }

    /// Whether a Close of ours is out, or about to be: nothing may follow it (§5.5.1).
    pub fn is_sent(&self) -> bool {
        matches!(self, Self::Initiated { .. } | Self::Closed { .. })
    }

    /// The stream is somebody else's from now on, unless it has failed.
    pub fn detach(&mut self) {
        match self {
            Self::Open | Self::Initiated { .. } | Self::Closed { .. } | Self::Detached => {
                *self = Self::Detached;
            }
            Self::Failed(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    type State = Closing<u8>;

    /// A Close with 1000, with the peer's code and reason, and with 1002.
    const NORMAL: &[u8] = b"\x88\x02\x03\xe8";
    const THEIRS: &[u8] = b"\x88\x05\x0f\xa0bye";
    const ERROR: &[u8] = b"\x88\x02\x03\xea";

    fn actions() -> [(CloseAction, &'static [u8], bool); 3] {
        let theirs = CloseFrame { code: CloseCode(4000), reason: "bye".into() };
        [
            (CloseAction::Initiate(CloseCode::NORMAL, String::new()), NORMAL, false),
            (CloseAction::Reply(theirs), THEIRS, true),
            (CloseAction::Abort(CloseCode::PROTOCOL_ERROR, String::new()), ERROR, true),
        ]
    }

    /// A state; what follows an action that waits for an answer, and one that does not, and whether
    /// our side ends at once then; what follows once our Close is written, and whether our side
    /// ends; what follows a failure, and a detachment.
    type Row = (State, State, State, bool, (State, bool), State, State);

    fn rows(now: Instant, later: Instant) -> [Row; 7] {
        let (failed, open, detached) = (State::Failed, State::Open, State::Detached);
        let sent = |written| State::Initiated { written };
        let closed = |written| State::Closed { written };
        let [sent, sent_now, sent_later] = [None, Some(now), Some(later)].map(sent);
        let [last, last_now, last_later] = [None, Some(now), Some(later)].map(closed);
        [
            (open, sent, last, false, (open, false), failed(7), detached),
            (sent, sent, last, false, (sent_later, false), failed(7), detached),
            (sent_now, sent_now, last_now, true, (sent_now, false), failed(7), detached),
            (last, last, last, false, (last_later, true), failed(7), detached),
            (last_now, last_now, last_now, false, (last_now, true), failed(7), detached),
            (failed(1), failed(1), failed(1), false, (failed(1), false), failed(1), failed(1)),
            (detached, detached, detached, false, (detached, false), detached, detached),
        ]
    }

    #[test]
    fn every_event_in_every_state() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let rows = rows(now, later);
        for (state, initiated, ended, ends, (written, ends_behind), broken, taken) in rows {
            for (action, frame, is_last) in actions() {
                let (mut closing, mut bytes) = (state, Vec::new());
                let at_once = closing.close(action.clone(), &mut bytes);
                let wanted = if is_last { ended } else { initiated };
                assert_eq!(closing, wanted, "{state:?} {action:?}");
                assert_eq!(at_once, is_last && ends, "{state:?} {action:?}");
                // §5.5.1: one Close, and nothing behind it.
                assert_eq!(bytes, if state == State::Open { frame } else { b"" }, "{state:?}");
                assert!(!closing.may_send());
            }
            let mut closing = state;
            assert_eq!(closing.close_written(later), ends_behind, "{state:?}");
            assert_eq!(closing, written, "{state:?}");
            assert_eq!(state.may_send(), state == State::Open);
            let mut closing = state;
            closing.fail(7);
            assert_eq!(closing, broken, "{state:?}");
            let mut closing = state;
            closing.detach();
            assert_eq!(closing, taken, "{state:?}");
        }
    }
}
