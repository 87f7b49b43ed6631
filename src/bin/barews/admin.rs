//! The listener for those who run the server: health, metrics, and the drain.
//!
//! It is a server of its own in the same process, with few connections of its own, so it answers when
//! the other one has no place left, and until the very end. It speaks plain HTTP and nothing else,
//! and what goes on here is counted nowhere.
//!
//! Whoever reaches it may drain the server, so it is for this machine, or a network that is trusted.
//! A browser on this machine reaches it too, for any web page: a request that comes from a page has an
//! `Origin`, but for one to the page's own host. That host is the page's choice, and its name may lead
//! here (DNS rebinding), so what comes from this machine has to name it as no page can.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use barews::{
    Config, Limits, Listener, Reject, Request, Response, RunningServer, Server, Status, Timeouts,
};

use crate::app::App;
use crate::cli::values;
use crate::drain::MAX_DRAIN;
use crate::log::{Log, describe, json};
use crate::os::listen;

/// How many connections there may be: descriptors are kept for them.
pub const MAX_CONNECTIONS: usize = 64;

/// How long a drain takes if nobody says how long.
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

const PATHS: &str = "GET /healthz   whether to send clients here\n\
    GET /metrics   counters, for Prometheus\n\
    GET /drain     how far a drain has come\n\
    POST /drain?over=30s   ask all to go, over 0s to 1h\n\
    DELETE /drain  call it off\n";

/// Serves here, until what is returned is dropped; `None` if there is nowhere to.
pub fn start(
    listeners: Vec<Listener>,
    stack_size: Option<usize>,
    app: &Arc<App>,
) -> io::Result<Option<RunningServer>> {
    let mut listeners = listeners.into_iter();
    let Some(first) = listeners.next() else { return Ok(None) };
    let mut server = Server::from_listener(first)?;
    for listener in listeners {
        server = server.with_listener(listener)?;
    }
    let app = Arc::clone(app);
    let server = server.config(config(stack_size)).on_request(move |request| answer(request, &app));
    let server = server.on_upgrade(|_| Err(Reject::new(Status::NOT_FOUND, "no WebSocket here\n")));
    server.spawn(|_| Ok(())).map(Some)
}

/// Little of everything: who asks is near, and asks for little.
fn config(stack_size: Option<usize>) -> Config {
    Config {
        limits: Limits {
            max_connections: MAX_CONNECTIONS,
            max_connections_per_ip: MAX_CONNECTIONS,
            ..Limits::default()
        },
        timeouts: Timeouts {
            handshake: Duration::from_secs(5),
            close: Duration::from_secs(1),
            ..Timeouts::default()
        },
        stack_size,
        ..Config::default()
    }
}

/// What the log says of it at the start.
pub fn log_listening(log: &Log, listeners: &[Listener]) {
    for listener in listeners {
        let addr = listen::display(listener);
        log.log_event(
            "admin",
            || match addr.starts_with("unix:") {
                true => format!("admin on {addr}"),
                false => format!("admin on http://{addr}/"),
            },
            || vec![("address", json::string(&addr))],
        );
    }
}

/// What to say of an address that others than this machine can reach.
pub fn exposed(listeners: &[Listener]) -> Option<String> {
    let addrs = listeners.iter().map(listen::display);
    let exposed = addrs.filter(|addr| {
        addr.parse::<SocketAddr>().is_ok_and(|addr| !addr.ip().to_canonical().is_loopback())
    });
    let exposed: Vec<_> = exposed.collect();
    (!exposed.is_empty()).then(|| {
        let addrs = exposed.join(" and ");
        format!("--admin {addrs} is not for this machine alone: whoever reaches it may drain")
    })
}

fn answer(request: &Request, app: &App) -> Response {
    if let Some(wrong) = distrusted(request) {
        let peer = describe::peer(request.peer_addr());
        app.log().log_text("admin_refused", format!("admin refused {peer}: {wrong}"));
        return Response::new(Status::FORBIDDEN, format!("{wrong}\n"));
    }
    match (request.method(), request.path()) {
        ("GET" | "HEAD", "/") => Response::new(Status::OK, PATHS),
        ("GET" | "HEAD", "/healthz") => app.health(),
        ("GET" | "HEAD", "/metrics") => app.metrics(),
        ("GET" | "HEAD", "/drain") => state(app),
        ("POST", "/drain") => drain(request, app),
        ("DELETE", "/drain") => {
            if app.drain().cancel() {
                log(request, app, "drain called off".to_owned());
            }
            state(app)
        }
        (_, "/drain") => only("GET, HEAD, POST, DELETE"),
        (_, "/" | "/healthz" | "/metrics") => only("GET, HEAD"),
        _ => Response::new(Status::NOT_FOUND, PATHS),
    }
}

fn drain(request: &Request, app: &App) -> Response {
    let over = match request.query_value("over") {
        None => Ok(DEFAULT_DRAIN),
        Some(text) => values::time(&text).ok().filter(|time| *time <= MAX_DRAIN).ok_or(text),
    };
    let over = match over {
        Ok(over) => over,
        Err(text) => {
            let wrong = format!("over: {text:?} is not a time from 0s to 1h, such as 30s\n");
            return Response::new(Status::BAD_REQUEST, wrong);
        }
    };
    log(request, app, format!("drain over {over:?}"));
    match app.drain().start(over, app.log()) {
        Ok(()) => state(app),
        Err(error) => {
            let wrong = format!("cannot start a thread: {error}\n");
            Response::new(Status::SERVICE_UNAVAILABLE, wrong)
        }
    }
}

fn log(request: &Request, app: &App, what: String) {
    let peer = describe::peer(request.peer_addr());
    app.log().log_text("drain", format!("{what}, asked for by {peer}"));
}

fn state(app: &App) -> Response {
    Response::json(Status::OK, format!("{}\n", app.drain().json()))
        .header("Cache-Control", "no-store")
}

/// RFC 9110 §15.5.6: with what would be allowed.
fn only(methods: &str) -> Response {
    Response::new(Status::METHOD_NOT_ALLOWED, format!("only {methods}\n")).header("Allow", methods)
}

/// What is wrong with a request that a web page may have made.
fn distrusted(request: &Request) -> Option<&'static str> {
    if request.header_values("Origin").next().is_some() {
        return Some("requests of web pages (Origin) are not answered here");
    }
    let is_local = request.peer_addr().is_some_and(|addr| addr.ip().to_canonical().is_loopback());
    // In the target, which goes before it, and in Host.
    let host = request.header("Host");
    let mut names = request.authority().into_iter().chain(host.as_deref());
    let is_named = names.all(is_name_of_this_machine);
    (is_local && !is_named).then_some(
        "Host is a name that a web page could have: ask for an address, localhost or a name without dots",
    )
}

/// Whether a host, perhaps with a port, is an address or a name that is nobody's in the DNS.
fn is_name_of_this_machine(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().is_ok() || !host.contains('.') || host.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_page_has() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9100",
            "[::1]:9100",
            "[::1]",
            "localhost:1",
            "barews",
            "a.localhost",
        ] {
            assert!(is_name_of_this_machine(host), "{host}");
        }
        for host in ["a.example", "a.example:9100", "127.0.0.1.a.example", "localhost.a.example"] {
            assert!(!is_name_of_this_machine(host), "{host}");
        }
    }
}
