//! A client on a bare stream, to whom we speak in frames of our own making.
//!
//! What comes is decoded as it comes, and each part of a message goes back at once, as a fragment of
//! the answer. So an echo holds no more than one read, and takes nothing from anybody else.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use barews::proto::encoder::{self, FrameHeader};
use barews::proto::{Decoder, DecoderLimits, Event, OpCode};
use barews::{CloseCode, CloseFrame, Deadline, Error, Limits, MessageType, RawStream, Timeouts};

use crate::drain::Drain;
use crate::metrics::Counters;
use crate::session::{self, SHUTDOWN, StopFlag};

/// The longest that it is not looked whether the server is to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(500);

/// In place of a timeout that is off: clocks have an end.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// How much is read at once, in bytes.
const MAX_READ: usize = 16 << 10;

/// How much is read of a client that has no answer yet, in bytes.
const MAX_PAUSED: usize = 4 << 10;

/// What a client is held to, and who counts what it does.
pub struct PeerContext<'a> {
    pub counters: &'a Counters,
    pub stop: &'a StopFlag,
    pub drain: &'a Drain,
    pub limits: &'a Limits,
    pub timeouts: &'a Timeouts,
}

/// See the [module](self).
pub struct Peer<'a> {
    pub raw: RawStream,
    pub context: PeerContext<'a>,
    decoder: Decoder,
    bytes: Vec<u8>,
    /// Where in `bytes` what was read and not used begins.
    unread: usize,
    /// When something came for the last time, or would have been heard.
    heard: Instant,
    /// The message under way: its type, its length as far as it has come, and its first bytes, if the
    /// log has them.
    message: Option<(MessageType, usize, Vec<u8>)>,
    /// Whether a Close of ours is out, or none is to come.
    closed: bool,
    /// Whether it was told that the server is to stop: once is enough.
    told_to_stop: bool,
    /// How many bytes we have sent.
    pub written: u64,
}

/// What the client has done, or the time.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// It has sent a part of a message, which was sent back, or a Ping or a Pong.
    Frame {
        /// Whether a message ends with it.
        message: bool,
    },
    Close(CloseFrame),
    /// The end of its stream.
    End,
    /// It is late: the time that was asked for has come.
    Due,
    /// Nothing, for as long as silence is let pass.
    Idle,
    /// The server is to stop.
    Stop,
}

impl<'a> Peer<'a> {
    pub fn new(raw: RawStream, context: PeerContext<'a>) -> Self {
        let Limits { max_message_size, max_fragments, .. } = *context.limits;
        let decoder = Decoder::new(DecoderLimits { max_message_size, max_fragments });
        let closed = raw.close_sent();
        Self {
            raw,
            context,
            decoder,
            bytes: Vec::new(),
            unread: 0,
            heard: Instant::now(),
            message: None,
            closed,
            told_to_stop: false,
            written: 0,
        }
    }

    /// Goes on until the client has done something, or it is `due`. Parts of messages go back.
    pub fn next(&mut self, due: Option<Instant>) -> Result<Heard, Error> {
        loop {
            if due.is_some_and(|due| due <= Instant::now()) {
                return Ok(Heard::Due);
            }
            if self.unread < self.bytes.len() {
                if let Some(heard) = self.decode()? {
                    return Ok(heard);
                }
                continue;
            }
            match self.read(due, MAX_READ)? {
                Some(heard) => return Ok(heard),
                None => continue,
            }
        }
    }

    /// Reads at most so much once there is nothing left of what was read before; `None` if
    /// something came.
    pub fn read(&mut self, due: Option<Instant>, most: usize) -> Result<Option<Heard>, Error> {
        let idle = self.heard + self.context.timeouts.idle_timeout.min(LONGEST_WAIT);
        loop {
            let now = Instant::now();
            if self.is_to_stop() {
                return Ok(Some(Heard::Stop));
            }
            match due {
                Some(due) if due <= now => return Ok(Some(Heard::Due)),
                _ if idle <= now => return Ok(Some(Heard::Idle)),
                _ => {}
            }
            let next = due.map_or(idle, |due| due.min(idle));
            self.raw.set_read_timeout(Some((next - now).min(STOP_INTERVAL)));
            // Behind what is there: the handshake may be read on before it is answered.
            let old = self.bytes.len();
            if self.unread == old {
                self.bytes.clear();
                self.unread = 0;
            }
            let old = self.bytes.len();
            self.bytes.resize(old + most, 0);
            let read = self.raw.read(&mut self.bytes[old..]);
            self.bytes.truncate(old + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(Some(Heard::End)),
                Ok(_) => {
                    self.heard = Instant::now();
                    return Ok(None);
                }
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the client is to be asked to go, and was not yet: the server is to stop, or is drained.
    fn is_to_stop(&mut self) -> bool {
        let PeerContext { stop, drain, .. } = self.context;
        let is_to_stop = !self.told_to_stop && (stop.is_set() || drain.is_over());
        self.told_to_stop |= is_to_stop;
        is_to_stop
    }

    /// How much was read and not used, in bytes.
    pub fn unread(&self) -> usize {
        self.bytes.len() - self.unread
    }

    /// Decodes the next of what was read, and does what it calls for.
    pub fn decode(&mut self) -> Result<Option<Heard>, Error> {
        let fed = self.decoder.feed(&mut self.bytes[self.unread..]);
        let (used, event) = match fed {
            Ok(fed) => fed,
            Err(error) => return Err(self.fail(error.into())),
        };
        self.unread += used;
        Ok(Some(match event {
            Event::Data { kind, len, fin } => {
                self.give_back(kind, self.unread - len..self.unread, fin)?;
                Heard::Frame { message: fin }
            }
            Event::Ping => {
                let mut pong = Vec::new();
                encoder::pong(self.decoder.control(), &mut pong);
                self.write(&pong)?;
                Heard::Frame { message: false }
            }
            Event::Pong => Heard::Frame { message: false },
            Event::Close(frame) => Heard::Close(frame),
            // Compression is never agreed on here.
            _ => return Ok(None),
        }))
    }

    /// Sends a part of a message back, as a fragment (§5.4).
    fn give_back(
        &mut self,
        kind: MessageType,
        part: std::ops::Range<usize>,
        fin: bool,
    ) -> Result<(), Error> {
        let opcode = if self.message.is_some() { OpCode::Continuation } else { kind.opcode() };
        let (_, len, start) = self.message.get_or_insert((kind, 0, Vec::new()));
        *len += part.len();
        if self.context.counters.log.is_some() && start.len() < 1024 {
            start.extend_from_slice(&self.bytes[part.clone()]);
        }
        if !self.closed {
            let header = FrameHeader::new(fin, opcode, part.len());
            let frame = [header.as_bytes(), &self.bytes[part]].concat();
            self.write(&frame)?;
        }
        if fin && let Some((kind, len, start)) = self.message.take() {
            self.context.counters.count_received_part(kind, len, &start);
            if !self.closed {
                self.context.counters.count_sent_part(kind, len, &start);
            }
        }
        Ok(())
    }

    /// Asks whether the client is there: the system of one that has gone answers with a reset, and the
    /// next write fails.
    pub fn ping(&mut self) -> Result<(), Error> {
        let mut ping = Vec::new();
        encoder::ping(b"", &mut ping);
        self.write(&ping)
    }

    /// Sends a Close, unless there was one; nothing follows it (§5.5.1).
    pub fn say_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        let mut frame = Vec::new();
        encoder::close(code, reason, &mut frame);
        self.write(&frame)?;
        self.closed = true;
        Ok(())
    }

    /// Says nothing more, whatever comes.
    pub fn fall_silent(&mut self) {
        self.closed = true;
    }

    /// Reads on until it is `due`, as far as there is room, and decodes nothing; what else has
    /// happened, if anything has. The client owes us nothing meanwhile.
    pub fn pause(&mut self, due: Instant) -> Result<Option<Heard>, Error> {
        loop {
            self.heard = Instant::now();
            let room = MAX_PAUSED.saturating_sub(self.unread());
            let heard = match room {
                0 => return Ok(self.rest(due)),
                room => match self.read(Some(due), room)? {
                    Some(heard) => heard,
                    None => continue,
                },
            };
            return Ok(Some(heard).filter(|heard| *heard != Heard::Due));
        }
    }

    /// Answers a Close as §5.5.1 has it, with the code that it has.
    pub fn answer_close(&mut self, frame: &CloseFrame) -> Result<(), Error> {
        match frame.code {
            // An empty one is answered with an empty one.
            CloseCode::NO_STATUS => {
                self.write(&[0x88, 0])?;
                self.closed = true;
                Ok(())
            }
            code => self.say_close(code, ""),
        }
    }

    /// Sends bytes of ours, unless a Close is out.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        self.written += bytes.len() as u64;
        Ok(self.raw.write_all(bytes)?)
    }

    /// Echoes until the client closes or ends, and sees the closing handshake through. The client's
    /// Close.
    pub fn echo(&mut self) -> Result<Option<CloseFrame>, Error> {
        loop {
            match self.next(None)? {
                Heard::Frame { .. } => {}
                heard => return self.conclude(heard),
            }
        }
    }

    /// Sees the end through that has come.
    pub fn conclude(&mut self, heard: Heard) -> Result<Option<CloseFrame>, Error> {
        match heard {
            Heard::Close(frame) => {
                self.answer_close(&frame)?;
                self.end();
                Ok(Some(frame))
            }
            Heard::Stop => {
                session::note_close(self.context.counters, CloseCode::GOING_AWAY, SHUTDOWN);
                self.say_close(CloseCode::GOING_AWAY, SHUTDOWN)?;
                self.wait_for_close()
            }
            Heard::Idle => Err(self.fail(Error::DeadlineExceeded(Deadline::Idle))),
            Heard::End | Heard::Due | Heard::Frame { .. } => {
                Err(Error::Io(ErrorKind::UnexpectedEof.into()))
            }
        }
    }

    /// Tells the client of an error, and passes it on.
    fn fail(&mut self, error: Error) -> Error {
        if let Some(code) = error.close_code()
            && self.say_close(code, &error.to_string()).is_ok()
        {
            self.end();
        }
        error
    }

    /// Our Close is out: waits for the client's, as long as the closing handshake may take.
    pub fn wait_for_close(&mut self) -> Result<Option<CloseFrame>, Error> {
        let due = Instant::now() + self.context.timeouts.close.min(LONGEST_WAIT);
        loop {
            match self.next(Some(due))? {
                Heard::Close(frame) => {
                    self.end();
                    return Ok(Some(frame));
                }
                Heard::Frame { .. } | Heard::Stop => {}
                Heard::End => return Ok(None),
                Heard::Due | Heard::Idle => {
                    return Err(Error::DeadlineExceeded(Deadline::Close));
                }
            }
        }
    }

    /// Waits, and reads nothing meanwhile: the client owes us nothing for that time.
    pub fn rest(&mut self, until: Instant) -> Option<Heard> {
        loop {
            self.heard = Instant::now();
            if self.is_to_stop() {
                return Some(Heard::Stop);
            }
            let left = until.saturating_duration_since(self.heard);
            // Once the program ends, nobody waits who has been told.
            if left.is_zero()
                || self.context.stop.wait(left.min(STOP_INTERVAL)) && self.told_to_stop
            {
                return None;
            }
        }
    }

    /// Ends our side, and waits for the client to end its own (§7.1.1).
    pub fn end(&mut self) {
        self.raw.shutdown(Shutdown::Write);
        let due = Instant::now() + self.context.timeouts.close.min(LONGEST_WAIT);
        self.raw.set_read_timeout(Some(self.context.timeouts.close));
        let mut sink = [0; 2048];
        while Instant::now() < due && matches!(self.raw.read(&mut sink), Ok(1..)) {}
    }
}
