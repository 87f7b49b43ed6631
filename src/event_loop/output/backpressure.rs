//! What a peer had no room for, or what others who write have held up.

use std::mem;
use std::time::{Duration, Instant};

use crate::connection::writer::{Progress, Unsent};
use crate::error::Error;
use crate::event_loop::output::Output;
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
    goes_on: bool,
    /// What has come of the peer, and is not looked at meanwhile.
    pub(crate) rest: Vec<u8>,
    pub(super) charge: Charge,
    /// Since when others have the right to write, and do not, and how long until the next try.
    blocked: Option<(Instant, Duration)>,
}

impl Output {
    /// How much is queued, in bytes.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.backpressure.as_ref().map_or(0, |queued| queued.unsent.len() + queued.held.len())
    }

    /// Whether something waits for nothing but the next turn.
    #[inline]
    pub(crate) fn goes_on(&self) -> bool {
        self.backpressure.as_ref().is_some_and(|queued| queued.goes_on)
    }

    /// Has what is queued wait for the next turn, if anything is.
    pub(crate) fn resume_later(&mut self) -> bool {
        self.backpressure.as_mut().is_some_and(|queued| {
            queued.goes_on = true;
            true
        })
    }

    #[cold]
    pub(super) fn keep(&mut self, unsent: Unsent, is_begun: bool, held: Vec<u8>, goes_on: bool) {
        let charge = Charge::new(&self.shared.server.budget);
        let (rest, blocked) = (Vec::new(), None);
        let queued = Backpressure { unsent, is_begun, held, goes_on, rest, charge, blocked };
        self.backpressure = Some(Box::new(queued));
        self.charge();
    }

    /// Goes on with what is queued: there may be room. Whether nothing is any more; the input that
    /// waited for that is in `rest` then.
    pub(crate) fn resume(
        &mut self,
        scratch: &mut Scratch,
        now: Instant,
        rest: &mut Vec<u8>,
    ) -> bool {
        let mut most = MAX_WRITE;
        while let Some(queued) = &mut self.backpressure {
            let writer = &self.shared.writer;
            queued.goes_on = most == 0 && (queued.is_begun || !queued.held.is_empty());
            if queued.goes_on {
                return false;
            }
            if queued.is_begun {
                match proceed(&self.shared, &mut queued.unsent, &mut most) {
                    Ok(Progress::Done) => queued.is_begun = false,
                    Ok(Progress::More { moved: true }) => {}
                    Ok(Progress::More { moved: false }) => return false,
                    Err(error) => return self.fail(error),
                }
                continue;
            }
            if queued.held.is_empty() {
                *rest = mem::take(&mut queued.rest);
                self.backpressure = None;
                return true;
            }
            let pause = queued.blocked.map_or(BLOCKED_PAUSE.0, |(_, pause)| pause);
            let frames = (&mut queued.held[..], &mut scratch.deflated);
            let claims = pause >= BLOCKED_PAUSE.1;
            match attempt(&self.shared, claims, frames, [&[]; 2], most, &mut queued.unsent) {
                Attempt::Sent(Ok(progress)) => {
                    most = most.saturating_sub(queued.held.len());
                    queued.held.clear();
                    scratch.give_back();
                    (queued.blocked, queued.is_begun) = (None, progress != Progress::Done);
                }
                Attempt::Sent(Err(error)) => return self.fail(error),
                Attempt::Busy => {
                    // Whoever writes has time of their own for that. A message in parts has none.
                    let idle = queued.blocked.filter(|_| !writer.is_writing());
                    let (since, _) = idle.unwrap_or((now, pause));
                    queued.blocked = Some((since, (2 * pause).min(BLOCKED_PAUSE.1)));
                    if now.saturating_duration_since(since) < writer.timeout(0) {
                        return false;
                    }
                    return self.fail(Error::DeadlineExceeded(Deadline::Write));
                }
                Attempt::Over => {
                    // What has come of the peer still counts: its answer to our Close may be in there.
                    *rest = mem::take(&mut queued.rest);
                    self.backpressure = None;
                    return true;
                }
            }
        }
        true
    }

    /// There is no memory for all that waits: but for what was begun, it goes; whether there is for that.
    pub(crate) fn drop_waiting(&mut self) -> bool {
        self.paused = None;
        self.abandon_held();
        self.charge_waiting()
    }

    /// Nothing more is to be begun.
    pub(crate) fn abandon_held(&mut self) {
        self.backpressure = self.backpressure.take().filter(|queued| queued.is_begun);
        if let Some(queued) = &mut self.backpressure {
            (queued.held, queued.rest) = (Vec::new(), Vec::new());
        }
    }

    fn fail(&mut self, error: Error) -> bool {
        self.backpressure = None;
        self.failed = Some(Box::new(error));
        false
    }

    /// When what is queued has to be looked at, whatever the socket says.
    pub(crate) fn look_at(&self, now: Instant) -> Option<Instant> {
        let queued = self.backpressure.as_ref()?;
        match queued.blocked {
            _ if queued.is_begun => {
                let soon = now + ROOM_INTERVAL;
                Some(queued.unsent.expiry().at().map_or(soon, |at| at.min(soon)))
            }
            Some((_, pause)) => Some(now + pause),
            None => Some(now + BLOCKED_PAUSE.0),
        }
    }
}
