//! What the server does with each request and each connection.

use std::net::SocketAddr;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use barews::http::Refusal;
use barews::{Accept, BoxError, Connection, Reject, Request, Response, Status, UpgradeError};

use crate::budget::Budget;
use crate::faults::Cut;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::rooms::Rooms;
use crate::route::Route;
use crate::visit::{End, Visit, peer};
use crate::{echo, faults, json, page, stream};

pub(crate) struct App {
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    rooms: Rooms,
    budget: Budget,
    /// Whether violations may be had.
    faults: bool,
    /// How long a connection may stall.
    idle: Duration,
    stopping: Mutex<bool>,
    stopped: Condvar,
}

impl App {
    pub(crate) fn new(log: Log, faults: bool, idle: Duration) -> Self {
        Self {
            log,
            metrics: Metrics::new(),
            rooms: Rooms::default(),
            budget: Budget::new(),
            faults,
            idle,
            stopping: Mutex::new(false),
            stopped: Condvar::new(),
        }
    }

    /// Whether a path may be had.
    pub(crate) fn decide(&self, request: &Request) -> Result<Accept, Reject> {
        let route = Route::parse(request.path(), request.query()).map_err(|wrong| {
            self.refuse(request.peer_addr(), &wrong);
            Reject::new(Status::BAD_REQUEST, format!("{wrong}\n"))
        })?;
        match route {
            Route::Invalid(_) if !self.faults => {
                let wrong = "this server serves no faults; start it with --faults";
                self.refuse(request.peer_addr(), wrong);
                Err(Reject::new(Status::FORBIDDEN, format!("{wrong}\n")))
            }
            Route::Subprotocol => {
                let first = request.elements("Sec-WebSocket-Protocol").next();
                // The handshake let nothing through but tokens, which are ASCII.
                let first = first.map(|name| String::from_utf8_lossy(name).into_owned());
                Ok(first.map_or_else(Accept::new, |name| Accept::new().protocol(name)))
            }
            _ => Ok(Accept::new()),
        }
    }

    /// Answers plain HTTP.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let is_read = matches!(request.method(), "GET" | "HEAD");
        let response = match request.path() {
            "/" | "/healthz" | "/metrics" if !is_read => {
                Response::new(Status::METHOD_NOT_ALLOWED, "only GET and HEAD\n")
                    .header("Allow", "GET, HEAD")
            }
            "/" => page::response(),
            "/healthz" => Response::new(Status::OK, "ok\n"),
            "/metrics" => Response::new(Status::OK, self.metrics.text())
                .header("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),
            _ => Refusal::NotWebSocket.response(),
        };
        if response.status() != Status::OK {
            self.refuse(request.peer_addr(), &format!("{} for plain HTTP", response.status()));
        }
        response
    }

    /// Takes note of what the library tells: a connection that did not open, or a handler's error.
    pub(crate) fn hear(&self, peer: Option<SocketAddr>, error: &BoxError) {
        // A handler's error was logged with the rest of its connection.
        let Some(error) = error.downcast_ref::<UpgradeError>() else { return };
        self.metrics.refused(error);
        // Our own answers were logged when they were given.
        if !matches!(error, UpgradeError::Answered(_)) {
            self.refuse(peer, &error.to_string());
        }
    }

    /// The life of a connection.
    pub(crate) fn serve(&self, conn: Connection) -> Result<(), BoxError> {
        let mut visit = Visit::begin(self, &conn);
        let request = conn.request();
        // It was parsed once before, or there would be no connection.
        let route = Route::parse(request.path(), request.query())?;
        let tally = &visit.tally;
        let budget = &self.budget;
        let end = match route {
            Route::Echo | Route::Subprotocol => echo::echo(conn, tally),
            Route::Headers => {
                let text = headers(request);
                echo::greet(conn, tally, &text)
            }
            Route::Close { code, reason, after } => echo::close(conn, tally, code, &reason, after),
            Route::Fragment(size) => echo::fragment(conn, tally, size),
            Route::Delay(delay) => echo::later(conn, tally, budget, || delay),
            Route::Jitter(most) => echo::later(conn, tally, budget, || echo::random(most)),
            Route::Broadcast(room) => self.rooms.attend(&room, conn, tally, budget),
            Route::Ping(every) => stream::ping(conn, tally, every),
            Route::Count(n) => stream::count(conn, tally, n),
            Route::Flood(len) => stream::flood(conn, tally, len),
            Route::Drop(after) => faults::cut(conn, tally, after, Cut::End),
            Route::Reset(after) => faults::cut(conn, tally, after, Cut::Reset),
            Route::Invalid(kind) => faults::violate(conn, kind),
            Route::Stall => self.stall(conn),
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
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stopped.notify_all();
    }

    /// Reads nothing, for as long as a silent peer would be waited for.
    #[inline(never)]
    fn stall(&self, conn: Connection) -> End {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let most = self.idle.min(Duration::from_secs(86_400));
        drop(self.stopped.wait_timeout_while(stopping, most, |stopping| !*stopping));
        End { result: conn.into_raw().map(drop), close: None }
    }

    fn refuse(&self, addr: Option<SocketAddr>, reason: &str) {
        let peer = peer(addr);
        self.log.event(
            "refused",
            || format!("{peer} refused: {reason}"),
            || vec![("peer", json::string(&peer)), ("reason", json::string(reason))],
        );
    }
}

/// The head of a request as JSON.
#[inline(never)]
fn headers(request: &Request) -> String {
    let headers = request.headers().map(|(name, value)| {
        let value = String::from_utf8_lossy(value);
        format!("[{},{}]", json::string(name), json::string(&value))
    });
    let headers = headers.collect::<Vec<_>>().join(",");
    let addr = request.peer_addr().map(|addr| addr.to_string());
    json::object(&[
        ("method", json::string(request.method())),
        ("target", json::string(request.target())),
        ("path", json::string(request.path())),
        ("query", json::optional(request.query())),
        ("version", json::string(&format!("HTTP/1.{}", request.minor_version()))),
        ("peer", json::optional(addr.as_deref())),
        ("headers", format!("[{headers}]")),
    ])
}
