//! What a peer had no room for, or what others who write have held up.

use std::time::{Duration, Instant};

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::writer::{Progress, Unsent};
use crate::error::Error;
use crate::event_loop::output::attempt::{Attempt, attempt, proceed};
use crate::event_loop::output::scratch::{MAX_WRITE, Scratch};
use crate::session::{Charge, Deadline};

/// How much may be queued before the handler is told that there is no room, in bytes.
pub(crate) const MAX_BACKPRESSURE: usize = 1 << 20;

/// How often it is tried whether there is room. Linux tells of it only when a third of a full socket
/// buffer is free, which a slow peer may take longer for than it has.
pub(crate) const ROOM_INTERVAL: Duration = Duration::from_secs(1);

/// How long until a connection on which others write is tried again, at first and at most.
const BLOCKED_PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(16));

/// What could not be sent at once.
pub(crate) struct Backpressure {
    /// What was begun; while there is any, we have the right to write.
    unsent: Unsent,
    is_begun: bool,
    /// Whole frames behind it.
    pub(super) held: Vec<u8>,
    /// Whether there was still room when the turn was over, of which there is no other news.
    pub(super) goes_on: bool,
    /// What has come of the peer, and is not looked at meanwhile.
    pub(crate) rest: Vec<u8>,
    pub(super) charge: Charge,
    /// Since when others have the right to write, and do not, and how long until the next try.
    blocked: Option<(Instant, Duration)>,
}

/// What has become of what is queued.
pub(super) enum Resumed {
    /// It waits for room, for others, or for the next turn.
    Waits,
    /// It has all gone, or goes nowhere any more.
    Over,
    Failed(Error),
}

impl Backpressure {
    pub(super) fn new(
        charge: Charge,
        (unsent, is_begun): (Unsent, bool),
        held: Vec<u8>,
        goes_on: bool,
    ) -> Self {
        Self { unsent, is_begun, held, goes_on, rest: Vec::new(), charge, blocked: None }
    }

    /// How much it is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.unsent.len() + self.held.len()
    }

    /// Goes on: there may be room.
    pub(super) fn resume(
        &mut self,
        shared: &ConnectionShared,
        scratch: &mut Scratch,
        now: Instant,
    ) -> Resumed {
        let mut most = MAX_WRITE;
        loop {
            self.goes_on = most == 0 && (self.is_begun || !self.held.is_empty());
            if self.goes_on {
                return Resumed::Waits;
            }
            if self.is_begun {
                match proceed(shared, &mut self.unsent, &mut most) {
                    Ok(Progress::Done) => self.is_begun = false,
                    Ok(Progress::More { moved: true }) => {}
                    Ok(Progress::More { moved: false }) => return Resumed::Waits,
                    Err(error) => return Resumed::Failed(error),
                }
                continue;
            }
            if self.held.is_empty() {
                return Resumed::Over;
            }
            let claims = self.pause() >= BLOCKED_PAUSE.1;
            let frames = (&mut self.held[..], &mut scratch.deflated);
            match attempt(shared, claims, frames, [&[]; 2], most, &mut self.unsent) {
                Attempt::Sent(Ok(progress)) => {
                    most = most.saturating_sub(self.held.len());
                    self.held.clear();
                    scratch.give_back();
                    (self.blocked, self.is_begun) = (None, progress != Progress::Done);
                }
                Attempt::Sent(Err(error)) => return Resumed::Failed(error),
                Attempt::Busy => return self.blocked(shared, now),
                // What has come of the peer still counts: its answer to our Close may be in there.
                Attempt::Over => return Resumed::Over,
            }
        }
    }

    /// Others have the right to write.
    fn blocked(&mut self, shared: &ConnectionShared, now: Instant) -> Resumed {
        let (writer, pause) = (&shared.writer, self.pause());
        // Whoever writes has time of their own for that. A message in parts has none.
        let idle = self.blocked.filter(|_| !writer.is_writing());
        let (since, _) = idle.unwrap_or((now, pause));
        self.blocked = Some((since, (2 * pause).min(BLOCKED_PAUSE.1)));
        match now.saturating_duration_since(since) < writer.timeout(0) {
            true => Resumed::Waits,
            false => Resumed::Failed(Error::DeadlineExceeded(Deadline::Write)),
        }
    }

    fn pause(&self) -> Duration {
        self.blocked.map_or(BLOCKED_PAUSE.0, |(_, pause)| pause)
    }

    /// Nothing more is to be begun; whether anything was.
    pub(super) fn abandon_held(&mut self) -> bool {
        (self.held, self.rest) = (Vec::new(), Vec::new());
        self.is_begun
    }

    /// When it has to be looked at, whatever the socket says.
    pub(super) fn look_at(&self, now: Instant) -> Instant {
        if !self.is_begun {
            return now + self.pause();
        }
        let soon = now + ROOM_INTERVAL;
        self.unsent.expiry().at().map_or(soon, |at| at.min(soon))
    }
}
