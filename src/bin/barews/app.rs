//! What the server does with each request and each connection: the four callbacks of the library.
//!
//! ```text
//! on_upgrade: may this path be had?     ── refused: counted, logged, answered
//! on_request: plain HTTP                ── counted, logged if it failed
//! on_error:   what did not open         ── counted, logged
//! handle:     a connection's whole life ── a Session, and the path's function
//! ```

use std::sync::Arc;

use barews::{
    Accept, BoxError, Config, Connection, ErrorContext, Reject, Request, Response, ShutdownHandle,
    Status, UpgradeError,
};

#[cfg(feature = "backplane")]
use crate::backplane::{self, RedisBackplane};
use crate::cli::{self, Behaviour, Engine};
#[cfg(feature = "deflate")]
use crate::compression::Compression;
use crate::drain::{Drain, Progress};
#[cfg(feature = "tls")]
use crate::log::describe;
use crate::log::{Log, Throttle};
use crate::metrics::Metrics;
use crate::routes::by_hand::HandshakeFault;
use crate::routes::handle::Paths;
use crate::routes::opening::limits;
use crate::routes::opening::subprotocol::Subprotocols;
use crate::routes::plain::{self, Pages};
#[cfg(feature = "backplane")]
use crate::routes::rooms::LocalRooms;
use crate::routes::rooms::Rooms;
use crate::routes::route::Route;
use crate::routes::values::Wrong;
use crate::session::{Opened, Session, SessionShared, StopFlag};
#[cfg(feature = "tls")]
use crate::tls;
use crate::tls::Tls;

/// How many lines on handshakes of TLS that fail come in a row.
#[cfg(feature = "tls")]
const MAX_TLS_FAILURES: u64 = 10;

/// How long the end of the program waits for the last messages to other processes.
#[cfg(feature = "backplane")]
const FLUSH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

pub struct App {
    shared: Arc<SessionShared>,
    engine: Engine,
    behaviour: Behaviour,
    /// For `/cert.pem`.
    certificate_pem: Option<Arc<str>>,
    paths: Paths,
    /// Of lines on streams that cannot be accepted.
    accept_failures: Throttle,
    /// Of lines on handshakes of TLS that fail.
    #[cfg(feature = "tls")]
    tls_failures: Throttle,
}

impl App {
    pub fn new(log: Log, engine: Engine, behaviour: Behaviour, config: &Config, tls: &Tls) -> Self {
        let mut metrics = Metrics::new();
        metrics.engine = engine.name();
        metrics.features = cli::BUILT_IN.join(",");
        metrics.max_connections = config.limits.max_connections;
        metrics.log = Some(log.clone());
        #[cfg(feature = "tls")]
        metrics.set_tls(tls.identity());
        if behaviour.faults {
            metrics.expect_handshake_faults(HandshakeFault::ALL.iter().map(|fault| fault.name()));
        }
        let shared = SessionShared {
            log,
            log_messages: behaviour.log_messages,
            metrics,
            stop: StopFlag::default(),
        };
        let paths = Paths {
            rooms: Rooms::default(),
            limits: config.limits.clone(),
            timeouts: config.timeouts.clone(),
            show_credentials: behaviour.show_credentials,
        };
        Self {
            shared: Arc::new(shared),
            engine,
            behaviour,
            certificate_pem: tls.certificate_pem(),
            paths,
            accept_failures: Throttle::new(1),
            #[cfg(feature = "tls")]
            tls_failures: Throttle::new(MAX_TLS_FAILURES),
        }
    }

    /// Has the messages of rooms go to other processes too, and come from them.
    #[cfg(feature = "backplane")]
    pub fn with_backplane(mut self, settings: backplane::Settings) -> Result<Self, String> {
        let local = Arc::<LocalRooms>::default();
        let rooms = Arc::clone(&local);
        let deliver = Box::new(move |name: &str, message: &_| rooms.deliver(name, message));
        let backplane = RedisBackplane::start(settings, self.shared.log.clone(), deliver)?;
        let backplane = Arc::new(backplane);
        self.paths.rooms = Rooms::new(local, Arc::clone(&backplane) as _);
        self.metrics_mut().backplane = Some(backplane);
        Ok(self)
    }

    /// Tells of compression in the log and the metrics.
    #[cfg(feature = "deflate")]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.metrics_mut().compression = compression;
        self
    }

    /// For what is added to it before there is a connection.
    #[cfg(any(feature = "backplane", feature = "deflate"))]
    fn metrics_mut(&mut self) -> &mut Metrics {
        &mut Arc::get_mut(&mut self.shared).expect("no session has it yet").metrics
    }

    /// Accepts an upgrade if its path may be had.
    pub fn on_upgrade(&self, request: &Request) -> Result<Accept, Reject> {
        self.count_tls(request);
        if self.drain().is_over() {
            // It was turned away from elsewhere, or sent here by mistake.
            let why = "this server is drained";
            let response = Reject::new(Status::SERVICE_UNAVAILABLE, format!("{why}\n"));
            return Err(self.reject(request, response.header("Retry-After", "1"), why));
        }
        let wrong = |wrong: Wrong| self.reject(request, wrong.response(), &wrong.line);
        let route = Route::parse(request.path(), request.query()).map_err(wrong)?;
        if let Some((response, why)) = self.refuse(&route, request) {
            return Err(self.reject(request, response, &why));
        }
        let subprotocols = match route {
            Route::Subprotocol => &Subprotocols::First,
            _ => &self.behaviour.subprotocols,
        };
        let selected = subprotocols.select(request).map_err(|line| wrong(Wrong::query(line)))?;
        let accept = selected.map_or_else(Accept::new, |name| Accept::new().subprotocol(name));
        #[cfg(feature = "deflate")]
        let accept = accept.compress(!route.is_by_hand());
        Ok(match route {
            Route::Handshake(..) => accept.hijack(),
            Route::Limits(limits) => {
                accept.limits(limits::with_pings(*limits, &self.paths.timeouts))
            }
            _ => accept,
        })
    }

    /// The answer to a request that gets no WebSocket, and for the log why.
    fn refuse(&self, route: &Route, request: &Request) -> Option<(Response, String)> {
        if let Route::Limits(limits) = route {
            let wrong = limits::above(limits, &self.paths.limits, &self.paths.timeouts)?;
            return Some((wrong.response(), wrong.line));
        }
        route.refuse(request, self.behaviour.faults)
    }

    /// Counts and logs an answer in place of a connection.
    #[cold]
    #[inline(never)]
    pub fn reject(&self, request: &Request, response: Reject, why: &str) -> Reject {
        self.shared.metrics.count_refused(&UpgradeError::Rejected(response.status()));
        self.shared.log.log_refused(request.peer_addr(), Some(request), why);
        response
    }

    /// Answers plain HTTP.
    pub fn on_request(&self, request: &Request) -> Response {
        self.count_tls(request);
        let response = plain::answer(
            request,
            &Pages {
                health: self.health(),
                metrics: (!self.behaviour.private_metrics).then_some(&self.shared.metrics),
                certificate_pem: self.certificate_pem.as_deref(),
                refuse: &|route| self.refuse(route, request).map(|(response, _)| response),
            },
        );
        let status = response.status();
        self.shared.metrics.count_request(status);
        if status.code() >= 400 {
            let what = format_args!("answered {status}");
            let field = || ("status", status.code().to_string());
            self.shared.log.log_request("http", request.peer_addr(), Some(request), what, field);
        }
        response
    }

    /// Counts and logs a connection that did not open.
    pub fn on_error(&self, context: &ErrorContext<'_>, error: &BoxError) {
        // A handler's error was logged with the rest of its connection.
        let Some(error) = error.downcast_ref::<UpgradeError>() else { return };
        match error {
            // Our own answers were counted and logged when they were given.
            UpgradeError::Rejected(_) => {}
            // Nobody asked for anything.
            UpgradeError::NoRequest => self.shared.metrics.count_probe(),
            UpgradeError::Accept(_) => {
                self.shared.metrics.count_accept_failure();
                self.shared.log.log_throttled("accept_failed", None, &self.accept_failures, error);
            }
            #[cfg(feature = "tls")]
            UpgradeError::Tls(_) => {
                self.shared.metrics.count_refused(error);
                let peer = Some(describe::peer(context.peer_addr()));
                self.shared.log.log_throttled("tls_failed", peer, &self.tls_failures, error);
            }
            error => {
                self.shared.metrics.count_refused(error);
                self.shared.log.log_refused(
                    context.peer_addr(),
                    context.request(),
                    &error.to_string(),
                );
            }
        }
    }

    /// The life of a connection.
    pub fn handle(&self, conn: Connection) -> Result<(), BoxError> {
        // In a box: the stack of a connection has no room to spare in its last page.
        let mut session = Box::new(Session::open(&self.shared, Opened::from(&conn)));
        let request = conn.request();
        session.log_open(request);
        // It was parsed once before, or there would be no connection.
        let route = Route::parse(request.path(), request.query()).map_err(|wrong| wrong.line)?;
        session.is_raw = route.is_silent();
        let end = self.paths.handle(route, conn, &self.shared, &session.counters);
        let result = match &end.result {
            Ok(()) => Ok(()),
            // Only its kind matters to the library; the log has the rest.
            Err(error) => Err(error.to_string().into()),
        };
        session.end = Some(end);
        result
    }

    /// Whether messages of rooms go to other processes.
    #[cfg(feature = "event-loop")]
    pub fn has_backplane(&self) -> bool {
        #[cfg(feature = "backplane")]
        return self.shared.metrics.backplane.is_some();
        #[cfg(not(feature = "backplane"))]
        false
    }

    /// Sends to other processes what waits for that, before the program ends.
    #[cfg(feature = "backplane")]
    pub fn flush(&self) {
        if let Some(backplane) = &self.shared.metrics.backplane {
            backplane.flush(FLUSH_TIMEOUT);
        }
    }

    /// Whether clients are to be sent here.
    pub fn health(&self) -> Response {
        match self.drain().progress() {
            Progress::Serving => Response::new(Status::OK, "ok\n"),
            progress => {
                Response::new(Status::SERVICE_UNAVAILABLE, format!("{}\n", progress.name()))
            }
        }
    }

    /// All that is counted.
    pub fn metrics(&self) -> Response {
        plain::metrics(&self.shared.metrics)
    }

    pub fn engine(&self) -> Engine {
        self.engine
    }

    #[cfg(feature = "event-loop")]
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    #[cfg(feature = "event-loop")]
    pub fn shared(&self) -> &Arc<SessionShared> {
        &self.shared
    }

    pub fn drain(&self) -> &Arc<Drain> {
        &self.shared.metrics.drain
    }

    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// Serves from now on.
    pub fn arm(&self, server: ShutdownHandle) {
        self.drain().arm(server);
    }

    /// Ends what only waits.
    pub fn stop(&self) {
        self.drain().stop();
        self.shared.stop.set();
    }

    /// Counts a request that came over TLS.
    fn count_tls(&self, request: &Request) {
        #[cfg(feature = "tls")]
        if let Some(info) = request.tls() {
            self.shared.metrics.count_tls(tls::agreed::version(info));
        }
        #[cfg(not(feature = "tls"))]
        let _ = request;
    }
}
