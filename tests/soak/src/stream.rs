//! A client's stream that never blocks, with TLS or without.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use barews::rustls::pki_types::ServerName;
use barews::rustls::{ClientConfig, ClientConnection};
use mio::net::TcpStream;

use crate::socket::{self, pending};

/// Where a server is, and what a client needs if it speaks TLS.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

/// Bytes that go through TLS.
pub(crate) struct Tls {
    stream: BufReader<TcpStream>,
    session: ClientConnection,
}

/// How much is read in one call where that is ciphertext, in bytes.
const CIPHERTEXT: usize = 64 << 10;
/// The longest record, which may be complete before any other has come, in bytes.
const RECORD: usize = 16 << 10;

impl Target {
    /// The same place without TLS, to send it what is none.
    pub(crate) fn plain(&self) -> Self {
        Self { tls: None, ..self.clone() }
    }

    /// A new session of TLS, if that is spoken.
    pub(crate) fn session(&self) -> Option<ClientConnection> {
        self.tls.as_ref().map(session)
    }
}

/// The first thing that a client says over TLS.
pub(crate) fn client_hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let mut hello = Vec::new();
    session(config).write_tls(&mut hello).expect("memory takes all");
    hello
}

fn session(config: &Arc<ClientConfig>) -> ClientConnection {
    // Every server here is on this address.
    let name = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST).into());
    ClientConnection::new(Arc::clone(config), name).expect("settings that can be used")
}

impl Stream {
    /// Starts to connect; see [`socket::connect`].
    ///
    /// # Errors
    ///
    /// Only for want of descriptors, ports or memory.
    pub(crate) fn connect(to: &Target, nth: usize, buffer: Option<usize>) -> io::Result<Self> {
        let stream = socket::connect(to.addr, nth, buffer)?;
        Ok(match to.session() {
            None => Self::Plain(stream),
            Some(session) => {
                let stream = BufReader::with_capacity(CIPHERTEXT, stream);
                Self::Tls(Box::new(Tls { stream, session }))
            }
        })
    }

    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.stream.get_mut(),
        }
    }

    pub(crate) fn into_tcp(self) -> TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.stream.into_inner(),
        }
    }

    /// Whether a connection that was being made is there, by now, of TCP only.
    ///
    /// # Errors
    ///
    /// If it has failed.
    pub(crate) fn is_connected(&mut self) -> io::Result<bool> {
        socket::is_connected(self.tcp())
    }

    /// Goes on with the handshake of TLS; whether it is done, or there is none. Reads and writes see
    /// to it too: this is for those who do not read.
    ///
    /// # Errors
    ///
    /// Those of the stream and of TLS.
    pub(crate) fn handshake(&mut self) -> io::Result<bool> {
        let Self::Tls(tls) = self else { return Ok(true) };
        tls.send()?;
        while tls.session.is_handshaking() {
            match tls.receive()? {
                None => return Ok(false),
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(_) => {}
            }
        }
        Ok(true)
    }

    /// Reads what is there; `None` if nothing is.
    ///
    /// # Errors
    ///
    /// Those of the stream and of TLS. `Some(0)` is its end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(stream) => socket::read(stream, buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }

    /// Whether nothing can be left to read after a read of `len` bytes with room for `room`.
    pub(crate) fn is_drained(&self, len: usize, room: usize) -> bool {
        matches!(self, Self::Plain(_)) && len < room
    }

    /// Writes as much as there is room for; `None` if there is none. Over TLS the next call of any
    /// sort sends what there was no room for.
    ///
    /// # Errors
    ///
    /// Those of the stream and of TLS.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain(stream) => socket::write(stream, bytes),
            Self::Tls(tls) => tls.write(bytes, bytes.len()),
        }
    }
}

impl Tls {
    /// Fills `buf` with all that has come, or with as much of it as there is certainly room for.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        self.send()?;
        let mut len = 0;
        loop {
            match self.session.reader().read(&mut buf[len..]) {
                Ok(0) => return Ok(Some(len)),
                Ok(more) => len += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(Some(len)),
                Err(error) => return Err(error),
            }
            if len > 0 && buf.len() - len <= RECORD {
                return Ok(Some(len));
            }
            match self.receive() {
                Ok(Some(_)) => {}
                Ok(None) if len > 0 => return Ok(Some(len)),
                Err(_) if len > 0 => return Ok(Some(len)),
                none => return none.map(|_| None),
            }
        }
    }

    /// Takes in ciphertext; `None` if there is none, `Some(0)` at its end.
    fn receive(&mut self) -> io::Result<Option<usize>> {
        let received = pending(self.session.read_tls(&mut self.stream))?;
        let processed = self.session.process_new_packets();
        // An alert that says what is wrong is worth a try, also if nobody wants to hear it.
        let sent = self.send();
        processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        sent?;
        Ok(received)
    }

    /// Encrypts bytes in records of so many of them, if what was written before is sent.
    pub(crate) fn write(&mut self, bytes: &[u8], record: usize) -> io::Result<Option<usize>> {
        self.send()?;
        if self.session.wants_write() {
            return Ok(None);
        }
        let mut len = 0;
        for piece in bytes.chunks(record.max(1)) {
            match self.session.writer().write(piece)? {
                0 => break,
                taken => len += taken,
            }
        }
        self.send()?;
        Ok((len > 0).then_some(len))
    }

    /// So many KeyUpdates that ask for one in return (RFC 8446 §4.6.3), ahead of what is written next,
    /// if what was written before is sent.
    pub(crate) fn update_keys(&mut self, count: usize) -> io::Result<()> {
        if !self.session.wants_write() {
            for _ in 0..count {
                self.session.refresh_traffic_keys().map_err(io::Error::other)?;
            }
        }
        Ok(())
    }

    /// Bytes that were not encrypted, behind those that were.
    pub(crate) fn write_forged(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.send()?;
        if self.session.wants_write() {
            return Ok(None);
        }
        socket::write(self.stream.get_ref(), bytes)
    }

    /// Sends ciphertext as long as there is room for it.
    fn send(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            if pending(self.session.write_tls(self.stream.get_mut()))?.is_none() {
                break;
            }
        }
        Ok(())
    }
}
