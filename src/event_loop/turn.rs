//! What a connection does in its turn: what is read, and what its bytes and its time call for.

use std::mem;
use std::time::Duration;

use crate::connection::Message;
use crate::error::Error;
use crate::event_loop::conn::{Conn, Open, Receiver, Stage};
use crate::event_loop::engine::{Engine, Fate};
use crate::event_loop::handler::{EventHandler, Outbox};
use crate::proto::encoder::FrameHeader;
use crate::proto::{CloseCode, CloseFrame, MessageType, OpCode, encoder};
use crate::server::BoxError;
use crate::server::callbacks::catch_panic;
use crate::session::assembler::Target;
use crate::session::receiving::Next;
use crate::session::{CloseAction, Pending};

/// How often a connection is read in one turn, before others have theirs.
const MAX_READS: usize = 2;

/// How much is read at once, in bytes, of a peer that has not just filled it with long messages: with the
/// middle of one, of which so much more is to come, or with so few. So those who flood us with tiny
/// frames, one and all, take no more than their share of the time.
const FIRST_READ_SIZE: usize = 8 << 10;
const LONG_REST: u64 = 2 << 10;
const MAX_LONG: u32 = 256;

impl<H: EventHandler> Engine<H> {
    /// Reads a connection as often as there is something, and it may be.
    pub(super) fn read(&mut self, conn: &mut Conn<H::State>, slot: usize) -> Fate {
        for _ in 0..MAX_READS {
            if conn.output.failed.is_some() {
                return self.output_failed(conn);
            }
            if !conn.may_be_read() {
                return Fate::Live;
            }
            let fate = match conn.is_direct() {
                true => self.read_direct(conn),
                false => self.read_to_buffer(conn),
            };
            // Of what is a thread's by now, not a byte is ours.
            if fate != Fate::Live {
                return fate;
            }
            if !conn.reads_much && !conn.is_wrapped {
                break;
            }
        }
        if conn.output.failed.is_some() {
            return self.output_failed(conn);
        }
        // Once, whatever else it has a turn for meanwhile.
        if conn.may_be_read() && !mem::replace(&mut conn.is_again, true) {
            self.again.push(slot);
        }
        Fate::Live
    }

    fn read_to_buffer(&mut self, conn: &mut Conn<H::State>) -> Fate {
        let room = self.buffer.room();
        let size = if conn.reads_much { room.len() } else { FIRST_READ_SIZE };
        let room = &mut room[..size];
        match conn.output.shared.stream().read(room, Duration::MAX) {
            Ok(Some(len @ 1..)) => {
                conn.was_read(len < size);
                let mut buffer = mem::take(&mut self.buffer);
                let fate = self.received(conn, &mut buffer.room()[..len]);
                self.buffer = buffer;
                fate
            }
            read => self.nothing_read(conn, read),
        }
    }

    /// Bytes have come.
    fn received(&mut self, conn: &mut Conn<H::State>, input: &mut [u8]) -> Fate {
        match &mut conn.stage {
            Stage::Open(_) => {
                conn.account(Some(input.len()), self.clock);
                self.take_frames(conn, input)
            }
            Stage::Opening(_) => self.take_request(conn, input),
            // What is thrown away.
            Stage::Draining(_) => Fate::Live,
        }
    }

    /// Reads payload straight to where it belongs.
    fn read_direct(&mut self, conn: &mut Conn<H::State>) -> Fate {
        let Stage::Open(open) = &mut conn.stage else { return Fate::Live };
        let Some(mut receiver) = open.receiver.take() else { return Fate::Live };
        let Receiver { receiving, assembler, buf, direct, .. } = &mut *receiver;
        let left = receiving.payload_left();
        let target = &mut Target::Message(assembler, buf);
        target.before_wait(left);
        let (room, gap) = match target.room_behind(left, !conn.is_wrapped) {
            Ok(room) => room,
            Err(error) => {
                drop(receiver);
                return self.fail(conn, error.into());
            }
        };
        let size = room.len() - gap;
        let len = match conn.output.shared.stream().read(&mut room[gap..], Duration::MAX) {
            Ok(Some(len @ 1..)) => len,
            read => {
                open.receiver = Some(receiver);
                return self.nothing_read(conn, read);
            }
        };
        mem::swap(&mut receiving.timers, &mut open.timers);
        let waited = Duration::from_nanos(self.clock.saturating_sub(conn.since));
        let closing = conn.output.shared.writer.is_closed();
        let pending = Pending { message: receiving.unfinished(), closing };
        receiving.timers.read_done(Some(len), pending, false, || waited);
        let taken = receiving.take_direct(&mut room[..gap + len], gap).map_err(Error::from);
        mem::swap(&mut receiving.timers, &mut open.timers);
        let taken = taken.and_then(|taken| target.add(len).map(|()| taken).map_err(Error::from));
        *direct = len as u64 != left;
        conn.was_read(len < size);
        conn.since = self.clock;
        match taken {
            Ok((kind, true)) => {
                receiver.assembler.finish(&mut receiver.buf);
                self.deliver(conn, kind, &receiver.buf);
                self.put(conn, receiver);
                self.batch_ended(conn)
            }
            Ok((_, false)) => {
                self.put(conn, receiver);
                Fate::Live
            }
            Err(error) => {
                drop(receiver);
                self.fail(conn, error)
            }
        }
    }

    /// Takes frames, as far as the peer takes what they call for.
    pub(super) fn take_frames(&mut self, conn: &mut Conn<H::State>, input: &mut [u8]) -> Fate {
        let Stage::Open(open) = &mut conn.stage else { return Fate::Live };
        let budget = &self.threads.server.budget;
        let mut receiver = match open.receiver.take() {
            Some(receiver) => receiver,
            None => self.pool.get(budget, open.limits.decoder),
        };
        mem::swap(&mut receiver.receiving.timers, &mut open.timers);
        receiver.messages = 0;
        let fate = self.take_all(conn, input, &mut receiver);
        conn.reads_much = input.len() >= FIRST_READ_SIZE
            && (receiver.receiving.payload_left() >= LONG_REST
                || (1..=MAX_LONG).contains(&receiver.messages));
        if let Stage::Open(open) = &mut conn.stage {
            mem::swap(&mut receiver.receiving.timers, &mut open.timers);
        }
        self.put(conn, receiver);
        match fate {
            Fate::Live => self.batch_ended(conn),
            fate => fate,
        }
    }

    /// Puts what has received where it belongs until more comes.
    #[inline]
    fn put(&mut self, conn: &mut Conn<H::State>, mut receiver: Box<Receiver>) {
        match &mut conn.stage {
            _ if receiver.receiving.is_vacant() => self.pool.put(receiver),
            Stage::Open(open) => {
                receiver.rest();
                open.receiver = Some(receiver);
            }
            // What it is in the middle of will never end.
            Stage::Opening(_) | Stage::Draining(_) => {}
        }
    }

    fn take_all(
        &mut self,
        conn: &mut Conn<H::State>,
        input: &mut [u8],
        receiver: &mut Receiver,
    ) -> Fate {
        let mut at = 0;
        loop {
            // Before anything else is delivered, also where another call than `message` wants it.
            if conn.output.close.is_some() {
                self.close_if_wanted(conn);
            }
            if !matches!(conn.stage, Stage::Open(_)) || conn.output.failed.is_some() {
                return Fate::Live;
            }
            if let Some(waiting) = conn.waiting_input() {
                waiting.extend_from_slice(&input[at..]);
                return match conn.output.charge_waiting() {
                    true => Fate::Live,
                    false => self.fail(conn, Error::Overloaded),
                };
            }
            if at == input.len() && !receiver.receiving.has_part() {
                return Fate::Live;
            }
            // Most messages come whole: 60 instructions less for one of 20 bytes.
            if let Some((payload, kind)) = receiver.receiving.take_in_place(&mut input[at..]) {
                let payload = at + payload.start..at + payload.end;
                at = payload.end;
                receiver.messages += 1;
                self.deliver(conn, kind, &input[payload]);
                continue;
            }
            match self.take_next(conn, &mut input[at..], receiver) {
                Ok(used) => at += used,
                Err(fate) => return fate,
            }
        }
    }

    /// Takes what is no whole message; how many bytes that was.
    ///
    /// # Errors
    ///
    /// Where there is nothing more to take.
    fn take_next(
        &mut self,
        conn: &mut Conn<H::State>,
        input: &mut [u8],
        receiver: &mut Receiver,
    ) -> Result<usize, Fate> {
        let Receiver { receiving, assembler, buf, .. } = receiver;
        let (used, next) = match receiving.next_message(input, assembler, buf) {
            Ok(next) => next,
            Err(error) => {
                conn.output.flush(&mut self.scratch);
                // Who reads our answer may count on the memory.
                assembler.clear();
                *buf = Vec::new();
                return Err(self.fail(conn, error.into()));
            }
        };
        match next {
            Next::NeedMore => return Err(Fate::Live),
            Next::Message(kind, Some(place)) => self.deliver(conn, kind, &input[place]),
            Next::Message(kind, None) => {
                self.deliver(conn, kind, buf);
                assembler.release();
            }
            Next::Ping => self.pinged(conn, receiving.control()),
            Next::Pong => self.call(conn, |handler, open, out| {
                handler.pong(&mut open.state, receiving.control(), out)
            }),
            Next::Close(frame) => return Err(self.close_received(conn, frame)),
        }
        Ok(used)
    }

    /// §5.5.1: a Close is answered with one, behind the answers to what came before it.
    fn close_received(&mut self, conn: &mut Conn<H::State>, frame: CloseFrame) -> Fate {
        conn.output.flush(&mut self.scratch);
        if let Stage::Open(open) = &mut conn.stage {
            open.close_frame = Some(Box::new(frame.clone()));
        }
        if conn.output.is_held() {
            conn.output.close = Some(Box::new(CloseAction::Reply(frame)));
            return Fate::Live;
        }
        self.finish(conn, CloseAction::Reply(frame), None)
    }

    /// What was sent in this turn goes out, and then the Close that the handler wants.
    pub(super) fn batch_ended(&mut self, conn: &mut Conn<H::State>) -> Fate {
        if conn.output.backpressure.is_none() {
            conn.output.flush(&mut self.scratch);
        }
        self.close_if_wanted(conn);
        let Some(mut rest) = conn.unpause() else { return Fate::Live };
        // The peer was not listened to meanwhile.
        conn.since = self.clock;
        self.take_frames(conn, &mut rest)
    }

    /// Hands a message to the handler.
    #[inline]
    fn deliver(&mut self, conn: &mut Conn<H::State>, kind: MessageType, payload: &[u8]) {
        if conn.is_heard() {
            self.call(conn, |handler, open, out| {
                handler.message(&mut open.state, Message::new(kind, payload), out)
            });
        }
    }

    /// Calls the handler. What goes wrong there closes the connection.
    pub(super) fn call(
        &mut self,
        conn: &mut Conn<H::State>,
        f: impl FnOnce(&H, &mut Open<H::State>, &mut Outbox<'_>) -> Result<(), BoxError>,
    ) {
        let Stage::Open(open) = &mut conn.stage else { return };
        let mut out = Outbox { output: &mut conn.output, scratch: &mut self.scratch };
        let result = catch_panic(|| f(&self.handler, open, &mut out));
        let error = match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(text) => format!("the handler panicked: {text}").into(),
        };
        let action = CloseAction::Abort(CloseCode::INTERNAL_ERROR, String::new());
        conn.output.close = Some(Box::new(action));
        // It is not called again, however long that takes to go out.
        conn.output.timer = None;
        let shared = &conn.output.shared;
        let (peer, request) = (shared.stream().peer_addr(), shared.request());
        self.threads.callbacks.on_error(peer, Some(request), error);
    }

    /// §5.5.2: a Ping is answered, unless a Close is due; and not behind others that write.
    fn pinged(&mut self, conn: &mut Conn<H::State>, payload: &[u8]) {
        let writer = &conn.output.shared.writer;
        if writer.is_closed() {
            return;
        }
        if writer.is_busy() {
            let mut frame = Vec::new();
            encoder::pong(payload, &mut frame);
            let _ = writer.try_push_control(&frame);
            conn.is_posted = true;
        } else {
            let header = FrameHeader::new(true, OpCode::Pong, payload.len());
            conn.output.push(&mut self.scratch, header, payload);
        }
        self.call(conn, |handler, open, out| handler.ping(&mut open.state, payload, out));
    }

    /// There may be room to write.
    pub(super) fn resume(&mut self, conn: &mut Conn<H::State>) -> Fate {
        if conn.is_posted {
            conn.is_posted = !conn.output.shared.writer.retry();
        }
        if matches!(&conn.stage, Stage::Draining(draining) if !draining.answer.is_empty()) {
            return self.go_on_answering(conn);
        }
        if !conn.output.is_congested() {
            return Fate::Live;
        }
        let mut rest = Vec::new();
        if !conn.output.resume(&mut self.scratch, self.now, &mut rest) {
            return Fate::Live;
        }
        // The peer was not listened to meanwhile.
        conn.since = self.clock;
        self.close_if_wanted(conn);
        self.call(conn, |handler, open, out| handler.drained(&mut open.state, out));
        // Before the peer's own, if that has come meanwhile.
        self.close_if_wanted(conn);
        self.take_frames(conn, &mut rest)
    }

    /// A deadline may have passed.
    pub(super) fn time_passed(&mut self, conn: &mut Conn<H::State>) -> Fate {
        if conn.output.timer.as_ref().is_some_and(|at| **at <= self.now) {
            conn.output.timer = None;
            self.call(conn, |handler, open, out| handler.timer(&mut open.state, out));
            let fate = self.batch_ended(conn);
            if fate != Fate::Live {
                return fate;
            }
        }
        if conn.output.is_congested() && !conn.is_draining() {
            return self.resume(conn);
        }
        if conn.output.reads_nothing() && !conn.is_draining() {
            return Fate::Live;
        }
        conn.account(None, self.clock);
        conn.give_back();
        match conn.deadline(self.now) {
            Ok((_, true)) => {
                conn.output.push(&mut self.scratch, FrameHeader::new(true, OpCode::Ping, 0), &[]);
                conn.output.flush(&mut self.scratch);
                Fate::Live
            }
            Ok((Some(at), false)) if at <= self.now => match conn.stage {
                Stage::Opening(_) => self.request_expired(conn),
                Stage::Draining(_) => Fate::Gone,
                Stage::Open(_) => Fate::Live,
            },
            Ok(_) => Fate::Live,
            Err(deadline) => self.fail(conn, deadline.into()),
        }
    }
}
