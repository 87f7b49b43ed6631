//! What becomes of a stream: it is accepted, counted, upgraded, handled and ended.
//!
//! A connection is counted before a thread is its own and until its descriptor is closed, so that
//! the cap bites before the machine's own limits do. Nothing that happens in a connection's thread,
//! a panic included, reaches another.

use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
#[cfg(feature = "event-loop")]
use std::sync::mpsc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use crate::connection::lifecycle::{ConnectionShared, ServerShared};
use crate::connection::{Connection, Request};
use crate::error::UpgradeError;
use crate::http::Status;
use crate::io::listener::MAX_ACCEPT_TIMEOUT;
use crate::io::stream::{Sink, TimedStream};
use crate::io::timed_listener::TimedListener;
use crate::proto::CloseCode;
use crate::server::acceptor::{AcceptTimer, Acceptor, MAX_ACCEPTING};
use crate::server::callbacks::{BoxError, Callbacks, catch_panic};
use crate::server::registry::{Event, HandlerGuard, Registry};
use crate::server::terms::today;
use crate::server::thread_pool::{THREAD_KEEPALIVE, ThreadPool};
use crate::server::upgrade::{self, Exchange, Incoming, Unopened};
use crate::session::CloseAction;

/// How many threads drain streams that were rejected, at the most.
const MAX_DRAINING_THREADS: usize = 64;

/// How long the 503 to a rejected stream may take to write. Nothing was sent before, so the socket
/// has room for it.
const REJECT_WRITE_TIMEOUT: Duration = Duration::from_millis(10);

/// What is answered where a thread cannot be started.
pub(crate) const NO_THREAD: &str = "no thread for a connection\n";

/// What the threads of a server share.
pub(crate) struct Workers<H> {
    pub(crate) server: Arc<ServerShared>,
    pub(crate) callbacks: Callbacks,
    handler: H,
    threads: Arc<ThreadPool>,
    pub(crate) registry: Arc<Registry>,
    /// One clone for each thread that drains a rejected stream.
    draining: Arc<()>,
    /// Reports a listener that is of no more use, and by its drop that all threads have ended.
    /// Dropped last: by then nothing of the application's is held any more.
    events: Arc<Sender<Event>>,
}

/// An accepted stream that is registered.
type Admitted = (Arc<ConnectionShared>, HandlerGuard);

impl<H> Workers<H>
where
    H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
{
    pub(crate) fn new(
        server: ServerShared,
        callbacks: Callbacks,
        handler: H,
        registry: Arc<Registry>,
        events: Sender<Event>,
    ) -> Arc<Self> {
        let threads = Arc::new(ThreadPool::new(server.config.stack_size, THREAD_KEEPALIVE));
        let server = Arc::new(server);
        let (draining, events) = (Arc::default(), Arc::new(events));
        registry.set_runner(&events);
        Arc::new(Self { server, callbacks, handler, threads, registry, draining, events })
    }

    /// Starts the threads that accept from a listener.
    pub(crate) fn listen(self: &Arc<Self>, listener: TimedListener) {
        let acceptor = Arc::new(Acceptor::new(listener));
        if let Err(error) = self.start(&acceptor, None) {
            return self.fail(error);
        }
        for _ in 1..MAX_ACCEPTING {
            // Without this one, another comes when it has served.
            let _ = self.start(&acceptor, None);
        }
    }

    /// Has a thread do this [`work`](Self::work).
    fn start(
        self: &Arc<Self>,
        acceptor: &Arc<Acceptor>,
        first: Option<Admitted>,
    ) -> io::Result<()> {
        let (workers, acceptor) = (Arc::clone(self), Arc::clone(acceptor));
        self.threads.start(move || workers.work(acceptor, first))
    }

    /// Serves a stream, and accepts the next one to serve while others do not.
    fn work(self: Arc<Self>, mut acceptor: Arc<Acceptor>, mut next: Option<Admitted>) {
        let again = Arc::downgrade(&acceptor);
        loop {
            if let Some((shared, guard)) = next {
                // A connection does not keep the listener open.
                drop(acceptor);
                self.handle_stream(shared, guard);
                let Some(open) = again.upgrade() else { return };
                acceptor = open;
            }
            if !acceptor.acquire() {
                return;
            }
            next = self.accept(&acceptor);
            if next.is_none() {
                return;
            }
        }
    }

    /// Accepts streams until there is one to be served by this thread; `None` if it is to leave.
    // Not inlined, as others here: what it needs of the stack would be held by idle connections.
    #[inline(never)]
    fn accept(self: &Arc<Self>, acceptor: &Arc<Acceptor>) -> Option<Admitted> {
        let mut timer = AcceptTimer::new();
        while !self.registry.is_closed() {
            self.registry.expire();
            match acceptor.listener.accept(timer.timeout()) {
                Ok(None) => timer.reset_backoff(),
                Ok(Some(stream)) => {
                    timer = AcceptTimer::new();
                    let admitted = self.dispatch(acceptor, stream);
                    if admitted.is_some() {
                        return admitted;
                    }
                }
                Err(error) if acceptor.is_broken(&error) => {
                    self.fail(error);
                    return None;
                }
                // Out of descriptors or memory: what ends meanwhile gives some back.
                Err(_) if acceptor.release() => return None,
                Err(error) => {
                    self.callbacks.on_error(None, None, UpgradeError::Accept(error));
                    self.pause(timer.next_backoff());
                }
            }
        }
        None
    }

    /// Registers a stream, and returns it if this thread is to serve it.
    fn dispatch(
        self: &Arc<Self>,
        acceptor: &Arc<Acceptor>,
        stream: TimedStream,
    ) -> Option<Admitted> {
        let shared = Arc::new(ConnectionShared::new(stream, Arc::clone(&self.server)));
        let Some(guard) = self.registry.register(&shared) else {
            let (reason, error) = self.refusal();
            self.reject(shared, reason, error);
            return None;
        };
        if acceptor.release() {
            return Some((shared, guard));
        }
        if let Err(error) = self.start(acceptor, Some((Arc::clone(&shared), guard))) {
            self.reject(shared, NO_THREAD, UpgradeError::Io(error));
        }
        None
    }

    /// Why a stream has found no place, for the peer and for the application.
    pub(crate) fn refusal(&self) -> (&'static str, UpgradeError) {
        match self.registry.is_closed() {
            true => {
                let error = UpgradeError::Rejected(Status::SERVICE_UNAVAILABLE);
                ("the server is shutting down\n", error)
            }
            false => ("too many connections\n", UpgradeError::TooManyConnections),
        }
    }

    /// Answers 503 without a wait. The request is read and thrown away, so that the answer is not
    /// lost to a reset, if there is a thread for that.
    fn reject(&self, shared: Arc<ConnectionShared>, reason: &str, error: UpgradeError) {
        // Its headers are fit to be sent.
        let reply = upgrade::unavailable(reason).encode(today()).unwrap_or_default();
        let stream = shared.stream();
        let _ = stream.write_all(&mut [IoSlice::new(&reply)], REJECT_WRITE_TIMEOUT);
        stream.shutdown(Shutdown::Write);
        self.callbacks.on_error(stream.peer_addr(), None, error);
        let draining = Arc::clone(&self.draining);
        // This one is counted by now, and our own never ends.
        if Arc::strong_count(&draining) <= 1 + MAX_DRAINING_THREADS {
            // Without a thread, the stream is dropped as it is.
            let _ = self.threads.start(move || {
                upgrade::linger(&shared);
                drop(draining);
            });
        }
    }

    /// Reports that a listener is of no more use.
    pub(crate) fn fail(&self, error: io::Error) {
        // After the first, nobody hears of others.
        let _ = self.events.send(Event::Failed(error));
    }

    /// Waits for the system to recover, but not beyond the server's end.
    fn pause(&self, mut backoff: Duration) {
        while !backoff.is_zero() && !self.registry.is_closed() {
            let step = backoff.min(MAX_ACCEPT_TIMEOUT);
            thread::sleep(step);
            backoff -= step;
            self.registry.expire();
        }
    }

    /// Has a thread wait for a connection whose request is read elsewhere, and serve it. It is handed
    /// over once there is a thread; until then, it can be answered that there is none.
    ///
    /// # Errors
    ///
    /// If there is none.
    #[cfg(feature = "event-loop")]
    pub(crate) fn start_upgrade(self: &Arc<Self>) -> io::Result<Sender<(Incoming, HandlerGuard)>> {
        let workers = Arc::clone(self);
        let (hand_over, handed_over) = mpsc::channel::<(Incoming, HandlerGuard)>();
        self.threads.start(move || {
            let Ok((incoming, guard)) = handed_over.recv() else { return };
            guard.runs_here();
            let peer_addr = incoming.peer_addr();
            workers.handle_request(peer_addr, Ok(incoming), &guard);
        })?;
        Ok(hand_over)
    }

    /// Has a thread call back, which may wait for something.
    ///
    /// # Errors
    ///
    /// If there is none.
    #[cfg(feature = "event-loop")]
    pub(crate) fn start_call(
        self: &Arc<Self>,
        call: impl FnOnce(&Callbacks) + Send + 'static,
    ) -> io::Result<()> {
        let workers = Arc::clone(self);
        self.threads.start(move || {
            workers.registry.runs_here();
            // What comes of it is the application's, and may panic where it is dropped.
            let _ = catch_panic(|| call(&workers.callbacks));
        })
    }

    /// The life of a connection.
    fn handle_stream(&self, shared: Arc<ConnectionShared>, guard: HandlerGuard) {
        guard.runs_here();
        let peer_addr = shared.stream().peer_addr();
        self.handle_request(peer_addr, read_request(shared), &guard);
    }

    /// The same from the request on, if there is one.
    // In line, since what it needs of the stack an idle connection holds.
    #[inline(always)]
    fn handle_request(
        &self,
        peer_addr: Option<SocketAddr>,
        incoming: Result<Incoming, Unopened>,
        guard: &HandlerGuard,
    ) {
        let upgraded = incoming.and_then(|incoming| self.upgrade(incoming, guard));
        let (request, result) = match upgraded {
            Ok(None) => return,
            Ok(Some((conn, request))) => (Some(request), self.handle(conn)),
            Err(Unopened { error, request }) => (request, Err(error.into())),
        };
        if let Err(error) = result {
            self.callbacks.on_error(peer_addr, request.as_deref(), error);
        }
    }

    /// The opening handshake. Gives the connection and its request, which outlives it, or `None`
    /// if a plain request was answered instead.
    // Apart from what reads the request, so that the two are not on the stack together, which an idle
    // connection would hold: 11.1 KiB each, 15.1 otherwise.
    #[inline(never)]
    fn upgrade(
        &self,
        incoming: Incoming,
        guard: &HandlerGuard,
    ) -> Result<Option<(Connection, Arc<Request>)>, Unopened> {
        let (request, result) = match incoming {
            Incoming::Plain(plain) => {
                let request = plain.shared_request();
                let result = self.answer(plain, &request).map(|()| None);
                (request, result)
            }
            Incoming::Upgrade(upgrade) => {
                let request = upgrade.shared_request();
                let result = match self.callbacks.on_upgrade(&request) {
                    // From the 101 on the client may count on a Close, so it is open before.
                    Ok(Ok(accept)) => upgrade.accept_and(&accept, || guard.set_open()),
                    Ok(Err(reject)) => Err(upgrade.reject(&reject)),
                    Err(panicked) => {
                        upgrade.apologise();
                        Err(panicked)
                    }
                };
                (request, result.map(Some))
            }
        };
        match result {
            Ok(conn) => Ok(conn.map(|conn| (conn, request))),
            Err(error) => Err(Unopened { error, request: Some(request) }),
        }
    }

    /// Answers a plain request.
    fn answer(&self, plain: Exchange, request: &Request) -> Result<(), UpgradeError> {
        match self.callbacks.on_request(request) {
            Ok(Some(response)) => plain.respond(&response),
            Ok(None) => Err(plain.decline()),
            Err(panicked) => {
                plain.apologise();
                Err(panicked)
            }
        }
    }

    /// Runs the handler, and closes the connection with the code for its result.
    #[inline(never)]
    fn handle(&self, mut conn: Connection) -> Result<(), BoxError> {
        let shared = conn.closed_by_server();
        let result = catch_panic(|| (self.handler)(conn));
        let result =
            result.unwrap_or_else(|text| Err(format!("the handler panicked: {text}").into()));
        if result.is_ok() {
            shared.drain_queues(self.server.config.timeouts.close);
        }
        let code = if result.is_ok() { CloseCode::NORMAL } else { CloseCode::INTERNAL_ERROR };
        shared.finish(CloseAction::Abort(code, String::new()));
        result
    }
}

/// Reads a request. A transport, or what wraps a stream, may be the application's, and panic.
#[inline(never)]
fn read_request(shared: Arc<ConnectionShared>) -> Result<Incoming, Unopened> {
    catch_panic(|| upgrade::read(shared))
        .unwrap_or_else(|said| Err(UpgradeError::Panicked(said).into()))
}
