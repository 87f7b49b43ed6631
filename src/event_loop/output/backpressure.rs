//! What a peer had no room for, or what others who write have held up.

use std::time::{Duration, Instant};

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::writer::{Denied, Progress, Unsent, Waiter};
use crate::error::Error;
use crate::event_loop::output::deflating::{Deflating, deflate_part, to_send, within};
use crate::event_loop::output::scratch::{MAX_DEFLATED, MAX_WRITE, Scratch};
use crate::event_loop::output::writing::{proceed, send};
use crate::io::expiry::Expiry;
use crate::session::{Charge, Deadline};

/// How much may be queued before the handler is told that there is no room, in bytes.
pub(crate) const MAX_BACKPRESSURE: usize = 1 << 20;

/// How often it is tried whether there is room. Linux tells of it only when a third of a full socket
/// buffer is free, which a slow peer may take longer for than it has.
pub(crate) const ROOM_INTERVAL: Duration = Duration::from_secs(1);

/// What could not be sent at once.
pub(crate) struct Backpressure {
    /// What was begun; while there is any, we have the right to write.
    pub(super) unsent: Unsent,
    pub(super) is_begun: bool,
    /// Whole frames behind it.
    pub(super) held: Vec<u8>,
    /// The first of them, if it is begun but for the first byte.
    pub(super) deflating: Option<Deflating>,
    pub(super) charge: Charge,
    /// When they must have, if they have it and do not write.
    pub(super) blocked: Option<Expiry>,
}

impl Backpressure {
    /// How much memory that takes, in bytes.
    pub(super) fn len(&self) -> usize {
        self.unsent.len() + self.held.len()
    }

    /// How much of it is not written, in bytes.
    pub(super) fn left(&self) -> usize {
        self.unsent.left() + self.held.len()
    }

    /// Goes on: there may be room. It is done if nothing is queued any more, or goes out any more; and if it has
    /// moved, there was still room when the turn was over, of which there is no other news.
    ///
    /// # Errors
    ///
    /// That of a write, or that its time is over.
    pub(super) fn resume(
        &mut self,
        shared: &ConnectionShared,
        scratch: &mut Scratch,
    ) -> Result<Progress, Error> {
        let mut most = MAX_WRITE;
        loop {
            if most == 0 && (self.is_begun || !self.held.is_empty()) {
                return Ok(Progress::More { moved: true });
            }
            // What others have ended meanwhile needs no rest of a message.
            if self.is_begun || self.deflating.is_some() && shared.writer.is_over() {
                match proceed(shared, &mut self.unsent, &mut most)? {
                    Progress::Done => self.is_begun = false,
                    Progress::More { moved: true } => {}
                    no_room => return Ok(no_room),
                }
                continue;
            }
            if self.held.is_empty() {
                return Ok(Progress::Done);
            }
            let guard = match self.deflating {
                Some(_) => shared.writer.resume(),
                None => match shared.writer.try_acquire(Waiter::Loop, &mut true, true) {
                    Ok(guard) => guard,
                    Err(Denied::Busy) => return self.wait_for_others(shared),
                    // What has come of the peer still counts: its answer to our Close may be in there.
                    Err(Denied::Over) => return Ok(Progress::Done),
                },
            };
            self.blocked = None;
            let next = match within(shared, &self.held, MAX_DEFLATED) {
                (0, _) => {
                    deflate_part(shared, &self.held, &mut self.deflating, &mut scratch.deflated)
                }
                (len, _) => {
                    let held = &mut self.held[..len];
                    Some((len, to_send(shared, held, &mut scratch.deflated, [&[]; 2])))
                }
            };
            let Some((len, bufs)) = next else {
                guard.keep();
                most = 0;
                continue;
            };
            let progress = send(guard, shared, bufs, most, &mut self.unsent);
            scratch.give_back();
            self.deflating = None;
            self.is_begun = progress? != Progress::Done;
            self.held.drain(..len);
            // What is left is for another turn.
            most = if self.held.is_empty() { most.saturating_sub(len) } else { 0 };
        }
    }

    /// Others write, who have time of their own for that. A message in parts has none.
    pub(super) fn wait_for_others(&mut self, shared: &ConnectionShared) -> Result<Progress, Error> {
        let idle = self.blocked.filter(|_| !shared.writer.is_writing());
        let blocked = idle.unwrap_or_else(|| Expiry::after(shared.writer.timeout(0)));
        self.blocked = Some(blocked);
        match blocked.left() {
            Some(_) => Ok(Progress::More { moved: false }),
            None => Err(Error::DeadlineExceeded(Deadline::Write)),
        }
    }

    /// Nothing more is to be begun; whether anything was.
    pub(super) fn abandon_held(&mut self) -> bool {
        self.held = Vec::new();
        // The right to write is ours while there is any of that, too.
        self.is_begun |= self.deflating.take().is_some();
        self.is_begun
    }

    /// When it has to be looked at, whatever the socket says.
    pub(super) fn look_at(&self, now: Instant) -> Instant {
        let expiry = match self.is_begun {
            true => self.unsent.expiry(),
            false => self.blocked.unwrap_or(Expiry::NEVER),
        };
        let soon = now + ROOM_INTERVAL;
        expiry.at().map_or(soon, |at| at.min(soon))
    }
}
