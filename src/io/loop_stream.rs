//! A socket that an event loop waits for.
//!
//! No call on it waits, but for a write of another thread's: that one sleeps until the loop, which
//! hears of it first, [wakes](LoopStream::wake_writer) it. So a [`Sender`](crate::Sender) blocks while
//! the peer does not read, as it does on a socket of a thread.
//!
//! ```text
//!   the loop     read, write ──▶ socket ──▶ WouldBlock: it goes on with others
//!   a thread     write ──▶ WouldBlock ──▶ sleeps ◀── wake_writer ◀── the loop: there is room
//! ```

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Deref;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::io::transport::Transport;

/// See the [module](self).
pub(crate) struct LoopStream {
    socket: Socket,
    /// Whether the last read found something, so that there may be more.
    has_more: AtomicBool,
    /// Whether a write waits for room.
    waits: AtomicBool,
    /// How long one call waits at most, in milliseconds.
    write_timeout: AtomicU32,
    /// Whether a thread sleeps until there is room, and where.
    is_awaited: AtomicBool,
    sleeping: Mutex<()>,
    has_room: Condvar,
    /// The same socket as one that blocks, once it has left its loop.
    detached: OnceLock<Detached>,
}

/// A socket that never blocks.
pub(crate) enum Socket {
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
}

/// A socket that blocks.
enum Detached {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Deref for Detached {
    type Target = dyn Transport;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(unix)]
            Self::Unix(stream) => stream,
        }
    }
}

/// What is done with a socket of either kind.
macro_rules! with {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            #[cfg(unix)]
            Socket::Unix($stream) => $call,
        }
    };
}

impl LoopStream {
    /// Has the loop of this registry hear when the socket can be read or written.
    pub(crate) fn register(
        mut socket: Socket,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        with!(&mut socket, stream => stream.register(registry, token, interest))?;
        Ok(Self {
            socket,
            has_more: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            write_timeout: AtomicU32::new(u32::MAX),
            is_awaited: AtomicBool::new(false),
            sleeping: Mutex::new(()),
            has_room: Condvar::new(),
            detached: OnceLock::new(),
        })
    }

    /// Whether the socket may have more, as far as reads have shown since this was asked. What wraps
    /// it may give nothing for what it has read.
    pub(crate) fn take_more(&self) -> bool {
        self.has_more.swap(false, Ordering::Relaxed)
    }

    /// There is room to write.
    #[inline]
    pub(crate) fn wake_writer(&self) {
        // Set before the write that finds no room, after which there is news of room.
        if self.is_awaited.load(Ordering::SeqCst) {
            let _sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
            self.has_room.notify_all();
        }
    }

    /// Leaves the loop: from now on calls block, within their timeouts.
    pub(crate) fn detach(&self, registry: &Registry) -> io::Result<()> {
        #[cfg(unix)]
        let stream = {
            use std::os::fd::AsRawFd;
            let fd = with!(&self.socket, stream => stream.as_fd());
            mio::unix::SourceFd(&fd.as_raw_fd()).deregister(registry)?;
            let fd = fd.try_clone_to_owned()?;
            match &self.socket {
                Socket::Tcp(_) => Detached::Tcp(fd.into()),
                Socket::Unix(_) => Detached::Unix(fd.into()),
            }
        };
        #[cfg(windows)]
        let stream = {
            use std::os::windows::io::AsSocket;
            // It stays registered, and nobody minds what is heard of it.
            let _ = registry;
            let Socket::Tcp(stream) = &self.socket;
            Detached::Tcp(stream.as_socket().try_clone_to_owned()?.into())
        };
        stream.set_nonblocking(false)?;
        // It leaves once.
        let _ = self.detached.set(stream);
        Ok(())
    }

    /// Sleeps until there may be room, and tries again.
    #[cold]
    fn write_later(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let sleeping = self.sleeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_awaited.store(true, Ordering::SeqCst);
        let mut written = self.write_now(bufs);
        if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            let timeout = Duration::from_millis(self.write_timeout.load(Ordering::Relaxed).into());
            drop(self.has_room.wait_timeout(sleeping, timeout));
            written = self.write_now(bufs);
        }
        self.is_awaited.store(false, Ordering::SeqCst);
        written
    }

    /// Whether it is no loop's any more.
    #[inline]
    pub(crate) fn is_detached(&self) -> bool {
        self.detached.get().is_some()
    }

    /// Writes what there is room for, in one call.
    #[inline]
    pub(crate) fn write_now(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        with!(&self.socket, stream => match bufs {
            [buf] => (&*stream).write(buf),
            _ => (&*stream).write_vectored(bufs),
        })
    }
}

impl Transport for LoopStream {
    #[inline]
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        match self.detached.get() {
            None => {
                let read = with!(&self.socket, stream => (&*stream).read(buf));
                self.has_more.store(read.is_ok(), Ordering::Relaxed);
                read
            }
            Some(stream) => stream.read(buf),
        }
    }

    #[inline]
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(stream) = self.detached.get() {
            return stream.write_vectored(bufs);
        }
        match self.write_now(bufs) {
            Err(error)
                if error.kind() == ErrorKind::WouldBlock && self.waits.load(Ordering::Relaxed) =>
            {
                self.write_later(bufs)
            }
            written => written,
        }
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.detached.get().map_or(Ok(()), |stream| stream.set_read_timeout(timeout))
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        let millis = timeout.map_or(u128::MAX, |timeout| timeout.as_millis());
        self.write_timeout.store(u32::try_from(millis).unwrap_or(u32::MAX), Ordering::Relaxed);
        self.detached.get().map_or(Ok(()), |stream| stream.set_write_timeout(timeout))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let ended = with!(&self.socket, stream => stream.shutdown(how));
        self.wake_writer();
        ended
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.waits.store(!nonblocking, Ordering::Relaxed);
        self.detached.get().map_or(Ok(()), |stream| stream.set_nonblocking(nonblocking))
    }

    fn set_nodelay(&self) {
        match &self.socket {
            // Without it, all works but slower.
            Socket::Tcp(stream) => drop(stream.set_nodelay(true)),
            #[cfg(unix)]
            Socket::Unix(_) => {}
        }
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(stream) => stream.peer_addr().ok(),
            #[cfg(unix)]
            Socket::Unix(_) => None,
        }
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(with!(&self.socket, stream => AsFd::as_fd(stream)))
    }
}
