//! Plain HTTP: the page, health and metrics, and what is said on all other paths.

use barews::{Request, Response, Status};

use super::route::{Route, listing};
use super::values::{Wrong, decode_segment};
use crate::metrics::Metrics;
use crate::page;

/// What there is for plain HTTP.
const METHODS: &str = "GET, HEAD";

/// Answers a request that asks for no WebSocket. `certificate_pem` is one of the server's own making,
/// and `faults` whether clients may ask for what is dangerous.
pub fn answer(
    request: &Request,
    metrics: &Metrics,
    certificate_pem: Option<&str>,
    faults: bool,
) -> Response {
    // RFC 9110 §9.3.7: this is about the server, and no page.
    if request.target() == "*" {
        return Response::new(Status::NO_CONTENT, "").header("Allow", METHODS);
    }
    let path = request.path();
    // As everywhere, a slash at the end is none.
    let name = decode_segment(path[1..].strip_suffix('/').unwrap_or(&path[1..]));
    let page: Option<&dyn Fn() -> Response> = match name.as_deref() {
        Some("") if path == "/" => Some(&page::response),
        Some("healthz") => Some(&|| Response::new(Status::OK, "ok\n")),
        Some("metrics") => Some(&|| {
            Response::new(Status::OK, metrics.text())
                .header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        }),
        Some("paths.json") => Some(&|| Response::json(Status::OK, listing::json())),
        // RFC 8555 §9.1 has this type for it.
        Some("cert.pem") if certificate_pem.is_some() => Some(&|| {
            Response::new(Status::OK, certificate_pem.unwrap_or_default())
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
        None => on_path(request, route, faults),
    }
}

/// What a path for WebSocket says over plain HTTP: what is wrong with it; the answer that it stands
/// for; or that it wants an upgrade (RFC 9110 §15.5.22).
fn on_path(request: &Request, route: Result<Route, Wrong>, faults: bool) -> Response {
    let refused = match &route {
        Err(wrong) => Some(wrong.response()),
        Ok(route) => route.refuse(request, faults).map(|(response, _)| response),
    };
    let wanted =
        "this path is for WebSocket: connect with a WebSocket client, or open / in a browser\n";
    refused.unwrap_or_else(|| Response::new(Status::UPGRADE_REQUIRED, wanted))
}
