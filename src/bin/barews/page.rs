//! The page at `GET /`.

use barews::{Response, Status};

const PAGE: &str = include_str!("page.html");

/// The page's own style and script and no others, by their hashes; connections to anywhere, since
/// it may serve as a client for other servers too.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-A31x4N7C6IMfFI4ySIV7J/ajgbI1by719jVVPxn+psU='; \
    script-src 'sha256-YqJJZs3hfvZIPyCVWMfPoQE9M7+h7L5PRcSdeM2x3W4='; \
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
