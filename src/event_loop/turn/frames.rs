//! What comes of the bytes of an open connection: messages for the handler, and what frames call for.
//!
//! ```text
//!   take_frames ─┬─▶ take_whole: one message behind the other ──────────▶ the handler
//!                └─▶ take_others: parts, control frames ──▶ Receiving ──▶ the handler, a Pong, a Close
//! ```

use crate::connection::Message;
use crate::event_loop::conn::{Conn, Receiver, Stage};
use crate::event_loop::engine::{Engine, Fate, Gone};
use crate::event_loop::handler::{EventHandler, Outbox};
use crate::event_loop::pool::FIRST_READ_SIZE;
use crate::server::callbacks::catch_panic;
use crate::session::CloseAction;
use crate::session::receiving::{Next, Place};

/// Whose messages are long, so that much is read at once: of whom so much more of one is to come, in bytes,
/// or who has filled the first read with so few. So those who flood us with tiny frames, one and all,
/// take no more than their share of the time.
const LONG_REST: u64 = 2 << 10;
const MAX_LONG: u32 = 256;

/// How much is inflated, or put together, of what was read at once before others have their turn, in bytes:
/// 128 KiB may become 128 MiB. A message counts for more than its length.
const MAX_WORK: usize = 512 << 10;
const WORK_A_MESSAGE: usize = 1 << 10;

/// What was taken of what was read at once.
#[derive(Default)]
struct Taken {
    messages: u32,
    /// What it takes to put those together that lie in parts, in bytes.
    work: usize,
    /// What is yet to come of a payload that has begun, in bytes.
    left: u64,
}

impl<H: EventHandler> Engine<H> {
    /// Takes frames, as far as the peer takes what they call for.
    pub(crate) fn take_frames(&mut self, conn: &mut Conn<H::State>, input: &mut [u8]) -> Fate {
        let (len, mut taken) = (input.len(), Taken::default());
        let mut used = self.take_whole(conn, input, &mut taken);
        while used < len || conn.has_receiver() {
            let Some(more) = self.take_others(conn, &mut input[used..], &mut taken)? else { break };
            used += more;
            used += self.take_whole(conn, &mut input[used..], &mut taken);
        }
        let has_long = taken.left >= LONG_REST || (1..=MAX_LONG).contains(&taken.messages);
        conn.reads_much = len >= FIRST_READ_SIZE && has_long;
        self.batch_ended(conn)
    }

    /// Takes what is no whole message, and what follows until the next one may begin; how many bytes
    /// that was, or `None` where there is nothing more to take.
    #[inline(never)]
    fn take_others(
        &mut self,
        conn: &mut Conn<H::State>,
        input: &mut [u8],
        taken: &mut Taken,
    ) -> Result<Option<usize>, Gone> {
        let Stage::Open(open) = &mut conn.stage else { return Ok(None) };
        let budget = &self.threads.server.budget;
        let mut receiver = match open.receiver.take() {
            Some(receiver) => receiver,
            None => self.pool.get(budget, open.limits.decoder),
        };
        let parts = self.take_parts(conn, input, &mut receiver, taken);
        taken.left = receiver.receiving.payload_left();
        self.put(conn, receiver);
        parts
    }

    /// Takes messages that lie whole one behind the other, as most do, and counts them: between messages
    /// a connection has nothing that receives, and these need nothing. How many bytes that was.
    fn take_whole(
        &mut self,
        conn: &mut Conn<H::State>,
        input: &mut [u8],
        taken: &mut Taken,
    ) -> usize {
        let mut used = 0;
        let Stage::Open(open) = &mut conn.stage else { return 0 };
        if open.receiver.is_some() || conn.output.discards {
            return 0;
        }
        let limits = open.limits.decoder;
        let mut out = Outbox { output: &mut conn.output, scratch: &mut self.scratch };
        let result = catch_panic(|| {
            while !out.output.is_disturbed() {
                let Some((place, kind)) = limits.message_in_place(&mut input[used..]) else {
                    break;
                };
                let payload = used + place.start..used + place.end;
                used = payload.end;
                taken.messages += 1;
                let message = Message::new(kind, &input[payload]);
                self.handler.message(&mut open.state, message, &mut out)?;
            }
            Ok(())
        });
        if used > 0 {
            open.timers.message_received();
        }
        self.called(conn, result);
        used
    }

    /// Puts what has received where it belongs until more comes.
    #[inline]
    pub(super) fn put(&mut self, conn: &mut Conn<H::State>, mut receiver: Box<Receiver>) {
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

    /// The same with what receives.
    fn take_parts(
        &mut self,
        conn: &mut Conn<H::State>,
        input: &mut [u8],
        receiver: &mut Receiver,
        taken: &mut Taken,
    ) -> Result<Option<usize>, Gone> {
        let mut at = 0;
        loop {
            // Before anything else is delivered, also where another call than `message` wants it.
            self.close_if_wanted(conn);
            let Stage::Open(open) = &mut conn.stage else { return Ok(None) };
            if conn.output.failed.is_some() {
                return Ok(None);
            }
            match conn.output.put_aside(&input[at..]) {
                Some(true) => return Ok(None),
                Some(false) => return self.overloaded(conn).map(|()| None),
                None => {}
            }
            let Receiver { receiving, assembler, buf, .. } = &mut *receiver;
            if at == input.len() && !receiving.has_part() {
                return Ok(None);
            }
            if at > 0 && receiving.is_vacant() {
                return Ok(Some(at));
            }
            let rest = &mut input[at..];
            let next = match conn.output.discards {
                true => receiving.next_control(&mut open.timers, rest, assembler),
                false => receiving.next_message(&mut open.timers, rest, assembler, buf),
            };
            let (used, next) = match next {
                Ok(next) => next,
                Err(error) => {
                    // Who reads our answer may count on the memory.
                    assembler.clear();
                    *buf = Vec::new();
                    return self.fail(conn, error.into()).map(|()| None);
                }
            };
            if !self.take_next(conn, next, rest, receiver, taken) {
                return Ok(None);
            }
            at += used;
            conn.output.goes_on |= taken.work >= MAX_WORK;
        }
    }

    /// Does what the end of one message or control frame calls for; whether more may be taken.
    fn take_next(
        &mut self,
        conn: &mut Conn<H::State>,
        next: Next,
        input: &[u8],
        receiver: &mut Receiver,
        taken: &mut Taken,
    ) -> bool {
        let Receiver { receiving, assembler, buf, .. } = receiver;
        match next {
            Next::NeedMore => return false,
            Next::Yield => taken.work = MAX_WORK,
            Next::Message(kind, Place::Input(place)) => {
                taken.messages += 1;
                self.deliver(conn, kind, &input[place]);
            }
            Next::Message(kind, Place::Buffer(start)) => {
                taken.messages += 1;
                taken.work += WORK_A_MESSAGE + buf.len();
                self.deliver(conn, kind, &buf[start..]);
                assembler.release();
            }
            Next::Ping => self.pinged(conn, receiving.control()),
            Next::Pong => self.call(conn, |handler, open, out| {
                handler.pong(&mut open.state, receiving.control(), out)
            }),
            // §5.5.1: it is answered with one, behind the answers to what came before it.
            Next::Close(frame) => {
                if let Stage::Open(open) = &mut conn.stage {
                    open.close_frame = Some(Box::new(frame.clone()));
                }
                self.finish(conn, CloseAction::Reply(frame), None);
                return false;
            }
        }
        true
    }
}
