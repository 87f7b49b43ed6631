//! How long a connection waits for its peer.
//!
//! Several clocks run while a thread waits in a read: the keepalive's, the unfinished message's,
//! the closing handshake's, the caller's own. A read is bounded by whichever ends first, and when
//! it comes back without a byte the ones that have run out are acted on. The first three count only
//! time spent waiting, so that a handler that was busy does not blame its peer.

use std::mem;
use std::time::{Duration, Instant};

use crate::connection::shared::ConnectionShared;
use crate::error::{Deadline, Error};
use crate::io::deadline::{Expiry, allowance};
use crate::proto::encoder;

/// After how long without a message memory beyond the smallest buffer is given back.
pub(crate) const QUIET: Duration = Duration::from_secs(2);

/// How much is received after our Close and its deadline before the peer's is due, in bytes: as much
/// as systems hold of what a peer has sent before it read ours.
const BEFORE_CLOSE: u64 = 16 << 20;

/// The clocks of one connection.
#[derive(Debug, Default)]
pub(crate) struct ReadTimers {
    /// Time waited since the last byte from the peer.
    silent: Duration,
    /// Whether a Ping was sent in this silence.
    pinged: bool,
    /// Time waited since the message under way began.
    message: Duration,
    /// Time waited since our Close was sent, and bytes that have come since.
    closing: (Duration, u64),
    /// When we first waited for the answer to it.
    closing_since: Option<Instant>,
    /// Time waited since the last byte of a message, but for the first read behind it; Pings and
    /// Pongs do not count.
    quiet: Duration,
    /// Whether a message has come since the last read.
    fresh: bool,
}

/// What bounds one read.
pub(crate) struct Bounds<'a> {
    /// Payload bytes of the unfinished message that have come; `None` if nothing is unfinished.
    pub(crate) unfinished: Option<u64>,
    /// The caller's own deadline.
    pub(crate) call: &'a mut CallDeadline,
    /// The longest to wait before looking up: others may have changed what bounds us, or memory
    /// may be due to be given back.
    pub(crate) tick: Duration,
}

/// When a call that receives has waited long enough, counted from its first read: what has arrived
/// by then is received, however long it took to send what had to go first.
#[derive(Debug)]
pub(crate) struct CallDeadline {
    timeout: Option<Duration>,
    deadline: Option<Expiry>,
}

impl CallDeadline {
    /// A shorter timeout than a millisecond counts as one; `None` is never.
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, deadline: None }
    }

    fn left(&mut self) -> Option<Duration> {
        let Some(timeout) = self.timeout else { return Some(Duration::MAX) };
        let timeout = timeout.max(Duration::from_millis(1));
        self.deadline.get_or_insert_with(|| Expiry::after(timeout)).left()
    }
}

impl ReadTimers {
    /// Reads once into `buf`, within all bounds: so many bytes, zero at the end of the stream, or
    /// `None` if nothing came.
    ///
    /// # Errors
    ///
    /// [`Error::DeadlineExceeded`] and [`Error::RecvTimeout`] for a clock that has run out, and
    /// [`Error::Io`].
    #[inline(always)]
    pub(crate) fn read(
        &mut self,
        shared: &ConnectionShared,
        buf: &mut [u8],
        bounds: &mut Bounds<'_>,
    ) -> Result<Option<usize>, Error> {
        let closing = shared.begin_read();
        let read = self.wait(shared, bounds, closing).and_then(|wait| {
            let before = Instant::now();
            let heard = shared.stream.read(buf, wait)?;
            self.count(heard, bounds, closing, || before.elapsed());
            Ok(heard)
        });
        shared.end_read();
        read
    }

    /// Takes note that a read has ended, with bytes or without, after such a time; `closing` is
    /// whether our Close was sent before it began.
    #[inline(always)]
    fn count(
        &mut self,
        heard: Option<usize>,
        bounds: &Bounds<'_>,
        closing: bool,
        waited: impl FnOnce() -> Duration,
    ) {
        let fresh = mem::take(&mut self.fresh);
        if heard.is_some() {
            self.silent = Duration::ZERO;
            self.pinged = false;
            // Mostly another message has come, and nobody has to know how long that took. If it was
            // something else, the next read counts.
            let is_bounded = bounds.unfinished.is_some() || bounds.tick < Duration::MAX || closing;
            if fresh && !is_bounded {
                return;
            }
        }
        let waited = waited();
        self.quiet += waited;
        if bounds.unfinished.is_some() {
            self.message += waited;
        }
        if closing {
            self.closing.0 += waited;
            self.closing.1 += heard.unwrap_or(0) as u64;
        }
        if heard.is_none() {
            self.silent += waited;
        }
    }

    /// Something else than a read has taken this time, which the peer has caused: to write its
    /// Pongs, say, or to tell somebody of them.
    pub(crate) fn add_wait(&mut self, waited: Duration, unfinished: bool, closing: bool) {
        if unfinished {
            self.message += waited;
        }
        if closing {
            self.closing.0 += waited;
        }
    }

    /// Nothing is under way any more: the next message has all its time.
    pub(crate) fn next_message(&mut self) {
        self.message = Duration::ZERO;
    }

    /// Part of a message has come.
    pub(crate) fn message_received(&mut self) {
        self.quiet = Duration::ZERO;
        self.fresh = true;
    }

    /// Whether no message has come for a while; asked again, only after another while.
    pub(crate) fn is_idle(&mut self) -> bool {
        let quiet = self.quiet >= QUIET;
        if quiet {
            self.quiet = Duration::ZERO;
        }
        quiet
    }

    /// How long the next read may take; sends the Ping that is due.
    #[inline(always)]
    fn wait(
        &mut self,
        shared: &ConnectionShared,
        bounds: &mut Bounds<'_>,
        closing: bool,
    ) -> Result<Duration, Error> {
        let timeouts = &shared.context.config.timeouts;
        if self.silent >= timeouts.ping_interval && !self.pinged {
            // §5.5.2: a Ping asks whether the peer is still there.
            let mut frame = Vec::new();
            encoder::ping(b"", &mut frame);
            shared.push_control(&frame);
            self.pinged = true;
            // Whatever made us late, the answer has its time.
            self.silent = timeouts.ping_interval;
        }
        let keepalive = match self.pinged {
            true => timeouts.idle_timeout,
            false => timeouts.ping_interval.min(timeouts.idle_timeout),
        };
        if self.silent >= keepalive && shared.is_writing() {
            // It is taking what is sent, or the write deadline ends it; our Ping may wait behind.
            self.silent = Duration::ZERO;
        }
        let mut wait =
            left(keepalive, self.silent).ok_or(Error::DeadlineExceeded(Deadline::Idle))?;
        if let Some(received) = bounds.unfinished {
            let message = left(allowance(timeouts.message, received), self.message);
            wait = wait.min(message.ok_or(Error::DeadlineExceeded(Deadline::Message))?);
        }
        if closing {
            let (waited, bytes) = self.closing;
            let since = *self.closing_since.get_or_insert_with(Instant::now);
            // A flood leaves nothing to wait for, and a handler may take its time for each message.
            let is_late = bytes > BEFORE_CLOSE && since.elapsed() >= timeouts.close;
            let close = left(timeouts.close, waited).filter(|_| !is_late);
            wait = wait.min(close.ok_or(Error::DeadlineExceeded(Deadline::Close))?);
        }
        wait = wait.min(bounds.call.left().ok_or(Error::RecvTimeout)?);
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

    /// Counts a read; `None` where nobody may ask how long it took.
    fn count(
        timers: &mut ReadTimers,
        heard: Option<usize>,
        (unfinished, tick, closing): (Option<u64>, Duration, bool),
        waited: Option<Duration>,
    ) {
        let call = &mut CallDeadline::new(None);
        let bounds = Bounds { unfinished, call, tick };
        timers.count(heard, &bounds, closing, || waited.expect("nobody has to know"));
    }

    const IDLE: (Option<u64>, Duration, bool) = (None, Duration::MAX, false);

    #[test]
    fn only_between_messages_is_the_time_not_asked() {
        let mut timers = ReadTimers::default();
        for _ in 0..3 {
            timers.message_received();
            count(&mut timers, Some(1), IDLE, None);
        }
        for bounds in [(Some(1), Duration::MAX, false), (None, QUIET, false), (None, QUIET, true)] {
            timers.message_received();
            count(&mut timers, Some(1), bounds, Some(LONG));
            assert_eq!(timers.message, if bounds.0.is_some() { LONG } else { Duration::ZERO });
            assert!(timers.is_idle());
            timers.next_message();
        }
        assert_eq!(timers.closing, (LONG, 1));
        timers.message_received();
        count(&mut timers, None, IDLE, Some(LONG));
        assert_eq!(timers.silent, LONG);
    }

    /// Else a peer could keep memory from being given back.
    #[test]
    fn pings_do_not_break_the_quiet() {
        let mut timers = ReadTimers::default();
        timers.message_received();
        count(&mut timers, Some(1), IDLE, None);
        count(&mut timers, Some(1), IDLE, Some(LONG));
        assert!(timers.is_idle());
        assert_eq!(timers.silent, Duration::ZERO);
        assert!(!timers.is_idle(), "until another while has passed");
    }
}
