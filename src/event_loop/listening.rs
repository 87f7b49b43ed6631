//! A listener as a loop has it, beside other loops: whoever comes first has the stream.
//!
//! An accept that finds none takes ten times as long as to be told by the next poll whether there is
//! one. So streams are accepted one a turn; and more, the longer there was one at each.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mio::{Registry, Token};

use crate::io::loop_listener::LoopListener;
use crate::io::loop_stream::Socket;
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
    pub(super) shared: Arc<SharedListener>,
    /// Whether a stream may wait, and from when on it is worth a try.
    pub(super) ready: bool,
    /// Whether somebody else who has it has ended it. An accept that does not block may not say so: on a
    /// Unix-domain socket there is just nobody, for ever.
    pub(super) is_ended: bool,
    pub(super) rests_until: Option<Instant>,
    /// At how many turns, one after the other, all that were accepted were not all there were.
    pub(super) streak: u32,
    /// Whether accepting has failed since the last stream.
    has_failed: bool,
}

/// What all loops have of a listener.
pub(super) struct SharedListener {
    pub(super) timed: TimedListener,
    rest: Mutex<Rest>,
}

/// What one loop finds the system to be out of, all do: they rest together, and one of them says so.
struct Rest {
    timer: AcceptTimer,
    until: Option<Instant>,
}

impl SharedListener {
    pub(super) fn new(timed: TimedListener) -> Self {
        Self { timed, rest: Mutex::new(Rest { timer: AcceptTimer::new(), until: None }) }
    }
}

impl Listening {
    /// # Errors
    ///
    /// If it is of a kind that no loop can wait for, or there are no descriptors.
    pub(super) fn new(
        shared: &Arc<SharedListener>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let mut listener = shared.timed.for_loop()?;
        listener.register(registry, token)?;
        Ok(Self {
            listener,
            shared: Arc::clone(shared),
            ready: true,
            is_ended: false,
            rests_until: None,
            streak: 0,
            has_failed: false,
        })
    }

    /// A stream, as [`LoopListener::accept`] has it. It never waits: that would hold up all connections of
    /// the loop, until somebody comes.
    pub(super) fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        // Every time: others may set it, too. 0.3 µs at the most.
        self.shared.timed.keep_nonblocking()?;
        self.listener.accept()
    }

    /// A stream has been accepted.
    pub(super) fn accepted(&mut self) {
        if mem::take(&mut self.has_failed) {
            let mut rest = self.shared.rest.lock().unwrap_or_else(PoisonError::into_inner);
            rest.timer.reset_backoff();
        }
    }

    /// Accepting has failed, and may do so for a while; whether no other loop rests for that already.
    pub(super) fn rest(&mut self, now: Instant) -> bool {
        let mut rest = self.shared.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = rest.until.is_none_or(|until| until <= now);
        if is_news {
            rest.until = Some(now + rest.timer.next_backoff());
        }
        (self.rests_until, self.has_failed) = (rest.until, true);
        is_news
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
