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
//!
//! The loop hears of room only from the first write on that finds too little: most never do, and each would
//! be told once for nothing.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

#[cfg(unix)]
use mio::unix::SourceFd;
use mio::{Interest, Token};

use crate::io::loop_handle::LoopHandle;
use crate::io::transport::Transport;

/// See the [module](self).
pub(crate) struct LoopStream {
    socket: Socket,
    /// Its loop's, for as long as that is there.
    handle: Weak<LoopHandle>,
    /// The number of its token, in four bytes.
    slot: u32,
    /// [`JOINED`], [`WRITABLE`], [`NOTIFIED`], [`FOR_HANDLER`]: any of them.
    marks: AtomicU8,
    /// Whether the last read found something, so that there may be more.
    has_more: AtomicBool,
    /// Whether a write waits for room: not until it is open, when others than the loop may write.
    waits: AtomicBool,
    /// How long one call waits at most, in milliseconds.
    write_timeout: AtomicU32,
    /// Whether a thread sleeps until there is room, and where.
    is_awaited: AtomicBool,
    sleeping: Mutex<()>,
    has_room: Condvar,
    /// The same socket as one that blocks, once it has left its loop. Few do, and all have room for it, so
    /// it is a pointer of one word.
    detached: OnceLock<Box<Box<dyn Transport>>>,
}

/// The loop hears of it.
const JOINED: u8 = 1;
/// It hears of room, or is to.
const WRITABLE: u8 = 2;
/// It is to look at it.
const NOTIFIED: u8 = 4;
/// And its handler is.
const FOR_HANDLER: u8 = 8;

/// What a loop hears of that is to be read. Bytes out of band are in the way of others.
#[cfg(any(target_os = "linux", target_os = "android"))]
const READ_INTEREST: Interest = Interest::READABLE.add(Interest::PRIORITY);
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const READ_INTEREST: Interest = Interest::READABLE;

/// A socket that never blocks.
pub(crate) enum Socket {
    Tcp(mio::net::TcpStream),
    #[cfg(unix)]
    Unix(mio::net::UnixStream),
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
    /// Of a loop that is yet to hear of it, by [`join`](Self::join).
    #[cfg_attr(not(windows), expect(clippy::unnecessary_wraps))]
    pub(crate) fn new(socket: Socket, handle: &Arc<LoopHandle>, token: Token) -> io::Result<Self> {
        #[cfg(windows)]
        let socket = {
            use mio::event::Source;
            // Nothing else makes sockets heard of there, and it takes them for itself.
            let Socket::Tcp(mut stream) = socket;
            stream.register(&handle.registry, token, Interest::READABLE | Interest::WRITABLE)?;
            Socket::Tcp(stream)
        };
        Ok(Self {
            socket,
            handle: Arc::downgrade(handle),
            slot: token.0 as u32,
            marks: AtomicU8::new(if cfg!(windows) { JOINED | WRITABLE } else { 0 }),
            has_more: AtomicBool::new(false),
            waits: AtomicBool::new(false),
            write_timeout: AtomicU32::new(u32::MAX),
            is_awaited: AtomicBool::new(false),
            sleeping: Mutex::new(()),
            has_room: Condvar::new(),
            detached: OnceLock::new(),
        })
    }

    /// Has the loop hear when the socket can be read, and of what it has already; and when it can be
    /// written, if a write has found no room.
    pub(crate) fn join(&self) -> io::Result<()> {
        let marks = self.marks.load(Ordering::SeqCst);
        self.register(marks)?;
        let since = self.marks.fetch_or(JOINED, Ordering::SeqCst);
        match since & WRITABLE == marks & WRITABLE {
            true => Ok(()),
            // A write of another thread's has found none meanwhile.
            false => self.register(since | JOINED),
        }
    }

    /// A write has found no room: the loop is to hear of it, and does so of what there is by then.
    #[cold]
    fn wants_room(&self) {
        let marks = self.marks.fetch_or(WRITABLE, Ordering::SeqCst);
        if marks & (JOINED | WRITABLE) == JOINED {
            // Else it is tried again without, now and then.
            let _ = self.register(JOINED | WRITABLE);
        }
    }

    #[cfg(unix)]
    fn register(&self, marks: u8) -> io::Result<()> {
        // Without a loop nobody is left to hear of anything.
        let Some(handle) = self.handle.upgrade() else { return Ok(()) };
        let fd = with!(&self.socket, stream => stream.as_raw_fd());
        let wanted = match marks & WRITABLE {
            0 => READ_INTEREST,
            _ => READ_INTEREST | Interest::WRITABLE,
        };
        let token = Token(self.slot as usize);
        match marks & JOINED {
            0 => handle.registry.register(&mut SourceFd(&fd), token, wanted),
            _ => handle.registry.reregister(&mut SourceFd(&fd), token, wanted),
        }
    }

    #[cfg(windows)]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps)]
    fn register(&self, _: u8) -> io::Result<()> {
        Ok(())
    }

    /// Whether the socket may have more, as far as reads have shown since this was asked. What wraps
    /// it may give nothing for what it has read.
    pub(crate) fn take_more(&self) -> bool {
        self.has_more.swap(false, Ordering::Relaxed)
    }

    /// Has the loop look at it, unless it is about to; and its handler, if it is for that.
    pub(crate) fn notify(&self, for_handler: bool) {
        let marks = if for_handler { NOTIFIED | FOR_HANDLER } else { NOTIFIED };
        if self.marks.fetch_or(marks, Ordering::SeqCst) & NOTIFIED == 0
            && let Some(handle) = self.handle.upgrade()
        {
            handle.notify(self.slot);
        }
    }

    /// Whether that was asked for since the last time: for the handler too, or not.
    pub(crate) fn take_notice(&self) -> Option<bool> {
        let marks = self.marks.fetch_and(!(NOTIFIED | FOR_HANDLER), Ordering::SeqCst);
        (marks & NOTIFIED != 0).then_some(marks & FOR_HANDLER != 0)
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

    /// Has the loop hear of the socket no more, if it does: somebody may keep it for long.
    #[cfg(unix)]
    pub(crate) fn deregister(&self) -> io::Result<()> {
        if self.marks.fetch_and(!JOINED, Ordering::SeqCst) & JOINED == 0 {
            return Ok(());
        }
        let Some(handle) = self.handle.upgrade() else { return Ok(()) };
        let fd = with!(&self.socket, stream => stream.as_raw_fd());
        handle.registry.deregister(&mut SourceFd(&fd))
    }

    /// It stays registered. What is heard of it costs whoever has its token by then a read.
    #[cfg(windows)]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps)]
    pub(crate) fn deregister(&self) -> io::Result<()> {
        Ok(())
    }

    /// Leaves the loop: from now on calls block, within their timeouts.
    pub(crate) fn detach(&self) -> io::Result<()> {
        #[cfg(windows)]
        use std::os::windows::io::AsSocket as _;
        let stream: Box<dyn Transport> = match &self.socket {
            #[cfg(windows)]
            Socket::Tcp(stream) => {
                Box::new(TcpStream::from(stream.as_socket().try_clone_to_owned()?))
            }
            #[cfg(unix)]
            Socket::Tcp(stream) => Box::new(TcpStream::from(stream.as_fd().try_clone_to_owned()?)),
            #[cfg(unix)]
            Socket::Unix(stream) => {
                Box::new(UnixStream::from(stream.as_fd().try_clone_to_owned()?))
            }
        };
        // Nothing has changed if there is no descriptor.
        self.deregister()?;
        stream.set_nonblocking(false)?;
        // It leaves once.
        let _ = self.detached.set(Box::new(stream));
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
        let written = with!(&self.socket, stream => match bufs {
            [buf] => (&*stream).write(buf),
            _ => (&*stream).write_vectored(bufs),
        });
        let has_room = match &written {
            // What wraps it may leave it at a part.
            Ok(written) => *written == bufs.iter().map(|buf| buf.len()).sum(),
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        if !has_room {
            self.wants_room();
        }
        written
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

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(with!(&self.socket, stream => AsFd::as_fd(stream)))
    }
}
