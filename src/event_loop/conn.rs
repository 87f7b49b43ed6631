//! A connection of a loop: what it is at each stage of its life.
//!
//! ```text
//!   Opening ──▶ Open ──▶ Draining ──▶ gone        our last words are said, and the peer's end is
//!      │ └──────────────────▲ ▲                   waited for (§7.1.1)
//!      │      rejected ───────┘
//!      └──▶ a thread of its own: no more of the loop's
//! ```

use std::hint::black_box;
use std::mem;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::connection::Request as HttpRequest;
use crate::connection_limits::OpenLimits;
use crate::error::UpgradeError;
use crate::event_loop::deadlines::Tick;
use crate::event_loop::output::{Output, ROOM_INTERVAL};
use crate::http::{Accept, Reject};
use crate::io::loop_stream::LoopStream;
use crate::proto::CloseFrame;
use crate::server::registry::HandlerGuard;
use crate::session::assembler::Target;
use crate::session::opening::Opening;
use crate::session::timers::Next;
use crate::session::{Deadline, MessageAssembler, Pending, ReadTimers, Receiving};

/// The shortest rest of a payload that is read straight to where it belongs, in bytes.
const MIN_DIRECT: u64 = 64 << 10;

/// See the [module](self).
pub(super) struct Conn<S> {
    pub(super) stream: Arc<LoopStream>,
    pub(super) output: Output,
    pub(super) stage: Stage<S>,
    /// `None` for one that was turned away.
    pub(super) guard: Option<HandlerGuard>,
    /// The tick at which it is looked at; zero for never.
    pub(super) due: Tick,
    /// Until when its time is accounted for, in nanoseconds of the loop's clock.
    pub(super) since: u64,
    /// Whether there may be something to read.
    pub(super) readable: bool,
    /// Whether it is among those that are read again.
    pub(super) is_again: bool,
    /// Whether reads go on until one finds nothing. That one has left room is no news then: what wraps the
    /// socket, as TLS does, may hold more; a read stops at a byte out of band; and the end of the peer's
    /// side is a read of its own.
    pub(super) reads_all: bool,
    /// Whether much is read at once.
    pub(super) reads_much: bool,
}

pub(super) enum Stage<S> {
    Opening(Box<Request>),
    Open(Open<S>),
    /// Nothing more is said, but for the rest of it; and when the stream is cut. The answer to a request
    /// has the time of a write before, and no end is set yet.
    Draining(Option<Instant>),
}

/// A request on its way.
pub(super) struct Request {
    pub(super) opening: Opening,
    /// Whether nothing of it has come.
    pub(super) silent: bool,
    /// What is asked about it on a thread.
    pub(super) asked: Option<Box<Asked>>,
}

/// A request that the application is asked about on a thread. The peer is not read meanwhile, and has all the
/// time that takes.
pub(super) struct Asked {
    pub(super) request: Arc<HttpRequest>,
    /// What has come behind it.
    pub(super) rest: Vec<u8>,
    pub(super) verdict: mpsc::Receiver<Verdict>,
}

/// What [`on_upgrade`](crate::Server::on_upgrade) says.
pub(super) type Verdict = Result<Result<Accept, Reject>, UpgradeError>;

/// An open connection.
pub(super) struct Open<S> {
    pub(super) timers: ReadTimers,
    pub(super) limits: Arc<OpenLimits>,
    /// What receives, while a frame or a message is under way; between those it is the loop's.
    pub(super) receiver: Option<Box<Receiver>>,
    pub(super) close_frame: Option<Box<CloseFrame>>,
    pub(super) state: S,
}

/// What receives for one connection after the other, or for one that is in the middle of something.
pub(super) struct Receiver {
    pub(super) receiving: Receiving,
    /// A message in parts.
    pub(super) assembler: MessageAssembler,
    pub(super) buf: Vec<u8>,
    /// Whether the payload under way is read straight to where it belongs.
    pub(super) direct: bool,
}

/// What the time of a connection calls for.
#[derive(Clone, Copy)]
pub(super) enum Due {
    /// A look at it by then, if by any time.
    At(Option<Instant>),
    Ping,
}

impl<S> Conn<S> {
    /// What its time calls for, as things stand.
    ///
    /// # Errors
    ///
    /// The deadline that has passed; `None`, if it is that of a request, or of the peer's end.
    pub(super) fn deadline(&mut self, now: Instant) -> Result<Due, Option<Deadline>> {
        let pending = self.pending(self.unfinished());
        let at = match &mut self.stage {
            Stage::Opening(request) if request.asked.is_some() => None,
            Stage::Opening(_) => {
                let shared = &self.output.shared;
                let handshake = shared.server.config.timeouts.handshake;
                shared.stream().accepted_at().checked_add(handshake)
            }
            Stage::Draining(until) => *until,
            // What is queued is looked at; a pause is the handler's.
            Stage::Open(_) if self.output.reads_nothing() => self.output.look_at(now),
            Stage::Open(open) => {
                let (writer, timers) = (&self.output.shared.writer, &mut open.timers);
                let mut next = || {
                    timers
                        .next(&open.limits.timeouts, pending, now, || writer.is_writing())
                        .map_err(Some)
                };
                match next()? {
                    // Behind a Ping, too: its answer is read when nobody looks at deadlines, and the next
                    // one is due before the end of the time for that answer.
                    Next::Wait(wait) => {
                        now.checked_add(wait.min(open.limits.timeouts.ping_interval))
                    }
                    Next::Ping => {
                        // Another deadline may have passed as well.
                        next()?;
                        return Ok(Due::Ping);
                    }
                }
            }
        };
        let is_open = matches!(self.stage, Stage::Open(_));
        if !is_open && at.is_some_and(|at| at <= now) {
            return Err(None);
        }
        let timer = self.output.timer.as_deref().copied().filter(|_| is_open);
        // Nothing else may tell that its time is over.
        let posted = self.output.is_posted.then(|| now + ROOM_INTERVAL);
        Ok(Due::At(at.into_iter().chain(timer).chain(posted).min()))
    }

    /// Reads a little of all that a turn reads, so that it is in the cache by then.
    #[inline]
    pub(super) fn prefetch(&self) {
        let (shared, may_be_read) = (&self.output.shared, self.may_be_read());
        let stage = (self.is_heard(), may_be_read, self.since);
        let accepted_at = shared.stream().accepted_at();
        black_box((stage, shared.writer.is_closed(), self.stream.is_detached(), accepted_at));
    }

    /// Time has passed, in which so many bytes have come, or none; and so many before that of what is
    /// [unfinished](Self::unfinished).
    pub(super) fn account(&mut self, received: Option<usize>, before: Option<u64>, clock: u64) {
        let since = mem::replace(&mut self.since, clock);
        let waited = || Duration::from_nanos(clock.saturating_sub(since));
        let pending = self.pending(before);
        if let Stage::Open(open) = &mut self.stage {
            let pending = pending.waited_for(&open.timers);
            open.timers.read_done(received, pending, received.is_none(), waited);
        }
    }

    /// Sends a control frame or a Close that waits, if there is room by now.
    #[inline]
    pub(super) fn retry(&mut self, now: Instant) {
        if self.output.is_posted {
            self.output.retry_posted();
            self.was_written(now);
        }
    }

    /// Something that waited may be out. Behind our last words the peer's end is waited for, which may
    /// have come before.
    pub(super) fn was_written(&mut self, now: Instant) {
        let has_last_words = self.has_last_words();
        if let Stage::Draining(until) = &mut self.stage
            && !has_last_words
        {
            self.readable = true;
            let close_timeout = self.output.shared.server.config.timeouts.close;
            *until = until.or_else(|| now.checked_add(close_timeout));
        }
    }

    /// Whether something is still to go out.
    pub(super) fn has_last_words(&self) -> bool {
        self.output.is_posted || self.output.is_congested()
    }

    /// Gives memory back, but for what has come of a message, if no other has come for a while.
    pub(super) fn give_back(&mut self) {
        if let Stage::Open(Open { receiver: Some(receiver), timers, .. }) = &mut self.stage
            && timers.is_idle()
        {
            Target::Message(&mut receiver.assembler, &mut receiver.buf).give_back();
        }
    }
}

impl<S> Conn<S> {
    /// Whether the handler is to have what comes.
    #[inline]
    pub(super) fn is_heard(&self) -> bool {
        matches!(self.stage, Stage::Open(_)) && !self.output.discards
    }

    /// Whether it has something that receives: it is in the middle of a message, or compression was
    /// agreed on.
    #[inline]
    pub(super) fn has_receiver(&self) -> bool {
        matches!(&self.stage, Stage::Open(open) if open.receiver.is_some())
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Draining(_))
    }

    /// Whether its turn may take long.
    #[inline]
    pub(super) fn is_slow(&self) -> bool {
        self.reads_much
            || self.is_again
            || self.output.is_congested()
            || matches!(self.stage, Stage::Opening(_))
    }

    /// Whether it has more to do in the next turn, whatever happens.
    #[inline]
    pub(super) fn goes_on(&self) -> bool {
        self.may_be_read() || self.output.goes_on || self.output.failed.is_some()
    }

    /// Whether there may be something to read, and it is to be read.
    #[inline]
    pub(super) fn may_be_read(&self) -> bool {
        self.readable && (!self.output.reads_nothing() || self.is_draining())
    }

    /// A read has left room in the buffer, or filled it. Sockets tell of changes only, so all must be
    /// read that there is.
    #[inline]
    pub(super) fn was_read(&mut self, left_room: bool) {
        // Who has read less than it could has read all there was. Windows wants to hear of it.
        self.readable = !left_room || self.reads_all || cfg!(windows);
    }

    /// Whether the next read goes straight to where it belongs.
    #[inline]
    pub(super) fn is_direct(&self) -> bool {
        let Stage::Open(Open { receiver: Some(receiver), .. }) = &self.stage else { return false };
        let left = receiver.receiving.payload_left();
        left > 0 && !self.output.discards && (receiver.direct || left >= MIN_DIRECT)
    }

    /// Whether a deadline may be nearer than the one that is noted down.
    pub(super) fn is_hurried(&self) -> bool {
        self.output.is_congested()
            || self.output.is_posted
            || self.output.timer.is_some()
            || self.output.shared.writer.is_closed()
            || self.is_draining()
            || self.unfinished().is_some()
    }

    /// Payload bytes that have come of what the peer has begun, if it has begun anything.
    #[inline]
    pub(super) fn unfinished(&self) -> Option<u64> {
        let Stage::Open(Open { receiver: Some(receiver), .. }) = &self.stage else { return None };
        receiver.receiving.unfinished()
    }

    fn pending(&self, message: Option<u64>) -> Pending {
        // A Close that waits for room has the time of a write.
        let closing = self.output.shared.writer.is_closed() && !self.output.is_posted;
        Pending { message, closing }
    }
}
