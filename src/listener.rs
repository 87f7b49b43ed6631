//! Where streams come from: a TCP or a Unix-domain listener.
//!
//! Nothing in std ends a blocked `accept`, so a server that is to stop connects to itself; a
//! [`Doorbell`] knows how.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{self as unix, UnixListener, UnixStream};
use std::time::Duration;

use crate::transport::{Stream, Wire};

/// A listener of one kind or another, for [`Server::from_listener`](crate::Server::from_listener).
#[derive(Debug)]
#[non_exhaustive]
pub enum Listener {
    /// TCP, on IPv4 or IPv6.
    Tcp(TcpListener),
    /// A path of the file system, or an abstract name. The peers have no address, so they are
    /// not counted by it. A path has to lead here until the server is shut down: that takes a
    /// connection to it, and without one [`run`](crate::Server::run) does not return.
    #[cfg(unix)]
    Unix(UnixListener),
}

/// What wakes a listener that waits.
#[derive(Clone)]
pub(crate) enum Doorbell {
    Tcp(SocketAddr),
    #[cfg(unix)]
    Unix(unix::SocketAddr),
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
    /// Makes it block, whatever its former owner wanted, and tells how to wake it.
    pub(crate) fn prepare(&self) -> io::Result<Doorbell> {
        match self {
            Self::Tcp(listener) => {
                listener.set_nonblocking(false)?;
                listener.local_addr().map(Doorbell::Tcp)
            }
            #[cfg(unix)]
            Self::Unix(listener) => {
                listener.set_nonblocking(false)?;
                listener.local_addr().map(Doorbell::Unix)
            }
        }
    }

    pub(crate) fn accept(&self) -> io::Result<Wire> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Wire::new(Stream::Tcp(stream), Some(peer))
            }
            #[cfg(unix)]
            Self::Unix(listener) => Wire::new(Stream::Other(Box::new(listener.accept()?.0)), None),
        })
    }
}

impl Doorbell {
    /// The address of a TCP listener.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(addr) => Some(*addr),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }

    /// Wakes the one who accepts, if there is still one; whether nobody is left to be woken. It may
    /// fail while descriptors are out.
    pub(crate) fn ring(&self) -> bool {
        let rung = match self {
            Self::Tcp(addr) => TcpStream::connect_timeout(&reachable(*addr), WAIT).map(drop),
            #[cfg(unix)]
            Self::Unix(addr) => UnixStream::connect_addr(addr).map(drop),
        };
        match rung {
            Ok(()) => true,
            // Nobody listens any more.
            Err(error) => error.kind() == ErrorKind::ConnectionRefused,
        }
    }
}

/// How long to wait for our own listener to take a connection.
const WAIT: Duration = Duration::from_secs(1);

/// An address that leads to one who listens on `addr`.
fn reachable(mut addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    addr
}
