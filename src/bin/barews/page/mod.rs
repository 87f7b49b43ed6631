//! The page at `GET /`.

use barews::{Response, Status};

const PAGE: &str = include_str!("page.html");

/// The page's own style and script and no others, by their hashes; connections to anywhere, since
/// it may serve as a client for other servers too.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-NLul+q45Kd6OjhCPOkuVb93D9gz1ChvDDytadNp9MXs='; \
    script-src 'sha256-FcKNh2Q3Do6IOSEoCzi4RM8S08M5kBOF5xHPJU+xQIU='; \
    connect-src 'self' ws: wss:; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub fn response() -> Response {
    Response::new(Status::OK, PAGE)
        .header("Content-Type", "text/html; charset=utf-8")
        .header("Content-Security-Policy", POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cache-Control", "no-cache")
}
