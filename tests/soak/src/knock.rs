//! A client that is to be turned away.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use crate::frame::REQUEST;
use crate::reactor::{Next, Peer, Wake};
use crate::socket;

/// How long the whole of it may take.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct Knock {
    stream: TcpStream,
    start: Instant,
    asked: bool,
    received: Vec<u8>,
    /// When the answer was there.
    answered: Option<Instant>,
    /// What went wrong.
    trouble: Option<String>,
}

/// What the server said.
pub(crate) enum Answer {
    /// 503 with `Retry-After`, after this time, and then the end of the stream.
    Refused(Duration),
    Other(String),
}

impl Knock {
    /// Starts to connect.
    ///
    /// # Errors
    ///
    /// Those of the system this runs on.
    pub(crate) fn connect(server: SocketAddr, number: usize) -> io::Result<Self> {
        let start = Instant::now();
        Ok(Self {
            stream: socket::connect(server, number, None)?,
            start,
            asked: false,
            received: Vec::new(),
            answered: None,
            trouble: None,
        })
    }

    /// What came, once it is done.
    pub(crate) fn answer(self) -> Answer {
        let text = String::from_utf8_lossy(&self.received).to_ascii_lowercase();
        let Some(answered) = self.answered else {
            let trouble = self.trouble.unwrap_or_else(|| "the end of the stream".to_owned());
            return Answer::Other(format!("no answer but {trouble}"));
        };
        if !text.starts_with("http/1.1 503 ") || !text.contains("\r\nretry-after:") {
            return Answer::Other(text.lines().next().unwrap_or_default().to_owned());
        }
        match self.trouble {
            Some(trouble) => Answer::Other(format!("503, but then {trouble}")),
            None => Answer::Refused(answered - self.start),
        }
    }

    fn run(&mut self, now: Instant, scratch: &mut [u8]) -> Result<Next, String> {
        let name = |error: io::Error| format!("{:?}", error.kind());
        if !self.asked && socket::is_connected(&self.stream).map_err(name)? {
            self.asked = true;
            // The server need not want to hear it: then the answer may be here already.
            let _ = socket::write(&self.stream, REQUEST);
        }
        loop {
            match socket::read(&self.stream, scratch) {
                Ok(None) => break,
                Ok(Some(0)) => return Ok(Next::Done),
                Ok(Some(len)) => self.received.extend_from_slice(&scratch[..len]),
                // Once the answer is here, a reset is one way to end the connection.
                Err(_) if self.answered.is_some() => return Ok(Next::Done),
                Err(error) => return Err(name(error)),
            }
            if self.answered.is_none() && self.received.windows(4).any(|end| end == b"\r\n\r\n") {
                self.answered = Some(Instant::now());
            }
        }
        match now - self.start >= PATIENCE {
            true => Err(format!("an open connection after {PATIENCE:?}")),
            false => Ok(Next::Until(self.start + PATIENCE)),
        }
    }
}

impl Peer for Knock {
    fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    fn wake(&mut self, wake: &Wake, scratch: &mut [u8]) -> Next {
        match self.run(wake.now, scratch) {
            Ok(next) => next,
            Err(trouble) => {
                self.trouble = Some(trouble);
                Next::Done
            }
        }
    }
}
