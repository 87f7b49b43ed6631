//! A listener as a loop has it, beside other loops: whoever comes first has the stream.
//!
//! An accept that finds none takes ten times as long as to be told by the next poll whether there is
//! one. So streams are accepted one a turn; and more, the longer there was one at each.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::{Registry, Token};

use crate::io::loop_listener::LoopListener;
use crate::io::timed_listener::TimedListener;
use crate::server::acceptor::AcceptTimer;

/// How many streams are accepted before connections have their turn, at the most.
const MAX_ACCEPTED: usize = 32;

/// For how many turns it is one only: a few clients that come again and again may have come by chance at
/// one turn and the next.
const SINGLE_TURNS: u32 = 4;

/// See the [module](self).
pub(super) struct Listening {
    pub(super) listener: LoopListener,
    pub(super) timed: Arc<TimedListener>,
    pub(super) timer: AcceptTimer,
    /// Whether a stream may wait, and from when on it is worth a try.
    pub(super) ready: bool,
    pub(super) rests_until: Option<Instant>,
    /// At how many turns, one after the other, all that were accepted were not all there were.
    pub(super) streak: u32,
}

impl Listening {
    /// # Errors
    ///
    /// If it is of a kind that no loop can wait for, or there are no descriptors.
    pub(super) fn new(
        timed: &Arc<TimedListener>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut listener = timed.for_loop()?;
        listener.register(registry, token)?;
        let (timed, timer) = (Arc::clone(timed), AcceptTimer::new());
        Ok(Self { listener, timed, timer, ready: true, rests_until: None, streak: 0 })
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready && self.rests_until.is_none()
    }

    pub(super) fn is_ready_at(&mut self, now: Instant) -> bool {
        if self.rests_until.is_some_and(|until| until <= now) {
            self.rests_until = None;
        }
        self.is_ready()
    }

    /// How many streams may be accepted in this turn.
    pub(super) fn share(&self) -> usize {
        match LoopListener::TELLS_AGAIN {
            true => MAX_ACCEPTED.min(1 << self.streak.saturating_sub(SINGLE_TURNS).min(8)),
            false => MAX_ACCEPTED,
        }
    }

    /// None waits: the next one that comes is heard of.
    pub(super) fn found_none(&mut self) {
        (self.ready, self.streak) = (false, 0);
    }

    /// The turn is over, and there may be more: the next poll tells.
    pub(super) fn wait_for_more(&mut self, registry: &Registry, token: Token) {
        if LoopListener::TELLS_AGAIN && self.is_ready() {
            self.streak += 1;
            // Else it is tried without.
            self.ready = self.listener.reregister(registry, token).is_err();
        }
    }
}
