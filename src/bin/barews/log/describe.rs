//! What lines of the log tell of a request: who asks for what. Not the query, which may hold a
//! token, nor what was offered.

use std::net::SocketAddr;

use barews::Request;

use super::{escape, json};

/// A field of a line in JSON: its name, and its value in JSON already.
pub type Field = (&'static str, String);

pub fn peer(addr: Option<SocketAddr>) -> String {
    addr.map_or_else(|| "unix".to_owned(), |addr| addr.to_string())
}

/// A path, cut where it is long. What stands behind `/auth/basic/` and the like is for tests, but
/// might be somebody's own.
pub fn path(request: &Request) -> String {
    let path = request.path();
    let mut segments = path.split('/').skip(1);
    let is_auth = segments.next().is_some_and(|name| name.eq_ignore_ascii_case("auth"));
    match segments.next() {
        Some(scheme) if is_auth && segments.next().is_some() => {
            format!("/auth/{}/…", escape::shown(scheme))
        }
        _ => escape::shown(path).into_owned(),
    }
}

/// The peer, and of its request what is known: `127.0.0.1:5 GET /echo`.
pub fn request(addr: Option<SocketAddr>, request: Option<&Request>) -> String {
    let line =
        request.map(|request| format!(" {} {}", escape::shown(request.method()), path(request)));
    peer(addr) + &line.unwrap_or_default()
}

/// Where a request says it comes from: `, origin "https://a", agent "b"`.
pub fn client(request: Option<&Request>) -> String {
    let named = [("origin", "Origin"), ("agent", "User-Agent")];
    let sent = named.iter().filter_map(|(what, name)| {
        let value = request?.header(name)?;
        Some(format!(", {what} {}", escape::quoted(&value)))
    });
    sent.collect()
}

/// How many subprotocols are offered.
pub fn subprotocols_offered(request: &Request) -> usize {
    request.header_list("Sec-WebSocket-Protocol").count()
}

/// All of this for a line in JSON.
pub fn fields(addr: Option<SocketAddr>, request: Option<&Request>) -> Vec<Field> {
    let text = |text: Option<&str>| json::optional(text.map(escape::shown).as_deref());
    let header = |name| text(request.and_then(|request| request.header(name)).as_deref());
    vec![
        ("peer", json::string(&peer(addr))),
        ("method", text(request.map(|request| request.method()))),
        ("path", json::optional(request.map(path).as_deref())),
        ("origin", header("Origin")),
        ("user_agent", header("User-Agent")),
    ]
}
