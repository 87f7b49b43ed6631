//! A peer with bad intentions: it sends without end, fast or slowly, and reads little or nothing.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::reactor::{Next, Peer, Wake};
use crate::stream::{Stream, Target};

/// How much is written before the others have their turn, in bytes.
const TURN: usize = 64 << 10;

/// How many records of one byte are written at once: each has 22 bytes more.
const TINY_RECORDS: usize = 1 << 10;

/// One way to attack.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) wire: Wire,
    /// How many of them there are at any time.
    pub(crate) count: usize,
    /// Sent at once.
    pub(crate) first: Vec<u8>,
    /// Sent behind that, over and over.
    pub(crate) then: Vec<u8>,
    /// How much of it every `beat`, in bytes; as fast as it goes for `None`.
    pub(crate) pace: Option<usize>,
    /// How much is read every `beat`, in bytes.
    pub(crate) reads: usize,
    pub(crate) beat: Duration,
    pub(crate) clock: Clock,
    pub(crate) end: End,
    /// The server's deadline for this, on that clock.
    pub(crate) deadline: Duration,
    /// How much the kernel may hold for this peer in each direction, in bytes.
    pub(crate) buffer: usize,
}

/// How bytes get to a server that speaks TLS. One that does not gets them as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// As they are, to the one as to the other.
    Tcp,
    /// In records as long as may be.
    Tls,
    /// In records of one byte.
    TinyRecords,
    /// In long ones, what is sent over and over behind so many KeyUpdates each time.
    KeyUpdates(usize),
    /// In long ones, but what is sent over and over is sent as it is.
    Forged,
}

/// From when the age of a connection counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// From its start.
    Start,
    /// From the last byte that the server's end has taken. A server that is stuck in a write does
    /// not read, so with a peer that sends as fast as it can this clock starts with the write, or
    /// a little later: while buffers still fill up.
    Taken,
    /// From the last byte that has moved in either direction, be it only in the kernel.
    Moved,
}

/// What counts as the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// That the server has ended its side of the stream.
    Half,
    /// That it takes nothing any more either.
    Whole,
}

/// What became of a kind's connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fate {
    /// Connections made.
    pub(crate) started: u64,
    /// Connections that the server has ended.
    pub(crate) ended: u64,
    /// Connections that outlived the deadline by more than the slack.
    pub(crate) late: u64,
    /// The oldest that any has become, ended or not.
    pub(crate) oldest: Duration,
    /// Bytes that were sent.
    pub(crate) bytes: u64,
    /// Attempts to connect that failed.
    pub(crate) refused: u64,
}

pub(crate) struct Attacker<'a> {
    pub(crate) kind: &'a Kind,
    fate: &'a RefCell<Fate>,
    stream: Stream,
    /// Nothing of its own can be sent yet.
    in_handshake: bool,
    /// When its clock started; `None` while it connects.
    since: Option<Instant>,
    /// How much has been sent, in bytes.
    sent: usize,
    /// How much more may be sent before the next beat, where there is a pace.
    allowed: usize,
    next_beat: Instant,
    late: Cell<bool>,
}

/// The connection is over.
struct Over;

impl<'a> Attacker<'a> {
    /// Starts to connect.
    ///
    /// # Errors
    ///
    /// Those of the system this runs on.
    pub(crate) fn connect(
        server: &Target,
        number: usize,
        kind: &'a Kind,
        fate: &'a RefCell<Fate>,
    ) -> io::Result<Self> {
        let stream = match kind.wire {
            Wire::Tcp => Stream::connect(&server.plain(), number, Some(kind.buffer))?,
            _ => Stream::connect(server, number, Some(kind.buffer))?,
        };
        Ok(Self {
            kind,
            fate,
            stream,
            in_handshake: true,
            since: None,
            sent: 0,
            allowed: 0,
            next_beat: Instant::now(),
            late: Cell::new(false),
        })
    }

    pub(crate) fn is_connecting(&self) -> bool {
        self.since.is_none()
    }

    /// Compares the age with what it may be.
    pub(crate) fn judge(&self, now: Instant, slack: Duration) {
        let Some(since) = self.since else { return };
        let age = now.saturating_duration_since(since);
        let mut fate = self.fate.borrow_mut();
        fate.oldest = fate.oldest.max(age);
        if age > self.kind.deadline + slack && !self.late.replace(true) {
            fate.late += 1;
        }
    }

    fn run(&mut self, wake: &Wake, scratch: &mut [u8]) -> Result<Next, Over> {
        let now = wake.now;
        if self.since.is_none() {
            match self.stream.is_connected() {
                Ok(false) => return Ok(Next::Socket),
                Ok(true) => {
                    self.since = Some(Instant::now());
                    self.next_beat = now + self.kind.beat;
                    self.fate.borrow_mut().started += 1;
                }
                Err(_) => {
                    self.fate.borrow_mut().refused += 1;
                    return Err(Over);
                }
            }
        }
        if wake.reset || (wake.ended && self.kind.end == End::Half) {
            return Err(Over);
        }
        if wake.moved && self.kind.clock == Clock::Moved {
            self.since = Some(now);
        }
        if self.in_handshake {
            self.in_handshake = !self.stream.handshake().map_err(|_| Over)?;
            if self.in_handshake {
                return Ok(Next::Socket);
            }
        }
        let beats = self.kind.pace.is_some() || self.kind.reads > 0;
        if beats && self.next_beat <= now {
            self.next_beat = now + self.kind.beat;
            self.allowed += self.kind.pace.unwrap_or(0);
            self.read(scratch)?;
        }
        Ok(match (self.write()?, beats) {
            (true, _) => Next::Again,
            (false, true) => Next::Until(self.next_beat),
            (false, false) => Next::Socket,
        })
    }

    /// Takes a little of what the server sends.
    fn read(&mut self, scratch: &mut [u8]) -> Result<(), Over> {
        if self.kind.reads > 0 {
            let len = self.kind.reads.min(scratch.len());
            match self.stream.read(&mut scratch[..len]) {
                Ok(Some(0)) if self.kind.end == End::Half => return Err(Over),
                Ok(_) => {}
                Err(_) => return Err(Over),
            }
        }
        Ok(())
    }

    /// Sends what it may; whether there is more and room for it.
    fn write(&mut self) -> Result<bool, Over> {
        let kind = self.kind;
        let mut turn = TURN;
        while turn > 0 {
            let bytes = match self.sent.checked_sub(kind.first.len()) {
                None => &kind.first[self.sent..],
                Some(_) if kind.then.is_empty() => return Ok(false),
                Some(rest) => {
                    let bytes = &kind.then[rest % kind.then.len()..];
                    match kind.pace {
                        None => bytes,
                        Some(_) => &bytes[..bytes.len().min(self.allowed)],
                    }
                }
            };
            if bytes.is_empty() {
                return Ok(false);
            }
            let begun = self.sent >= kind.first.len();
            let len = match send(&mut self.stream, kind.wire, bytes, begun) {
                Ok(None) => return Ok(false),
                Ok(Some(len)) => len,
                Err(_) => return Err(Over),
            };
            if kind.pace.is_some() && begun {
                self.allowed -= len;
            }
            self.sent += len;
            turn = turn.saturating_sub(len);
            if kind.clock != Clock::Start {
                self.since = Some(Instant::now());
            }
            self.fate.borrow_mut().bytes += len as u64;
        }
        Ok(true)
    }
}

/// Sends bytes which are among those that come over and over, or not.
fn send(stream: &mut Stream, wire: Wire, bytes: &[u8], again: bool) -> io::Result<Option<usize>> {
    match (stream, wire) {
        (Stream::Tls(tls), Wire::TinyRecords) => {
            tls.write(&bytes[..bytes.len().min(TINY_RECORDS)], 1)
        }
        (Stream::Tls(tls), Wire::KeyUpdates(count)) if again => {
            tls.update_keys(count)?;
            tls.write(bytes, bytes.len())
        }
        (Stream::Tls(tls), Wire::Forged) if again => tls.write_forged(bytes),
        (stream, _) => stream.write(bytes),
    }
}

impl Peer for Attacker<'_> {
    fn stream(&mut self) -> &mut TcpStream {
        self.stream.tcp()
    }

    fn wake(&mut self, wake: &Wake, scratch: &mut [u8]) -> Next {
        match self.run(wake, scratch) {
            Ok(next) => next,
            Err(Over) => {
                if self.since.is_some() {
                    self.fate.borrow_mut().ended += 1;
                }
                Next::Done
            }
        }
    }
}
