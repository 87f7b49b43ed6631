//! A client's stream, with TLS or without. What is written may wait here to be sent, and what is
//! read is all that has come: a level-triggered epoll knows of the socket only.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use barews::rustls::pki_types::ServerName;
use barews::rustls::{ClientConfig, ClientConnection};

use crate::outcome::Outcome;

/// How much is read in one call where that is ciphertext, and how much plaintext may wait to be
/// encrypted and sent, in bytes.
const CIPHERTEXT: usize = 64 << 10;
const PLAINTEXT: usize = 256 << 10;

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

pub(crate) struct Tls {
    stream: BufReader<TcpStream>,
    session: ClientConnection,
}

impl Stream {
    /// The handshake of TLS is part of the first reads and writes.
    pub(crate) fn new(stream: TcpStream, tls: Option<Arc<ClientConfig>>) -> Outcome<Self> {
        stream.set_nodelay(true)?;
        let Some(config) = tls else { return Ok(Self::Plain(stream)) };
        let name = ServerName::IpAddress(stream.peer_addr()?.ip().into());
        let mut session = ClientConnection::new(config, name)?;
        session.set_buffer_limit(Some(PLAINTEXT));
        let stream = BufReader::with_capacity(CIPHERTEXT, stream);
        Ok(Self::Tls(Box::new(Tls { stream, session })))
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(tls) => tls.stream.get_ref(),
        }
    }

    /// Whether there is something to send that was written.
    pub(crate) fn waits_to_send(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.session.wants_write())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp().as_fd()
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buf),
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.send(),
        }
    }
}

impl Tls {
    /// All that has come: `buf` has room for what can be buffered here, or too little comes to matter.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut len = 0;
        loop {
            match self.session.reader().read(&mut buf[len..]) {
                Ok(0) => return Ok(len),
                Ok(n) => len += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(len),
                Err(error) => return Err(error),
            }
            if len == buf.len() || len > 0 && self.stream.buffer().is_empty() {
                return Ok(len);
            }
            match self.session.read_tls(&mut self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && len > 0 => return Ok(len),
                Err(error) => return Err(error),
            }
            let processed = self.session.process_new_packets();
            processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            // What the handshake has to say.
            self.send()?;
        }
    }

    /// What is not sent at once is when there is room.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send()?;
        if self.session.wants_write() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = self.session.writer().write(bytes)?;
        self.send()?;
        Ok(len)
    }

    fn send(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(self.stream.get_mut()) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
