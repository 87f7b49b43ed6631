//! Where streams come from: a TCP or a Unix-domain listener.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::io::any_stream::Stream;
use crate::io::transport::Transport;
use crate::io::wrapped::WrappedListener;

/// How long one accept waits at the most. What that costs is a wake-up of each thread that waits.
pub(crate) const MAX_ACCEPT_TIMEOUT: Duration = Duration::from_millis(200);

/// A listener of one kind or another, for [`Server::from_listener`](crate::Server::from_listener).
///
/// It may be shared with other processes, and each gets a part of the streams. On Linux the server
/// makes it block, with a receive timeout (`SO_RCVTIMEO`) of at most 200 ms, and that holds for
/// the others too: an `accept` of theirs that blocks may fail with `WouldBlock`, as ours may. When
/// the server ends, both are as they were. If another process makes it non-blocking again, we look
/// for a stream every 5 ms.
///
/// Elsewhere it is non-blocking while the server has it, and blocks afterwards; a stream that
/// comes after a quiet moment waits up to 5 ms for the next look.
#[derive(Debug)]
#[non_exhaustive]
pub enum Listener {
    /// TCP, on IPv4 or IPv6.
    Tcp(TcpListener),
    /// A path of the file system, or an abstract name. The peers have no address, so they are
    /// not counted by it. The path may be gone, or lead elsewhere, while the server runs.
    #[cfg(unix)]
    Unix(UnixListener),
    /// TCP, with something else spoken on it; of [`Listener::wrapped`].
    Wrapped(WrappedListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

#[cfg(unix)]
impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl Listener {
    /// A listener whose streams are wrapped by `wrap` before they are read, such as in a TLS of the
    /// application's own. All that a server does for a stream holds for what is made of it: limits,
    /// deadlines, callbacks and shutdown.
    ///
    /// `wrap` is called on the thread of the connection, when that is counted. It may wait for the
    /// peer: each call on the stream it is given is bounded by what is left of the handshake timeout,
    /// and a server that shuts down ends the stream. A handshake in many calls is better made inside
    /// the first `read` of the transport, where the deadline is one for all of them. If it fails or
    /// panics, this costs its stream only, and [`on_error`](crate::Server::on_error) is told.
    ///
    /// ```no_run
    /// use barews::{Listener, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let tcp = std::net::TcpListener::bind("127.0.0.1:9001")?;
    /// let listener = Listener::wrapped(tcp, |stream| {
    ///     stream.set_ttl(64)?;
    ///     Ok(stream) // or any other `Transport` over it
    /// });
    /// let server = Server::from_listener(listener)?;
    /// # server.run(|_| Ok(()))
    /// # }
    /// ```
    #[must_use]
    pub fn wrapped<T: Transport>(
        tcp: TcpListener,
        wrap: impl Fn(TcpStream) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        Self::Wrapped(WrappedListener::new(tcp, wrap))
    }

    /// The address, if it is one of TCP.
    ///
    /// # Errors
    ///
    /// If the descriptor is of no use, not even for this.
    pub(crate) fn addr(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            Self::Wrapped(listener) => listener.tcp.local_addr().map(Some),
            #[cfg(unix)]
            Self::Unix(listener) => listener.local_addr().map(|_| None),
        }
    }

    /// A stream, and the peer's address where it has one.
    pub(crate) fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                (Stream::Tcp(stream), Some(peer))
            }
            #[cfg(unix)]
            Self::Unix(listener) => (Stream::Other(Box::new(listener.accept()?.0)), None),
            Self::Wrapped(listener) => {
                let (stream, peer) = listener.accept()?;
                (Stream::Other(Box::new(stream)), Some(peer))
            }
        })
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Self::Unix(listener) => listener.set_nonblocking(nonblocking),
            Self::Wrapped(listener) => listener.tcp.set_nonblocking(nonblocking),
        }
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn what_is_no_socket_has_no_address() {
        use super::Listener;
        use std::fs::File;
        use std::os::fd::OwnedFd;

        let no_socket = || OwnedFd::from(File::open("/dev/null").unwrap());
        assert!(Listener::Tcp(no_socket().into()).addr().is_err());
        assert!(Listener::Unix(no_socket().into()).addr().is_err());
    }
}
