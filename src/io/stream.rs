//! A transport with its timeouts looked after: interrupted calls are repeated, a timeout is a value
//! and not an error, and a new one is set only when the old one will not do.

use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::io::any_stream::Stream;
use crate::io::expiry::Expiry;
#[cfg(feature = "event-loop")]
use crate::io::loop_stream::LoopStream;
#[cfg(feature = "tls")]
use crate::io::tls_info::TlsInfo;

/// Where frames go.
pub(crate) trait Sink {
    /// Writes all of `bufs`, or fails with [`TimedOut`](ErrorKind::TimedOut) when `within` has
    /// passed.
    fn write_all(&self, bufs: &mut [IoSlice<'_>], within: Duration) -> io::Result<()>;

    /// Writes what can be written at once, which may be nothing; how much that was. What is left
    /// comes first in the next call.
    fn try_write(&self, bufs: &mut [IoSlice<'_>]) -> io::Result<usize>;

    /// Ends one direction or both.
    fn shutdown(&self, how: Shutdown);

    /// Its event loop, if it has one, is to look at it: our Close is written and the peer's is due, or
    /// nobody writes any more.
    fn notify_loop(&self) {}
}

/// A transport with its timeouts looked after.
pub(crate) struct TimedStream {
    transport: Stream,
    peer_addr: Option<SocketAddr>,
    accepted_at: Instant,
    read_timeout: CachedTimeout,
    write_timeout: CachedTimeout,
}

/// The mode in which no call waits, for as long as this is there. A read that begins meanwhile may
/// end at once with nothing, and is made again.
struct Nonblocking<'a>(&'a Stream);

/// The timeout that is set at the transport, in nanoseconds: [`NONE`] for none, and [`UNFIT`] for
/// one that is not known, or was too short.
#[derive(Default)]
struct CachedTimeout(AtomicU64);

const NONE: u64 = u64::MAX;
/// The default.
const UNFIT: u64 = 0;

/// The shortest timeout that is ever set. Kernels count in ticks, and zero would mean none.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// The longest time that one call waits for room to write. Linux wakes a writer only when a third
/// of a full socket buffer is free, which a peer that reads 64 KiB a second takes a minute for; a
/// new call takes any room that there is.
const MAX_WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// How much is read at once of what is thrown away, in bytes, if there is much of it.
const DRAIN_CHUNK: usize = 32 << 10;

impl TimedStream {
    /// Of a stream that anybody may have had before.
    pub(crate) fn new(transport: Stream, peer_addr: Option<SocketAddr>) -> Self {
        let _ = transport.set_nonblocking(false);
        Self::in_its_mode(transport, peer_addr)
    }

    /// Of one that was just accepted.
    pub(crate) fn accepted(transport: Stream, peer_addr: Option<SocketAddr>) -> Self {
        let is_linux = cfg!(any(target_os = "linux", target_os = "android"));
        match transport {
            // It has nothing of its listener's mode there, as it may elsewhere.
            Stream::Tcp(_) if is_linux => Self::in_its_mode(transport, peer_addr),
            _ => Self::new(transport, peer_addr),
        }
    }

    /// Of one that waits, or does not, as it is to.
    pub(crate) fn in_its_mode(transport: Stream, peer_addr: Option<SocketAddr>) -> Self {
        transport.set_nodelay();
        // An earlier owner may have set anything.
        let (read_timeout, write_timeout) = Default::default();
        Self { transport, peer_addr, accepted_at: Instant::now(), read_timeout, write_timeout }
    }

    /// Reads what is there, waiting for it at most `wait`; `None` if nothing came, which may be
    /// known sooner. `Some(0)` is the end of the stream.
    // A chunk of 20 bytes: 940 instructions, 974 without it.
    #[inline(always)]
    pub(crate) fn read(&self, buf: &mut [u8], wait: Duration) -> io::Result<Option<usize>> {
        if let Some(timeout) = self.read_timeout.update(wait) {
            self.transport.set_read_timeout(timeout)?;
        }
        match self.transport.read(buf) {
            Ok(n) => Ok(Some(n)),
            Err(error) if is_pause(&error) => {
                self.read_timeout.invalidate();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The same on a stream on which no call waits.
    #[cfg(feature = "event-loop")]
    #[inline]
    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        match self.transport.read(buf) {
            Ok(n) => Ok(Some(n)),
            Err(error) if is_pause(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the peer to end the stream, and throws away what comes until then, however much:
    /// one that is still sending must not have its writes fail before it has read our last words
    /// (§7.1.1).
    // Not inlined: the stack for it would be held by idle connections.
    #[inline(never)]
    pub(crate) fn drain(&self, expiry: Expiry) {
        // Nearly all peers have nothing more to say.
        let mut small = [0; 2048];
        let mut large = Vec::new();
        while let Some(wait) = expiry.left() {
            let sink = if large.is_empty() { &mut small[..] } else { &mut large[..] };
            match self.read(sink, wait) {
                Ok(Some(0)) | Err(_) => return,
                Ok(Some(len)) if len == small.len() => large.resize(DRAIN_CHUNK, 0),
                Ok(_) => {}
            }
        }
    }

    /// Has the loop look at what others have done to it, and its handler, if it is `for_handler`; whether
    /// there is a loop.
    #[cfg(feature = "event-loop")]
    pub(crate) fn notify(&self, for_handler: bool) -> bool {
        self.waiting_loop().inspect(|stream| stream.notify(for_handler)).is_some()
    }

    /// Whether a loop waits for it, and sends what there is no room for.
    #[cfg(feature = "event-loop")]
    pub(crate) fn is_on_loop(&self) -> bool {
        self.waiting_loop().is_some()
    }

    #[cfg(feature = "event-loop")]
    fn waiting_loop(&self) -> Option<&LoopStream> {
        self.transport.loop_stream().filter(|stream| !stream.is_detached())
    }

    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// The descriptor underneath, if there is one.
    #[cfg(unix)]
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.transport.as_fd()
    }

    /// What the handshake of TLS has agreed on, where there was one.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Option<TlsInfo> {
        self.transport.tls()
    }

    /// When the stream was accepted.
    pub(crate) fn accepted_at(&self) -> Instant {
        self.accepted_at
    }
}

impl Sink for TimedStream {
    /// Writes all of `bufs`; what can be written at once is written however short `within` is.
    ///
    /// After an error, nobody knows how much was written: the stream is of no more use.
    fn write_all(&self, mut bufs: &mut [IoSlice<'_>], within: Duration) -> io::Result<()> {
        let expiry = Expiry::after(within);
        let mut wait = within;
        // Leading empty buffers would make a transport that only looks at the first write nothing.
        IoSlice::advance_slices(&mut bufs, 0);
        while !bufs.is_empty() {
            if let Some(timeout) = self.write_timeout.update(wait.min(MAX_WRITE_TIMEOUT)) {
                self.transport.set_write_timeout(timeout)?;
            }
            match self.transport.write_vectored(bufs) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => IoSlice::advance_slices(&mut bufs, n),
                Err(error) if is_pause(&error) => {}
                Err(error) => return Err(error),
            }
            if !bufs.is_empty() {
                self.write_timeout.invalidate();
                // A write that stalls may still report a little progress at each of its timeouts,
                // so the clock is asked after every one.
                wait = expiry.left().ok_or(ErrorKind::TimedOut)?;
            }
        }
        Ok(())
    }

    fn try_write(&self, bufs: &mut [IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        // A socket of an event loop has no mode to set: 60 instructions less.
        #[cfg(feature = "event-loop")]
        if let Stream::Loop(stream) = &self.transport
            && !stream.is_detached()
        {
            return write_until_pause(bufs, usize::MAX, |bufs| stream.write_now(bufs));
        }
        if self.transport.set_nonblocking(true).is_err() {
            self.write_timeout.invalidate();
            self.transport.set_write_timeout(Some(MIN_TIMEOUT))?;
            return write_until_pause(bufs, 1, |bufs| self.transport.write_vectored(bufs));
        }
        let mode = Nonblocking(&self.transport);
        let written =
            write_until_pause(bufs, usize::MAX, |bufs| self.transport.write_vectored(bufs));
        mode.end()?;
        written
    }

    /// That it may be over already is no error.
    fn shutdown(&self, how: Shutdown) {
        let _ = self.transport.shutdown(how);
    }

    #[cfg(feature = "event-loop")]
    fn notify_loop(&self) {
        let _ = self.notify(false);
    }
}

/// Writes until a call would have to wait, or so many calls were made; how much that was.
#[inline]
fn write_until_pause(
    mut bufs: &mut [IoSlice<'_>],
    most_calls: usize,
    write: impl Fn(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<usize> {
    let mut written = 0;
    IoSlice::advance_slices(&mut bufs, 0);
    for _ in 0..most_calls {
        if bufs.is_empty() {
            break;
        }
        match write(bufs) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(n) => {
                written += n;
                IoSlice::advance_slices(&mut bufs, n);
            }
            Err(error) if is_pause(&error) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

impl Nonblocking<'_> {
    fn end(self) -> io::Result<()> {
        let ended = self.0.set_nonblocking(false);
        mem::forget(self);
        ended
    }
}

impl Drop for Nonblocking<'_> {
    /// A transport has panicked. Whoever reads it must not turn round in a mode that never waits.
    fn drop(&mut self) {
        let _ = self.0.set_nonblocking(false);
    }
}

/// Whether the call may be made again: a signal came, or the timeout.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

impl CachedTimeout {
    /// The timeout to set so that a call waits `wait` at the most, or `None` if the one that is set
    /// will do: a shorter one will, until it has ended a call too soon. Whole seconds, where there
    /// are several, so that the tail of a deadline does not set a new timeout at every call.
    fn update(&self, wait: Duration) -> Option<Option<Duration>> {
        let wait = wait.max(MIN_TIMEOUT);
        let current = self.0.load(Ordering::Relaxed);
        if current != UNFIT && Duration::from_nanos(current) <= wait {
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
    fn invalidate(&self) {
        self.0.store(UNFIT, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_set_only_if_the_one_before_is_too_long_or_has_ended_a_call() {
        let cached = CachedTimeout::default();
        let ms = Duration::from_millis;
        for (wait, set) in [
            (ms(60_500), Some(Some(ms(60_000)))),
            (ms(60_000), None),
            (Duration::MAX, None),
            (ms(59_999), Some(Some(ms(59_000)))),
            (ms(1_700), Some(Some(ms(1_700)))),
            (Duration::ZERO, Some(Some(MIN_TIMEOUT))),
            (Duration::from_micros(1), None),
            (ms(10_000), None),
        ] {
            assert_eq!(cached.update(wait), set, "{wait:?}");
        }
        cached.invalidate();
        assert_eq!(cached.update(ms(10_000)), Some(Some(ms(10_000))));
        cached.invalidate();
        assert_eq!(cached.update(Duration::MAX), Some(None));
        assert_eq!(cached.update(Duration::MAX), None);
        assert_eq!(cached.update(ms(5)), Some(Some(ms(5))));
    }
}
