//! The page at `GET /`.

use barews::{Response, Status};

const PAGE: &str = include_str!("page.html");

/// The page's own style and script and no others, by their hashes; connections to anywhere, since
/// it may serve as a client for other servers too.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-bT+zcMuR93dT9uU5dNiIdN0ln6qlRyGmiWKN412e8pw='; \
    script-src 'sha256-2+kHe7o2cfcDI6Ms/UZZgeSxgxUqGZtquUfe3+IQ7W8='; \
    connect-src 'self' ws: wss:; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn response() -> Response {
    Response::new(Status::OK, PAGE)
        .header("Content-Type", "text/html; charset=utf-8")
        .header("Content-Security-Policy", POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cache-Control", "no-cache")
}
