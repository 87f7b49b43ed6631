//! The page at `GET /`, a client for this server and others, in one document.
//!
//! Its sources lie beside this file, each for one concern, and are joined when the program is
//! compiled. The scripts share one scope, in the order they have here: each uses at once only what
//! those before it define. `tests/page/csp` reads the list too, for the hashes.

use barews::{Response, Status};

const PAGE: &str = concat!(
    include_str!("head.html"),
    "<style>\n",
    include_str!("style.css"),
    "</style>\n</head>\n",
    include_str!("body.html"),
    "<script>\n",
    include_str!("script/common.js"),
    include_str!("script/session.js"),
    include_str!("script/json.js"),
    include_str!("script/message.js"),
    include_str!("script/log.js"),
    include_str!("script/chart.js"),
    include_str!("script/refusal.js"),
    include_str!("script/connection.js"),
    include_str!("script/compose.js"),
    include_str!("script/export.js"),
    include_str!("script/paths.js"),
    include_str!("script/main.js"),
    "</script>\n</body>\n</html>\n",
);

/// The page's own style and script and no others, by their hashes; connections to anywhere, since
/// it may serve as a client for other servers too, and asks them by HTTP why they refused.
const POLICY: &str = "default-src 'none'; \
    style-src 'sha256-ZneS7NpPX8nHfMGWMLkRmvAw6Bm6/NI5UGWYCb/epwc='; \
    script-src 'sha256-/SgYWgLA5ojHBmanewhtTr+Bllf2/NG6tA7s6WED99E='; \
    connect-src 'self' ws: wss: http: https:; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub fn response() -> Response {
    Response::new(Status::OK, PAGE)
        .header("Content-Type", "text/html; charset=utf-8")
        .header("Content-Security-Policy", POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cache-Control", "no-cache")
}
