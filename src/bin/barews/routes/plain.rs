//! Plain HTTP: the page, health and metrics, and what is said on all other paths.

use barews::{Request, Response, Status};

use super::route::{Route, listing};
use super::values::{Wrong, decode_segment};
use crate::metrics::Metrics;
use crate::page;

/// What there is for plain HTTP.
const METHODS: &str = "GET, HEAD";

/// What there is to be had.
pub struct Pages<'a> {
    pub health: Response,
    /// `None` if they are not for here.
    pub metrics: Option<&'a Metrics>,
    /// One of the server's own making.
    pub certificate_pem: Option<&'a str>,
    /// The answer to a request that would get no WebSocket either.
    pub refuse: &'a dyn Fn(&Route) -> Option<Response>,
}

/// Answers a request that asks for no WebSocket.
pub fn answer(request: &Request, pages: &Pages<'_>) -> Response {
    // RFC 9110 §9.3.7: this is about the server, and no page.
    if request.target() == "*" {
        return Response::new(Status::NO_CONTENT, "").header("Allow", METHODS);
    }
    let path = request.path();
    // As everywhere, a slash at the end is none.
    let name = decode_segment(path[1..].strip_suffix('/').unwrap_or(&path[1..]));
    let page: Option<&dyn Fn() -> Response> = match name.as_deref() {
        Some("") if path == "/" => Some(&page::response),
        Some("healthz") => Some(&|| pages.health.clone()),
        Some("metrics") => Some(&|| match pages.metrics {
            Some(metrics) => self::metrics(metrics),
            None => Response::new(Status::NOT_FOUND, "the metrics are not for here\n"),
        }),
        Some("paths.json") => Some(&|| Response::json(Status::OK, listing::json())),
        // RFC 8555 §9.1 has this type for it.
        Some("cert.pem") if pages.certificate_pem.is_some() => Some(&|| {
            Response::new(Status::OK, pages.certificate_pem.unwrap_or_default())
                .header("Content-Type", "application/pem-certificate-chain")
        }),
        _ => None,
    };
    let route = Route::parse(path, request.query());
    if page.is_none() && route == Ok(Route::Echo) && !Route::is_known(path) {
        return Wrong::path("there is no page here, but one at /").response();
    }
    if !matches!(request.method(), "GET" | "HEAD") {
        // RFC 9110 §15.5.6: with what would be allowed.
        return Response::new(Status::METHOD_NOT_ALLOWED, "only GET and HEAD\n")
            .header("Allow", METHODS);
    }
    match page {
        Some(page) => page(),
        None => on_path(route, pages.refuse),
    }
}

/// All that is counted.
pub fn metrics(metrics: &Metrics) -> Response {
    Response::new(Status::OK, metrics.text())
        .header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
}

/// What a path for WebSocket says over plain HTTP: what is wrong with it; the answer that it stands
/// for; or that it wants an upgrade (RFC 9110 §15.5.22).
fn on_path(route: Result<Route, Wrong>, refuse: &dyn Fn(&Route) -> Option<Response>) -> Response {
    let refused = match &route {
        Err(wrong) => Some(wrong.response()),
        Ok(route) => refuse(route),
    };
    let wanted =
        "this path is for WebSocket: connect with a WebSocket client, or open / in a browser\n";
    refused.unwrap_or_else(|| Response::new(Status::UPGRADE_REQUIRED, wanted))
}
