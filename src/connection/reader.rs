//! What comes in, and what it calls for: the thread that receives runs this.
//!
//! Bytes take one of two ways. Most are read into a buffer, where headers and small payloads lie
//! side by side. When the buffer is empty in the middle of a payload, the socket is read straight
//! into the memory where the message belongs. Either way [`Decoder::feed`] sees every byte once,
//! in place, but for those of short messages that have come whole: they are unmasked while they
//! are copied. Control frames are answered here, violations too; parts of messages are handed on.
//!
//! Before a read can block, all that is queued for sending goes out. The two are calls side by
//! side, with what they call inlined: where many connections take turns, each line of the stack
//! that a message touches has left the cache.

use std::io::{ErrorKind, IoSlice};
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::message::Chunk;
use crate::connection::read_buffer::{LARGEST, ReadBuffer, reserve};
use crate::connection::shared::ConnectionShared;
use crate::connection::timers::{Bounds, CallDeadline, QUIET, ReadTimers};
use crate::connection::writer::{CloseAction, Unit};
use crate::error::{Deadline, Error};
use crate::proto::frame::{MAX_CONTROL, MAX_HEADER};
use crate::proto::{CloseCode, CloseFrame, Decoder, Event, MessageType};

/// How much may be queued for sending before it is sent, in bytes.
pub(crate) const QUEUE: usize = 64 << 10;

/// The shortest rest of a payload that is worth a read of its own, in bytes. A shorter one costs
/// less to copy than a system call takes.
const DIRECT: u64 = 64 << 10;

/// How often to look up at the most.
const LOOK_UP: Duration = Duration::from_millis(100);

/// How much memory may be held through a silence, in bytes.
const SPARE: usize = 64 << 10;

/// See the top of the file.
pub(crate) struct FrameReader {
    pub(crate) shared: Arc<ConnectionShared>,
    core: Decoder,
    buffer: ReadBuffer,
    /// Bytes of it that are charged to the budget for memory that is kept.
    kept: u64,
    /// A part of a message that was put back.
    ready: Option<Ready>,
    /// Whether the payload under way is read straight to where it belongs.
    direct: bool,
    /// Payload bytes of the message under way that have come.
    received: u64,
    /// Whole frames to send before the next read.
    pub(crate) queue: Vec<u8>,
    timers: ReadTimers,
    /// Whether senders of their own exist, which may start to close at any time.
    pub(crate) split: bool,
    pub(crate) close_frame: Option<Box<CloseFrame>>,
    /// Hears of each Pong's payload.
    pub(crate) on_pong: Option<Box<OnPong>>,
    state: State,
}

pub(crate) type OnPong = dyn FnMut(&[u8]) + Send;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The closing handshake is done.
    Closed,
    /// It ended otherwise.
    Failed,
}

/// A part of a message in the buffer, unmasked and checked.
pub(crate) struct Ready {
    pub(crate) kind: MessageType,
    at: Range<usize>,
    /// Whether the message ends with it.
    pub(crate) fin: bool,
}

/// What comes next.
pub(crate) enum Next {
    /// A part of a message lies in the buffer.
    Ready(Ready),
    /// The buffer is empty, and a payload goes on for this much.
    Direct(u64),
    /// The buffer is used up: [`FrameReader::refill`] goes on.
    Empty,
    /// No more messages: the closing handshake is done.
    End,
}

impl FrameReader {
    /// The receiving side of a connection that has just opened; `rest` came behind the request.
    pub(crate) fn new(shared: Arc<ConnectionShared>, rest: Vec<u8>) -> Self {
        let core = Decoder::new(shared.context.config.limits.for_decoder());
        Self {
            shared,
            core,
            buffer: ReadBuffer::new(rest),
            kept: 0,
            ready: None,
            direct: false,
            received: 0,
            queue: Vec::new(),
            timers: ReadTimers::default(),
            split: false,
            close_frame: None,
            on_pong: None,
            state: State::Open,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The type of the message under way.
    pub(crate) fn kind(&self) -> Option<MessageType> {
        self.core.message_kind()
    }

    /// Goes on until there is something to hand on.
    pub(crate) fn next(&mut self) -> Result<Next, Error> {
        loop {
            match self.state {
                State::Open => {}
                State::Closed => return Ok(Next::End),
                State::Failed => return Err(Error::Closed),
            }
            if let Some(ready) = self.ready.take() {
                return Ok(Next::Ready(ready));
            }
            if self.buffer.is_empty() {
                let left = self.core.payload_left();
                // Once begun, it goes on so to the end of the payload.
                self.direct = left > 0 && (self.direct || left >= DIRECT);
                return Ok(if self.direct { Next::Direct(left) } else { Next::Empty });
            }
            let (used, event) = self.core.feed(self.buffer.unread())?;
            let used = self.buffer.consume(used);
            match event {
                Event::Data { kind, len, fin } => {
                    self.count(len, fin);
                    return Ok(Next::Ready(Ready { kind, at: used.end - len..used.end, fin }));
                }
                Event::NeedMore => {}
                Event::Ping | Event::Pong => self.answer(&event)?,
                Event::Close(frame) => self.closed(frame),
            }
        }
    }

    /// Reads once into the buffer, which is used up; whether no message has come for a while, so
    /// that memory can be given back. `held` is how many bytes of it the caller could. What is
    /// queued has been sent.
    #[inline(never)]
    pub(crate) fn refill(&mut self, held: usize, call: &mut CallDeadline) -> Result<bool, Error> {
        debug_assert!(self.queue.is_empty());
        let held = held + self.queue.capacity() + self.buffer.excess();
        let mut bounds = self.bounds(call, held);
        let most = self.keep();
        match self.timers.read(&self.shared, self.buffer.room(most), &mut bounds)? {
            Some(0) => return Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            Some(len) => self.buffer.filled(len),
            None => {}
        }
        let quiet = self.timers.is_idle();
        if quiet {
            self.give_back();
        }
        Ok(quiet)
    }

    /// Puts a message of at most `most` bytes that lies whole in the buffer into `buf`; its type.
    #[inline]
    pub(crate) fn take_whole(&mut self, most: usize, buf: &mut Vec<u8>) -> Option<MessageType> {
        if !self.is_open() || self.ready.is_some() {
            return None;
        }
        let (used, kind) = self.core.take_whole(self.buffer.unread(), most, buf)?;
        self.buffer.consume(used);
        // Nothing was under way, so no count of it runs.
        debug_assert_eq!(self.received, 0);
        self.timers.message_received();
        Some(kind)
    }

    /// The bytes of a part in the buffer.
    pub(crate) fn bytes(&self, ready: &Ready) -> &[u8] {
        &self.buffer[ready.at.clone()]
    }

    /// For how much longer the payload under way goes on, in bytes.
    pub(crate) fn payload_left(&self) -> u64 {
        self.core.payload_left()
    }

    /// Puts back a part of which only the first `len` bytes were taken.
    pub(crate) fn put_back(&mut self, mut ready: Ready, len: usize) {
        ready.at.start += len;
        self.ready = Some(ready);
    }

    /// Reads into `out`, which is no longer than the payload goes on; `None` if nothing came. What
    /// is queued has been sent.
    pub(crate) fn read_direct(
        &mut self,
        out: &mut [u8],
        call: &mut CallDeadline,
    ) -> Result<Option<Chunk>, Error> {
        debug_assert!(self.queue.is_empty());
        self.buffer.bypassed();
        let mut bounds = self.bounds(call, 0);
        let len = match self.timers.read(&self.shared, out, &mut bounds)? {
            None => return Ok(None),
            Some(0) => return Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            Some(len) => len,
        };
        match self.core.feed(&mut out[..len])? {
            (_, Event::Data { kind, len, fin }) => {
                self.count(len, fin);
                Ok(Some(Chunk { kind, len, fin }))
            }
            (_, event) => unreachable!("{event:?} inside a payload"),
        }
    }

    /// Leaves the end of the connection to others.
    pub(crate) fn leave(&mut self) {
        self.end(State::Failed);
    }

    /// Gives the connection up: what was received and not used.
    pub(crate) fn give_up(&mut self) -> Vec<u8> {
        let rest = self.buffer.take();
        self.end(State::Failed);
        rest
    }

    /// Sends what is queued, and behind it a frame of a head and a payload.
    pub(crate) fn transmit(&mut self, [head, payload]: [&[u8]; 2]) -> Result<(), Error> {
        let mut frames = [&self.queue, head, payload].map(IoSlice::new);
        let result = self.shared.transmit(&mut frames);
        self.shared.context.buffers.put(&mut self.queue);
        result
    }

    /// Sends what is queued.
    #[inline(always)]
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let result = self.shared.transmit(&mut [IoSlice::new(&self.queue)]);
        self.shared.context.buffers.put(&mut self.queue);
        result
    }

    /// Sends what is queued before a read, unless a Close has passed.
    #[inline(never)]
    pub(crate) fn send_queue(&mut self) -> Result<(), Error> {
        if self.queue.is_empty() {
            return Ok(());
        }
        // A peer that is slow to take its answers gains no time for its message by that.
        match self.timed(Self::flush) {
            Err(Error::Closed) => Ok(()),
            result => result,
        }
    }

    /// Does what an error calls for, and passes it on.
    pub(crate) fn failed(&mut self, error: Error) -> Error {
        if !self.is_open() {
            return error;
        }
        let (code, reason) = match &error {
            // The connection goes on, or its closing handshake does.
            Error::RecvTimeout
            | Error::TooLong
            | Error::EmptyBuffer
            | Error::InvalidCloseCode(_)
            | Error::Closed => return error,
            Error::Protocol(violation) => (violation.close_code(), violation.to_string()),
            Error::DeadlineExceeded(wait @ (Deadline::Message | Deadline::Idle)) => {
                (CloseCode::POLICY_VIOLATION, wait.reason().to_owned())
            }
            Error::Overloaded => (CloseCode::TRY_AGAIN_LATER, error.to_string()),
            Error::Io(_) | Error::DeadlineExceeded(Deadline::Write | Deadline::Close) => {
                // If we have ended the stream ourselves, the reason for that is the news.
                let error = self.shared.cause_of(error);
                self.shared.abandon();
                self.end(State::Failed);
                return error;
            }
        };
        // Answers to what was right come before the answer to what was wrong.
        if !self.queue.is_empty() {
            let within = self.shared.context.config.timeouts.close;
            let queue = &mut [IoSlice::new(&self.queue)];
            let _ = self.shared.transmit_within(queue, Unit::Messages, within);
        }
        // First, since to throw away what still comes takes no memory but for one buffer.
        self.end(State::Failed);
        self.shared.finish(CloseAction::Abort(code, reason));
        error
    }

    /// How large the buffer may be while it waits: beyond the spare, all connections share.
    fn keep(&mut self) -> usize {
        let keeping = &self.shared.context.keeping;
        if self.buffer.wanted() <= SPARE {
            keeping.give_back(mem::take(&mut self.kept));
        } else if self.kept == 0 && keeping.take(LARGEST as u64) {
            self.kept = LARGEST as u64;
        }
        if self.kept > 0 { LARGEST } else { SPARE }
    }

    /// Gives back memory that is not in use.
    fn give_back(&mut self) {
        if self.buffer.is_empty() {
            self.buffer.reset();
        }
        if self.queue.is_empty() {
            self.queue = Vec::new();
        }
    }

    fn bounds<'a>(&self, call: &'a mut CallDeadline, held: usize) -> Bounds<'a> {
        let mut tick = Duration::MAX;
        if self.split && !self.shared.is_watched() {
            // Nothing wakes a blocked read but the end of the stream, and no server is there to end
            // it, so look up now and then whether a sender has started to close.
            tick = self.shared.context.config.timeouts.close.max(LOOK_UP);
        }
        if held > SPARE {
            tick = tick.min(QUIET);
        }
        let unfinished = self.core.is_unfinished().then_some(self.received);
        Bounds { unfinished, call, tick }
    }

    /// Takes note of payload that has come.
    fn count(&mut self, len: usize, fin: bool) {
        self.timers.message_received();
        self.received += len as u64;
        if fin {
            self.received = 0;
            self.timers.next_message();
        }
    }

    /// Answers a control frame other than Close.
    fn answer(&mut self, event: &Event) -> Result<(), Error> {
        let mut closing = self.shared.closing();
        if *event == Event::Ping && closing.may_send() {
            self.shared.context.buffers.get(&mut self.queue);
            if !reserve(&mut self.queue, MAX_HEADER + MAX_CONTROL) {
                self.send_queue()?;
            }
        }
        closing.answer(event, self.core.control(), &mut self.queue);
        if *event == Event::Pong {
            self.timed(Self::tell_of_pong);
        }
        if self.core.message_kind().is_none() {
            self.timers.next_message();
        }
        if self.split && !self.queue.is_empty() {
            // It holds nothing else then, and must not wait for a blocked sender.
            self.timed(|reader| reader.shared.push_control(&reader.queue));
            self.shared.context.buffers.put(&mut self.queue);
        } else if self.queue.len() >= QUEUE {
            self.send_queue()?;
        }
        Ok(())
    }

    fn tell_of_pong(&mut self) {
        if let Some(on_pong) = &mut self.on_pong {
            on_pong(self.core.control());
        }
    }

    /// Does what a peer has called for, in time that its deadlines count.
    fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let (unfinished, closing) = (self.core.is_unfinished(), self.shared.is_closing());
        let before = (unfinished || closing).then(Instant::now);
        let done = work(self);
        if let Some(before) = before {
            self.timers.add_wait(before.elapsed(), unfinished, closing);
        }
        done
    }

    /// The peer's Close has come: answers it, if it is no answer itself, and ends the stream.
    fn closed(&mut self, frame: CloseFrame) {
        // If this fails, so does the Close; and the peer wants no more anyway.
        let _ = self.send_queue();
        self.close_frame = Some(Box::new(frame.clone()));
        self.end(State::Closed);
        self.shared.finish(CloseAction::Reply(frame));
    }

    /// The connection is over: its memory is of no more use, and the stream is read by others.
    fn end(&mut self, state: State) {
        self.state = state;
        self.shared.stop_receiving();
        self.ready = None;
        self.buffer.reset();
        self.queue = Vec::new();
        self.keep();
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        self.shared.context.keeping.give_back(self.kept);
        self.shared.stop_receiving();
    }
}
