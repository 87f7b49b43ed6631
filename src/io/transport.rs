//! The stream under a connection.
//!
//! A connection is read by one thread and written by others at the same time, so all methods of
//! [`Transport`] take `&self`, as std's sockets do through `&TcpStream`.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

#[cfg(feature = "tls")]
use crate::io::tls_info::TlsInfo;

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
    /// After `WouldBlock`, `TimedOut` or `Interrupted` the next call has the same bytes at the
    /// beginning of `bufs`, so that an implementation may have sent a part of what it makes of them.
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
    /// lets them wait again. Asked to let them wait at the start. Asked for the other, for as long as
    /// a write takes, by what must not be held up by one peer who does not read: a
    /// [`SendQueue`](crate::SendQueue), and a server that shuts down. A call that is waiting already
    /// may go on to wait, and a read that begins meanwhile may fail at once.
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

    /// What the handshake of TLS has agreed on, where there was one. Asked for once, when the request
    /// has been read, for [`Request::tls`](crate::Request::tls).
    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<TlsInfo> {
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
                Read::read(&mut &*self, buf)
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
