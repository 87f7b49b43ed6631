//! The head of a request as JSON, for `/headers`.
//!
//! Any web page may open a connection and read what comes back, while the browser sends the
//! cookies of this host along, of all its ports, HttpOnly or not. So what lets a user in is masked.

use crate::log::json;
use crate::session::Opened;
#[cfg(feature = "tls")]
use crate::tls::agreed;

/// What the names of headers have in them whose values let a user in: `Cookie`, `Authorization` and
/// `Proxy-Authorization`, and what proxies and applications call theirs.
const CREDENTIALS: [&str; 9] =
    ["cookie", "auth", "token", "secret", "password", "api-key", "apikey", "session", "jwt"];

/// The head, and the subprotocol and the extensions that were agreed to.
#[inline(never)]
pub fn json(opened: Opened<'_>, show_credentials: bool) -> String {
    let request = opened.request;
    #[cfg(feature = "deflate")]
    let extensions = opened.compression.map(ToString::to_string);
    #[cfg(not(feature = "deflate"))]
    let extensions: Option<String> = None;
    let addr = request.peer_addr().map(|addr| addr.to_string());
    let headers = request.headers().map(|(name, value)| {
        let value = match show_credentials || !is_credential(name) {
            true => String::from_utf8_lossy(value),
            false => format!("(masked, {} bytes)", value.len()).into(),
        };
        format!("[{},{}]", json::string(name), json::string(&value))
    });
    let headers = headers.collect::<Vec<_>>().join(",");
    json::object(&[
        ("method", json::string(request.method())),
        ("target", json::string(request.target())),
        ("path", json::string(request.path())),
        ("query", json::optional(request.query())),
        ("version", json::string(&format!("HTTP/1.{}", request.minor_version()))),
        ("peer", json::optional(addr.as_deref())),
        ("subprotocol", json::optional(opened.subprotocol)),
        ("extensions", json::optional(extensions.as_deref())),
        #[cfg(feature = "tls")]
        ("tls", request.tls().map_or_else(|| json::optional(None), agreed::json)),
        ("headers", format!("[{headers}]")),
    ])
}

fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIALS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_r_what_is_masked() {
        for name in [
            "Cookie",
            "COOKIE2",
            "authorization",
            "Proxy-Authorization",
            "X-Auth-Request-User",
            "X-Forwarded-Access-Token",
            "X-Api-Key",
            "Cf-Access-Jwt-Assertion",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in ["Host", "Origin", "User-Agent", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol"]
        {
            assert!(!is_credential(name), "{name}");
        }
    }
}
