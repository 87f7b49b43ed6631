//! How long a connection waits for its peer.
//!
//! Several clocks run while a thread waits in a read: the keepalive's, the unfinished message's,
//! the closing handshake's, the caller's own. A read is bounded by whichever ends first, and when
//! it comes back without a byte the ones that have run out are acted on. The first two count only
//! time spent waiting, so that a handler that was busy does not blame its peer.

use std::mem;
use std::time::{Duration, Instant};

use crate::deadline::{Deadline, allowance};
use crate::error::{Error, Wait};
use crate::proto::send;
use crate::shared::Shared;

/// After how long without a message memory beyond the smallest buffer is given back.
pub(crate) const QUIET: Duration = Duration::from_secs(2);

/// The clocks of one connection.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// Time waited since the last byte from the peer.
    silent: Duration,
    /// Whether a Ping was sent in this silence.
    pinged: bool,
    /// Time waited since the message under way began.
    message: Duration,
    /// Time waited since the last byte of a message, but for the first read behind it; Pings and
    /// Pongs do not count.
    quiet: Duration,
    /// Whether a message has come since the last read.
    fresh: bool,
}

/// What bounds one read.
pub(crate) struct Bounds {
    /// Payload bytes of the unfinished message that have come; `None` if nothing is unfinished.
    pub(crate) unfinished: Option<u64>,
    /// The caller's own deadline.
    pub(crate) call: Deadline,
    /// The longest to wait before looking up: others may have changed what bounds us, or memory
    /// may be due to be given back.
    pub(crate) tick: Duration,
}

impl Patience {
    /// Reads once into `buf`, within all bounds: so many bytes, zero at the end of the stream, or
    /// `None` if nothing came.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] and [`Error::TimedOut`] for a clock that has run out, and
    /// [`Error::Io`].
    #[inline(always)]
    pub(crate) fn read(
        &mut self,
        shared: &Shared,
        buf: &mut [u8],
        bounds: &Bounds,
    ) -> Result<Option<usize>, Error> {
        let wait = self.wait(shared, bounds)?;
        let before = Instant::now();
        let heard = shared.wire.read(buf, wait)?;
        self.count(heard.is_some(), bounds, || before.elapsed());
        Ok(heard)
    }

    /// Takes note that a read has ended, with bytes or without, after such a time.
    #[inline(always)]
    fn count(&mut self, heard: bool, bounds: &Bounds, waited: impl FnOnce() -> Duration) {
        let fresh = mem::take(&mut self.fresh);
        if heard {
            self.silent = Duration::ZERO;
            self.pinged = false;
            // Mostly another message has come, and nobody has to know how long that took. If it was
            // something else, the next read counts.
            if fresh && bounds.unfinished.is_none() && bounds.tick == Duration::MAX {
                return;
            }
        }
        let waited = waited();
        self.quiet += waited;
        if bounds.unfinished.is_some() {
            self.message += waited;
        }
        if !heard {
            self.silent += waited;
        }
    }

    /// A message is under way, and the peer has kept us waiting for it otherwise than in a read.
    pub(crate) fn held_up(&mut self, waited: Duration) {
        self.message += waited;
    }

    /// Nothing is under way any more: the next message has all its time.
    pub(crate) fn next_message(&mut self) {
        self.message = Duration::ZERO;
    }

    /// Part of a message has come.
    pub(crate) fn busy(&mut self) {
        self.quiet = Duration::ZERO;
        self.fresh = true;
    }

    /// Whether no message has come for a while; asked again, only after another while.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let quiet = self.quiet >= QUIET;
        if quiet {
            self.quiet = Duration::ZERO;
        }
        quiet
    }

    /// How long the next read may take; sends the Ping that is due.
    #[inline(always)]
    fn wait(&mut self, shared: &Shared, bounds: &Bounds) -> Result<Duration, Error> {
        let timeouts = &shared.context.config.timeouts;
        if self.silent >= timeouts.ping && !self.pinged {
            // §5.5.2: a Ping asks whether the peer is still there.
            let mut frame = Vec::new();
            send::ping(b"", &mut frame);
            shared.post(&frame);
            self.pinged = true;
        }
        let keepalive = match self.pinged {
            true => timeouts.idle,
            false => timeouts.ping.min(timeouts.idle),
        };
        let mut wait = left(keepalive, self.silent).ok_or(Error::Expired(Wait::Idle))?;
        if let Some(received) = bounds.unfinished {
            let message = left(allowance(timeouts.message, received), self.message);
            wait = wait.min(message.ok_or(Error::Expired(Wait::Message))?);
        }
        if let Some(deadline) = shared.close_deadline() {
            wait = wait.min(deadline.left().ok_or(Error::Expired(Wait::Close))?);
        }
        wait = wait.min(bounds.call.left().ok_or(Error::TimedOut)?);
        Ok(wait.min(bounds.tick))
    }
}

/// What is left of `whole`, if anything is.
fn left(whole: Duration, spent: Duration) -> Option<Duration> {
    whole.checked_sub(spent).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn bounds(unfinished: Option<u64>, tick: Duration) -> Bounds {
        Bounds { unfinished, call: Deadline::NEVER, tick }
    }

    #[test]
    fn only_between_messages_is_the_time_not_asked() {
        let mut patience = Patience::default();
        let idle = bounds(None, Duration::MAX);
        for _ in 0..3 {
            patience.busy();
            patience.count(true, &idle, || unreachable!("nobody has to know"));
        }
        for (unfinished, tick) in [(Some(1), Duration::MAX), (None, QUIET)] {
            patience.busy();
            patience.count(true, &bounds(unfinished, tick), || LONG);
            assert_eq!(patience.message, if unfinished.is_some() { LONG } else { Duration::ZERO });
            assert!(patience.is_quiet());
            patience.next_message();
        }
        patience.busy();
        patience.count(false, &idle, || LONG);
        assert_eq!(patience.silent, LONG);
    }

    /// Else a peer could keep memory from being given back.
    #[test]
    fn pings_do_not_break_the_quiet() {
        let mut patience = Patience::default();
        let idle = bounds(None, Duration::MAX);
        patience.busy();
        patience.count(true, &idle, || LONG);
        patience.count(true, &idle, || LONG);
        assert!(patience.is_quiet());
        assert_eq!(patience.silent, Duration::ZERO);
        assert!(!patience.is_quiet(), "until another while has passed");
    }
}
