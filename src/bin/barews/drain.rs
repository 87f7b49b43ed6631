//! The drain: everybody is asked to go, over a time, before the program is ended.
//!
//! ```text
//!            POST /drain                    the time is over
//! serving ───────────────▶ draining ─────────────────────────▶ drained
//!    ▲   healthz: ok         │ healthz: 503                       │ healthz: 503
//!    │                       │ 1001 to a few every 100 ms         │ who comes gets 503
//!    └────── DELETE /drain ──┴────────────────────────────────────┘
//!
//! any of these ── signal ──▶ stopping: healthz is 503, and the rest is the shutdown's
//! ```
//!
//! A balancer takes its time to see a health check fail, so clients that still come are let in while
//! the drain lasts, and share what is left of it. The time of a drain is the caller's to change by
//! another one. Nobody waits for a peer here: the library sends a Close as far as there is room.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use barews::ShutdownHandle;

use crate::log::{Log, json};

/// How often some are asked to go.
const STEP_INTERVAL: Duration = Duration::from_millis(100);

/// How often it is looked for those who have slipped in after all.
const DRAINED_INTERVAL: Duration = Duration::from_secs(1);

/// The longest that a drain may take.
pub const MAX_DRAIN: Duration = Duration::from_secs(3600);

/// Whether the server is to be left alone, and by when it is to be empty.
#[derive(Default)]
pub struct Drain {
    state: Mutex<State>,
    changed: Condvar,
    /// Of the server, once there is one.
    server: OnceLock<ShutdownHandle>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// Whether a thread is at it.
    working: bool,
    /// Whether the program ends behind it, so that nobody calls it off.
    last: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Serving,
    Draining {
        ends: Instant,
    },
    Stopping,
}

/// How far it has come, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Serving,
    Draining,
    Drained,
    Stopping,
}

impl Progress {
    /// All of them, for the metrics.
    pub const ALL: [Self; 4] = [Self::Serving, Self::Draining, Self::Drained, Self::Stopping];

    pub fn name(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::Stopping => "stopping",
        }
    }
}

impl Phase {
    fn progress(self) -> Progress {
        match self {
            Self::Serving => Progress::Serving,
            Self::Stopping => Progress::Stopping,
            Self::Draining { ends } if ends <= Instant::now() => Progress::Drained,
            Self::Draining { .. } => Progress::Draining,
        }
    }

    /// What is left of a drain.
    fn left(self) -> Option<Duration> {
        match self {
            Self::Draining { ends } => Some(ends.saturating_duration_since(Instant::now())),
            Self::Serving | Self::Stopping => None,
        }
    }
}

impl Drain {
    /// The server that is to be drained.
    pub fn arm(&self, server: ShutdownHandle) {
        // There is one.
        let _ = self.server.set(server);
    }

    pub fn progress(&self) -> Progress {
        self.lock().phase.progress()
    }

    /// Whether everybody was asked to go.
    pub fn is_over(&self) -> bool {
        self.progress() == Progress::Drained
    }

    /// Has everybody asked to go, evenly over this time from now on, whatever was said before. Does
    /// nothing to a server that is about to end.
    ///
    /// # Errors
    ///
    /// If there is no thread for it; nothing has changed then.
    pub fn start(self: &Arc<Self>, over: Duration, log: &Log) -> io::Result<()> {
        let mut state = self.lock();
        if state.phase == Phase::Stopping {
            return Ok(());
        }
        if !state.working {
            let (this, log) = (Arc::clone(self), log.clone());
            // It waits for the lock that is held here.
            thread::Builder::new().name("drain".to_owned()).spawn(move || this.work(&log))?;
            state.working = true;
        }
        state.phase = Phase::Draining { ends: Instant::now() + over.min(MAX_DRAIN) };
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Calls it off: those who were not asked stay. Whether there was anything to call off.
    pub fn cancel(&self) -> bool {
        if self.lock().last {
            return false;
        }
        self.set(|phase| matches!(phase, Phase::Draining { .. }), Phase::Serving)
    }

    /// The program is to end behind a drain.
    pub fn make_last(&self) {
        self.lock().last = true;
    }

    /// The program is about to end.
    pub fn stop(&self) {
        self.set(|_| true, Phase::Stopping);
    }

    /// All there is to tell, as JSON: how far it has come, how long the rest takes, and how many
    /// connections there are.
    pub fn json(&self) -> String {
        let phase = self.lock().phase;
        let left =
            phase.left().map_or("null".to_owned(), |left| format!("{:.3}", left.as_secs_f64()));
        let connections = self.server.get().map_or(0, ShutdownHandle::connections);
        json::object(&[
            ("state", json::string(phase.progress().name())),
            ("seconds_left", left),
            ("connections", connections.to_string()),
        ])
    }

    fn set(&self, from: impl Fn(Phase) -> bool, to: Phase) -> bool {
        let mut state = self.lock();
        let is_set = from(state.phase);
        if is_set {
            state.phase = to;
        }
        drop(state);
        self.changed.notify_all();
        is_set
    }

    /// Asks some to go now and then, until it is called off or the program ends.
    fn work(&self, log: &Log) {
        let Some(server) = self.server.get() else { return };
        // How many are due, a fraction among them: a few connections have long breaks between.
        let (mut due, mut last, mut told) = (0.0, Instant::now(), false);
        let mut open = server.close_some(0);
        let mut state = self.lock();
        while let Some(left) = state.phase.left() {
            drop(state);
            let passed = last.elapsed().as_secs_f64();
            last += Duration::from_secs_f64(passed);
            // What is left of the time, and what has passed of it, share those who are open.
            due += open as f64 * (passed / (passed + left.as_secs_f64()));
            let now = if left.is_zero() { usize::MAX } else { due as usize };
            open = server.close_some(now);
            due = due.fract();
            if left.is_zero() && !told {
                log.log_text("drain", "drained: everybody has been asked to go".to_owned());
            }
            told = left.is_zero();
            let interval = if told { DRAINED_INTERVAL } else { STEP_INTERVAL.min(left) };
            state = self.lock();
            // Not if it was called off meanwhile, or has other things to do by now.
            if state.phase.left().is_some_and(|left| left.is_zero() == told) {
                let waited = self.changed.wait_timeout(state, interval);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        state.working = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
