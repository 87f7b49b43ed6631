//! Where streams come from: a TCP or a Unix-domain listener.

use std::io;
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::io::stream::TimedStream;
use crate::io::transport::Stream;

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
    /// The address, if it is one of TCP.
    ///
    /// # Errors
    ///
    /// If the descriptor is of no use, not even for this.
    pub(crate) fn addr(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            #[cfg(unix)]
            Self::Unix(listener) => listener.local_addr().map(|_| None),
        }
    }

    pub(crate) fn accept(&self) -> io::Result<TimedStream> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                TimedStream::new(Stream::Tcp(stream), Some(peer))
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                TimedStream::new(Stream::Other(Box::new(listener.accept()?.0)), None)
            }
        })
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Self::Unix(listener) => listener.set_nonblocking(nonblocking),
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
