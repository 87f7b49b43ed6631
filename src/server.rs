//! The server: what is set up, a door for each listener, and the way to stop.

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::callbacks::{BoxError, Callbacks, ErrorContext};
use crate::config::Config;
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::door::{Door, Waiting};
use crate::http::{Accept, Reject, Response};
use crate::listener::{Doorbell, Listener};
use crate::registry::Registry;
use crate::request::Request;
use crate::service::Service;

/// How often a shutdown looks for peers that do not answer its Close in time.
const LOOK: Duration = Duration::from_millis(100);

/// For how long a shutdown tries to wake those who accept.
const WAKE: Duration = Duration::from_secs(5);

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
    listeners: Vec<Listener>,
    config: Config,
    callbacks: Callbacks,
    handle: ShutdownHandle,
}

/// Stops a [`Server`] from another thread.
#[derive(Clone)]
pub struct ShutdownHandle {
    stop: Arc<AtomicBool>,
    registry: Arc<Registry>,
    doorbells: Vec<(Doorbell, Waiting)>,
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
    /// # Errors
    ///
    /// If the listener's address cannot be told.
    pub fn from_listener(listener: impl Into<Listener>) -> io::Result<Self> {
        let handle = ShutdownHandle {
            stop: Arc::default(),
            registry: Arc::default(),
            doorbells: Vec::new(),
        };
        let (listeners, config, callbacks) = Default::default();
        Self { listeners, config, callbacks, handle }.and_listener(listener)
    }

    /// Adds a listener. All of a server's connections count against the same limits.
    ///
    /// # Errors
    ///
    /// As for [`from_listener`](Self::from_listener).
    pub fn and_listener(mut self, listener: impl Into<Listener>) -> io::Result<Self> {
        let listener = listener.into();
        self.handle.doorbells.push((listener.prepare()?, Waiting::default()));
        self.listeners.push(listener);
        Ok(self)
    }

    /// Sets limits, deadlines and the rest.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Has `decide` see each valid request for a connection, to accept it, perhaps with a
    /// subprotocol or headers, or to reject it with a status and body of its own. By default all
    /// are accepted. A panic answers 500.
    #[must_use]
    pub fn on_upgrade<F>(mut self, decide: F) -> Self
    where
        F: Fn(&Request) -> Result<Accept, Reject> + Send + Sync + 'static,
    {
        self.callbacks.on_upgrade = Some(Box::new(decide));
        self
    }

    /// Has `answer` answer plain requests: those that ask for no WebSocket and have no body.
    /// By default they get 400. A panic answers 500.
    #[must_use]
    pub fn on_request<F>(mut self, answer: F) -> Self
    where
        F: Fn(&Request) -> Response + Send + Sync + 'static,
    {
        self.callbacks.on_request = Some(Box::new(answer));
        self
    }

    /// Has `note` hear of each connection that did not open, for an
    /// [`UpgradeError`](crate::UpgradeError), and of each error that a handler returns, with the
    /// request where there was one. By default nobody does. It may be called from the thread that
    /// accepts, so it should be quick.
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
    pub fn on_error<F>(mut self, note: F) -> Self
    where
        F: Fn(&ErrorContext<'_>, &BoxError) + Send + Sync + 'static,
    {
        self.callbacks.on_error = Some(Box::new(note));
        self
    }

    /// The address of the first TCP listener, if there is one.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.handle.doorbells.iter().find_map(|(doorbell, _)| doorbell.addr())
    }

    /// A handle that stops the server, with the listeners that it has now.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.handle.clone()
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
    /// If a listener is of no more use, or there is no thread to begin with. A connection that
    /// fails to be accepted is no such case, and neither is a system that runs out of descriptors
    /// or threads for a while.
    pub fn run<H>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        let Self { listeners, config, callbacks, handle } = self;
        let (stop, registry) = (Arc::clone(&handle.stop), Arc::clone(&handle.registry));
        let service = Service::new(config, callbacks, handler, stop, registry);
        let (failed, failures) = mpsc::channel();
        for (listener, (_, waiting)) in listeners.into_iter().zip(&handle.doorbells) {
            let door = Arc::new(Door::new(listener, waiting.clone(), failed.clone()));
            if let Err(error) = service.open(&door) {
                door.fail(error);
            }
        }
        // The doors have the senders: when nobody holds one any more, all have ended.
        drop(failed);
        match failures.recv() {
            Ok(error) => {
                handle.halt();
                Err(error)
            }
            Err(_) => {
                handle.registry.wait(Deadline::NEVER);
                Ok(())
            }
        }
    }
}

impl ShutdownHandle {
    /// Stops the server: accepts nobody more, sends 1001 to every connection, and waits for the
    /// handlers to end. After `grace` it cuts the connections that are left, so that their
    /// handlers fail at the next call, and returns.
    pub fn shutdown(&self, grace: Duration) {
        let deadline = Deadline::after(grace);
        let mut awake = self.halt();
        self.registry.close();
        while let Some(left) = deadline.left()
            && !self.registry.wait(Deadline::after(left.min(LOOK)))
        {
            self.registry.retry();
            self.registry.expire();
        }
        self.registry.cut();
        // Now that connections have ended there are descriptors again.
        let patience = Deadline::after(WAKE);
        while !awake && patience.left().is_some() {
            thread::sleep(Duration::from_millis(10));
            awake = self.wake();
        }
    }

    /// Ends accepting; whether all who accept are awake to see that.
    fn halt(&self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        self.wake()
    }

    /// Wakes those who accept; whether that worked for all.
    fn wake(&self) -> bool {
        let mut all = true;
        for (doorbell, waiting) in &self.doorbells {
            // No ring too many: where the listener is not only ours, it would be for somebody else.
            all &= (0..waiting.count()).all(|_| doorbell.ring());
        }
        all
    }
}
