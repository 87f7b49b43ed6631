//! Plain HTTP: the page, health and metrics, and what is said on all other paths.

use barews::{Request, Response, Status};

use super::route::Route;
use crate::metrics::Metrics;
use crate::page;

/// What there is for plain HTTP.
const METHODS: &str = "GET, HEAD";

/// Answers a request that asks for no WebSocket.
/// `certificate_pem` is one of the server's own making.
pub fn answer(request: &Request, metrics: &Metrics, certificate_pem: Option<&str>) -> Response {
    // RFC 9110 §9.3.7: this is about the server, and no page.
    if request.target() == "*" {
        return Response::new(Status::NO_CONTENT, "").header("Allow", METHODS);
    }
    let certificate_pem = certificate_pem.filter(|_| request.path() == "/cert.pem");
    let is_page =
        matches!(request.path(), "/" | "/healthz" | "/metrics") || certificate_pem.is_some();
    if !is_page && !Route::is_known(request.path()) {
        let wrong = "there is no page here, but one at /\n";
        return Response::new(Status::NOT_FOUND, wrong);
    }
    if !matches!(request.method(), "GET" | "HEAD") {
        // RFC 9110 §15.5.6: with what would be allowed.
        return Response::new(Status::METHOD_NOT_ALLOWED, "only GET and HEAD\n")
            .header("Allow", METHODS);
    }
    if let Some(pem) = certificate_pem {
        // RFC 8555 §9.1 has this type for it.
        return Response::new(Status::OK, pem)
            .header("Content-Type", "application/pem-certificate-chain");
    }
    match request.path() {
        "/" => page::response(),
        "/healthz" => Response::new(Status::OK, "ok\n"),
        "/metrics" => Response::new(Status::OK, metrics.text())
            .header("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),
        path => upgrade_required(path, request.query()),
    }
}

/// RFC 9110 §15.5.22: what a path of ours wants, and what is wrong with it besides.
fn upgrade_required(path: &str, query: Option<&str>) -> Response {
    let mut text =
        "this path is for WebSocket: connect with a WebSocket client, or open / in a browser\n"
            .to_owned();
    if let Err(wrong) = Route::parse(path, query) {
        text = format!("{text}{wrong}\n");
    }
    Response::new(Status::UPGRADE_REQUIRED, text)
}
