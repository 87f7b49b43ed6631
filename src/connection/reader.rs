//! What comes in, and what it calls for: the thread that receives runs this.
//!
//! Bytes take one of two ways. Most are read into a buffer, where headers and small payloads lie
//! side by side. When the buffer is empty in the middle of a payload, the socket is read straight
//! into the memory where the message belongs. Either way [`Receiving`] sees every byte once,
//! in place, but for those of short messages that have come whole: they are unmasked while they
//! are copied. Control frames are answered here, errors too; parts of messages are handed on.
//!
//! What is queued for sending goes out before a read can block.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Instant;

use crate::connection::lifecycle::{CallExpiry, ConnectionShared, ReadBounds};
use crate::connection::message::Chunk;
use crate::connection_limits::OpenLimits;
use crate::error::Error;
use crate::proto::frame::{MAX_CONTROL, MAX_HEADER};
use crate::proto::{CloseFrame, Event, MessageType, encoder};
use crate::session::assembler::Target;
#[cfg(feature = "deflate")]
use crate::session::inflation::Inflation;
use crate::session::{Charge, CloseAction, Pending, ReadTimers, Receiving};

mod read_buffer;
mod write_queue;
mod parts;

pub(crate) use parts::Part;
use parts::{ControlCallbacks, State};
use read_buffer::ReadBuffer;
use write_queue::{WriteQueue, push_pong};

/// How much may be queued before it is sent, in bytes.
pub(crate) const MAX_QUEUED: usize = 64 << 10;

/// See the [module](self).
pub(crate) struct FrameReader {
    pub(crate) shared: Arc<ConnectionShared>,
    receiving: Receiving,
    timers: ReadTimers,
    pub(crate) buffer: ReadBuffer,
    /// Whether the payload under way is read straight to where it belongs.
    direct: bool,
    /// To be sent before the next read.
    pub(crate) queue: WriteQueue,
    /// What the peer is held to.
    pub(crate) limits: Arc<OpenLimits>,
    pub(crate) close_frame: Option<Box<CloseFrame>>,
    pub(crate) callbacks: ControlCallbacks,
    state: State,
}

impl FrameReader {
    /// The receiving side of a connection that has just opened; `rest` came behind the request.
    pub(crate) fn new(
        shared: Arc<ConnectionShared>,
        limits: Arc<OpenLimits>,
        rest: Vec<u8>,
    ) -> Self {
        Self {
            receiving: Receiving::new(limits.decoder),
            timers: ReadTimers::default(),
            buffer: ReadBuffer::new(rest, Charge::new(&shared.server.budget)),
            shared,
            direct: false,
            queue: WriteQueue::default(),
            limits,
            close_frame: None,
            callbacks: ControlCallbacks::default(),
            state: State::Open,
        }
    }

    /// Compression was agreed on. No frame has been read yet.
    #[cfg(feature = "deflate")]
    pub(crate) fn set_inflation(&mut self, inflation: Box<Inflation>) {
        self.receiving = Receiving::with_inflation(self.limits.decoder, inflation);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    pub(crate) fn kind(&self) -> Option<MessageType> {
        self.receiving.message_kind()
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
            if self.buffer.is_empty() && !self.receiving.has_part() {
                if let Some(part) = self.fill(target, call)? {
                    return Ok(part);
                }
                continue;
            }
            let (used, event) =
                self.receiving.feed(&mut self.timers, self.buffer.unread(), target)?;
            self.buffer.consume(used);
            match event {
                // Of what is compressed, there may be nothing to be had yet.
                Event::Data { len: 0, fin: false, .. } => {}
                Event::Data { kind, len, fin } => return Ok(Part::Data(Chunk { kind, len, fin })),
                Event::Ping | Event::Pong => self.answer(&event)?,
                Event::Close(frame) => self.closed(frame),
                _ => {}
            }
        }
    }

    /// Sends what is queued and reads once, into the buffer, or straight into the target if a long
    /// payload is under way; `None` if nothing came for the latter.
    fn fill(
        &mut self,
        target: &mut Target<'_>,
        call: &mut CallExpiry,
    ) -> Result<Option<Part>, Error> {
        let left = self.receiving.payload_left();
        // Once begun, it goes on so to the end of the payload.
        self.direct = left > 0 && (self.direct || self.buffer.is_long(left));
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
        let held = target.held() + self.queue.frames.capacity() + self.buffer.excess();
        let bounds = self.bounds(held);
        let Self { shared, timers, buffer, limits, .. } = self;
        match shared.read(timers, &limits.timeouts, buffer.room(), bounds, call)? {
            Some(0) => return Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            Some(len) => buffer.filled(len),
            None => {}
        }
        if self.timers.is_idle() {
            target.give_back();
            if self.buffer.is_empty() {
                self.buffer.reset();
            }
            self.queue.frames = Vec::new();
        }
        Ok(())
    }

    /// Puts a message that lies whole in the buffer into `buf`, of at most `most` bytes or as many as that has
    /// memory for; its type.
    pub(crate) fn take_whole(&mut self, most: usize, buf: &mut Vec<u8>) -> Option<MessageType> {
        if !self.is_open() {
            return None;
        }
        let Self { receiving, timers, buffer, .. } = self;
        let (used, kind) = receiving.take_whole(timers, buffer.unread(), most, buf)?;
        self.buffer.consume(used);
        Some(kind)
    }

    /// Reads once into `target`, while a payload goes on for `left` bytes; `None` if nothing came.
    #[inline(never)]
    fn read_direct(
        &mut self,
        target: &mut Target<'_>,
        left: u64,
        call: &mut CallExpiry,
    ) -> Result<Option<Part>, Error> {
        let (out, gap) = target.room_behind(left, self.buffer.from_kernel)?;
        self.buffer.bypassed();
        let bounds = self.bounds(0);
        let (timers, timeouts) = (&mut self.timers, &self.limits.timeouts);
        let room = &mut out[gap..];
        let len = match self.shared.read(timers, timeouts, room, bounds, call)? {
            None => return Ok(None),
            Some(0) => return Err(Error::Io(ErrorKind::UnexpectedEof.into())),
            Some(len) => len,
        };
        let (kind, fin) = self.receiving.take_direct(timers, &mut out[..gap + len], gap)?;
        target.add(len)?;
        Ok(Some(Part::Data(Chunk { kind, len, fin })))
    }

    /// Receives nothing, since the stream is to be [detached](Self::detach); what has come is kept.
    pub(crate) fn hand_over(&mut self) {
        self.state = State::Failed;
    }

    /// Leaves the stream, and the end of the connection, to others: what was received and not used.
    pub(crate) fn detach(&mut self) -> Vec<u8> {
        let rest = self.buffer.take();
        self.end(State::Failed);
        rest
    }

    /// Sends what is queued, and behind it a frame of a header and a payload.
    pub(crate) fn transmit(&mut self, frame: [&[u8]; 2]) -> Result<(), Error> {
        self.queue.transmit(&self.shared, frame)
    }

    /// Sends what is queued.
    #[inline(always)]
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.queue.flush(&self.shared)
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
        if !self.is_open() || !error.is_fatal() || self.queue.is_held_up(&self.shared, &error) {
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
        self.queue.flush_last(&self.shared);
        // First, since all that is needed from now on is one buffer.
        self.end(State::Failed);
        self.shared.finish(CloseAction::Abort(code, error.to_string()));
        error
    }

    /// What bounds a read while so much memory is held that could be given back.
    fn bounds(&self, held: usize) -> ReadBounds {
        let tick = self.shared.tick(self.queue.beside_senders, held);
        ReadBounds { message: self.receiving.unfinished(), tick }
    }

    /// Answers a control frame other than Close (§5.5.2).
    fn answer(&mut self, event: &Event) -> Result<(), Error> {
        let is_pong = *event == Event::Pong;
        // Once our Close is due, nothing is answered any more.
        if !is_pong && !self.shared.writer.is_closed() {
            self.pong()?;
        }
        self.timed(|reader| reader.callbacks.call(is_pong, reader.receiving.control()));
        if self.queue.frames.len() >= MAX_QUEUED {
            self.send_queue()?;
        }
        Ok(())
    }

    /// Queues a Pong, or sends it where senders exist: it must not wait for one that is blocked.
    fn pong(&mut self) -> Result<(), Error> {
        if self.queue.beside_senders {
            self.timed(|reader| push_pong(&reader.shared, reader.receiving.control()));
            return Ok(());
        }
        if !self.queue.reserve(&self.shared, MAX_HEADER + MAX_CONTROL) {
            self.send_queue()?;
        }
        encoder::pong(self.receiving.control(), &mut self.queue.frames);
        Ok(())
    }

    /// Does what a peer has called for, in time that its deadlines count.
    fn timed<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let pending = Pending {
            message: self.receiving.unfinished(),
            closing: self.shared.writer.is_closed(),
        };
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
        match self.queue.beside_senders {
            true => self.queue.flush_last(&self.shared),
            false => drop(self.send_queue()),
        }
        self.close_frame = Some(Box::new(frame.clone()));
        self.end(State::Closed);
        self.shared.finish(CloseAction::Reply(frame));
    }

    /// The connection is over: its memory is of no more use, and the stream is read by others.
    fn end(&mut self, state: State) {
        self.state = state;
        self.shared.writer.release_reader();
        self.receiving.end();
        self.buffer.reset();
        self.queue.frames = Vec::new();
    }
}

impl Drop for FrameReader {
    fn drop(&mut self) {
        self.shared.writer.release_reader();
    }
}
