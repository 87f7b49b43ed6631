//! Where streams come from: a TCP or a Unix-domain listener.
//!
//! Nothing in std ends an `accept` that waits, and a listener may be shared with other processes:
//! what would wake us, a connection to ourselves, might come to one of them. So no `accept` waits
//! for long. Linux bounds it by `SO_RCVTIMEO`; elsewhere that option does nothing here, so the
//! listener is non-blocking and we sleep between looks.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::transport::{Stream, Wire};

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

/// A listener whose `accept` waits for a while only. What that takes of the socket is put back
/// when this is dropped.
pub(crate) struct TimedListener {
    listener: Listener,
    options: Options,
}

/// How long an accept may wait. What it costs is a wake-up of each thread that waits.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(200);

/// How long to rest before another look where `accept` does not wait by itself.
const NAP: Duration = Duration::from_millis(5);

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
    pub(crate) fn addr(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            #[cfg(unix)]
            Self::Unix(_) => Ok(None),
        }
    }

    fn accept(&self) -> io::Result<Wire> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Wire::new(Stream::Tcp(stream), Some(peer))
            }
            #[cfg(unix)]
            Self::Unix(listener) => Wire::new(Stream::Other(Box::new(listener.accept()?.0)), None),
        })
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Self::Unix(listener) => listener.set_nonblocking(nonblocking),
        }
    }
}

impl TimedListener {
    /// Takes the listener over, whatever its former owner wanted of it.
    pub(crate) fn new(listener: Listener) -> io::Result<Self> {
        let options = Options::of(&listener)?;
        listener.set_nonblocking(options::NONBLOCKING)?;
        Ok(Self { listener, options })
    }

    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        self.listener.addr().ok().flatten()
    }

    /// Waits for a stream at most `wait`, or a tick of the kernel's clock more; `None` if none has
    /// come, which may be known sooner, but not over and over at once.
    pub(crate) fn accept(&self, wait: Duration) -> io::Result<Option<Wire>> {
        // Every time: others may set it too, to none perhaps. It costs a hundredth of a handshake.
        self.options.set_timeout(wait)?;
        let start = Instant::now();
        match self.listener.accept() {
            Ok(wire) => Ok(Some(wire)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if start.elapsed() < wait / 2 {
                    thread::sleep(NAP.min(wait));
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for TimedListener {
    fn drop(&mut self) {
        self.options.put_back(&self.listener);
    }
}

use options::Options;

#[cfg(any(target_os = "linux", target_os = "android"))]
mod options {
    use std::fs;
    use std::io;
    use std::net::TcpStream;
    use std::os::fd::{AsRawFd, OwnedFd};
    use std::time::Duration;

    use super::{LONGEST_WAIT, Listener};

    pub(super) const NONBLOCKING: bool = false;

    /// The options of a listener that are changed, and what they were before.
    pub(super) struct Options {
        /// Another handle of the listener's socket, by which std sets options that it has no call
        /// for on listeners. They are those of any socket.
        socket: TcpStream,
        timeout: Option<Duration>,
        nonblocking: bool,
    }

    impl Options {
        pub(super) fn of(listener: &Listener) -> io::Result<Self> {
            let fd = match listener {
                Listener::Tcp(listener) => OwnedFd::from(listener.try_clone()?),
                Listener::Unix(listener) => OwnedFd::from(listener.try_clone()?),
            };
            let nonblocking = is_nonblocking(fd.as_raw_fd());
            let socket = TcpStream::from(fd);
            let timeout = socket.read_timeout()?;
            Ok(Self { socket, timeout, nonblocking })
        }

        pub(super) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
            self.socket.set_read_timeout(Some(timeout))
        }

        pub(super) fn put_back(&self, listener: &Listener) {
            // If it was that of another server of our kind, that one may have ended since.
            let timeout = self.timeout.filter(|timeout| *timeout > LONGEST_WAIT);
            // There is nobody to hear of an error.
            let _ = self.socket.set_read_timeout(timeout);
            let _ = listener.set_nonblocking(self.nonblocking);
        }
    }

    /// Whether `O_NONBLOCK` is set, which std can set but not tell; no, where it cannot be known.
    fn is_nonblocking(fd: i32) -> bool {
        // The same on all processors but Alpha, MIPS, PA-RISC and SPARC.
        const O_NONBLOCK: u32 = 0o4000;
        let Ok(info) = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) else { return false };
        let mut flags = info.lines().filter_map(|line| line.strip_prefix("flags:"));
        let flags = flags.next().and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & O_NONBLOCK != 0)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod options {
    use std::io;
    use std::time::Duration;

    use super::Listener;

    pub(super) const NONBLOCKING: bool = true;

    /// The options of a listener that are changed: none but that it does not block.
    pub(super) struct Options;

    impl Options {
        pub(super) fn of(_: &Listener) -> io::Result<Self> {
            Ok(Self)
        }

        pub(super) fn set_timeout(&self, _: Duration) -> io::Result<()> {
            Ok(())
        }

        pub(super) fn put_back(&self, listener: &Listener) {
            // There is nobody to hear of an error.
            let _ = listener.set_nonblocking(false);
        }
    }
}
