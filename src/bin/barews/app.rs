//! What the server does with each request and each connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use barews::{
    Accept, BoxError, Connection, ErrorContext, Reject, Request, Response, Status, Timeouts,
    UpgradeError,
};

use crate::escape::{self, MOST};
use crate::json;
use crate::limits::Budget;
use crate::log::Log;
use crate::log::request as describe;
use crate::log::throttle::Throttle;
use crate::metrics::Metrics;
use crate::routes::faults::{self, Cut};
use crate::routes::headers;
use crate::routes::rooms::Rooms;
use crate::routes::route::Route;
use crate::routes::stall::{self, Stop};
use crate::routes::subprotocol::Subprotocols;
use crate::routes::{echo, plain, stream};
use crate::session::Visit;

/// What the options say on how to serve.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    /// Whether violations may be had.
    pub(crate) faults: bool,
    /// Which subprotocols are agreed to.
    pub(crate) subprotocols: Subprotocols,
    /// Whether `/headers` tells what lets a user in.
    pub(crate) show_credentials: bool,
    /// Whether each message has a line in the log.
    pub(crate) log_messages: bool,
}

pub(crate) struct App {
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) stop: Stop,
    behaviour: Behaviour,
    rooms: Rooms,
    budget: Budget,
    /// Of lines on streams that cannot be accepted.
    accepting: Throttle,
    /// How long a connection may stall.
    idle: Duration,
    /// How often one that stalls looks whether its peer is there.
    ping: Duration,
}

impl App {
    pub(crate) fn new(log: Log, behaviour: Behaviour, timeouts: &Timeouts) -> Self {
        Self {
            log,
            metrics: Metrics::new(),
            stop: Stop::default(),
            behaviour,
            rooms: Rooms::default(),
            budget: Budget::new(),
            accepting: Throttle::default(),
            idle: timeouts.idle_timeout,
            ping: timeouts.ping_interval,
        }
    }

    /// Whether a path may be had.
    pub(crate) fn decide(&self, request: &Request) -> Result<Accept, Reject> {
        let refuse = |status, wrong: String| {
            self.metrics.refused(&UpgradeError::Rejected(status));
            self.refuse(request.peer_addr(), Some(request), &wrong);
            Reject::new(status, format!("{wrong}\n"))
        };
        let bad = |wrong| refuse(Status::BAD_REQUEST, wrong);
        let route = Route::parse(request.path(), request.query()).map_err(bad)?;
        if matches!(route, Route::Invalid(_)) && !self.behaviour.faults {
            let wrong = "this server serves no faults; start it with --faults";
            return Err(refuse(Status::FORBIDDEN, wrong.to_owned()));
        }
        let first = Subprotocols::First;
        let subprotocols =
            if route == Route::Subprotocol { &first } else { &self.behaviour.subprotocols };
        let agreed = subprotocols.choose(request).map_err(bad)?;
        Ok(agreed.map_or_else(Accept::new, |name| Accept::new().subprotocol(name)))
    }

    /// Answers plain HTTP.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let response = plain::answer(request, &self.metrics);
        let status = response.status();
        self.metrics.answered(status);
        if status.code() >= 400 {
            let addr = request.peer_addr();
            self.log.event(
                "http",
                || {
                    let asked = describe::asked(addr, Some(request));
                    format!("{asked} answered {status}{}", describe::from(Some(request)))
                },
                || {
                    let mut fields = describe::fields(addr, Some(request));
                    fields.push(("status", status.code().to_string()));
                    fields
                },
            );
        }
        response
    }

    /// Takes note of what the library tells: a connection that did not open, or a handler's error.
    pub(crate) fn hear(&self, context: &ErrorContext<'_>, error: &BoxError) {
        // A handler's error was logged with the rest of its connection.
        let Some(error) = error.downcast_ref::<UpgradeError>() else { return };
        match error {
            // Our own answers were counted and logged when they were given.
            UpgradeError::Rejected(_) => {}
            // Nobody asked for anything.
            UpgradeError::NoRequest => self.metrics.probed(),
            UpgradeError::Accept(_) => {
                self.metrics.accept_failed();
                self.accept_failed(error);
            }
            error => {
                self.metrics.refused(error);
                self.refuse(context.peer_addr(), context.request(), &error.to_string());
            }
        }
    }

    /// The life of a connection.
    pub(crate) fn serve(&self, conn: Connection) -> Result<(), BoxError> {
        let mut visit = Visit::begin(self, &conn);
        let request = conn.request();
        // It was parsed once before, or there would be no connection.
        let route = Route::parse(request.path(), request.query())?;
        visit.is_raw = matches!(route, Route::Invalid(_));
        let tally = &visit.tally;
        let budget = &self.budget;
        let end = match route {
            Route::Echo | Route::Subprotocol => echo::echo(conn, tally),
            Route::Headers => {
                let credentials = self.behaviour.show_credentials;
                let text = headers::json(request, conn.subprotocol(), credentials);
                echo::greet(conn, tally, budget, text)
            }
            Route::Close { code, reason, after } => echo::close(conn, tally, code, &reason, after),
            Route::Fragment(size) => echo::fragment(conn, tally, size),
            Route::Delay(delay) => echo::later(conn, tally, budget, || delay),
            Route::Jitter(most) => echo::later(conn, tally, budget, || echo::random(most)),
            Route::Broadcast(room) => self.rooms.attend(&room, conn, tally, budget),
            Route::Ping(every) => stream::ping(conn, tally, every),
            Route::Count(n) => stream::count(conn, tally, n),
            Route::Flood(len) => stream::flood(conn, tally, budget, len),
            Route::Drop(after) => faults::cut(conn, tally, after, Cut::End),
            Route::Reset(after) => faults::cut(conn, tally, after, Cut::Reset),
            Route::Invalid(kind) => faults::violate(conn, kind),
            Route::Stall => stall::stall(conn, tally, &self.stop, self.idle, self.ping),
        };
        let result = match &end.result {
            Ok(()) => Ok(()),
            // Only its kind matters to the library; the log has the rest.
            Err(error) => Err(error.to_string().into()),
        };
        visit.end = Some(end);
        result
    }

    /// Ends what only waits.
    pub(crate) fn stop(&self) {
        self.stop.set();
    }

    /// Whether messages have lines of their own.
    pub(crate) fn is_tracing(&self) -> bool {
        self.behaviour.log_messages && self.log.is_on()
    }

    fn refuse(&self, addr: Option<SocketAddr>, request: Option<&Request>, reason: &str) {
        let reason = escape::start(reason, MOST);
        self.log.event(
            "refused",
            || {
                let (asked, from) = (describe::asked(addr, request), describe::from(request));
                format!("{asked} refused: {reason}{from}")
            },
            || {
                let mut fields = describe::fields(addr, request);
                fields.push(("reason", json::string(&reason)));
                fields
            },
        );
    }

    /// Such errors come in floods, so they have a line now and then.
    fn accept_failed(&self, error: &UpgradeError) {
        let Some(left_out) = self.accepting.pass(Instant::now()) else { return };
        self.log.event(
            "accept_failed",
            || match left_out {
                0 => error.to_string(),
                n => format!("{error}, and {n} times before that"),
            },
            || {
                vec![
                    ("error", json::string(&error.to_string())),
                    ("left_out", left_out.to_string()),
                ]
            },
        );
    }
}
