//! The same paths on event loops (`--engine event-loop`): what a thread would wait for, a connection
//! here is called for.
//!
//! ```text
//!   EventHandler ── open ──> Plan, by the path ── opened, message, pong, timer, drained ──> Turn ──> Outbox
//!        └─ needs_thread ──> App::handle, as on the other engine
//! ```
//!
//! A [`Session`] tells the log and the metrics of a connection on either engine, and what the paths have
//! in common is in `routes`. These have a thread of their own:
//!
//! - `/handshake`, `/invalid`, `/slow`, and `/close` with `delay` or `reply=none`: what they send is by hand, so
//!   they take the stream, and hold it;
//! - `/drop` and `/reset`: they end the stream in ways of their own;
//! - `/stall`: it reads nothing on purpose;
//! - `/fragment`: a message in fragments is written piece by piece, and waits for the peer in between;
//! - `/flood` of long messages: of one that its peer has no room for, a loop would keep a copy;
//! - `/broadcast` with `--backplane`: who posts waits for Redis.

mod turn;
mod echo;
mod delay;
mod produce;
mod ping;
mod room;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use barews::{
    BoxError, CloseInfo, Connection, EventHandler, Message, Outbox, Reject, Request, Sender, Status,
};

use self::turn::{Plan, Turn};
use crate::app::App;
use crate::routes::route::Route;
use crate::session::{End, Opened, Session};

/// The longest message of `/flood` that a loop sends, in bytes.
const MAX_FLOOD: usize = 256 << 10;

/// How many connections may have a thread, a little more in a rush: as many as there may be by default
/// where each has one. Loops may have more connections than a process may have threads.
const MAX_THREADS: usize = 8192;

/// Serves as `App` says, on event loops.
pub struct Handler {
    app: Arc<App>,
    /// How many connections have a thread.
    threads: AtomicUsize,
}

/// A connection.
pub struct Client {
    plan: Box<dyn Plan>,
    /// From the 101 on.
    session: Option<Session>,
    /// Whether a call is on: at the end, it has panicked.
    is_called: bool,
}

impl Handler {
    pub fn new(app: Arc<App>) -> Self {
        Self { app, threads: AtomicUsize::new(0) }
    }

    /// Whether a path waits for its peer, or holds the stream on purpose.
    fn blocks(&self, route: &Route) -> bool {
        match route {
            Route::Fragment(_) | Route::Drop(_) | Route::Reset(_) | Route::Stall => true,
            Route::Flood(len) => *len > MAX_FLOOD,
            Route::Broadcast(_) => self.app.has_backplane(),
            Route::Close { .. } | Route::Slow(_) | Route::Handshake(..) | Route::Invalid(_) => {
                route.is_by_hand()
            }
            Route::Echo
            | Route::Subprotocol
            | Route::Headers
            | Route::Limits(_)
            | Route::Auth(_)
            | Route::Status(_)
            | Route::Delay(_)
            | Route::Jitter(_)
            | Route::Ping(_)
            | Route::Count { .. }
            | Route::Tick(_) => false,
        }
    }

    /// What a connection does, by its path.
    fn plan(&self, route: Route) -> Box<dyn Plan> {
        match route {
            Route::Delay(delay) => Box::new(delay::Delayed::by(delay)),
            Route::Jitter(max) => Box::new(delay::Delayed::by_up_to(max)),
            Route::Close { code, reason, after, .. } => {
                Box::new(echo::Closing { code, reason, left: after.unwrap_or(0) })
            }
            Route::Headers => Box::new(echo::Headers(self.app.paths().show_credentials)),
            Route::Ping(interval) => Box::new(ping::Pinging::new(interval)),
            Route::Count { n, every } => Box::new(produce::Counting::to(n, every)),
            Route::Tick(every) => Box::new(produce::Counting::for_ever(every)),
            Route::Flood(len) => Box::new(produce::Flooding::new(len)),
            Route::Broadcast(name) => {
                Box::new(room::Member::new(self.app.paths().rooms.clone(), name))
            }
            // Nobody gets here with the others: they are answered, or have a thread.
            _ => Box::new(echo::Echo),
        }
    }
}

impl EventHandler for Handler {
    type State = Client;

    fn needs_thread(&self, request: &Request) -> bool {
        let route = Route::parse(request.path(), request.query());
        route.is_ok_and(|route| self.blocks(&route))
            && self.threads.load(Ordering::Relaxed) < MAX_THREADS
    }

    fn handle(&self, conn: Connection) -> Result<(), BoxError> {
        let _thread = Counted::new(&self.threads);
        self.app.handle(conn)
    }

    fn open(&self, request: &Request, _: Sender) -> Result<Client, Reject> {
        // It was parsed once before, or it would not have been accepted.
        let route = Route::parse(request.path(), request.query());
        let route = route.map_err(|wrong| wrong.response())?;
        if self.blocks(&route) {
            let why = "too many connections need a thread";
            let response = Reject::new(Status::SERVICE_UNAVAILABLE, format!("{why}\n"));
            return Err(self.app.reject(request, response.header("Retry-After", "1"), why));
        }
        Ok(Client { plan: self.plan(route), session: None, is_called: false })
    }

    fn opened(&self, client: &mut Client, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        let session = Session::open(self.app.shared(), Opened::from(&out.sender()));
        session.log_open(out.request());
        client.session = Some(session);
        client.call(out, |plan, turn| plan.opened(turn));
        Ok(())
    }

    fn message(
        &self,
        client: &mut Client,
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        client.call(out, |plan, turn| {
            turn.counters.count_received(message);
            plan.message(turn, message);
        });
        Ok(())
    }

    fn pong(
        &self,
        client: &mut Client,
        payload: &[u8],
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        client.call(out, |plan, turn| plan.pong(turn, payload));
        Ok(())
    }

    fn timer(&self, client: &mut Client, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        client.call(out, |plan, turn| plan.timer(turn));
        Ok(())
    }

    fn drained(&self, client: &mut Client, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        client.call(out, |plan, turn| plan.drained(turn));
        Ok(())
    }

    fn closed(&self, client: Client, how: CloseInfo) {
        let Client { plan, session, is_called } = client;
        // Who is in a room is in it no more by the time the log tells.
        drop(plan);
        if let Some(mut session) = session
            && !is_called
        {
            let result = how.error.map_or(Ok(()), Err);
            session.end = Some(End { result, received: how.close_frame });
        }
    }
}

/// Counts as one for as long as it is there.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Client {
    fn call(&mut self, out: &mut Outbox<'_>, f: impl FnOnce(&mut dyn Plan, &mut Turn<'_, '_>)) {
        let Some(session) = &self.session else { return };
        self.is_called = true;
        f(&mut *self.plan, &mut Turn { out, counters: &session.counters });
        self.is_called = false;
    }
}
