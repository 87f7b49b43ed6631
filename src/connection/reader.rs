//! What comes in, and what it calls for: the thread that receives runs this.
//!
//! Bytes take one of two ways. Most are read into a buffer, where headers and small payloads lie
//! side by side. When the buffer is empty in the middle of a payload, the socket is read straight
//! into the memory where the message belongs. Either way [`Decoder::feed`] sees every byte once,
//! in place, but for those of short messages that have come whole: they are unmasked while they
//! are copied. Control frames are answered here, errors too; parts of messages are handed on.
//!
//! What is queued for sending goes out before a read can block.

use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::time::Instant;

use crate::connection::lifecycle::{CallExpiry, ConnectionShared, ReadBounds};
use crate::connection::message::Chunk;
use crate::connection::writer::Unit;
use crate::error::Error;
use crate::proto::frame::{MAX_CONTROL, MAX_HEADER};
use crate::proto::{CloseFrame, Decoder, Event, MessageType, encoder};
use crate::session::assembler::Target;
#[cfg(feature = "deflate")]
use crate::session::inflation::{Inflated, Inflation};
use crate::session::memory::reserve;
use crate::session::{Charge, CloseAction, Pending, ReadTimers};

mod read_buffer;
mod parts;

pub(crate) use parts::Part;
use parts::{OnPong, Ready, State};
use read_buffer::ReadBuffer;

/// How much may be queued before it is sent, in bytes.
pub(crate) const MAX_QUEUED: usize = 64 << 10;

/// The shortest rest of a payload that is worth a read of its own, in bytes. A shorter one costs
/// less to copy than a system call takes.
const MIN_DIRECT: u64 = 64 << 10;

/// See the [module](self).
pub(crate) struct FrameReader {
    pub(crate) shared: Arc<ConnectionShared>,
    decoder: Decoder,
    buffer: ReadBuffer,
    /// A part of a message that was put back.
    ready: Option<Ready>,
    /// What inflates messages, if compression was agreed on.
    #[cfg(feature = "deflate")]
    inflation: Option<Box<Inflation>>,
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
    /// Called with each Pong's payload.
    pub(crate) on_pong: Option<Box<OnPong>>,
    state: State,
}

impl FrameReader {
    /// The receiving side of a connection that has just opened; `rest` came behind the request.
    pub(crate) fn new(shared: Arc<ConnectionShared>, rest: Vec<u8>) -> Self {
        Self {
            decoder: Decoder::new(shared.server.config.limits.for_decoder()),
            buffer: ReadBuffer::new(rest, Charge::new(&shared.server.budget)),
            shared,
            ready: None,
            #[cfg(feature = "deflate")]
            inflation: None,
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

    /// Compression was agreed on. No frame has been read yet.
    #[cfg(feature = "deflate")]
    pub(crate) fn set_inflation(&mut self, inflation: Box<Inflation>) {
        let limits = self.shared.server.config.limits.for_decoder();
        self.decoder = Decoder::new(limits).with_compression();
        self.inflation = Some(inflation);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn kind(&self) -> Option<MessageType> {
        self.decoder.message_kind()
    }

    /// Goes on until there is part of a message to put into `target`, or the buffer was filled.
    pub(crate) fn next_part(
        &mut self,
        target: &mut Target<'_>,
        call: &mut CallExpiry,
    ) -> Result<Part, Error> {
        loop {
            match self.state {
                State::Open => {}
                State::Closed => return Ok(Part::End),
                State::Failed => return Err(Error::Closed),
            }
            let ready = match self.ready.take() {
                Some(ready) => ready,
                None if self.buffer.is_empty() => match self.fill(target, call)? {
                    Some(part) => return Ok(part),
                    None => continue,
                },
                None => match self.decode()? {
                    Some(ready) => ready,
                    None => continue,
                },
            };
            let Ready { kind, mut at, fin, .. } = ready;
            #[cfg(feature = "deflate")]
            if let Some(inflation) = self.inflation.as_mut().filter(|_| ready.is_compressed) {
                let Inflated { used, len, done } =
                    inflation.feed(kind, &self.buffer[at.clone()], fin, target)?;
                if !done {
                    at.start += used;
                    self.ready = Some(Ready { at, ..ready });
                }
                if len > 0 || (fin && done) {
                    return Ok(Part::Data(Chunk { kind, len, fin: fin && done }));
                }
                continue;
            }
            let len = target.put(&self.buffer[at.clone()], self.decoder.payload_left())?;
            let is_whole = len == at.len();
            if !is_whole {
                at.start += len;
                self.ready = Some(Ready { at, ..ready });
            }
            return Ok(Part::Data(Chunk { kind, len, fin: fin && is_whole }));
        }
    }

    /// Decodes the next bytes in the buffer, and does what a control frame calls for; a part of a
    /// message, if it is one.
    fn decode(&mut self) -> Result<Option<Ready>, Error> {
        let (used, event) = self.decoder.feed(self.buffer.unread())?;
        let used = self.buffer.consume(used);
        match event {
            Event::Data { kind, len, fin } => {
                self.count(len, fin);
                return Ok(Some(Ready::plain(kind, used.end - len..used.end, fin)));
            }
            #[cfg(feature = "deflate")]
            Event::Compressed { kind, len, fin } => {
                self.count(len, fin);
                return Ok(Some(Ready::compressed(kind, used.end - len..used.end, fin)));
            }
            Event::NeedMore => {}
            Event::Ping | Event::Pong => self.answer(&event)?,
            Event::Close(frame) => self.closed(frame),
        }
        Ok(None)
    }

    /// Sends what is queued and reads once, into the buffer, or straight into the target if a long
    /// payload is under way; `None` if nothing came for the latter.
    fn fill(
        &mut self,
        target: &mut Target<'_>,
        call: &mut CallExpiry,
    ) -> Result<Option<Part>, Error> {
        let left = self.decoder.payload_left();
        // Once begun, it goes on so to the end of the payload.
        self.direct = left > 0 && (self.direct || left >= MIN_DIRECT);
        target.before_wait(if self.direct { left } else { 0 });
        self.send_queue()?;
        debug_assert!(self.queue.is_empty());
        match self.direct {
            true => self.read_direct(target, left, call),
            false => self.refill(target, call).map(|()| Some(Part::Refilled)),
        }
    }

    /// Reads once into the buffer, which is used up.
    #[inline(never)]
    fn refill(&mut self, target: &mut Target<'_>, call: &mut CallExpiry) -> Result<(), Error> {
        let held = target.held() + self.queue.capacity() + self.buffer.excess();
        let bounds = self.bounds(held);
        match self.shared.read(&mut self.timers, self.buffer.room(), bounds, call)? {
            Some(0) => return Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            Some(len) => self.buffer.filled(len),
            None => {}
        }
        if self.timers.is_idle() {
            target.give_back();
            if self.buffer.is_empty() {
                self.buffer.reset();
            }
            self.queue = Vec::new();
        }
        Ok(())
    }

    /// Puts a message of at most `most` bytes that lies whole in the buffer into `buf`; its type.
    pub(crate) fn take_whole(&mut self, most: usize, buf: &mut Vec<u8>) -> Option<MessageType> {
        if !self.is_open() || self.ready.is_some() {
            return None;
        }
        let (used, kind) = self.decoder.decode_message(self.buffer.unread(), most, buf)?;
        self.buffer.consume(used);
        // Nothing was under way, so no count of it runs.
        debug_assert_eq!(self.received, 0);
        self.timers.message_received();
        Some(kind)
    }

    /// Reads once into `target`, while a payload goes on for `left` bytes; `None` if nothing came.
    fn read_direct(
        &mut self,
        target: &mut Target<'_>,
        left: u64,
        call: &mut CallExpiry,
    ) -> Result<Option<Part>, Error> {
        let out = target.room(left)?;
        self.buffer.bypassed();
        let bounds = self.bounds(0);
        let len = match self.shared.read(&mut self.timers, out, bounds, call)? {
            None => return Ok(None),
            Some(0) => return Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            Some(len) => len,
        };
        let (_, Event::Data { kind, len, fin }) = self.decoder.feed(&mut out[..len])? else {
            unreachable!("inside a payload");
        };
        self.count(len, fin);
        target.add(len)?;
        Ok(Some(Part::Data(Chunk { kind, len, fin })))
    }

    /// Leaves the stream, and the end of the connection, to others: what was received and not used.
    pub(crate) fn detach(&mut self) -> Vec<u8> {
        let rest = self.buffer.take();
        self.end(State::Failed);
        rest
    }

    /// Sends what is queued, and behind it a frame of a header and a payload.
    pub(crate) fn transmit(&mut self, [header, payload]: [&[u8]; 2]) -> Result<(), Error> {
        let mut frames = [&self.queue, header, payload].map(IoSlice::new);
        let result = self.shared.writer.send(&mut frames);
        self.shared.server.buffers.put(&mut self.queue);
        result
    }

    /// Sends what is queued.
    // An echo of 20 bytes: 1,343 instructions, 1,361 without it.
    #[inline(always)]
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if self.queue.is_empty() {
            return Ok(());
        }
        let result = self.shared.writer.send(&mut [IoSlice::new(&self.queue)]);
        self.shared.server.buffers.put(&mut self.queue);
        result
    }

    /// Sends what is queued before a read, unless our Close is due.
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
        if !self.is_open() || !error.is_fatal() {
            return error;
        }
        let Some(code) = error.close_code() else {
            // If we have ended the stream ourselves, the reason for that is the news.
            let error = self.shared.writer.cause_of(error);
            self.shared.abandon();
            self.end(State::Failed);
            return error;
        };
        // Answers to what was right come before the answer to what was wrong.
        if !self.queue.is_empty() {
            let within = self.shared.server.config.timeouts.close;
            let queue = &mut [IoSlice::new(&self.queue)];
            let _ = self.shared.writer.send_within(queue, Unit::Messages, within);
        }
        // First, since all that is needed from now on is one buffer.
        self.end(State::Failed);
        self.shared.finish(CloseAction::Abort(code, error.to_string()));
        error
    }

    /// Payload bytes that have come of what the peer has begun, if it has begun anything.
    fn unfinished(&self) -> Option<u64> {
        self.decoder.is_unfinished().then_some(self.received)
    }

    /// What bounds a read while so much memory is held that could be given back.
    fn bounds(&self, held: usize) -> ReadBounds {
        let tick = self.shared.tick(self.split, held);
        ReadBounds { message: self.unfinished(), tick }
    }

    /// Counts payload that has come.
    fn count(&mut self, len: usize, fin: bool) {
        self.timers.message_received();
        self.received += len as u64;
        if fin {
            self.received = 0;
            self.timers.message_ended();
        }
    }

    /// Answers a control frame other than Close (§5.5.2).
    fn answer(&mut self, event: &Event) -> Result<(), Error> {
        if *event == Event::Pong {
            self.timed(|reader| {
                if let Some(on_pong) = &mut reader.on_pong {
                    on_pong(reader.decoder.control());
                }
            });
        } else if !self.shared.writer.is_closed() {
            self.shared.server.buffers.get(&mut self.queue);
            if !reserve(&mut self.queue, MAX_HEADER + MAX_CONTROL) {
                self.send_queue()?;
            }
            encoder::pong(self.decoder.control(), &mut self.queue);
        }
        if self.decoder.message_kind().is_none() {
            self.timers.message_ended();
        }
        if self.split && !self.queue.is_empty() {
            // It holds nothing else then, and must not wait for a blocked sender. Once our Close is
            // due, nothing is answered any more.
            self.timed(|reader| drop(reader.shared.writer.push_control(&reader.queue)));
            self.shared.server.buffers.put(&mut self.queue);
        } else if self.queue.len() >= MAX_QUEUED {
            self.send_queue()?;
        }
        Ok(())
    }

    /// Does what a peer has called for, in time that its deadlines count.
    fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let pending =
            Pending { message: self.unfinished(), closing: self.shared.writer.is_closed() };
        let before = (pending.message.is_some() || pending.closing).then(Instant::now);
        let done = work(self);
        if let Some(before) = before {
            self.timers.add_wait(pending, before.elapsed());
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
        self.shared.writer.release_reader();
        self.ready = None;
        #[cfg(feature = "deflate")]
        {
            self.inflation = None;
        }
        self.buffer.reset();
        self.queue = Vec::new();
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        self.shared.writer.release_reader();
    }
}
