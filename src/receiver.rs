//! The receiving half of a connection.
//!
//! Bytes take one of two ways to the caller. Most are read into a buffer, where headers and
//! small payloads lie side by side, and are copied from there. When the buffer is empty in the
//! middle of a payload, the socket is read straight into the memory where the message belongs.
//! Either way [`Receive::feed`] sees every byte once, in place.
//!
//! Before a read can block, all that is queued for sending goes out.

use std::io::{ErrorKind, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::{mem, thread};

use crate::buffer::{ReadBuffer, grow};
use crate::deadline::Deadline;
use crate::error::{Error, Wait};
use crate::message::{Chunk, Message};
use crate::patience::{Bounds, Heard, Patience, QUIET};
use crate::proto::{CloseCode, CloseFrame, Event, Kind, Receive};
use crate::shared::{DRAIN, LastWord, Shared};

/// The shortest rest of a payload that is worth a read of its own, in bytes.
const DIRECT: u64 = 4 << 10;

/// The most that is read straight into a message at once, in bytes: what is unmasked next should
/// still be in the processor's cache.
const STRIDE: usize = 256 << 10;

/// How much may be queued for sending before it is sent, in bytes.
pub(crate) const QUEUE: usize = 64 << 10;

/// Messages up to this length are not charged to the budget, in bytes.
const UNCHARGED: usize = 16 << 10;

/// The steps in which longer ones are charged, and let grow, in bytes.
const GRAIN: usize = 64 << 10;

/// The receiving half of a connection, from [`Connection::split`](crate::Connection::split).
///
/// Pings, Pongs and the closing handshake are looked after inside the calls of this type, so one
/// of them should be waiting most of the time. Dropping the `Receiver` of an open connection
/// closes it with 1000, or with 1011 if the thread panics.
pub struct Receiver {
    pub(crate) shared: Arc<Shared>,
    core: Receive,
    buffer: ReadBuffer,
    /// A part of a message that lies in the buffer, unmasked and not yet taken.
    ready: Option<Ready>,
    /// A message that is being put together: its first `filled` bytes.
    partial: Vec<u8>,
    filled: usize,
    /// Payload bytes of the message under way that have come.
    received: u64,
    /// Bytes charged to the budget of unfinished messages.
    charged: u64,
    /// Whole frames to send before the next read.
    pub(crate) queue: Vec<u8>,
    patience: Patience,
    recv_timeout: Option<Duration>,
    /// Whether senders of their own exist, which may start to close at any time.
    pub(crate) split: bool,
    /// Whether somebody else ends the connection when this is dropped.
    pub(crate) chaperoned: bool,
    close_frame: Option<CloseFrame>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The closing handshake is done.
    Closed,
    /// It ended otherwise.
    Failed,
}

struct Ready {
    kind: Kind,
    /// Where in the buffer.
    at: Range<usize>,
    end: bool,
}

/// What comes next of a message.
enum Next {
    /// A part of it lies in the buffer.
    Ready(Ready),
    /// The buffer is empty, and the payload goes on for this much.
    Direct(u64),
    /// No more messages.
    End,
}

impl Receiver {
    pub(crate) fn new(shared: Arc<Shared>, rest: Vec<u8>) -> Self {
        let core = Receive::new(shared.context.config.limits.for_receive());
        Self {
            shared,
            core,
            buffer: ReadBuffer::new(rest),
            ready: None,
            partial: Vec::new(),
            filled: 0,
            received: 0,
            charged: 0,
            queue: Vec::new(),
            patience: Patience::default(),
            recv_timeout: None,
            split: false,
            chaperoned: false,
            close_frame: None,
            state: State::Open,
        }
    }

    /// Waits for the next message and receives it into `buf`, whose contents it replaces.
    /// `None` is the end: the closing handshake is done.
    ///
    /// # Errors
    ///
    /// All but [`Error::TimedOut`] end the connection; the peer has been told why by then, where
    /// it could be (§7.1.7).
    pub fn recv<'b>(&mut self, buf: &'b mut Vec<u8>) -> Result<Option<Message<'b>>, Error> {
        // While a message is put together its memory is moved out, so that the rest of the
        // connection can be borrowed beside it; it comes back if the call does not finish.
        let mut message = mem::take(&mut self.partial);
        let call = self.deadline();
        let result = self.assemble(&mut message, buf, call);
        match result {
            Ok(Some(kind)) => {
                message.truncate(mem::take(&mut self.filled));
                mem::swap(buf, &mut message);
                self.uncharge();
                // The two buffers take turns; one that has grown far beyond need is let go.
                if message.capacity() / 4 <= buf.len().max(GRAIN) {
                    self.partial = message;
                }
                Ok(Some(Message::new(kind, buf)))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.partial = message;
                Err(self.failed(error))
            }
        }
    }

    /// Waits for the next part of a message and receives it into `out`: any size of message in
    /// constant memory. `None` is the end, as in [`recv`](Self::recv), which receives the rest if
    /// it is called in the middle of a message. An empty `out` receives nothing.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_chunk(&mut self, out: &mut [u8]) -> Result<Option<Chunk>, Error> {
        let call = self.deadline();
        self.chunk(out, call).map_err(|error| self.failed(error))
    }

    /// Bounds each later `recv` and `recv_chunk`: [`Error::TimedOut`] after this much waiting.
    /// `None`, the default, waits until a deadline of [`Timeouts`](crate::Timeouts).
    pub fn set_recv_timeout(&mut self, timeout: Option<Duration>) {
        self.recv_timeout = timeout;
    }

    /// What the peer's Close frame said, once it has come (§7.1.5, §7.1.6).
    #[must_use]
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.close_frame.as_ref()
    }

    /// Sends what is queued, and `frame` behind it.
    pub(crate) fn flush(&mut self, frame: [&[u8]; 2]) -> Result<(), Error> {
        self.transmit(frame).map_err(|error| self.failed(error))
    }

    /// Starts the closing handshake, and sees it through: until the peer's Close, the close
    /// deadline, or more data than is worth waiting for.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if self.state != State::Open {
            return Ok(());
        }
        self.send_queue().map_err(|error| self.failed(error))?;
        let word = LastWord::Start(code, reason.to_owned());
        self.shared.close(word, self.shared.context.config.timeouts.write);
        let mut patience = DRAIN;
        let mut sink = [0; 1024];
        loop {
            let error = match self.chunk(&mut sink, Deadline::NEVER) {
                Ok(None) => return Ok(()),
                Ok(Some(chunk)) if chunk.len <= patience => {
                    patience -= chunk.len;
                    continue;
                }
                Ok(Some(_)) => Error::Expired(Wait::Close),
                Err(error) => error,
            };
            return Err(self.failed(error));
        }
    }

    /// Puts the message together in `message`; the type of a whole one, or `None` at the end.
    /// `spare` is the caller's memory, which may be given back while nothing comes.
    fn assemble(
        &mut self,
        message: &mut Vec<u8>,
        spare: &mut Vec<u8>,
        call: Deadline,
    ) -> Result<Option<Kind>, Error> {
        loop {
            let (len, kind, end) = match self.next(&mut [&mut *message, &mut *spare], call)? {
                Next::End => return Ok(None),
                Next::Ready(Ready { kind, at, end }) => {
                    let room = self.room(message, at.len())?;
                    room.copy_from_slice(&self.buffer[at.clone()]);
                    (at.len(), kind, end)
                }
                Next::Direct(left) => {
                    let stride = (message.len() - self.filled).clamp(GRAIN, STRIDE);
                    let len = usize::try_from(left).map_or(stride, |left| left.min(stride));
                    let room = self.room(message, len)?;
                    match self.read_direct(room, call)? {
                        Some(chunk) => (chunk.len, chunk.kind, chunk.end),
                        None => continue,
                    }
                }
            };
            self.filled += len;
            if end {
                return Ok(Some(kind));
            }
        }
    }

    fn chunk(&mut self, out: &mut [u8], call: Deadline) -> Result<Option<Chunk>, Error> {
        if let (Some(kind), 1..) = (self.core.message_kind(), self.filled) {
            // What an unfinished `recv` has gathered comes first.
            let len = self.filled.min(out.len());
            out[..len].copy_from_slice(&self.partial[..len]);
            self.partial.copy_within(len..self.filled, 0);
            self.filled -= len;
            return Ok(Some(Chunk { kind, len, end: false }));
        }
        loop {
            match self.next(&mut [], call)? {
                Next::End => return Ok(None),
                Next::Ready(Ready { kind, at, end }) => {
                    let len = at.len().min(out.len());
                    let cut = at.start + len;
                    out[..len].copy_from_slice(&self.buffer[at.start..cut]);
                    if cut < at.end {
                        self.ready = Some(Ready { kind, at: cut..at.end, end });
                        return Ok(Some(Chunk { kind, len, end: false }));
                    }
                    return Ok(Some(Chunk { kind, len, end }));
                }
                Next::Direct(left) => {
                    let len = usize::try_from(left).map_or(out.len(), |left| left.min(out.len()));
                    if let Some(chunk) = self.read_direct(&mut out[..len], call)? {
                        return Ok(Some(chunk));
                    }
                }
            }
        }
    }

    /// Goes on until there is a part of a message to take, or none will come. `idle` is memory
    /// that may be given back while nothing comes.
    fn next(&mut self, idle: &mut [&mut Vec<u8>], call: Deadline) -> Result<Next, Error> {
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
                self.send_queue()?;
                if left >= DIRECT {
                    return Ok(Next::Direct(left));
                }
                self.fill(idle, call)?;
                continue;
            }
            let (used, event) = self.core.feed(self.buffer.unread())?;
            let used = self.buffer.consume(used);
            match event {
                Event::Data { kind, len, end } => {
                    self.count(len, end);
                    let at = used.end - len..used.end;
                    self.ready = Some(Ready { kind, at, end });
                }
                Event::NeedMore => {}
                Event::Ping | Event::Pong => self.answer(&event)?,
                Event::Close(frame) => self.closed(frame),
            }
        }
    }

    /// Reads into the buffer, which is used up.
    fn fill(&mut self, idle: &mut [&mut Vec<u8>], call: Deadline) -> Result<(), Error> {
        let held = idle.iter().map(|memory| memory.capacity()).sum::<usize>();
        let excess = held + self.queue.capacity() + self.buffer.excess();
        let bounds = self.bounds(call, excess);
        let room = self.buffer.room();
        match self.patience.read(&self.shared, room, &bounds)? {
            Heard::Bytes(0) => Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            Heard::Bytes(len) => {
                self.buffer.filled(len);
                Ok(())
            }
            Heard::Silence(silence) => {
                if silence >= QUIET && self.filled == 0 {
                    self.buffer.reset();
                    self.queue = Vec::new();
                    for memory in idle {
                        **memory = Vec::new();
                    }
                }
                Ok(())
            }
        }
    }

    /// Reads into `out`, which is no longer than the payload goes on; `None` if nothing came.
    fn read_direct(&mut self, out: &mut [u8], call: Deadline) -> Result<Option<Chunk>, Error> {
        self.buffer.bypassed();
        let bounds = self.bounds(call, 0);
        let len = match self.patience.read(&self.shared, out, &bounds)? {
            Heard::Silence(_) => return Ok(None),
            Heard::Bytes(0) => return Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            Heard::Bytes(len) => len,
        };
        match self.core.feed(&mut out[..len])? {
            (_, Event::Data { kind, len, end }) => {
                self.count(len, end);
                Ok(Some(Chunk { kind, len, end }))
            }
            (_, event) => unreachable!("{event:?} inside a payload"),
        }
    }

    fn bounds(&self, call: Deadline, excess: usize) -> Bounds {
        let mut tick = Duration::MAX;
        if self.split {
            // Nothing wakes a blocked read but the end of the stream, so look up now and then
            // whether a sender has started to close.
            tick = self.shared.context.config.timeouts.close;
        }
        if excess > GRAIN {
            tick = tick.min(QUIET);
        }
        let unfinished = self.core.is_unfinished().then_some(self.received);
        Bounds { unfinished, call, tick }
    }

    /// Takes note of payload that has come.
    fn count(&mut self, len: usize, end: bool) {
        self.received += len as u64;
        if end {
            self.received = 0;
            self.patience.next_message();
        }
    }

    /// Answers a control frame other than Close.
    fn answer(&mut self, event: &Event) -> Result<(), Error> {
        self.shared.closing().answer(event, self.core.control(), &mut self.queue);
        if self.core.message_kind().is_none() {
            self.patience.next_message();
        }
        if self.split {
            // The queue holds nothing else then, and must not wait for a blocked sender.
            self.shared.post(&self.queue);
            self.queue.clear();
        } else if self.queue.len() >= QUEUE {
            self.send_queue()?;
        }
        Ok(())
    }

    /// The peer's Close has come: answers it, if it is no answer itself, and ends the stream.
    fn closed(&mut self, frame: CloseFrame) {
        // If this fails, so does the Close; and the peer wants no more anyway.
        let _ = self.send_queue();
        self.close_frame = Some(frame.clone());
        self.shared.finish(LastWord::Answer(frame));
        self.end(State::Closed);
    }

    /// Does what an error calls for, and passes it on.
    fn failed(&mut self, error: Error) -> Error {
        let (code, reason) = match &error {
            Error::TimedOut | Error::TooLong | Error::InvalidCloseCode(_) => return error,
            _ if self.state != State::Open => return error,
            Error::Violation(violation) => (violation.close_code(), violation.to_string()),
            Error::Expired(wait @ (Wait::Message | Wait::Idle)) => {
                (CloseCode::POLICY_VIOLATION, wait.reason().to_owned())
            }
            Error::Overloaded => (CloseCode::TRY_AGAIN_LATER, error.to_string()),
            Error::Io(_) | Error::Closed | Error::Expired(Wait::Write | Wait::Close) => {
                self.shared.abandon();
                self.end(State::Failed);
                return error;
            }
        };
        // Answers to what was right come before the answer to what was wrong.
        let _ = self.send_queue();
        self.shared.finish(LastWord::Fail(code, reason));
        self.end(State::Failed);
        error
    }

    /// The connection is over: its memory is of no more use.
    fn end(&mut self, state: State) {
        self.state = state;
        self.ready = None;
        self.buffer.reset();
        self.partial = Vec::new();
        self.filled = 0;
        self.queue = Vec::new();
        self.uncharge();
    }

    /// Sends what is queued, unless a Close has passed.
    fn send_queue(&mut self) -> Result<(), Error> {
        match self.transmit([&[], &[]]) {
            Err(Error::Closed) => Ok(()),
            result => result,
        }
    }

    fn transmit(&mut self, [head, payload]: [&[u8]; 2]) -> Result<(), Error> {
        if self.queue.is_empty() && head.is_empty() {
            return Ok(());
        }
        let mut frames = [&self.queue, head, payload].map(IoSlice::new);
        let result = self.shared.transmit(&mut frames);
        self.queue.clear();
        result
    }

    /// Room in `message` for `more` bytes after the first `filled`, if the budget has it.
    fn room<'m>(&mut self, message: &'m mut Vec<u8>, more: usize) -> Result<&'m mut [u8], Error> {
        let need = self.filled + more;
        if need > UNCHARGED && need as u64 > self.charged {
            let charge = need.next_multiple_of(GRAIN) as u64 - self.charged;
            if !self.shared.context.charge(charge) {
                return Err(Error::Overloaded);
            }
            self.charged += charge;
        }
        match grow(message, need) {
            true => Ok(&mut message[self.filled..need]),
            false => Err(Error::Overloaded),
        }
    }

    fn uncharge(&mut self) {
        self.shared.context.release(mem::take(&mut self.charged));
    }

    fn deadline(&self) -> Deadline {
        self.recv_timeout.map_or(Deadline::NEVER, Deadline::after)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.uncharge();
        if self.state != State::Open {
            return;
        }
        let _ = self.send_queue();
        if !self.chaperoned {
            let code = match thread::panicking() {
                true => CloseCode::INTERNAL_ERROR,
                false => CloseCode::NORMAL,
            };
            self.shared.finish(LastWord::Start(code, String::new()));
        }
    }
}
