//! The server: an accept loop that does nothing but accept, and a thread for each connection.
//!
//! A connection is counted before its thread starts and until the thread ends, so that the cap
//! bites before the machine's own limits do. Nothing that happens in a connection's thread, a
//! panic included, reaches another.

use std::any::Any;
use std::error::Error as StdError;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs,
};
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
use crate::proto::CloseCode;
use crate::registry::{Registry, Slot};
use crate::request::Request;
use crate::shared::{Context, LastWord};
use crate::transport::Wire;
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

/// A WebSocket server on a TCP listener.
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
    listener: TcpListener,
    config: Config,
    callbacks: Callbacks,
    handle: ShutdownHandle,
}

/// Stops a [`Server`] from another thread.
#[derive(Clone)]
pub struct ShutdownHandle {
    stop: Arc<AtomicBool>,
    registry: Arc<Registry>,
    addr: SocketAddr,
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

    /// A server on a listener from elsewhere: std's own has a backlog of 128 and no way to choose
    /// another.
    ///
    /// # Errors
    ///
    /// If the listener's address cannot be told.
    pub fn from_listener(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(false)?;
        let handle = ShutdownHandle {
            stop: Arc::default(),
            registry: Arc::default(),
            addr: listener.local_addr()?,
        };
        let (config, callbacks) = Default::default();
        Ok(Self { listener, config, callbacks, handle })
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
    /// error that a handler returns. By default nobody does.
    #[must_use]
    pub fn on_error<F>(mut self, note: F) -> Self
    where
        F: Fn(Option<SocketAddr>, &BoxError) + Send + Sync + 'static,
    {
        self.callbacks.on_error = Some(Box::new(note));
        self
    }

    /// The address that the server listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.handle.addr
    }

    /// A handle that stops the server.
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
    /// If the listener is of no more use. A connection that fails to be accepted is no such
    /// case, and neither is a system that runs out of descriptors or threads for a while.
    pub fn run<H>(self, handler: H) -> io::Result<()>
    where
        H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        let Self { listener, config, callbacks, handle } = self;
        let context = Arc::new(Context::new(config));
        let service = Arc::new(Service { context, callbacks, handler });
        let mut rest = REST.0;
        while !handle.stop.load(Ordering::Relaxed) {
            match listener.accept() {
                // The last one is our own, to wake us, or has come too late.
                Ok(_) if handle.stop.load(Ordering::Relaxed) => break,
                Ok((stream, _)) => {
                    rest = REST.0;
                    service.admit(stream, &handle.registry);
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
        drop(listener);
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
        self.stop.store(true, Ordering::Relaxed);
        let mut awake = self.wake();
        self.registry.close(deadline);
        while let Some(left) = deadline.left()
            && !self.registry.wait(Deadline::after(left.min(LOOK)))
        {
            self.registry.expire();
        }
        self.registry.cut();
        // Now that connections have ended there are descriptors again.
        for _ in 0..500 {
            if awake {
                break;
            }
            thread::sleep(Duration::from_millis(10));
            awake = self.wake();
        }
    }

    /// Wakes the accept loop, which std can do only by a connection; whether it worked. It may not
    /// while descriptors are out.
    fn wake(&self) -> bool {
        let mut addr = self.addr;
        match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        match TcpStream::connect_timeout(&addr, Duration::from_secs(1)) {
            Ok(_) => true,
            // Nobody listens any more.
            Err(error) => error.kind() == ErrorKind::ConnectionRefused,
        }
    }
}

impl<H> Service<H>
where
    H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
{
    /// Gives the stream a place and a thread, or sends it away.
    fn admit(self: &Arc<Self>, stream: TcpStream, registry: &Arc<Registry>) {
        // Frames are written whole, so waiting to fill a segment could only delay them.
        let _ = stream.set_nodelay(true);
        let wire = Arc::new(Wire::new(Box::new(stream)));
        let config = &self.context.config;
        let Some(slot) = registry.enter(&wire, &config.limits) else {
            return turn_away(&wire);
        };
        let mut builder = thread::Builder::new().name("barews".to_owned());
        if let Some(size) = config.stack_size {
            builder = builder.stack_size(size);
        }
        let service = Arc::clone(self);
        let spawned = builder.spawn({
            let wire = Arc::clone(&wire);
            move || service.serve(wire, slot)
        });
        if spawned.is_err() {
            turn_away(&wire);
        }
    }

    /// The life of a connection.
    fn serve(&self, wire: Arc<Wire>, slot: Slot) {
        let peer = wire.peer_addr();
        let result = match self.upgrade(wire, &slot) {
            Ok(conn) => self.handle(conn),
            Err(error) => Err(error.into()),
        };
        if let (Err(error), Some(note)) = (result, &self.callbacks.on_error) {
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
