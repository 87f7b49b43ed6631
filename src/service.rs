//! What becomes of a stream: it is accepted, counted, upgraded, handled and ended.
//!
//! A connection is counted before a thread is its own and until its handler ends, so that the cap
//! bites before the machine's own limits do. Nothing that happens in a connection's thread, a
//! panic included, reaches another.

use std::any::Any;
use std::error::Error as StdError;
use std::io::{self, ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::config::Config;
use crate::connection::Connection;
use crate::door::{Door, PLACES};
use crate::error::UpgradeError;
use crate::http::{Accept, Reject, Response, Status};
use crate::listener::Listener;
use crate::proto::CloseCode;
use crate::registry::{Registry, Slot};
use crate::request::Request;
use crate::shared::{Context, Shared};
use crate::threads::{LINGER, Threads};
use crate::transport::Wire;
use crate::upgrade::{self, Incoming};
use crate::writer::{CloseAction, Sink};

/// The error type of handlers: whatever `?` turns an error into.
pub type BoxError = Box<dyn StdError + Send + Sync>;

pub(crate) type OnUpgrade = dyn Fn(&Request) -> Result<Accept, Reject> + Send + Sync;
pub(crate) type OnRequest = dyn Fn(&Request) -> Response + Send + Sync;
pub(crate) type OnError = dyn Fn(Option<SocketAddr>, &BoxError) + Send + Sync;

/// How long accepting rests when the system has run out of something, at first and at most.
const REST: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) on_upgrade: Option<Box<OnUpgrade>>,
    pub(crate) on_request: Option<Box<OnRequest>>,
    pub(crate) on_error: Option<Box<OnError>>,
}

/// What the threads of the connections share.
pub(crate) struct Service<H> {
    context: Arc<Context>,
    callbacks: Callbacks,
    threads: Arc<Threads>,
    handler: H,
    /// Set when the server is to stop.
    stop: Arc<AtomicBool>,
    registry: Arc<Registry>,
}

/// An accepted stream that has its place.
type Admitted = (Arc<Shared>, Slot);

impl<H> Service<H>
where
    H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
{
    pub(crate) fn new(
        config: Config,
        callbacks: Callbacks,
        handler: H,
        stop: Arc<AtomicBool>,
        registry: Arc<Registry>,
    ) -> Arc<Self> {
        let threads = Arc::new(Threads::new(config.stack_size, LINGER));
        let context = Arc::new(Context::new(config));
        Arc::new(Self { context, callbacks, threads, handler, stop, registry })
    }

    /// Has threads wait at the door.
    ///
    /// # Errors
    ///
    /// If there is not one to be had.
    pub(crate) fn open(self: &Arc<Self>, door: &Arc<Door>) -> io::Result<()> {
        self.start(door, None)?;
        for _ in 1..PLACES {
            // Another will come when it has served.
            let _ = self.start(door, None);
        }
        Ok(())
    }

    /// Has a thread do this [`work`](Self::work).
    fn start(self: &Arc<Self>, door: &Arc<Door>, first: Option<Admitted>) -> io::Result<()> {
        let (service, door) = (Arc::clone(self), Arc::clone(door));
        self.threads.start(move || service.work(&door, first))
    }

    /// Serves a stream, and accepts the next one to serve while there is a place at the door.
    fn work(self: Arc<Self>, door: &Arc<Door>, first: Option<Admitted>) {
        let mut next = first;
        loop {
            if let Some((shared, slot)) = next {
                self.serve(shared, slot);
            }
            let Some(listener) = door.enter() else { return };
            next = self.accept(door, &listener);
            if next.is_none() {
                return;
            }
        }
    }

    /// Accepts streams until there is one to be served by this thread; `None` at the end.
    // Not inlined, as others here: what it needs of the stack would be held by idle connections.
    #[inline(never)]
    fn accept(self: &Arc<Self>, door: &Arc<Door>, listener: &Listener) -> Option<Admitted> {
        let mut rest = REST.0;
        while !self.stop.load(Ordering::Relaxed) {
            match listener.accept() {
                // The last one is our own, to wake us, or has come too late.
                Ok(_) if self.stop.load(Ordering::Relaxed) => break,
                Ok(wire) => {
                    rest = REST.0;
                    let shared = Arc::new(Shared::new(wire, Arc::clone(&self.context)));
                    match self.registry.enter(&shared) {
                        None => self.turn_away(&shared.wire, UpgradeError::TooManyConnections),
                        Some(slot) if door.leave() => return Some((shared, slot)),
                        Some(slot) => {
                            let first = Some((Arc::clone(&shared), slot));
                            if let Err(error) = self.start(door, first) {
                                self.turn_away(&shared.wire, UpgradeError::Io(error));
                            }
                        }
                    }
                }
                Err(error) => match error.kind() {
                    // The peer gave up while it waited; the next one may not have.
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset => {}
                    ErrorKind::InvalidInput => {
                        door.close();
                        door.fail(error);
                        return None;
                    }
                    // Out of descriptors or memory: what ends meanwhile gives some back.
                    _ if door.leave() => return None,
                    _ => {
                        thread::sleep(rest);
                        rest = (rest * 2).min(REST.1);
                    }
                },
            }
        }
        door.close();
        None
    }

    /// Answers 503 without a wait: there is no place, or no thread to be had. The request is not
    /// read, so its sender may see a reset behind the answer.
    fn turn_away(&self, wire: &Wire, error: UpgradeError) {
        let response = Response::new(Status::SERVICE_UNAVAILABLE, "too many connections\n")
            .header("Retry-After", "1");
        let reply = upgrade::encoded(&response);
        // Nothing was sent before, so the socket has room for this.
        let _ = wire.write_all(&mut [IoSlice::new(&reply)], Duration::from_millis(10));
        wire.shutdown(Shutdown::Write);
        self.note(wire.peer_addr(), error.into());
    }

    /// The life of a connection.
    fn serve(&self, shared: Arc<Shared>, slot: Slot) {
        let peer = shared.wire.peer_addr();
        let result = match self.upgrade(shared, &slot) {
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
    #[inline(never)]
    fn upgrade(&self, shared: Arc<Shared>, slot: &Slot) -> Result<Connection, UpgradeError> {
        let upgrade = match upgrade::read(shared)? {
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
            Ok(accept) => upgrade.accept_and(&accept, || slot.open()),
            Err(reject) => Err(upgrade.reject(&reject)),
        }
    }

    #[inline(never)]
    fn handle(&self, mut conn: Connection) -> Result<(), BoxError> {
        let shared = conn.chaperoned();
        let result = catch_unwind(AssertUnwindSafe(|| (self.handler)(conn)));
        let result = result.unwrap_or_else(|panic| Err(told(&*panic).into()));
        shared.finish(match result {
            Ok(()) => CloseAction::Initiate(CloseCode::NORMAL, String::new()),
            Err(_) => CloseAction::Abort(CloseCode::INTERNAL_ERROR, String::new()),
        });
        result
    }
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
