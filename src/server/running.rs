//! A server on a thread of its own.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use crate::server::shutdown::ShutdownHandle;

/// A server that runs, from [`Server::spawn`](crate::Server::spawn).
///
/// Dropping it shuts the server down as [`shutdown`](Self::shutdown) does, with the close timeout as
/// the grace ([`Timeouts::close`](crate::Timeouts::close), 2 s by default). In a handler or a
/// callback of the same server, nobody is waited for: it would wait for itself.
pub struct RunningServer {
    local_addr: Option<SocketAddr>,
    handle: ShutdownHandle,
    close_timeout: Duration,
    /// `None` once it was joined. A thread that panicked has said so.
    thread: Option<Mutex<JoinHandle<io::Result<()>>>>,
}

impl RunningServer {
    /// Has a thread do this.
    ///
    /// # Errors
    ///
    /// If there is no thread.
    pub(super) fn start(
        local_addr: Option<SocketAddr>,
        handle: ShutdownHandle,
        close_timeout: Duration,
        run: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let thread = thread::Builder::new().name("barews-run".into()).spawn(run)?;
        Ok(Self { local_addr, handle, close_timeout, thread: Some(Mutex::new(thread)) })
    }

    /// The address that clients connect to, of the first TCP listener.
    ///
    /// # Panics
    ///
    /// If there is no TCP listener: [`local_addr`](Self::local_addr) is `None` then.
    #[must_use]
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        self.local_addr.expect("the server has a TCP listener")
    }

    /// The address of the first TCP listener, if there is one.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// A handle that stops the server, for another thread.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.handle.clone()
    }

    /// Shuts the server down gracefully: see [`ShutdownHandle::shutdown`]. From any thread, any
    /// number of times.
    pub fn shutdown(&self, grace: Duration) {
        self.handle.shutdown(grace);
    }

    /// Waits until the server is shut down, by whomever, and every handler has ended.
    ///
    /// # Errors
    ///
    /// As for [`Server::run`](crate::Server::run), but for a configuration that is wrong.
    /// [`Deadlock`](io::ErrorKind::Deadlock) in a handler or a callback of the same server, which would
    /// wait for itself: the server is told to stop, and nobody is waited for.
    pub fn join(mut self) -> io::Result<()> {
        if self.handle.is_own_handler() {
            return Err(io::ErrorKind::Deadlock.into());
        }
        let Some(thread) = self.thread.take() else { return Ok(()) };
        let thread = thread.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the server's thread panicked")))
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        if self.thread.is_none() {
            return;
        }
        match self.handle.is_own_handler() {
            true => self.handle.start(),
            false => self.handle.shutdown(self.close_timeout),
        }
    }
}

impl fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningServer")
            .field("local_addr", &self.local_addr)
            .field("shutdown", &self.handle)
            .finish_non_exhaustive()
    }
}
