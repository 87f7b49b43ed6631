//! A listener as a loop has it, beside other loops: whoever comes first has the stream.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::{Registry, Token};

use crate::io::loop_listener::LoopListener;
use crate::io::timed_listener::TimedListener;
use crate::server::acceptor::AcceptTimer;

/// See the [module](self).
pub(super) struct Listening {
    pub(super) listener: LoopListener,
    pub(super) timed: Arc<TimedListener>,
    pub(super) timer: AcceptTimer,
    /// Whether a stream may wait, and from when on it is worth a try.
    pub(super) ready: bool,
    pub(super) rests_until: Option<Instant>,
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
        Ok(Self { listener, timed, timer, ready: true, rests_until: None })
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
}
