//! What becomes of a stream: it is accepted, counted, upgraded, handled and ended.
//!
//! A connection is counted before a thread is its own and until its descriptor is closed, so that the cap
//! bites before the machine's own limits do. Nothing that happens in a connection's thread, a
//! panic included, reaches another.

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::connection::lifecycle::{ConnectionShared, ServerShared};
use crate::connection::{Connection, Request};
use crate::error::UpgradeError;
use crate::http::{Response, Status};
use crate::io::listener::MAX_ACCEPT_TIMEOUT;
use crate::io::stream::{Sink, TimedStream};
use crate::io::timed_listener::TimedListener;
use crate::proto::CloseCode;
use crate::server::acceptor::{Acceptor, MAX_ACCEPTING, Pace};
use crate::server::callbacks::{BoxError, Callbacks, catch_panic};
use crate::server::registry::{HandlerGuard, Registry};
use crate::server::thread_pool::{THREAD_KEEPALIVE, ThreadPool};
use crate::server::upgrade::{self, Exchange, Incoming, Unopened};
use crate::session::CloseAction;

/// How often peers are looked for that do not answer our Close in time. With the longest wait of an
/// accept on top, that is within 250 ms. In milliseconds.
const CLOSE_CHECK_INTERVAL: u64 = 50;

/// How many threads see to it, at the most, that those who are turned away can read why.
const MAX_LINGERING: usize = 64;

/// What the threads of the connections share.
pub(crate) struct Workers<H> {
    server: Arc<ServerShared>,
    callbacks: Callbacks,
    threads: Arc<ThreadPool>,
    handler: H,
    registry: Arc<Registry>,
    begun: Instant,
    /// The last [`check_closes`](Self::check_closes), in milliseconds from the beginning.
    last_check: AtomicU64,
    lingering: Arc<AtomicUsize>,
}

/// A place among the threads that linger on streams that were turned away.
struct LingerPermit(Arc<AtomicUsize>);

/// An accepted stream that has its place.
type Admitted = (Arc<ConnectionShared>, HandlerGuard);

/// A connection and the request that it came of, which outlives it.
type Opened = (Connection, Arc<Request>);

impl<H> Workers<H>
where
    H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
{
    pub(crate) fn new(
        config: Config,
        callbacks: Callbacks,
        handler: H,
        registry: Arc<Registry>,
    ) -> Arc<Self> {
        let threads = Arc::new(ThreadPool::new(config.stack_size, THREAD_KEEPALIVE));
        let (server, begun) = (Arc::new(ServerShared::new(config)), Instant::now());
        let (last_check, lingering) = Default::default();
        Arc::new(Self {
            server,
            callbacks,
            threads,
            handler,
            registry,
            begun,
            last_check,
            lingering,
        })
    }

    /// Has threads accept.
    ///
    /// # Errors
    ///
    /// If there is not one to be had.
    pub(crate) fn start(self: &Arc<Self>, acceptor: &Arc<Acceptor>) -> io::Result<()> {
        self.spawn(acceptor, None)?;
        for _ in 1..MAX_ACCEPTING {
            // Another will come when it has served.
            let _ = self.spawn(acceptor, None);
        }
        Ok(())
    }

    /// Has a thread [`run`](Self::run).
    fn spawn(
        self: &Arc<Self>,
        acceptor: &Arc<Acceptor>,
        first: Option<Admitted>,
    ) -> io::Result<()> {
        let (workers, acceptor) = (Arc::clone(self), Arc::clone(acceptor));
        self.threads.start(move || workers.run(&acceptor, first))
    }

    /// Serves a stream, and accepts the next one to serve while there is a place at the acceptor.
    fn run(self: Arc<Self>, acceptor: &Arc<Acceptor>, first: Option<Admitted>) {
        let mut next = first;
        loop {
            if let Some((shared, guard)) = next {
                self.serve(shared, guard);
            }
            let Some(listener) = acceptor.acquire() else { return };
            next = self.accept(acceptor, &listener);
            if next.is_none() {
                return;
            }
        }
    }

    /// Accepts streams until there is one to be served by this thread; `None` at the end.
    // Not inlined, as others here: what it needs of the stack would be held by idle connections.
    #[inline(never)]
    fn accept(
        self: &Arc<Self>,
        acceptor: &Arc<Acceptor>,
        listener: &TimedListener,
    ) -> Option<Admitted> {
        let mut pace = Pace::new();
        while !self.registry.is_closed() {
            self.check_closes();
            match listener.accept(pace.timeout()) {
                Ok(None) => pace.succeeded(),
                Ok(Some(stream)) => {
                    pace = Pace::new();
                    let admitted = self.admit(acceptor, stream);
                    if admitted.is_some() {
                        return admitted;
                    }
                }
                Err(error) => match error.kind() {
                    // The peer gave up while it waited; the next one may not have.
                    ErrorKind::Interrupted
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::ConnectionReset => {}
                    ErrorKind::InvalidInput => {
                        acceptor.close();
                        acceptor.fail(error);
                        return None;
                    }
                    // Out of descriptors or memory: what ends meanwhile gives some back.
                    _ if acceptor.release() => return None,
                    _ => {
                        self.callbacks.on_error(None, None, UpgradeError::Accept(error));
                        self.back_off(pace.back_off());
                    }
                },
            }
        }
        acceptor.close();
        None
    }

    /// Gives a stream its place, and if this thread is to serve it, returns it.
    fn admit(self: &Arc<Self>, acceptor: &Arc<Acceptor>, stream: TimedStream) -> Option<Admitted> {
        let shared = Arc::new(ConnectionShared::new(stream, Arc::clone(&self.server)));
        let Some(guard) = self.registry.register(&shared) else {
            let (why, error) = match self.registry.is_closed() {
                true => {
                    let error = UpgradeError::Rejected(Status::SERVICE_UNAVAILABLE);
                    ("the server is shutting down\n", error)
                }
                false => ("too many connections\n", UpgradeError::TooManyConnections),
            };
            self.reject(shared, why, error);
            return None;
        };
        if acceptor.release() {
            return Some((shared, guard));
        }
        let first = Some((Arc::clone(&shared), guard));
        if let Err(error) = self.spawn(acceptor, first) {
            self.reject(shared, "no thread for a connection\n", UpgradeError::Io(error));
        }
        None
    }

    /// Answers 503 without a wait: there is no place, or no thread to be had. The request is read
    /// and thrown away, so that the answer is not lost to a reset, if there is a thread for that.
    fn reject(self: &Arc<Self>, shared: Arc<ConnectionShared>, why: &str, error: UpgradeError) {
        let response = Response::new(Status::SERVICE_UNAVAILABLE, why).header("Retry-After", "1");
        let reply = upgrade::encoded(&response);
        let stream = shared.stream();
        // Nothing was sent before, so the socket has room for this.
        let _ = stream.write_all(&mut [IoSlice::new(&reply)], Duration::from_millis(10));
        stream.shutdown(Shutdown::Write);
        self.callbacks.on_error(stream.peer_addr(), None, error);
        if let Some(place) = LingerPermit::acquire(&self.lingering) {
            // Without a thread, the stream is dropped as it is.
            let _ = self.threads.start(move || {
                upgrade::linger(&shared);
                drop(place);
            });
        }
    }

    /// Waits so long, but not beyond the server's end.
    fn back_off(&self, mut left: Duration) {
        while !left.is_zero() && !self.registry.is_closed() {
            let nap = left.min(MAX_ACCEPT_TIMEOUT);
            thread::sleep(nap);
            left -= nap;
            self.check_closes();
        }
    }

    /// Ends connections whose peers do not answer our Close, if that was not done just before.
    fn check_closes(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let last = self.last_check.load(Ordering::Relaxed);
        if now.saturating_sub(last) >= CLOSE_CHECK_INTERVAL
            && self
                .last_check
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        {
            self.registry.expire();
        }
    }

    /// The life of a connection.
    fn serve(&self, shared: Arc<ConnectionShared>, guard: HandlerGuard) {
        let peer_addr = shared.stream().peer_addr();
        let (request, result) = match self.upgrade(shared, &guard) {
            Ok(None) => return,
            Ok(Some((conn, request))) => (Some(request), self.handle(conn)),
            Err(Unopened { error, request }) => (request, Err(error.into())),
        };
        if let Err(error) = result {
            self.callbacks.on_error(peer_addr, request.as_deref(), error);
        }
    }

    /// The opening handshake, with the application's say in it; `None` if a plain request was
    /// served instead.
    #[inline(never)]
    fn upgrade(
        &self,
        shared: Arc<ConnectionShared>,
        guard: &HandlerGuard,
    ) -> Result<Option<Opened>, Unopened> {
        let upgrade = match upgrade::read(shared)? {
            Incoming::Upgrade(upgrade) => upgrade,
            Incoming::Plain(plain) => {
                let request = plain.shared_request();
                let answered = self.answer(plain, &request);
                return answered
                    .map(|()| None)
                    .map_err(|error| Unopened { error, request: Some(request) });
            }
        };
        let request = upgrade.shared_request();
        let result = match self.callbacks.on_upgrade(&request) {
            // From the 101 on the client may count on a Close, so the registry knows before.
            Ok(Ok(accept)) => upgrade.accept_and(&accept, || guard.set_open()),
            Ok(Err(reject)) => Err(upgrade.reject(&reject)),
            Err(panicked) => {
                upgrade.apologise();
                Err(panicked)
            }
        };
        match result {
            Ok(conn) => Ok(Some((conn, request))),
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

    #[inline(never)]
    fn handle(&self, mut conn: Connection) -> Result<(), BoxError> {
        let shared = conn.closed_by_server();
        let result = catch_panic(|| (self.handler)(conn));
        let result =
            result.unwrap_or_else(|said| Err(format!("the handler panicked: {said}").into()));
        shared.finish(match result {
            Ok(()) => CloseAction::Abort(CloseCode::NORMAL, String::new()),
            Err(_) => CloseAction::Abort(CloseCode::INTERNAL_ERROR, String::new()),
        });
        result
    }
}

impl LingerPermit {
    fn acquire(count: &Arc<AtomicUsize>) -> Option<Self> {
        let others = count.fetch_add(1, Ordering::Relaxed);
        let place = Self(Arc::clone(count));
        (others < MAX_LINGERING).then_some(place)
    }
}

impl Drop for LingerPermit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
