//! A peer that has agreed to permessage-deflate and means ill. It says what it has to say, prepared
//! once for all of its kind, over and over or once, and hears how the server ends it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::codec::Agreed;
use crate::frame::{self, Header};
use crate::reactor::{Next, Peer, Wake};
use crate::socket;

/// How much the kernel may hold for a deaf one in each direction, in bytes.
const BUFFER: usize = 64 << 10;

/// One way to attack.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// How many of them there are at any time.
    pub(crate) count: usize,
    /// Requests, each with an offer; taken in turn.
    pub(crate) requests: Vec<Vec<u8>>,
    /// What it sends, first at some time of the first beat and then with each beat.
    pub(crate) bytes: Vec<u8>,
    pub(crate) beat: Duration,
    pub(crate) once: bool,
    /// Nothing is sent before the second wave.
    pub(crate) second_wave: bool,
    /// Nothing is read but the answer to the request.
    pub(crate) deaf: bool,
    /// How the server may end it, and how it must end some.
    pub(crate) ends: Vec<End>,
    pub(crate) must: Option<End>,
    /// Whether some of the messages must come back.
    pub(crate) echoes: bool,
    /// From the first of the bytes to the end. From the last byte that has moved for a deaf one.
    pub(crate) deadline: Option<Duration>,
}

/// How the server has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Close(u16),
    /// The stream has ended with no Close that was read.
    Cut,
}

/// What became of a kind's connections.
#[derive(Clone, Default)]
pub(crate) struct Fate {
    /// Connections opened, by whether messages may refer to earlier ones.
    pub(crate) with_takeover: u64,
    pub(crate) without_takeover: u64,
    /// Connections that the server has ended.
    pub(crate) ends: BTreeMap<End, u64>,
    /// Connections that did not open, by what was wrong.
    pub(crate) refused: BTreeMap<String, u64>,
    /// Connections that outlived the deadline by more than the slack.
    pub(crate) late: u64,
    /// The oldest that any has become, ended or not.
    pub(crate) oldest: Duration,
    /// Bytes sent, and how often all of them.
    pub(crate) bytes: u64,
    pub(crate) rounds: u64,
    /// Messages that came back, to those that listen.
    pub(crate) echoed: u64,
}

pub(crate) struct Hostile<'a> {
    pub(crate) kind: &'a Kind,
    fate: &'a RefCell<Fate>,
    number: usize,
    stream: TcpStream,
    stage: Stage,
    /// Whether it may send yet.
    released: bool,
    /// What is being sent, and how much of it was.
    sending: Option<(&'a [u8], usize)>,
    /// When the bytes are sent next.
    due: Option<Instant>,
    /// When the deadline's clock started.
    since: Option<Instant>,
    late: Cell<bool>,
    /// The answer to the request, a frame's header, or a Close, which is not all there.
    partial: Vec<u8>,
    /// The frame under way, and how much of it is to come.
    left: Option<(Header, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Asking,
    Open,
}

/// Why it is over.
enum Over {
    Refused(String),
    Ended(End),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(code) => write!(f, "{code}"),
            Self::Cut => f.write_str("cut"),
        }
    }
}

impl Fate {
    pub(crate) fn opened(&self) -> u64 {
        self.with_takeover + self.without_takeover
    }
}

impl<'a> Hostile<'a> {
    /// Starts to connect.
    ///
    /// # Errors
    ///
    /// Those of the system this runs on.
    pub(crate) fn connect(
        server: SocketAddr,
        number: usize,
        kind: &'a Kind,
        fate: &'a RefCell<Fate>,
    ) -> io::Result<Self> {
        Ok(Self {
            kind,
            fate,
            number,
            stream: socket::connect(server, number, kind.deaf.then_some(BUFFER))?,
            stage: Stage::Connecting,
            released: !kind.second_wave,
            sending: None,
            due: None,
            since: None,
            late: Cell::new(false),
            partial: Vec::new(),
            left: None,
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// The second wave comes.
    pub(crate) fn release(&mut self) -> Next {
        if !std::mem::replace(&mut self.released, true) && self.is_open() {
            return Next::Until(self.first_beat());
        }
        Next::Again
    }

    /// Compares the age with what it may be.
    pub(crate) fn judge(&self, now: Instant, slack: Duration) {
        let (Some(since), Some(deadline)) = (self.since, self.kind.deadline) else { return };
        let age = now.saturating_duration_since(since);
        let mut fate = self.fate.borrow_mut();
        fate.oldest = fate.oldest.max(age);
        if age > deadline + slack && !self.late.replace(true) {
            fate.late += 1;
        }
    }

    fn run(&mut self, wake: &Wake, scratch: &mut [u8]) -> Result<Next, Over> {
        if self.stage == Stage::Connecting {
            match socket::is_connected(&self.stream) {
                Ok(false) => return Ok(Next::Socket),
                Ok(true) => self.stage = Stage::Asking,
                Err(error) => return Err(Over::Refused(format!("{:?}", error.kind()))),
            }
            let requests = &self.kind.requests;
            self.sending = Some((&requests[self.number % requests.len()], 0));
        }
        let mut again = false;
        if !(self.kind.deaf && self.is_open()) {
            again = self.read(scratch)?;
        } else if wake.reset {
            return Err(Over::Ended(End::Cut));
        } else if wake.moved {
            self.since = Some(wake.now);
        }
        if self.due.is_some_and(|due| due <= wake.now) {
            self.due = (!self.kind.once).then(|| wake.now + self.kind.beat);
            // One that cannot send does not save it up.
            self.sending = self.sending.or(Some((&self.kind.bytes, 0)));
            self.since = self.since.or(Some(wake.now));
        }
        self.write()?;
        Ok(match (again, self.due) {
            (true, _) => Next::Again,
            (false, Some(due)) => Next::Until(due),
            (false, None) => Next::Socket,
        })
    }

    fn write(&mut self) -> Result<(), Over> {
        while let Some((bytes, at)) = &mut self.sending {
            match socket::write(&self.stream, &bytes[*at..]) {
                Ok(None) => break,
                Ok(Some(len)) => *at += len,
                // What came before the end is read first, and the end then too.
                Err(_) if !self.kind.deaf => break,
                Err(_) => return Err(Over::Ended(End::Cut)),
            }
            if *at == bytes.len() {
                if self.stage == Stage::Open {
                    let mut fate = self.fate.borrow_mut();
                    fate.rounds += 1;
                    fate.bytes += bytes.len() as u64;
                }
                self.sending = None;
            }
        }
        Ok(())
    }

    /// Reads until there is no more, or for a while; whether the latter.
    fn read(&mut self, scratch: &mut [u8]) -> Result<bool, Over> {
        for _ in 0..4 {
            let len = match socket::read(&self.stream, scratch) {
                Ok(None) => return Ok(false),
                Ok(Some(0)) | Err(_) if self.stage != Stage::Open => {
                    return Err(Over::Refused("no answer".to_owned()));
                }
                Ok(Some(0)) | Err(_) => return Err(Over::Ended(End::Cut)),
                Ok(Some(len)) => len,
            };
            let mut bytes = &scratch[..len];
            if self.stage == Stage::Asking {
                let before = self.partial.len();
                self.partial.extend_from_slice(bytes);
                let Some(end) = self.partial.windows(4).position(|at| at == b"\r\n\r\n") else {
                    continue;
                };
                bytes = &bytes[end + 4 - before..];
                self.opened(end)?;
            }
            self.take(bytes)?;
        }
        Ok(true)
    }

    /// The answer is there, and so long.
    fn opened(&mut self, len: usize) -> Result<(), Over> {
        let text = String::from_utf8_lossy(&self.partial[..len]).into_owned();
        self.partial = Vec::new();
        let agreed = frame::header_value(&text, "Sec-WebSocket-Extensions");
        let agreed = match agreed.map(Agreed::parse) {
            Some(Ok(agreed)) => agreed,
            Some(Err(wrong)) => return Err(Over::Refused(wrong)),
            None => {
                let status = text.lines().next().unwrap_or_default();
                return Err(Over::Refused(format!("no extension, {status:?}")));
            }
        };
        let mut fate = self.fate.borrow_mut();
        match agreed.has_takeover() {
            true => fate.with_takeover += 1,
            false => fate.without_takeover += 1,
        }
        self.stage = Stage::Open;
        if self.released {
            self.first_beat();
        }
        Ok(())
    }

    /// Those of a kind shall not send all at once.
    fn first_beat(&mut self) -> Instant {
        let part = (self.number * 619 % 1000) as u32;
        *self.due.insert(Instant::now() + self.kind.beat * part / 1000)
    }

    /// Takes in frames, of which only Closes and ends of messages are of interest.
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Over> {
        while !bytes.is_empty() {
            let Some((header, left)) = self.left else {
                let before = self.partial.len();
                self.partial.extend_from_slice(&bytes[..bytes.len().min(10)]);
                match Header::decode(&self.partial) {
                    Ok(None) => return Ok(()),
                    Ok(Some((header, used))) => {
                        bytes = &bytes[used - before..];
                        self.left = Some((header, header.len));
                        self.partial.clear();
                        self.complete(header, header.len)?;
                    }
                    // It will be in no list of permitted ends.
                    Err(_) => return Err(Over::Ended(End::Close(0))),
                }
                continue;
            };
            let used = left.min(bytes.len());
            if header.opcode == frame::CLOSE {
                self.partial.extend_from_slice(&bytes[..used]);
            }
            bytes = &bytes[used..];
            self.left = Some((header, left - used));
            self.complete(header, left - used)?;
        }
        Ok(())
    }

    /// Sees to a frame that has ended, if `left` is 0.
    fn complete(&mut self, header: Header, left: usize) -> Result<(), Over> {
        if left > 0 {
            return Ok(());
        }
        self.left = None;
        match header.opcode {
            frame::CLOSE => {
                let code =
                    self.partial.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                return Err(Over::Ended(End::Close(code)));
            }
            frame::CONTINUATION..=frame::BINARY if header.fin => self.fate.borrow_mut().echoed += 1,
            _ => {}
        }
        Ok(())
    }
}

impl Peer for Hostile<'_> {
    fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    fn wake(&mut self, wake: &Wake, scratch: &mut [u8]) -> Next {
        let over = match self.run(wake, scratch) {
            Ok(next) => return next,
            Err(over) => over,
        };
        let mut fate = self.fate.borrow_mut();
        match over {
            Over::Refused(why) => *fate.refused.entry(why).or_default() += 1,
            Over::Ended(end) => *fate.ends.entry(end).or_default() += 1,
        }
        Next::Done
    }
}
