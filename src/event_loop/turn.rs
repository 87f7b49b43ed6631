//! What a connection does in its turn: what is read, and what its bytes and its time call for.

use std::io;

use crate::connection::Message;
use crate::error::Error;
use crate::event_loop::conn::{Conn, Due, Open, Receiver, Stage};
use crate::event_loop::engine::{Engine, Fate};
use crate::event_loop::handler::{EventHandler, Outbox};
use crate::event_loop::output::DueClose;
use crate::event_loop::pool::FIRST_READ_SIZE;
use crate::io::stream::TimedStream;
use crate::proto::{CloseCode, MessageType, OpCode, encoder};
use crate::server::BoxError;
use crate::server::callbacks::catch_panic;
use crate::session::CloseAction;
use crate::session::assembler::Target;

/// How often a connection that takes long is read in one turn, before others have theirs.
const MAX_READS: usize = 2;

mod frames;

impl<H: EventHandler> Engine<H> {
    /// Reads a connection as often as there is something, and it may be, within its turn. That is more than
    /// once only for one that is known to be slow, and so has a bound in time beside; and over TLS, where a
    /// read gives no more than a record.
    pub(super) fn read(&mut self, conn: &mut Conn<H::State>, is_slow: bool) -> Fate {
        for _ in 0..MAX_READS {
            if conn.output.failed.is_some() || !conn.may_be_read() {
                break;
            }
            // Of what is a thread's by now, not a byte is ours.
            match conn.is_direct() {
                true => self.read_direct(conn)?,
                false => self.read_to_buffer(conn)?,
            }
            let reads_on = conn.reads_all || is_slow && conn.reads_much;
            if !reads_on {
                break;
            }
        }
        match conn.output.failed {
            Some(_) => self.output_failed(conn),
            None => Ok(()),
        }
    }

    fn read_to_buffer(&mut self, conn: &mut Conn<H::State>) -> Fate {
        let Some(mut buffer) = self.buffer.take() else { return Ok(()) };
        let room = buffer.room();
        let size = if conn.reads_much { room.len() } else { FIRST_READ_SIZE };
        let room = &mut room[..size];
        let fate = match try_read(conn.output.shared.stream(), room, conn.reads_all) {
            Ok(Some(len @ 1..)) => {
                conn.was_read(len < size);
                self.received(conn, &mut room[..len])
            }
            read => self.nothing_read(conn, read),
        };
        self.buffer = Some(buffer);
        fate
    }

    /// Bytes have come.
    fn received(&mut self, conn: &mut Conn<H::State>, input: &mut [u8]) -> Fate {
        match &mut conn.stage {
            Stage::Open(_) => {
                conn.account(Some(input.len()), conn.unfinished(), self.clock);
                self.take_frames(conn, input)
            }
            Stage::Opening(_) => self.take_request(conn, input),
            // What is thrown away.
            Stage::Draining(_) => Ok(()),
        }
    }

    /// Reads payload straight to where it belongs.
    fn read_direct(&mut self, conn: &mut Conn<H::State>) -> Fate {
        let Stage::Open(open) = &mut conn.stage else { return Ok(()) };
        let Some(mut receiver) = open.receiver.take() else { return Ok(()) };
        let Receiver { receiving, assembler, buf, direct, .. } = &mut *receiver;
        let left = receiving.payload_left();
        let target = &mut Target::Message(assembler, buf);
        target.before_wait(left);
        let (room, gap) = match target.room_behind(left, !conn.reads_all) {
            Ok(room) => room,
            Err(error) => {
                drop(receiver);
                return self.fail(conn, error.into());
            }
        };
        let size = room.len() - gap;
        let len = match try_read(conn.output.shared.stream(), &mut room[gap..], conn.reads_all) {
            Ok(Some(len @ 1..)) => len,
            read => {
                open.receiver = Some(receiver);
                return self.nothing_read(conn, read);
            }
        };
        conn.account(Some(len), receiving.unfinished(), self.clock);
        let Stage::Open(open) = &mut conn.stage else { return Ok(()) };
        let room = &mut room[..gap + len];
        let taken = receiving.take_direct(&mut open.timers, room, gap).map_err(Error::from);
        let taken = taken.and_then(|taken| target.add(len).map(|()| taken).map_err(Error::from));
        *direct = len as u64 != left;
        conn.was_read(len < size);
        match taken {
            Ok((kind, true)) => {
                // The next one may be as long: the less of it comes with its header, the less is copied.
                conn.reads_much = false;
                let start = receiver.assembler.finish(&mut receiver.buf);
                self.deliver(conn, kind, &receiver.buf[start..]);
                self.put(conn, receiver);
                self.batch_ended(conn)
            }
            Ok((_, false)) => {
                self.put(conn, receiver);
                Ok(())
            }
            Err(error) => {
                drop(receiver);
                self.fail(conn, error)
            }
        }
    }

    /// What was sent in this turn goes out, and then the Close that the handler wants.
    pub(super) fn batch_ended(&mut self, conn: &mut Conn<H::State>) -> Fate {
        if !conn.output.is_congested() {
            conn.output.flush(&mut self.scratch);
        }
        self.close_if_wanted(conn);
        let Some(mut rest) = conn.output.unpause() else { return Ok(()) };
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
        self.called(conn, result);
    }

    /// The handler has returned.
    #[inline(always)]
    fn called(&mut self, conn: &mut Conn<H::State>, result: Result<Result<(), BoxError>, String>) {
        match result {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.handler_failed(conn, error),
            Err(text) => {
                self.handler_failed(conn, format!("the handler panicked: {text}").into());
            }
        }
    }

    #[cold]
    fn handler_failed(&mut self, conn: &mut Conn<H::State>, error: BoxError) {
        let action = CloseAction::Abort(CloseCode::INTERNAL_ERROR, String::new());
        conn.output.close = Some(Box::new(DueClose { action, error: None }));
        // It is not called again, however long that takes to go out.
        conn.output.timer = None;
        let shared = &conn.output.shared;
        let (peer, request) = (shared.stream().peer_addr(), shared.request());
        // It is dropped in there, and may panic.
        let _ = catch_panic(|| self.threads.callbacks.on_error(peer, Some(request), error));
    }

    /// §5.5.2: a Ping is answered, unless a Close is due; and not behind others that write. The handler
    /// hears of it in any case, as on a thread.
    fn pinged(&mut self, conn: &mut Conn<H::State>, payload: &[u8]) {
        if !conn.output.shared.writer.is_closed() {
            self.push_control(conn, OpCode::Pong, payload);
        }
        self.call(conn, |handler, open, out| handler.ping(&mut open.state, payload, out));
    }

    /// Has a control frame go out, which waits for nobody: others may be in the middle of a long message.
    fn push_control(&mut self, conn: &mut Conn<H::State>, opcode: OpCode, payload: &[u8]) {
        let writer = &conn.output.shared.writer;
        if writer.is_busy() {
            let mut frame = Vec::new();
            encoder::frame(opcode, payload, &mut frame);
            let _ = writer.try_push_control(&frame);
            conn.output.is_posted = true;
        } else {
            conn.output.push(&mut self.scratch, opcode, payload);
        }
    }

    /// There may be room to write. What is much waits for its turn, if there is no time left.
    pub(super) fn resume(&mut self, conn: &mut Conn<H::State>) -> Fate {
        if conn.output.is_congested() && !conn.is_draining() && !self.has_time() {
            conn.output.goes_on = true;
            return Ok(());
        }
        conn.retry(self.now);
        if !conn.output.resume(&mut self.scratch) {
            return Ok(());
        }
        conn.was_written(self.now);
        // The peer was not listened to meanwhile.
        conn.since = self.clock;
        self.close_if_wanted(conn);
        if !conn.output.is_closed() {
            self.call(conn, |handler, open, out| handler.drained(&mut open.state, out));
        }
        self.batch_ended(conn)
    }

    /// Another thread has sent a Close, writes no more, knows the answer to a request, or has something
    /// for the handler.
    pub(super) fn notified(&mut self, conn: &mut Conn<H::State>, for_handler: bool) -> Fate {
        match conn.stage {
            Stage::Opening(_) => return self.was_asked(conn),
            Stage::Draining(_) => return Ok(()),
            Stage::Open(_) => {}
        }
        // Their Close or Ping may have to wait for others who write, or for room: then it is looked for.
        conn.output.retry_posted();
        if conn.output.is_closed() {
            // Its answer is to be read.
            conn.output.resume_reading();
        }
        if conn.output.waits_for_others() {
            self.resume(conn)?;
        }
        // `drained` may have closed it.
        if for_handler && !conn.output.is_closed() {
            self.call(conn, |handler, open, out| handler.notified(&mut open.state, out));
        }
        self.batch_ended(conn)
    }

    /// A deadline may have passed.
    pub(super) fn time_passed(&mut self, conn: &mut Conn<H::State>) -> Fate {
        if conn.output.timer.as_ref().is_some_and(|at| **at <= self.now) {
            conn.output.timer = None;
            self.call(conn, |handler, open, out| handler.timer(&mut open.state, out));
            self.batch_ended(conn)?;
        }
        if conn.output.is_congested() && !conn.is_draining() {
            return self.resume(conn);
        }
        conn.retry(self.now);
        if conn.output.reads_nothing() && !conn.is_draining() {
            return Ok(());
        }
        if conn.is_again {
            // It waits for us.
            conn.since = self.clock;
        }
        conn.account(None, conn.unfinished(), self.clock);
        conn.give_back();
        let mut deadline = conn.deadline(self.now);
        if deadline.is_err() {
            // What lies there has come in time.
            conn.readable = true;
            self.read(conn, false)?;
            deadline = conn.deadline(self.now);
        }
        match deadline {
            Ok(Due::Ping) => {
                self.push_control(conn, OpCode::Ping, &[]);
                conn.output.flush(&mut self.scratch);
                Ok(())
            }
            Ok(Due::At(_)) => Ok(()),
            Err(Some(deadline)) => self.fail(conn, deadline.into()),
            Err(None) => self.request_broken(conn, Ok(None)),
        }
    }
}

/// Reads once. TLS asks the application for its certificate meanwhile, which may panic.
#[inline]
fn try_read(stream: &TimedStream, room: &mut [u8], is_wrapped: bool) -> io::Result<Option<usize>> {
    if !is_wrapped {
        return stream.try_read(room);
    }
    catch_panic(|| stream.try_read(room)).unwrap_or_else(|said| Err(io::Error::other(said)))
}
