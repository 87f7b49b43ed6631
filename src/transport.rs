//! The stream under a connection.
//!
//! A connection is read by one thread and written by others at the same time, so all methods of
//! [`Transport`] take `&self`, as std's sockets do through `&TcpStream`. [`Wire`] adds what every
//! caller needs: interrupted calls are repeated, a timeout is a value and not an error, and the
//! socket is told of a new timeout only when the old one will not do.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Deref;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::deadline::Deadline;
use crate::writer::Sink;

/// A blocking byte stream that two threads can use at once, one to read and one to write.
///
/// Implemented for [`TcpStream`], and on Unix for `UnixStream`. An implementation for anything
/// else, such as a TLS stream, keeps what it shares behind locks of its own, none of them held
/// while it blocks in a read.
pub trait Transport: Send + Sync + 'static {
    /// Reads at least one byte; `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](ErrorKind::WouldBlock) or [`TimedOut`](ErrorKind::TimedOut) when the read
    /// timeout has passed. These may also come early, as may
    /// [`Interrupted`](ErrorKind::Interrupted): the call is made again then. Anything else ends the
    /// connection.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes at least one byte of `bufs`, in their order. A stream that has no call for several
    /// buffers may write from the first that is not empty. No call may take much longer than the
    /// write timeout: where a system grants that anew to each of its buffers, as Linux does for
    /// Unix-domain sockets, about 32 KiB a call is right.
    ///
    /// # Errors
    ///
    /// As for `read`, with the write timeout.
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Bounds each later `read`; `None` lets it block. Never called with zero.
    ///
    /// # Errors
    ///
    /// Any error ends the connection.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Bounds each later write; `None` lets it block. Never called with zero.
    ///
    /// # Errors
    ///
    /// Any error ends the connection.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Ends one direction or both. A thread that is blocked in that direction must return.
    ///
    /// # Errors
    ///
    /// Ignored: the stream is dropped soon after.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Has calls fail with [`WouldBlock`](ErrorKind::WouldBlock) where they would have to wait, or
    /// lets them wait again. Asked to let them wait at the start; a server that shuts down asks for
    /// the other, for as long as it takes to write a Close, so that a peer who does not read holds
    /// up nobody else's.
    ///
    /// # Errors
    ///
    /// Any, if there is no such mode: then one peer holds up the others for a millisecond or more.
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        let _ = nonblocking;
        Err(ErrorKind::Unsupported.into())
    }

    /// Has what is written sent at once, small or not, where that is a choice. Asked for once, at
    /// the start: frames are written whole, and waiting to fill a segment could only delay them.
    fn set_nodelay(&self) {}

    /// The peer's address, where there is one. Asked for once, at the start.
    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// The descriptor of the socket underneath, where there is one, for options that std does not
    /// know. Asked for only by [`RawStream::as_fd`](crate::RawStream::as_fd).
    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// How much is written in one call, in bytes, where a system grants the timeout not to the call but
/// anew to each of its own buffers, which one that takes a byte now and then could stretch without
/// end: about a buffer. Linux does so for Unix-domain sockets, BSD and macOS for all.
const PIECE: usize = 32 << 10;

/// The same for TCP.
const TCP_PIECE: usize =
    if cfg!(any(target_os = "linux", target_os = "android")) { usize::MAX } else { PIECE };

macro_rules! socket_transport {
    ($stream:ty, $piece:expr, $set_nodelay:expr, $peer_addr:expr) => {
        impl Transport for $stream {
            fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
                let mut stream = self;
                Read::read(&mut stream, buf)
            }

            fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                let mut stream = self;
                match bufs {
                    [first, ..] if first.len() >= $piece => {
                        Write::write(&mut stream, &first[..$piece])
                    }
                    [buf] => Write::write(&mut stream, buf),
                    _ if $piece == usize::MAX => Write::write_vectored(&mut stream, bufs),
                    _ => write_piece(&mut stream, bufs, $piece),
                }
            }

            fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.set_read_timeout(timeout)
            }

            fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.set_write_timeout(timeout)
            }

            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.shutdown(how)
            }

            fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
                self.set_nonblocking(nonblocking)
            }

            fn set_nodelay(&self) {
                $set_nodelay(self)
            }

            fn peer_addr(&self) -> Option<SocketAddr> {
                $peer_addr(self)
            }

            #[cfg(unix)]
            fn as_fd(&self) -> Option<BorrowedFd<'_>> {
                Some(AsFd::as_fd(self))
            }
        }
    };
}

/// Writes the first bytes of `bufs`, as many as `most`.
fn write_piece(
    stream: &mut impl Write,
    bufs: &[IoSlice<'_>],
    mut most: usize,
) -> io::Result<usize> {
    let mut piece = [IoSlice::new(&[]); 4];
    for (part, buf) in piece.iter_mut().zip(bufs) {
        *part = IoSlice::new(&buf[..buf.len().min(most)]);
        most -= part.len();
    }
    stream.write_vectored(&piece)
}

socket_transport!(
    TcpStream,
    TCP_PIECE,
    // Without it, all works but slower.
    |stream: &TcpStream| drop(stream.set_nodelay(true)),
    |stream: &TcpStream| stream.peer_addr().ok()
);
#[cfg(unix)]
socket_transport!(UnixStream, PIECE, |_| (), |_| None);

/// A stream of any kind. The usual one is not worth a box.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Other(Box<dyn Transport>),
}

impl Deref for Stream {
    type Target = dyn Transport;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Tcp(stream) => stream,
            Self::Other(stream) => &**stream,
        }
    }
}

/// A transport with its timeouts looked after.
pub(crate) struct Wire {
    transport: Stream,
    peer_addr: Option<SocketAddr>,
    begun: Instant,
    read_timeout: Told,
    write_timeout: Told,
}

/// A timeout that the transport was told, in nanoseconds: [`NONE`] for none, and [`UNFIT`] for one
/// that is not known, or was too short.
struct Told(AtomicU64);

const NONE: u64 = u64::MAX;
const UNFIT: u64 = 0;

/// The shortest timeout that is ever set. Kernels count in ticks, and zero would mean none.
const SHORTEST: Duration = Duration::from_millis(1);

/// The longest time that one call waits for room to write. Linux wakes a writer only when a third
/// of a full socket buffer is free, which a peer that reads 64 KiB a second takes a minute for; a
/// new call takes any room that there is.
const LONGEST_WRITE: Duration = Duration::from_secs(1);

/// How much is read at once of what is thrown away, in bytes, if there is much of it.
const DRAIN: usize = 32 << 10;

impl Wire {
    pub(crate) fn new(transport: Stream, peer_addr: Option<SocketAddr>) -> Self {
        transport.set_nodelay();
        // A stream may have it from its listener, on some systems, or from an earlier owner.
        let _ = transport.set_nonblocking(false);
        // An earlier owner may have set anything.
        let [read_timeout, write_timeout] = [UNFIT; 2].map(|unfit| Told(AtomicU64::new(unfit)));
        Self { transport, peer_addr, begun: Instant::now(), read_timeout, write_timeout }
    }

    /// Reads what is there, waiting for it at most `wait`; `None` if nothing came, which may be
    /// known sooner. `Some(0)` is the end of the stream.
    #[inline(always)]
    pub(crate) fn read(&self, buf: &mut [u8], wait: Duration) -> io::Result<Option<usize>> {
        if let Some(timeout) = self.read_timeout.renew(wait) {
            self.transport.set_read_timeout(timeout)?;
        }
        match self.transport.read(buf) {
            Ok(n) => Ok(Some(n)),
            Err(error) if is_pause(&error) => {
                self.read_timeout.dismiss();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the peer to end the stream, and throws away what comes until then, however much:
    /// one that is still sending must not have its writes fail before it has read our last words
    /// (§7.1.1).
    // Not inlined: the stack for it would be held by idle connections.
    #[inline(never)]
    pub(crate) fn drain(&self, deadline: Deadline) {
        // Nearly all peers have nothing more to say.
        let mut small = [0; 2048];
        let mut large = Vec::new();
        while let Some(wait) = deadline.left() {
            let sink = if large.is_empty() { &mut small[..] } else { &mut large[..] };
            match self.read(sink, wait) {
                Ok(Some(0)) | Err(_) => return,
                Ok(Some(len)) if len == small.len() => large.resize(DRAIN, 0),
                Ok(_) => {}
            }
        }
    }

    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// The descriptor underneath, if there is one.
    #[cfg(unix)]
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.transport.as_fd()
    }

    /// When the stream was accepted.
    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }
}

impl Sink for Wire {
    /// Writes all of `bufs`; what can be written at once is written however short `within` is.
    ///
    /// After an error, nobody knows how much was written: the stream is of no more use.
    fn write_all(&self, mut bufs: &mut [IoSlice<'_>], within: Duration) -> io::Result<()> {
        let deadline = Deadline::after(within);
        let mut wait = within;
        // Leading empty buffers would make a transport that only looks at the first write nothing.
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            if let Some(timeout) = self.write_timeout.renew(wait.min(LONGEST_WRITE)) {
                self.transport.set_write_timeout(timeout)?;
            }
            match self.transport.write_vectored(bufs) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut bufs, n),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
            if !bufs.is_empty() {
                self.write_timeout.dismiss();
                // A write that stalls may still report a little progress at each of its timeouts,
                // so the clock is asked after every one.
                wait = deadline.left().ok_or(ErrorKind::TimedOut)?;
            }
        }
        Ok(())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let nonblocking = self.transport.set_nonblocking(true).is_ok();
        if !nonblocking {
            self.write_timeout.dismiss();
            self.transport.set_write_timeout(Some(SHORTEST))?;
        }
        let written = self.transport.write_vectored(&[IoSlice::new(bytes)]);
        if nonblocking {
            self.transport.set_nonblocking(false)?;
        }
        match written {
            Err(error) if is_pause(&error) => Ok(0),
            written => written,
        }
    }

    /// That it may be over already is no error.
    fn shutdown(&self, how: Shutdown) {
        let _ = self.transport.shutdown(how);
    }
}

/// Whether the call may be made again: a signal came, or the timeout.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl Told {
    /// The timeout to set so that a call waits `wait` at the most, or `None` if the one that is set
    /// will do: a shorter one will, until it has ended a call too soon. Whole seconds, where there
    /// are several, so that the tail of a deadline does not set a new timeout at every call.
    fn renew(&self, wait: Duration) -> Option<Option<Duration>> {
        let wait = wait.max(SHORTEST);
        let told = self.0.load(Ordering::Relaxed);
        if told != UNFIT && Duration::from_nanos(told) <= wait {
            return None;
        }
        let wait = match wait.as_secs() {
            0 | 1 => wait,
            seconds => Duration::from_secs(seconds),
        };
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(NONE);
        self.0.store(nanos, Ordering::Relaxed);
        Some((nanos != NONE).then_some(wait))
    }

    /// It has ended a call: the next one sets its own.
    fn dismiss(&self) {
        self.0.store(UNFIT, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_set_only_if_the_one_before_is_too_long_or_has_ended_a_call() {
        let told = Told(AtomicU64::new(UNFIT));
        let ms = Duration::from_millis;
        for (wait, set) in [
            (ms(60_500), Some(Some(ms(60_000)))),
            (ms(60_000), None),
            (Duration::MAX, None),
            (ms(59_999), Some(Some(ms(59_000)))),
            (ms(1_700), Some(Some(ms(1_700)))),
            (Duration::ZERO, Some(Some(SHORTEST))),
            (Duration::from_micros(1), None),
            (ms(10_000), None),
        ] {
            assert_eq!(told.renew(wait), set, "{wait:?}");
        }
        told.dismiss();
        assert_eq!(told.renew(ms(10_000)), Some(Some(ms(10_000))));
        told.dismiss();
        assert_eq!(told.renew(Duration::MAX), Some(None));
        assert_eq!(told.renew(Duration::MAX), None);
        assert_eq!(told.renew(ms(5)), Some(Some(ms(5))));
    }
}
