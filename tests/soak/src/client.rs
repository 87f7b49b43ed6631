//! A client that keeps to the protocol, holds the server to it, and checks every echo.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::echo::{Came, Echoes};
use crate::frame::{self, Stretch};
use crate::reactor::{Next, Peer, Wake};
use crate::stream::{Stream, Target};
use crate::tally::Shared;

/// When a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// When it is told to.
    Told,
    /// Messages of this length, this far apart, until the tally says quiet.
    Every(Duration, usize),
    /// One message of this length, and closes when that has come back.
    Once(usize),
}

pub(crate) struct Client {
    stream: Stream,
    tally: Shared,
    habit: Habit,
    number: usize,
    /// What it offers in the way of extensions.
    offer: Option<&'static str>,
    state: State,
    /// What waits to be written.
    out: VecDeque<Piece>,
    echoes: Echoes,
    sent: usize,
    /// When the next message is due.
    due: Option<Instant>,
    /// The server has ended its side of the stream.
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    /// The request is sent.
    Asking,
    Open,
    /// Our Close is sent.
    Closing,
    /// The server's Close has come as well: the end of its stream is next.
    Closed,
}

enum Piece {
    /// Bytes, and how many of them are written.
    Bytes(Vec<u8>, usize),
    /// A payload likewise.
    Payload(Stretch, usize),
}

/// Why a client can do no more; the empty string for the orderly end.
type Over = String;

impl Client {
    /// Starts to connect.
    ///
    /// # Errors
    ///
    /// Those of the system this runs on.
    pub(crate) fn connect(
        server: &Target,
        number: usize,
        habit: Habit,
        tally: &Shared,
    ) -> io::Result<Self> {
        Ok(Self {
            stream: Stream::connect(server, number, None)?,
            tally: tally.clone(),
            habit,
            number,
            offer: None,
            state: State::Connecting,
            out: VecDeque::new(),
            echoes: Echoes::default(),
            sent: 0,
            due: None,
            ended: false,
        })
    }

    /// Has it offer compression, and compress all that it sends.
    pub(crate) fn offer(mut self, offer: &'static str) -> Self {
        self.offer = Some(offer);
        self.echoes = Echoes::compressed();
        self
    }

    /// Sends a message and notes that its echo is awaited.
    pub(crate) fn send(&mut self, len: usize, scratch: &mut [u8]) -> Next {
        if self.state == State::Open {
            self.put(len);
        }
        self.go(Instant::now(), scratch)
    }

    /// Starts the closing handshake.
    pub(crate) fn close(&mut self, scratch: &mut [u8]) -> Next {
        if self.state == State::Open {
            self.put_close();
        }
        self.go(Instant::now(), scratch)
    }

    fn put(&mut self, len: usize) {
        // Neighbours in time and in number send different bytes. If they are compressed, most of a
        // message was in the one before.
        let apart = if self.offer.is_some() { 16 } else { 131 };
        let stretch = Stretch::new(self.number * 977 + self.sent * apart, len);
        let opcode = if self.sent.is_multiple_of(2) { frame::BINARY } else { frame::TEXT };
        self.sent += 1;
        let first = frame::FIN | opcode;
        if let Some(payload) = self.echoes.deflate(stretch.plain(0)) {
            self.put_bytes(frame::frame(first | frame::RSV1, &payload));
        } else {
            self.put_bytes(frame::header(first, len));
            self.out.push_back(Piece::Payload(stretch, 0));
        }
        self.echoes.expect(opcode, stretch);
        self.tally.borrow_mut().sent += 1;
    }

    fn put_close(&mut self) {
        self.put_bytes(frame::frame(frame::FIN | frame::CLOSE, &1000_u16.to_be_bytes()));
        self.state = State::Closing;
    }

    fn put_bytes(&mut self, bytes: Vec<u8>) {
        self.out.push_back(Piece::Bytes(bytes, 0));
    }

    /// Does all that can be done now.
    fn go(&mut self, now: Instant, scratch: &mut [u8]) -> Next {
        match self.run(now, scratch) {
            Ok(next) => next,
            Err(over) => {
                let mut tally = self.tally.borrow_mut();
                match over.is_empty() {
                    true => tally.closed += 1,
                    false => tally.fail(over),
                }
                Next::Done
            }
        }
    }

    fn run(&mut self, now: Instant, scratch: &mut [u8]) -> Result<Next, Over> {
        if self.state == State::Connecting {
            if !self.stream.is_connected().map_err(|error| fault("connecting", &error))? {
                return Ok(Next::Socket);
            }
            self.put_bytes(self.offer.map_or_else(|| frame::REQUEST.to_vec(), frame::request));
            self.state = State::Asking;
        }
        if let Some(due) = self.due
            && due <= now
        {
            self.keep_habit(due, now);
        }
        self.write()?;
        let again = self.read(scratch)?;
        // What was read may call for an answer.
        self.write()?;
        Ok(match (again, self.due) {
            (true, _) => Next::Again,
            (false, Some(due)) => Next::Until(due),
            (false, None) => Next::Socket,
        })
    }

    /// Sends what is due. A message that is late is sent at once, and none is left out, so that
    /// a server that is slow for a while does not get less to do for it.
    fn keep_habit(&mut self, due: Instant, now: Instant) {
        self.due = None;
        if let Habit::Every(apart, len) = self.habit
            && self.state == State::Open
            && !self.tally.borrow().quiet
        {
            let mut due = due;
            while due <= now {
                self.put(len);
                due += apart;
            }
            self.due = Some(due);
        }
    }

    fn opened(&mut self, now: Instant) {
        self.state = State::Open;
        self.tally.borrow_mut().opened += 1;
        match self.habit {
            Habit::Told => {}
            Habit::Once(len) => self.put(len),
            Habit::Every(apart, _) => {
                // Clients that open together shall not send together.
                let part = (self.number * 619 % 1000) as u32;
                self.due = Some(now + apart * part / 1000);
            }
        }
    }

    fn write(&mut self) -> Result<(), Over> {
        while let Some(piece) = self.out.front_mut() {
            let (bytes, at) = match piece {
                Piece::Bytes(bytes, at) => (&bytes[*at..], at),
                Piece::Payload(stretch, at) => (stretch.masked(*at), at),
            };
            if bytes.is_empty() {
                self.out.pop_front();
                continue;
            }
            match self.stream.write(bytes) {
                Ok(None) => return Ok(()),
                Ok(Some(len)) => *at += len,
                Err(error) => return Err(fault(self.when(), &error)),
            }
        }
        Ok(())
    }

    /// Reads until there is no more, or for a while; whether the latter.
    fn read(&mut self, scratch: &mut [u8]) -> Result<bool, Over> {
        for _ in 0..4 {
            let len = match self.stream.read(scratch) {
                Ok(None) => return Ok(false),
                Ok(Some(0)) if self.state == State::Closed => return Err(Over::new()),
                Ok(Some(0)) => return Err(format!("the end of the stream {}", self.when())),
                Ok(Some(len)) => len,
                Err(error) => return Err(fault(self.when(), &error)),
            };
            self.take(&scratch[..len]).map_err(|what| format!("{what} {}", self.when()))?;
            // A short read has emptied the socket; but behind the last bytes may be the end.
            if self.stream.is_drained(len, scratch.len()) && !self.ended {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        let now = Instant::now();
        if self.state == State::Asking {
            let Some(used) = self.echoes.answer(bytes)? else { return Ok(()) };
            bytes = &bytes[used..];
            self.opened(now);
        }
        while !bytes.is_empty() {
            let (used, came) = self.echoes.feed(bytes)?;
            bytes = &bytes[used..];
            match came {
                Came::Part => {}
                _ if self.state == State::Closed => {
                    return Err("a frame behind the Close".to_owned());
                }
                Came::Echo(sent) => self.echoed(now, sent),
                Came::Ping(payload) => {
                    self.put_bytes(frame::frame(frame::FIN | frame::PONG, &payload));
                    self.tally.borrow_mut().pings += 1;
                }
                Came::Close(1000) if self.state == State::Closing => self.state = State::Closed,
                Came::Close(code) => return Err(format!("Close {code}")),
            }
        }
        Ok(())
    }

    fn echoed(&mut self, now: Instant, sent: Instant) {
        let mut tally = self.tally.borrow_mut();
        tally.echoed += 1;
        tally.latency.record(now - sent);
        drop(tally);
        if let Habit::Once(_) = self.habit {
            self.put_close();
        }
    }

    /// For reports.
    fn when(&self) -> &'static str {
        match self.state {
            State::Connecting => "while connecting",
            State::Asking => "before the answer to the request",
            State::Open => "while open",
            State::Closing => "after our Close",
            State::Closed => "after both Closes",
        }
    }
}

impl Peer for Client {
    fn stream(&mut self) -> &mut TcpStream {
        self.stream.tcp()
    }

    fn wake(&mut self, wake: &Wake, scratch: &mut [u8]) -> Next {
        self.ended |= wake.ended;
        self.go(wake.now, scratch)
    }
}

fn fault(when: &str, error: &io::Error) -> Over {
    format!("{:?} {when}", error.kind())
}
