//! The server: an accept loop that does nothing but accept, and a thread for each connection.
//!
//! A connection is counted before its thread starts and until the thread ends, so that the cap
//! bites before the machine's own limits do. Nothing that happens in a connection's thread, a
//! panic included, reaches another.

use std::any::Any;
use std::error::Error as StdError;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr, TcpListener, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::config::Config;
use crate::connection::Connection;
use crate::deadline::Deadline;
use crate::error::UpgradeError;
use crate::http::{Accept, Reject, Response, Status};
use crate::listener::{Doorbell, Listener};
use crate::proto::CloseCode;
use crate::registry::{Registry, Slot};
use crate::request::Request;
use crate::shared::{Context, LastWord};
use crate::threads::Threads;
use crate::transport::{Transport, Wire};
use crate::upgrade::{self, Incoming};

/// The error type of handlers: whatever `?` turns an error into.
pub type BoxError = Box<dyn StdError + Send + Sync>;

type OnUpgrade = dyn Fn(&Request) -> Result<Accept, Reject> + Send + Sync;
type OnRequest = dyn Fn(&Request) -> Response + Send + Sync;
type OnError = dyn Fn(Option<SocketAddr>, &BoxError) + Send + Sync;

/// How long the accept loop rests when the system has run out of something, at first and at most.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

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
    doorbells: Vec<Doorbell>,
}

#[derive(Default)]
struct Callbacks {
    on_upgrade: Option<Box<OnUpgrade>>,
    on_request: Option<Box<OnRequest>>,
    on_error: Option<Box<OnError>>,
}

/// What the threads of the connections share.
struct Service<H> {
    context: Arc<Context>,
    callbacks: Callbacks,
    threads: Arc<Threads>,
    handler: H,
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
        self.handle.doorbells.push(listener.prepare()?);
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

    /// Has `note` hear of each connection that did not open, for an [`UpgradeError`], and of each
    /// error that a handler returns. By default nobody does. It may be called from the thread that
    /// accepts, so it should be quick.
    #[must_use]
    pub fn on_error<F>(mut self, note: F) -> Self
    where
        F: Fn(Option<SocketAddr>, &BoxError) + Send + Sync + 'static,
    {
        self.callbacks.on_error = Some(Box::new(note));
        self
    }

    /// The address of the first TCP listener, if there is one.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.handle.doorbells.iter().find_map(Doorbell::addr)
    }

    /// A handle that stops the server, with the listeners that it has now.
    #[must_use]
    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.handle.clone()
    }

    /// Serves until it is shut down and every handler has ended. `handler` runs in a thread of
    /// its own for each connection.
    ///
    /// When it returns `Ok`, the connection is closed with 1000, if it is still open; after an
    /// `Err` or a panic with 1011 (§7.4.1).
    ///
    /// # Errors
    ///
    /// If a listener is of no more use, or there is no thread for the second one. A connection
    /// that fails to be accepted is no such case, and neither is a system that runs out of
    /// descriptors or threads for a while.
    pub fn run<H>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        let Self { mut listeners, config, callbacks, handle } = self;
        let threads = Arc::new(Threads::new(config.stack_size));
        let context = Arc::new(Context::new(config));
        let service = Arc::new(Service { context, callbacks, threads, handler });
        let last = listeners.pop();
        let mut result = Ok(());
        let mut others = Vec::new();
        for listener in listeners {
            let (service, handle) = (Arc::clone(&service), handle.clone());
            let accept = move || {
                let result = service.accept_all(listener, &handle);
                if result.is_err() {
                    handle.halt();
                }
                result
            };
            match thread::Builder::new().name("barews-accept".to_owned()).spawn(accept) {
                Ok(thread) => others.push(thread),
                Err(error) => result = Err(error),
            }
        }
        if result.is_ok()
            && let Some(listener) = last
        {
            result = service.accept_all(listener, &handle);
        }
        if result.is_err() {
            handle.halt();
        }
        for other in others {
            result = result.and(other.join().unwrap_or(Ok(())));
        }
        result?;
        handle.registry.wait(Deadline::NEVER);
        Ok(())
    }
}

impl ShutdownHandle {
    /// Stops the server: accepts nobody more, sends 1001 to every connection, and waits for the
    /// handlers to end. After `grace` it cuts the connections that are left, so that their
    /// handlers fail at the next call, and returns.
    pub fn shutdown(&self, grace: Duration) {
        let deadline = Deadline::after(grace);
        let mut awake = self.halt();
        self.registry.close(deadline);
        while let Some(left) = deadline.left()
            && !self.registry.wait(Deadline::after(left.min(LOOK)))
        {
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
        for doorbell in &self.doorbells {
            all &= doorbell.ring();
        }
        all
    }
}

impl<H> Service<H>
where
    H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
{
    /// Accepts streams until the server stops.
    fn accept_all(self: &Arc<Self>, listener: Listener, handle: &ShutdownHandle) -> io::Result<()> {
        let mut rest = REST.0;
        while !handle.stop.load(Ordering::Relaxed) {
            match listener.accept() {
                // The last one is our own, to wake us, or has come too late.
                Ok(_) if handle.stop.load(Ordering::Relaxed) => break,
                Ok(stream) => {
                    rest = REST.0;
                    self.admit(stream, &handle.registry);
                }
                Err(error) => match error.kind() {
                    // The peer gave up while it waited; the next one may not have.
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset => {}
                    ErrorKind::InvalidInput => return Err(error),
                    // Out of descriptors or memory: what ends meanwhile gives some back.
                    _ => {
                        thread::sleep(rest);
                        rest = (rest * 2).min(REST.1);
                    }
                },
            }
        }
        Ok(())
    }

    /// Gives the stream a place and a thread, or sends it away.
    fn admit(self: &Arc<Self>, stream: Box<dyn Transport>, registry: &Arc<Registry>) {
        let wire = Arc::new(Wire::new(stream));
        let Some(slot) = registry.enter(&wire, &self.context.config.limits) else {
            turn_away(&wire);
            return self.note(wire.peer_addr(), UpgradeError::TooManyConnections.into());
        };
        let service = Arc::clone(self);
        let started = self.threads.start({
            let wire = Arc::clone(&wire);
            move || service.serve(wire, slot)
        });
        if let Err(error) = started {
            turn_away(&wire);
            self.note(wire.peer_addr(), UpgradeError::Io(error).into());
        }
    }

    /// The life of a connection.
    fn serve(&self, wire: Arc<Wire>, slot: Slot) {
        let peer = wire.peer_addr();
        let result = match self.upgrade(wire, &slot) {
            Ok(conn) => self.handle(conn),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = result {
            self.note(peer, error);
        }
    }

    /// Tells the application of what went wrong.
    fn note(&self, peer: Option<SocketAddr>, error: BoxError) {
        if let Some(note) = &self.callbacks.on_error {
            let _ = catch_unwind(AssertUnwindSafe(|| note(peer, &error)));
        }
    }

    /// The opening handshake, with the application's say in it.
    fn upgrade(&self, wire: Arc<Wire>, slot: &Slot) -> Result<Connection, UpgradeError> {
        let upgrade = match upgrade::read(wire, Arc::clone(&self.context))? {
            Incoming::Upgrade(upgrade) => upgrade,
            Incoming::Plain(plain) => {
                return Err(match &self.callbacks.on_request {
                    None => plain.refuse(),
                    Some(answer) => {
                        let response = guarded(|| answer(plain.request()));
                        plain.respond(&response.unwrap_or_else(failure))
                    }
                });
            }
        };
        let decided = match &self.callbacks.on_upgrade {
            None => Ok(Accept::new()),
            Some(decide) => guarded(|| decide(upgrade.request())).unwrap_or_else(|| Err(failure())),
        };
        match decided {
            // From the 101 on the client may count on a Close, so the slot knows before.
            Ok(accept) => upgrade.accept_and(&accept, |shared| slot.open(shared)),
            Err(reject) => Err(upgrade.reject(&reject)),
        }
    }

    fn handle(&self, mut conn: Connection) -> Result<(), BoxError> {
        let shared = conn.chaperoned();
        let result = catch_unwind(AssertUnwindSafe(|| (self.handler)(conn)));
        let result = result.unwrap_or_else(|panic| Err(told(&*panic).into()));
        shared.finish(match result {
            Ok(()) => LastWord::Start(CloseCode::NORMAL, String::new()),
            Err(_) => LastWord::Fail(CloseCode::INTERNAL_ERROR, String::new()),
        });
        result
    }
}

/// Answers 503 without a wait: there is no place, or no thread to be had. The request is not read,
/// so its sender may see a reset behind the answer.
fn turn_away(wire: &Wire) {
    let response = Response::new(Status::SERVICE_UNAVAILABLE, "too many connections\n")
        .header("Retry-After", "1");
    let reply = upgrade::encoded(&response);
    // Nothing was sent before, so the socket has room for this.
    let _ = wire.write_all(&mut [IoSlice::new(&reply)], Deadline::after(Duration::from_millis(10)));
    wire.shutdown(Shutdown::Write);
}

/// The result of a callback, unless it panics.
fn guarded<T>(callback: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(callback)).ok()
}

fn failure() -> Response {
    Response::new(Status::INTERNAL_SERVER_ERROR, "the server failed\n")
}

/// What a panic said.
fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("without a word"))
}
