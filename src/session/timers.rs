//! How long a connection waits for its peer.
//!
//! Three timers run while nothing comes: the keep-alive's, the unfinished message's, the closing
//! handshake's. [`ReadTimers::next`] says how long the next read may take, whichever of them ends
//! first, and which one has run out. They count only time that is spent waiting, which whoever
//! waits reports, so that a handler that was busy does not blame its peer.
//!
//! ```text
//!   next ──▶ Wait(d) ──▶ the engine reads for d at most ──▶ read_done ──▶ next
//!     ├────▶ Ping ─────▶ the engine sends one ────────────────────────────▲
//!     └────▶ Err(Deadline): Idle and Message close with 1008, Close ends the stream
//! ```

use std::mem;
use std::time::{Duration, Instant};

use crate::config::Timeouts;
use crate::proto::CloseCode;

/// A deadline of [`Timeouts`] that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// `message`: a message took too long to arrive.
    Message,
    /// `idle_timeout`: nothing came, not even the answer to a Ping.
    Idle,
    /// `write`: the peer did not take what was sent.
    Write,
    /// `close`: the peer did not answer our Close.
    Close,
}

/// After how long without a message memory beyond the smallest buffer is given back.
pub const MEMORY_KEEPALIVE: Duration = Duration::from_secs(2);

/// How much may come after our Close, in bytes, until the close deadline is held against a peer that
/// never pauses: what it had sent before it read our Close is still on the way, and systems hold that
/// much of it at the most.
const MAX_BEFORE_CLOSE: u64 = 16 << 20;

/// The timers of one connection.
#[derive(Debug, Default)]
pub struct ReadTimers {
    /// Time waited since the last byte from the peer, in nanoseconds, as the other times here: an idle
    /// connection has little else.
    silent: u64,
    /// Whether a Ping was sent in this silence.
    pinged: bool,
    /// Time waited since the message under way began.
    message: u64,
    /// What has passed since our Close was written. In a box, since it is not needed until the end.
    closing: Option<Box<ClosingTimer>>,
    /// Time waited since the last byte of a message, but for the first read behind it; Pings and
    /// Pongs do not count.
    idle: u64,
    /// Whether part of a message has come since the last read.
    fresh: bool,
}

/// What has passed since our Close was written.
#[derive(Debug, Default)]
struct ClosingTimer {
    /// Time waited.
    waited: Duration,
    /// Bytes that have come.
    received: u64,
    /// When the answer was first waited for.
    since: Option<Instant>,
}

/// What is under way during a read.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// Payload bytes of the unfinished message that have come; `None` if nothing is unfinished.
    pub message: Option<u64>,
    /// Whether our Close is written, and the peer's is due.
    pub closing: bool,
}

/// What an engine does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Waits for bytes this long at most; never zero.
    Wait(Duration),
    /// Sends a Ping, and asks again.
    Ping,
}

impl Pending {
    /// The same during a read that is over. An engine that did not know of our Close by then, as others may
    /// send it, has not waited for its answer: that has its time from the next read on.
    #[cfg(feature = "event-loop")]
    pub fn waited_for(self, timers: &ReadTimers) -> Self {
        Self { closing: self.closing && timers.closing.is_some(), ..self }
    }
}

impl ReadTimers {
    /// How long the next read may take, or what comes before it. `is_writing` tells whether the
    /// peer is taking what is sent, which the write deadline bounds: it is no silence then.
    ///
    /// # Errors
    ///
    /// The timer that has run out.
    // An echo of 20 bytes: 1,340 instructions, 1,351 without it.
    #[inline(always)]
    pub fn next(
        &mut self,
        timeouts: &Timeouts,
        pending: Pending,
        now: Instant,
        is_writing: impl FnOnce() -> bool,
    ) -> Result<Next, Deadline> {
        let mut silent = Duration::from_nanos(self.silent);
        if silent >= timeouts.ping_interval && !self.pinged {
            // §5.5.2: a Ping asks whether the peer is still there.
            self.pinged = true;
            // Whatever made us late, the answer has its time.
            self.silent = nanos(timeouts.ping_interval);
            return Ok(Next::Ping);
        }
        let keep_alive = match self.pinged {
            true => timeouts.idle_timeout,
            false => timeouts.ping_interval.min(timeouts.idle_timeout),
        };
        if silent >= keep_alive && is_writing() {
            // Our Ping may wait behind it.
            (self.silent, silent) = (0, Duration::ZERO);
        }
        let mut wait = left(keep_alive, silent).ok_or(Deadline::Idle)?;
        if let Some(received) = pending.message {
            let message =
                left(allowance(timeouts.message, received), Duration::from_nanos(self.message));
            wait = wait.min(message.ok_or(Deadline::Message)?);
        }
        if pending.closing {
            let closing = self.closing.get_or_insert_default();
            wait = wait.min(closing.left(timeouts.close, now).ok_or(Deadline::Close)?);
        }
        Ok(Next::Wait(wait))
    }

    /// A read has ended with so many bytes, or `None` if nothing came. `waited` is asked how long it
    /// took only if somebody has to know: where `is_timed`, a read that brings the next message is
    /// of interest too.
    pub fn read_done(
        &mut self,
        received: Option<usize>,
        pending: Pending,
        is_timed: bool,
        waited: impl FnOnce() -> Duration,
    ) {
        let fresh = mem::take(&mut self.fresh);
        if received.is_some() {
            self.silent = 0;
            self.pinged = false;
            // Mostly another message has come, and nobody has to know how long that took. If it was
            // something else, the next read counts.
            if fresh && !is_timed && pending.message.is_none() && !pending.closing {
                return;
            }
        }
        let waited = waited();
        self.idle = self.idle.saturating_add(nanos(waited));
        self.add_wait(pending, waited);
        if pending.closing {
            let closing = self.closing.get_or_insert_default();
            closing.received += received.unwrap_or(0) as u64;
        }
        if received.is_none() {
            self.silent = self.silent.saturating_add(nanos(waited));
        }
    }

    /// Something else than a read has taken this time, which the peer has caused: to write its
    /// Pongs, say, or to call back for them.
    pub fn add_wait(&mut self, pending: Pending, waited: Duration) {
        if pending.message.is_some() {
            self.message = self.message.saturating_add(nanos(waited));
        }
        if pending.closing {
            self.closing.get_or_insert_default().waited += waited;
        }
    }

    /// Part of a message has come.
    pub fn message_received(&mut self) {
        self.idle = 0;
        self.fresh = true;
    }

    /// Nothing is under way any more: the next message has all its time.
    pub fn message_ended(&mut self) {
        self.message = 0;
    }

    /// Whether no message has come for [`MEMORY_KEEPALIVE`]; asked again, only after another while.
    pub fn is_idle(&mut self) -> bool {
        let is_idle = self.idle >= nanos(MEMORY_KEEPALIVE);
        if is_idle {
            self.idle = 0;
        }
        is_idle
    }
}

impl ClosingTimer {
    /// What is left of the time for the answer, if anything is.
    fn left(&mut self, timeout: Duration, now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        // A flood leaves nothing to wait for, and a handler may take its time for each message.
        let is_late =
            self.received > MAX_BEFORE_CLOSE && now.saturating_duration_since(since) >= timeout;
        left(timeout, self.waited).filter(|_| !is_late)
    }
}

impl Deadline {
    /// One line, fit for a close reason.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Message => "the message took too long",
            Self::Idle => "nothing was heard for too long",
            Self::Write => "what was sent was not taken in time",
            Self::Close => "the close was not answered in time",
        }
    }

    /// The code that the peer is told, if it can be told anything: a stream that it does not read,
    /// or a closing handshake that it does not finish, just ends.
    pub const fn close_code(self) -> Option<CloseCode> {
        match self {
            Self::Message | Self::Idle => Some(CloseCode::POLICY_VIOLATION),
            Self::Write | Self::Close => None,
        }
    }
}

/// `base` and one second more for each whole 64 KiB of `len`: what a transfer of `len` bytes may
/// take.
pub fn allowance(base: Duration, len: u64) -> Duration {
    base.saturating_add(Duration::from_secs(len >> 16))
}

/// At most as many as there can be, 584 years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What is left of `whole`, if anything is.
fn left(whole: Duration, spent: Duration) -> Option<Duration> {
    whole.checked_sub(spent).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(20);
    const SECOND: Duration = Duration::from_secs(1);
    const NOTHING: Pending = Pending { message: None, closing: false };
    const MESSAGE: Pending = Pending { message: Some(1), closing: false };
    const CLOSING: Pending = Pending { message: None, closing: true };

    /// Counts a read; `None` where nobody may ask how long it took.
    fn read(
        timers: &mut ReadTimers,
        received: Option<usize>,
        (pending, is_timed): (Pending, bool),
        waited: Option<Duration>,
    ) {
        timers.read_done(received, pending, is_timed, || waited.expect("nobody has to know"));
    }

    #[test]
    fn only_between_messages_is_the_time_not_asked() {
        let mut timers = ReadTimers::default();
        for _ in 0..3 {
            timers.message_received();
            read(&mut timers, Some(1), (NOTHING, false), None);
        }
        for (pending, is_timed) in [(MESSAGE, false), (NOTHING, true), (CLOSING, true)] {
            timers.message_received();
            read(&mut timers, Some(1), (pending, is_timed), Some(LONG));
            assert_eq!(timers.message, if pending.message.is_some() { nanos(LONG) } else { 0 });
            assert!(timers.is_idle());
            timers.message_ended();
        }
        let closing = timers.closing.take().unwrap();
        assert_eq!((closing.waited, closing.received), (LONG, 1));
        timers.message_received();
        read(&mut timers, None, (NOTHING, false), Some(LONG));
        assert_eq!(timers.silent, nanos(LONG));
    }

    /// Else a peer could keep memory from being given back.
    #[test]
    fn pings_do_not_break_the_quiet() {
        let mut timers = ReadTimers::default();
        timers.message_received();
        read(&mut timers, Some(1), (NOTHING, false), None);
        read(&mut timers, Some(1), (NOTHING, false), Some(LONG));
        assert!(timers.is_idle());
        assert_eq!(timers.silent, 0);
        assert!(!timers.is_idle(), "until another while has passed");
    }

    /// What is asked for next, second by second of silence, with a Ping after 3 and the end after 5.
    #[test]
    fn each_timer_ends_when_it_should() {
        let timeouts = Timeouts {
            ping_interval: SECOND * 3,
            idle_timeout: SECOND * 5,
            message: SECOND * 2,
            close: SECOND,
            ..Timeouts::default()
        };
        let now = Instant::now();
        let next = |timers: &mut ReadTimers, pending, is_writing| {
            timers.next(&timeouts, pending, now, || is_writing)
        };
        let wait = |seconds: u32| Ok(Next::Wait(SECOND * seconds));
        let silent = |seconds: u32, pending| {
            let mut timers = ReadTimers::default();
            read(&mut timers, None, (pending, false), Some(SECOND * seconds));
            timers
        };
        let mut timers = silent(1, NOTHING);
        assert_eq!(next(&mut timers, NOTHING, false), wait(2));
        read(&mut timers, None, (NOTHING, false), Some(SECOND * 9));
        assert_eq!(next(&mut timers, NOTHING, false), Ok(Next::Ping));
        assert_eq!(next(&mut timers, NOTHING, false), wait(2), "its answer has its time");
        read(&mut timers, None, (NOTHING, false), Some(SECOND * 2));
        assert_eq!(next(&mut timers, NOTHING, false), Err(Deadline::Idle));
        assert_eq!(next(&mut timers, NOTHING, true), wait(5), "it takes what is sent");
        // The message, which has a second more for each 64 KiB, and the close.
        let long = Pending { message: Some(64 << 10), closing: false };
        assert_eq!(next(&mut silent(1, MESSAGE), MESSAGE, false), wait(1));
        assert_eq!(next(&mut silent(2, MESSAGE), MESSAGE, false), Err(Deadline::Message));
        assert_eq!(next(&mut silent(2, MESSAGE), long, false), wait(1));
        assert_eq!(next(&mut silent(0, CLOSING), CLOSING, false), wait(1));
        assert_eq!(next(&mut silent(1, CLOSING), CLOSING, false), Err(Deadline::Close));
        // A flood is no silence, and what has come by the deadline is enough.
        let mut timers = ReadTimers::default();
        assert_eq!(next(&mut timers, CLOSING, false), wait(1));
        read(&mut timers, Some(17 << 20), (CLOSING, true), Some(Duration::ZERO));
        assert_eq!(next(&mut timers, CLOSING, false), wait(1));
        let later = timers.next(&timeouts, CLOSING, now + SECOND, || false);
        assert_eq!(later, Err(Deadline::Close));
    }

    #[test]
    fn an_allowance_grows_by_a_second_for_64_kib() {
        let base = Duration::from_secs(10);
        assert_eq!(allowance(base, (64 << 10) - 1), base);
        assert_eq!(allowance(base, 64 << 10), Duration::from_secs(11));
        assert_eq!(allowance(base, 16 << 20), Duration::from_secs(266));
        assert_eq!(allowance(Duration::MAX, u64::MAX), Duration::MAX);
    }
}
