//! What lines of the log tell of a request: who asks for what. Not the query, which may hold a
//! token, nor what was offered.

use std::net::SocketAddr;

use barews::Request;

use crate::escape::{self, MOST};
use crate::json;

/// A field of a line in JSON: its name, and its value in JSON already.
pub(crate) type Field = (&'static str, String);

/// A peer.
pub(crate) fn peer(addr: Option<SocketAddr>) -> String {
    addr.map_or_else(|| "unix".to_owned(), |addr| addr.to_string())
}

/// A path, cut where it is long.
pub(crate) fn path(request: &Request) -> String {
    escape::start(request.path(), MOST).into_owned()
}

/// The peer, and of its request what is known: `127.0.0.1:5 GET /echo`.
pub(crate) fn asked(addr: Option<SocketAddr>, request: Option<&Request>) -> String {
    let peer = peer(addr);
    match request {
        None => peer,
        Some(request) => {
            format!("{peer} {} {}", escape::start(request.method(), MOST), path(request))
        }
    }
}

/// Where a request says it comes from: `, origin "https://a", agent "b"`.
pub(crate) fn from(request: Option<&Request>) -> String {
    let named = [("origin", "Origin"), ("agent", "User-Agent")];
    let told = named.iter().filter_map(|(what, name)| {
        let value = request?.header(name)?;
        Some(format!(", {what} {}", escape::quoted(&value)))
    });
    told.collect()
}

/// How many subprotocols are offered.
pub(crate) fn offers(request: &Request) -> usize {
    request.header_list("Sec-WebSocket-Protocol").count()
}

/// All of this for a line in JSON.
pub(crate) fn fields(addr: Option<SocketAddr>, request: Option<&Request>) -> Vec<Field> {
    let cut = |text: &str| json::string(&escape::start(text, MOST));
    let header = |name| {
        let value = request.and_then(|request| request.header(name));
        value.map_or_else(|| json::optional(None), |value| cut(&value))
    };
    let part = |part: Option<&str>| part.map_or_else(|| json::optional(None), cut);
    vec![
        ("peer", json::string(&peer(addr))),
        ("method", part(request.map(|request| request.method()))),
        ("path", part(request.map(|request| request.path()))),
        ("origin", header("Origin")),
        ("user_agent", header("User-Agent")),
    ]
}
