//! Streams that an application wraps, such as in a TLS of its own.
//!
//! To wrap one may take long: a handshake that waits for the peer. So it happens inside the first
//! read, which is made by the connection's own thread when the stream is counted, and not where
//! streams are accepted. Until then the stream can be ended, and no more.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

#[cfg(feature = "tls")]
use crate::io::tls_info::TlsInfo;
use crate::io::transport::Transport;

type Wrap = dyn Fn(TcpStream) -> io::Result<Box<dyn Transport>> + Send + Sync;

/// A TCP listener whose streams are wrapped, of [`Listener::wrapped`](crate::Listener::wrapped).
pub struct WrappedListener {
    pub(crate) tcp: TcpListener,
    wrap: Arc<Wrap>,
}

/// See the [module](self).
pub(crate) struct WrappedStream {
    wrap: Arc<Wrap>,
    wrapped: OnceLock<Box<dyn Transport>>,
    bare: Mutex<Bare>,
}

/// The stream as long as it is not wrapped, and the timeouts that were asked for.
struct Bare {
    state: State,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

enum State {
    /// Nobody has read from it.
    New(TcpStream),
    /// It is being wrapped; this is a handle by which others can end it.
    Wrapping(TcpStream),
    /// It was ended, or the wrapping failed.
    Ended(Option<TcpStream>),
    Wrapped,
}

impl WrappedListener {
    pub(crate) fn new<T, F>(tcp: TcpListener, wrap: F) -> Self
    where
        T: Transport,
        F: Fn(TcpStream) -> io::Result<T> + Send + Sync + 'static,
    {
        let wrap = move |stream| Ok(Box::new(wrap(stream)?) as Box<dyn Transport>);
        Self { tcp, wrap: Arc::new(wrap) }
    }

    pub(crate) fn accept(&self) -> io::Result<(WrappedStream, SocketAddr)> {
        let (stream, peer) = self.tcp.accept()?;
        let (read_timeout, write_timeout) = (None, None);
        let bare = Bare { state: State::New(stream), read_timeout, write_timeout };
        let wrap = Arc::clone(&self.wrap);
        Ok((WrappedStream { wrap, wrapped: OnceLock::new(), bare: Mutex::new(bare) }, peer))
    }
}

impl WrappedStream {
    /// The stream, wrapped by now; `None` if there is only the end of the bare one to wait for.
    #[cold]
    fn wrap(&self) -> io::Result<Option<&dyn Transport>> {
        let mut bare = self.bare();
        let State::New(stream) = &bare.state else { return Ok(None) };
        // If this fails, so do its reads.
        let handle = stream.try_clone()?;
        // Whatever the wrapping writes may take no longer than what it reads.
        stream.set_write_timeout(bare.read_timeout)?;
        let state = std::mem::replace(&mut bare.state, State::Wrapping(handle));
        let State::New(stream) = state else { unreachable!("as was seen under the same lock") };
        drop(bare);
        let result = (self.wrap)(stream);
        let mut bare = self.bare();
        let handle = match std::mem::replace(&mut bare.state, State::Wrapped) {
            State::Wrapping(handle) => Some(handle),
            ended => {
                bare.state = ended;
                return Err(ErrorKind::NotConnected.into());
            }
        };
        let ready = result.and_then(|stream| {
            stream.set_read_timeout(bare.read_timeout)?;
            stream.set_write_timeout(bare.write_timeout)?;
            Ok(stream)
        });
        match ready {
            Ok(stream) => Ok(Some(&**self.wrapped.get_or_init(|| stream))),
            Err(error) => {
                bare.state = State::Ended(handle);
                // With words of its own: the peer was heard, or at least spoken to.
                let text = format!("the stream could not be wrapped: {error}");
                Err(io::Error::new(error.kind(), text))
            }
        }
    }

    /// Does this with the stream as it is now, wrapped or bare.
    fn with<T>(
        &self,
        wrapped: impl FnOnce(&dyn Transport) -> io::Result<T>,
        bare: impl FnOnce(&TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        if let Some(stream) = self.wrapped.get() {
            return wrapped(&**stream);
        }
        match &self.bare().state {
            State::New(stream) | State::Wrapping(stream) | State::Ended(Some(stream)) => {
                bare(stream)
            }
            State::Ended(None) | State::Wrapped => Err(ErrorKind::NotConnected.into()),
        }
    }

    /// Nothing that can panic runs under the lock, but for what an application's transport does.
    fn bare(&self) -> MutexGuard<'_, Bare> {
        self.bare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what nobody wants to know; `WouldBlock` if there was anything.
    #[cold]
    fn discard(&self, buf: &mut [u8]) -> io::Result<usize> {
        let handle = match &self.bare().state {
            State::Ended(Some(stream)) => stream.try_clone()?,
            _ => return Err(ErrorKind::NotConnected.into()),
        };
        match Transport::read(&handle, buf)? {
            0 => Ok(0),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

impl Transport for WrappedStream {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(stream) = self.wrapped.get() {
            return stream.read(buf);
        }
        match self.wrap()? {
            Some(stream) => stream.read(buf),
            None => self.discard(buf),
        }
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        // A bare stream is not what the peer expects to be written to.
        let stream = self.wrapped.get().ok_or(ErrorKind::NotConnected)?;
        stream.write_vectored(bufs)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if self.wrapped.get().is_none() {
            self.bare().read_timeout = timeout;
        }
        self.with(
            |stream| stream.set_read_timeout(timeout),
            |stream| stream.set_read_timeout(timeout),
        )
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if self.wrapped.get().is_none() {
            self.bare().write_timeout = timeout;
        }
        self.with(
            |stream| stream.set_write_timeout(timeout),
            |stream| stream.set_write_timeout(timeout),
        )
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if let Some(stream) = self.wrapped.get() {
            return stream.shutdown(how);
        }
        let mut bare = self.bare();
        bare.state = match std::mem::replace(&mut bare.state, State::Ended(None)) {
            State::New(stream) | State::Wrapping(stream) => State::Ended(Some(stream)),
            state => state,
        };
        drop(bare);
        self.with(|stream| stream.shutdown(how), |stream| stream.shutdown(how))
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.with(
            |stream| stream.set_nonblocking(nonblocking),
            |stream| stream.set_nonblocking(nonblocking),
        )
    }

    fn set_nodelay(&self) {
        match self.wrapped.get() {
            Some(stream) => stream.set_nodelay(),
            // Without it, all works but slower.
            None => drop(self.with(|_| Ok(()), |stream| stream.set_nodelay(true))),
        }
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<TlsInfo> {
        self.wrapped.get()?.tls()
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.wrapped.get()?.as_fd()
    }
}

impl fmt::Debug for WrappedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WrappedListener").field("tcp", &self.tcp).finish_non_exhaustive()
    }
}
