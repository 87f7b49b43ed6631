//! What a client's bytes travel on: TCP, or TLS over it where the tests are run over that, or a
//! Unix-domain socket.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
#[cfg(target_os = "linux")]
use std::os::unix::net::UnixStream;

use socket2::SockRef;

/// A connection to a server under test, as blocking as its socket.
pub enum Stream {
    Tcp(TcpStream),
    #[cfg(target_os = "linux")]
    Unix(UnixStream),
    #[cfg(feature = "tls")]
    Tls(Box<super::tls::TlsClient>),
}

impl Stream {
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(tcp) => tcp,
            #[cfg(target_os = "linux")]
            Self::Unix(_) => panic!("it is no stream of TCP"),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => &tls.tcp,
        }
    }

    /// Whatever there is at the bottom, for its options.
    pub fn socket(&self) -> SockRef<'_> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Unix(unix) => SockRef::from(unix),
            _ => SockRef::from(self.tcp()),
        }
    }

    /// Whether there is anything to be read, be it the end, within the read timeout. A look that
    /// takes nothing of TCP, so that a client which then leaves resets the stream.
    pub fn peek(&mut self) -> bool {
        loop {
            let looked = match self {
                #[cfg(feature = "tls")]
                Self::Tls(tls) => tls.peek(),
                _ => self.socket().peek(&mut [MaybeUninit::new(0)]).map(|_| true),
            };
            match looked {
                Ok(heard) => return heard,
                // Whatever stops a process and lets it go on.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                }
            }
        }
    }

    /// Ends our side.
    pub fn end(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Self::Tls(tls) = self {
            tls.conn.send_close_notify();
            tls.flush()?;
        }
        self.socket().shutdown(Shutdown::Write)
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(buf),
            #[cfg(target_os = "linux")]
            Self::Unix(unix) => unix.read(buf),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(buf),
            #[cfg(target_os = "linux")]
            Self::Unix(unix) => unix.write(buf),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
