//! From a listener to a handler on a thread, and the way to stop.
//!
//! It may import everything but the binary, which is built on what it gives.
//!
//! ```text
//!   listener ──▶ acceptor ──▶ worker ──▶ registry: counted under the caps, or 503
//!                 (2 threads)   │
//!                               ├─▶ upgrade: 101, or the answer of a callback, or 4xx
//!                               └─▶ the handler ──▶ Ok: Close 1000; Err or panic: Close 1011
//!                                       │                └─▶ on_error
//!   SIGTERM ──▶ ShutdownHandle ─────────┴─▶ no thread accepts any more; Close 1001 to all; at the
//!    os/signals.rs and shutdown.rs           end of the grace the streams that are left are cut
//!    of the binary
//!
//!   accept fails ──▶ out of descriptors or memory: on_error, and again after a pause
//!                └─▶ the listener is broken: as SIGTERM, and `run` returns the error
//! ```

mod thread_pool;
pub(crate) mod callbacks;
pub(crate) mod terms;
pub(crate) mod upgrade;
pub(crate) mod registry;
pub(crate) mod acceptor;
mod shutdown;
mod running;
#[cfg(feature = "deflate")]
mod stats;
pub(crate) mod worker;

pub use callbacks::{BoxError, ErrorContext};
pub use running::RunningServer;
pub use shutdown::ShutdownHandle;
#[cfg(feature = "deflate")]
pub use stats::StatsHandle;
pub use upgrade::Upgrade;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::{fmt, io};

use crate::config::Config;
use crate::connection::lifecycle::ServerShared;
use crate::connection::{Connection, Request};
use crate::http::{Accept, Reject, Response};
use crate::io::Listener;
use crate::io::timed_listener::TimedListener;
#[cfg(feature = "tls")]
use crate::io::tls::TlsStream;
use crate::server::callbacks::Callbacks;
use crate::server::worker::Workers;

/// A WebSocket server on one listener or more.
///
/// ```no_run
/// use barews::{Connection, Server};
///
/// fn main() -> std::io::Result<()> {
///     Server::bind("127.0.0.1:9001")?.run(|mut conn: Connection| {
///         let mut buf = Vec::new();
///         while let Some(message) = conn.recv(&mut buf)? {
///             conn.send(message)?;
///         }
///         Ok(())
///     })
/// }
/// ```
pub struct Server {
    listeners: Vec<TimedListener>,
    config: Config,
    callbacks: Callbacks,
    handle: ShutdownHandle,
    #[cfg(feature = "deflate")]
    stats: StatsHandle,
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// What a server is run with.
pub(crate) struct Parts {
    pub(crate) listeners: Vec<TimedListener>,
    pub(crate) config: Config,
    pub(crate) callbacks: Callbacks,
    pub(crate) handle: ShutdownHandle,
    #[cfg(feature = "deflate")]
    pub(crate) stats: StatsHandle,
}

impl Server {
    /// A server that listens on `addr`; port 0 takes any that is free.
    ///
    /// # Errors
    ///
    /// Those of [`TcpListener::bind`], such as an address in use.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::from_listener(TcpListener::bind(addr)?)
    }

    /// A server on a listener from elsewhere, TCP or Unix: std's own has a backlog of 128 and no
    /// way to choose another.
    ///
    /// What is set of a listener holds for its streams. `SO_SNDBUF` says how much the system takes for a peer that
    /// does not read, by default up to some MiB on Linux: until then nothing tells that it is slow, neither a
    /// [`SendQueue`](crate::SendQueue) nor a write that waits. Where old news is worth nothing, such as prices, set
    /// it to some 32 KiB. With `SO_REUSEPORT` a new process can listen before the old one stops to.
    ///
    /// # Errors
    ///
    /// If the listener has no address, or there is no descriptor for a second handle of
    /// it, which Linux needs.
    pub fn from_listener(listener: impl Into<Listener>) -> io::Result<Self> {
        let server = Self {
            listeners: Vec::new(),
            config: Config::default(),
            callbacks: Callbacks::default(),
            handle: ShutdownHandle::default(),
            #[cfg(feature = "deflate")]
            stats: StatsHandle::default(),
            #[cfg(feature = "tls")]
            tls: None,
        };
        server.with_listener(listener)
    }

    /// Adds a listener. All of a server's connections count against the same limits.
    ///
    /// # Errors
    ///
    /// As for [`from_listener`](Self::from_listener).
    pub fn with_listener(mut self, listener: impl Into<Listener>) -> io::Result<Self> {
        let listener = listener.into();
        listener.addr()?;
        self.listeners.push(TimedListener::new(listener)?);
        Ok(self)
    }

    /// Has the server speak TLS, on all its listeners and on those that are added later. Limits and
    /// deadlines hold as without: the connection is counted before the handshake of TLS, which has
    /// to end within the handshake timeout, together with the request.
    ///
    /// [`rustls`] is of the version that this crate uses.
    ///
    /// ```no_run
    /// use barews::rustls::ServerConfig;
    /// use barews::rustls::pki_types::pem::PemObject;
    /// use barews::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    /// use barews::{Connection, Server};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let chain = CertificateDer::pem_file_iter("cert.pem")?.collect::<Result<_, _>>()?;
    /// let key = PrivateKeyDer::from_pem_file("key.pem")?;
    /// let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    /// let server = Server::bind("0.0.0.0:443")?.tls(config.into());
    /// # server.run(|_| Ok(()))?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Sets limits, deadlines and the rest. They are checked by [`run`](Self::run) and
    /// [`spawn`](Self::spawn).
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Calls `f` with each valid request for a connection, to accept it, perhaps with a subprotocol
    /// or headers, or to reject it with a status and body of its own. By default all are accepted.
    /// A panic answers 500.
    ///
    /// ```no_run
    /// use barews::{Accept, Reject, Server, Status};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::bind("127.0.0.1:9001")?.on_upgrade(|request| match request.path() {
    ///     "/chat" => Ok(Accept::new().select_subprotocol(request, &["chat"])),
    ///     _ => Err(Reject::new(Status::NOT_FOUND, "there is nothing here\n")),
    /// });
    /// # server.run(|_| Ok(()))
    /// # }
    /// ```
    #[must_use]
    pub fn on_upgrade<F>(mut self, f: F) -> Self
    where
        F: Fn(&Request) -> Result<Accept, Reject> + Send + Sync + 'static,
    {
        self.callbacks.on_upgrade = Some(Box::new(f));
        self
    }

    /// Calls `f` to answer plain HTTP requests: those that ask for no WebSocket and have no body.
    /// By default they get 400. A panic answers 500.
    #[must_use]
    pub fn on_request<F>(mut self, f: F) -> Self
    where
        F: Fn(&Request) -> Response + Send + Sync + 'static,
    {
        self.callbacks.on_request = Some(Box::new(f));
        self
    }

    /// Calls `f` for each connection that did not open, with an
    /// [`UpgradeError`](crate::UpgradeError), and for each error that a handler returns, with the
    /// request where there was one. By default nobody is told. It may be called from the thread
    /// that accepts, so it should be quick. On event loops, where no handler calls `recv`, it is told of each
    /// connection that has ended by an error, also of a peer that was
    /// [simply gone](crate::Error::is_disconnect).
    ///
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// let server = barews::Server::bind("127.0.0.1:9001")?.on_error(|context, error| {
    ///     let path = context.request().map(|request| request.path());
    ///     eprintln!("{:?} {path:?}: {error}", context.peer_addr());
    /// });
    /// # server.run(|_| Ok(()))
    /// # }
    /// ```
    #[must_use]
    pub fn on_error<F>(mut self, f: F) -> Self
    where
        F: Fn(&ErrorContext<'_>, &BoxError) + Send + Sync + 'static,
    {
        self.callbacks.on_error = Some(Box::new(f));
        self
    }

    /// The address of the first TCP listener, if there is one.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(|listener| listener.addr().ok().flatten())
    }

    /// A handle that stops the server, before [`run`](Self::run) or while it runs.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.handle.clone()
    }

    /// A handle that tells what the server has done, before [`run`](Self::run) or while it runs.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn stats_handle(&self) -> StatsHandle {
        self.stats.clone()
    }

    /// Serves until it is shut down and every handler has ended. `handler` has a thread to itself
    /// while it runs. The thread may serve another connection afterwards, so what is set of the
    /// thread, thread-locals among it, outlives the connection.
    ///
    /// When it returns `Ok`, the connection is closed with 1000, if it is still open; after an
    /// `Err` or a panic with 1011 (§7.4.1).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a [`Config`] that contradicts itself, with
    /// what would be right ([`Config::validate`]), or settings of TLS that allow early data. Later, if a listener is of no more use, or there
    /// is no thread to begin with: then the server is [shut down](ShutdownHandle::shutdown) first,
    /// with the close timeout as its grace. A connection that fails to be accepted is no such case,
    /// and neither is a system that runs out of descriptors or threads for a while.
    pub fn run<H>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        self.validate()?;
        let parts = self.into_parts();
        let Parts { listeners, config, callbacks, handle, .. } = parts;
        let close_timeout = config.timeouts.close;
        let (events, heard) = mpsc::channel();
        let registry = Arc::clone(&handle.registry);
        let shared = ServerShared::new(config);
        #[cfg(feature = "deflate")]
        parts.stats.set(shared.codecs.as_ref());
        let workers = Workers::new(shared, callbacks, handler, registry, events);
        for listener in listeners {
            workers.listen(listener);
        }
        drop(workers);
        handle.run_until_over(&heard, close_timeout)
    }

    /// Serves as [`run`](Self::run) does, on a thread of its own: for a test, or beside what else a
    /// program does. From the time when this returns, a client that connects is served.
    ///
    /// ```
    /// use barews::{Connection, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.spawn(|mut conn: Connection| {
    ///     conn.send("hello")?;
    ///     Ok(())
    /// })?;
    /// println!("ws://{}", server.local_addr().expect("a TCP listener"));
    /// server.shutdown(std::time::Duration::from_secs(1));
    /// server.join()
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) as for [`run`](Self::run), and if there is no
    /// thread. What goes wrong later comes out of [`RunningServer::join`].
    pub fn spawn<H>(self, handler: H) -> io::Result<RunningServer>
    where
        H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        self.validate()?;
        self.start_running(|server| server.run(handler))
    }

    /// Has a thread run the server so.
    pub(crate) fn start_running(
        self,
        run: impl FnOnce(Self) -> io::Result<()> + Send + 'static,
    ) -> io::Result<RunningServer> {
        let (local_addr, handle) = (self.local_addr(), self.shutdown_handle());
        let close_timeout = self.config.timeouts.close;
        RunningServer::start(local_addr, handle, close_timeout, || run(self))
    }

    /// What it is made of, to be run.
    pub(crate) fn into_parts(self) -> Parts {
        let Self { listeners, config, callbacks, handle, .. } = self;
        #[cfg(feature = "tls")]
        let listeners = match self.tls {
            Some(tls) => over_tls(listeners, &tls),
            None => listeners,
        };
        Parts {
            listeners,
            config,
            callbacks,
            handle,
            #[cfg(feature = "deflate")]
            stats: self.stats,
        }
    }

    /// Whether all is set as it can be.
    pub(crate) fn validate(&self) -> io::Result<()> {
        self.config.validate()?;
        #[cfg(feature = "tls")]
        self.tls.as_ref().map_or(Ok(()), TlsStream::check)?;
        Ok(())
    }
}

impl fmt::Debug for Server {
    /// Where it listens, and its settings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr())
            .field("listeners", &self.listeners.len())
            .field("config", &self.config)
            .field("shutdown", &self.handle)
            .finish_non_exhaustive()
    }
}

/// Has all streams of these listeners speak TLS.
#[cfg(feature = "tls")]
fn over_tls(
    mut listeners: Vec<TimedListener>,
    config: &Arc<rustls::ServerConfig>,
) -> Vec<TimedListener> {
    for listener in &mut listeners {
        listener.set_tls(Arc::clone(config));
    }
    listeners
}
