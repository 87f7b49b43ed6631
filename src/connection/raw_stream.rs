//! The stream of a connection that was given up.

use std::fmt;
use std::io::{self, Cursor, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::lifecycle::ConnectionShared;
use crate::io::expiry::Expiry;
use crate::io::stream::Sink;

/// The bare stream of a connection, from [`Connection::into_stream`](crate::Connection::into_stream):
/// for a test server that breaks the protocol on purpose, or for what two ends have agreed to
/// speak instead.
///
/// No frame is sent on it any more, and dropping it closes the stream with no Close frame. Inside
/// a handler, a server that shuts down still cuts it in the end; one that is taken out of its
/// handler is the taker's own.
pub struct RawStream {
    shared: Arc<ConnectionShared>,
    /// What the connection has received and not used.
    rest: Cursor<Vec<u8>>,
    /// How long a read waits.
    read_timeout: Duration,
    idle_timeout: Duration,
    close_sent: bool,
}

impl RawStream {
    pub(crate) fn new(
        shared: Arc<ConnectionShared>,
        rest: Vec<u8>,
        idle_timeout: Duration,
    ) -> Self {
        let close_sent = shared.writer.detach();
        shared.shut_queues();
        let rest = Cursor::new(rest);
        Self { shared, rest, read_timeout: idle_timeout, idle_timeout, close_sent }
    }

    /// Whether a Close frame went out before the stream was given up, so that no frame may follow
    /// (§5.5.1): a server that shuts down may have sent one a moment before.
    #[must_use]
    pub fn close_sent(&self) -> bool {
        self.close_sent
    }

    /// How long a read waits for something to come: `None`, as at the start, for the idle timeout.
    /// Zero takes what has come, and waits a millisecond at the most.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout.unwrap_or(self.idle_timeout);
    }

    /// Ends one direction or both; that it may be over already is no error.
    pub fn shutdown(&self, how: Shutdown) {
        self.shared.stream().shutdown(how);
    }

    /// The descriptor of the socket underneath, for options that std does not know; `None` if the
    /// [`Transport`](crate::Transport) has none. Reading or writing with it is not bounded by any
    /// deadline.
    #[cfg(unix)]
    #[must_use]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.shared.stream().as_fd()
    }
}

impl fmt::Debug for RawStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStream")
            .field("peer_addr", &self.shared.stream().peer_addr())
            .finish_non_exhaustive()
    }
}

impl Read for RawStream {
    /// Reads what has come, and waits for it at most the idle timeout, or the one that was
    /// [set](RawStream::set_read_timeout): then the error is [`TimedOut`](ErrorKind::TimedOut).
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.rest.read(buf)?;
        if len > 0 || buf.is_empty() {
            return Ok(len);
        }
        let deadline = Expiry::after(self.read_timeout);
        // Once at least: there may be something.
        let mut wait = self.read_timeout;
        loop {
            if let Some(len) = self.shared.stream().read(buf, wait)? {
                return Ok(len);
            }
            wait = deadline.left().ok_or(ErrorKind::TimedOut)?;
        }
    }
}

impl Write for RawStream {
    /// Writes all of `buf` within the write timeout. After an error, nobody knows how much.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let within = self.shared.writer.timeout(buf.len() as u64);
        self.shared.stream().write_all(&mut [IoSlice::new(buf)], within)?;
        Ok(buf.len())
    }

    /// Does nothing: what is written is sent.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
