//! A client that ends with a reset, at one of many points of the conversation.

use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::frame::{self, BINARY, CLOSE, FIN, PING, REQUEST, TEXT};
use crate::reactor::{Next, Peer, Wake};
use crate::socket;
use crate::stream::{Stream, Target};

/// After this, the reset comes in any case.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where the conversation is cut.
pub(crate) struct Point {
    pub(crate) name: &'static str,
    /// Without TLS, whatever the server speaks.
    below_tls: bool,
    /// Sent first.
    before: Vec<u8>,
    /// Sent once the server has answered the request; `None` to not wait for that.
    after: Option<Vec<u8>>,
}

pub(crate) struct Bomb<'a> {
    stream: Stream,
    pub(crate) point: &'a Point,
    stage: Stage,
    start: Instant,
    /// The answer to the request.
    received: Vec<u8>,
    /// Whether it came as far as its point.
    pub(crate) there: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    Connecting,
    /// This much is sent.
    Before(usize),
    Waiting,
    After(usize),
}

pub(crate) fn points() -> Vec<Point> {
    let point = |name, before: &[u8], after: Option<&[u8]>| {
        let (before, after) = (before.to_vec(), after.map(<[u8]>::to_vec));
        Point { name, below_tls: false, before, after }
    };
    let text = frame::frame(FIN | TEXT, b"hello");
    let close = frame::frame(FIN | CLOSE, &1000_u16.to_be_bytes());
    let mut fragment = frame::frame(TEXT, b"part");
    fragment.extend(frame::frame(FIN | PING, b"?"));
    let mut large = frame::header(FIN | BINARY, 1 << 20);
    large.resize(200 << 10, b'x');
    let unread = frame::frame(FIN | BINARY, &[7; 16 << 10]).repeat(16);
    vec![
        point("connected", b"", None),
        point("half a request", &REQUEST[..REQUEST.len() / 2], None),
        point("request", REQUEST, None),
        point("request and text", &[REQUEST, &text].concat(), None),
        point("answer", REQUEST, Some(b"")),
        point("a byte of a header", REQUEST, Some(&text[..1])),
        point("half a payload", REQUEST, Some(&text[..8])),
        point("a fragment and a Ping", REQUEST, Some(&fragment)),
        point("part of 1 MiB", REQUEST, Some(&large)),
        point("echoes of 256 KiB unread", REQUEST, Some(&unread)),
        point("Close", REQUEST, Some(&close)),
        point("Close and text", REQUEST, Some(&[close.clone(), text].concat())),
    ]
}

/// Those in the handshake of TLS, where this is what a client says first.
pub(crate) fn points_in_tls(hello: &[u8]) -> Vec<Point> {
    let point =
        |name, before: &[u8]| Point { name, below_tls: true, before: before.to_vec(), after: None };
    vec![
        point("connected, no TLS", b""),
        point("a byte of a ClientHello", &hello[..1]),
        point("half a ClientHello", &hello[..hello.len() / 2]),
        point("ClientHello", hello),
        point("ClientHello, and again", &[hello, hello].concat()),
        point("a request without TLS", REQUEST),
    ]
}

impl<'a> Bomb<'a> {
    /// Starts to connect.
    ///
    /// # Errors
    ///
    /// Those of the system this runs on.
    pub(crate) fn connect(server: &Target, number: usize, point: &'a Point) -> io::Result<Self> {
        Ok(Self {
            stream: match point.below_tls {
                true => Stream::connect(&server.plain(), number, None)?,
                false => Stream::connect(server, number, None)?,
            },
            point,
            stage: Stage::Connecting,
            start: Instant::now(),
            received: Vec::new(),
            there: false,
        })
    }

    /// Resets the connection.
    pub(crate) fn go_off(self) {
        socket::reset(self.stream.into_tcp());
    }

    /// Goes on as far as it can; whether to the point, or else to a failure.
    fn run(&mut self, scratch: &mut [u8]) -> io::Result<bool> {
        loop {
            self.stage = match self.stage {
                Stage::Connecting
                    if !self.stream.is_connected()? || !self.stream.handshake()? =>
                {
                    return Ok(false);
                }
                Stage::Connecting => Stage::Before(0),
                Stage::Before(at) => {
                    let (len, now) = (self.point.before.len(), self.send(&self.point.before, at)?);
                    match &self.point.after {
                        None if now == len => return Ok(true),
                        Some(_) if now == len => Stage::Waiting,
                        _ if now == at => return Ok(false),
                        _ => Stage::Before(now),
                    }
                }
                Stage::Waiting => match self.stream.read(scratch)? {
                    None => return Ok(false),
                    Some(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Some(len) => {
                        self.received.extend_from_slice(&scratch[..len]);
                        match self.received.windows(4).any(|end| end == b"\r\n\r\n") {
                            true if !self.received.starts_with(b"HTTP/1.1 101 ") => {
                                return Err(io::ErrorKind::ConnectionRefused.into());
                            }
                            true => Stage::After(0),
                            false => Stage::Waiting,
                        }
                    }
                },
                Stage::After(at) => {
                    let bytes = self.point.after.as_deref().unwrap_or_default();
                    match self.send(bytes, at)? {
                        // All of it, or as much as the server's end takes.
                        now if now == bytes.len() || now == at => return Ok(true),
                        now => Stage::After(now),
                    }
                }
            };
        }
    }

    /// Sends from `at` on; how far it came, which is `at` again if there is no room.
    fn send(&mut self, bytes: &[u8], at: usize) -> io::Result<usize> {
        if at == bytes.len() {
            return Ok(at);
        }
        Ok(at + self.stream.write(&bytes[at..])?.unwrap_or(0))
    }
}

impl Peer for Bomb<'_> {
    fn stream(&mut self) -> &mut TcpStream {
        self.stream.tcp()
    }

    fn wake(&mut self, wake: &Wake, scratch: &mut [u8]) -> Next {
        match self.run(scratch) {
            Ok(true) => self.there = true,
            Ok(false) if !wake.reset && wake.now - self.start < PATIENCE => {
                return Next::Until(self.start + PATIENCE);
            }
            Ok(false) | Err(_) => {}
        }
        Next::Done
    }
}
