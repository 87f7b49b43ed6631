//! Which pages may talk to the server (§10.2): origins as they are configured, and as they are held
//! against a request.
//!
//! A page is let in if its origin is on the list, or if it is the server's own: if its host and port
//! are those of the request's `Host`.

use std::{fmt, str};

use super::error::HandshakeError;
use super::grammar;
use super::head::RequestHead;

/// Where a page comes from (RFC 6454 §4): scheme, host and port.
///
/// Two are equal if they are as URLs: in upper or lower case, with the scheme's own port or none,
/// and however an IPv6 address is written.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    scheme: &'a str,
    /// Empty in `file://` alone.
    host: &'a str,
    /// `None` if it is the scheme's own.
    port: Option<u16>,
}

/// Why a text is no origin that could ever match. It prints as a line that says what would be
/// right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidOrigin {
    text: String,
    fault: Fault,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Empty,
    Wildcard,
    Null,
    Several,
    NoScheme,
    NotThePage,
    Path,
    UserInfo,
    WildcardHost,
    NotAscii,
    Host,
}

impl<'a> Origin<'a> {
    /// Reads `scheme://host[:port]`, as browsers send it in `Origin`. Any scheme may stand there:
    /// pages of extensions and of apps have their own.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigin`] for anything that no browser sends for a page: a path, be it a slash, no
    /// scheme, a list, a wildcard; and for `null`, which any page can send from a sandboxed frame.
    pub fn parse(text: &'a str) -> Result<Origin<'a>, InvalidOrigin> {
        Origin::read(text).map_err(|fault| InvalidOrigin { text: text.to_owned(), fault })
    }

    fn read(text: &'a str) -> Result<Origin<'a>, Fault> {
        match text {
            "" => return Err(Fault::Empty),
            "*" => return Err(Fault::Wildcard),
            _ if text.eq_ignore_ascii_case("null") => return Err(Fault::Null),
            _ if text.contains(is_separator) => return Err(Fault::Several),
            _ => {}
        }
        let (scheme, authority) = text.split_once("://").ok_or(Fault::NoScheme)?;
        // RFC 3986 §3.1.
        let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(rest) {
            return Err(Fault::NoScheme);
        }
        if ["ws", "wss"].iter().any(|other| other.eq_ignore_ascii_case(scheme)) {
            return Err(Fault::NotThePage);
        }
        for (is_wrong, fault) in [
            (authority.contains(['/', '?', '#']), Fault::Path),
            (authority.contains('@'), Fault::UserInfo),
            (authority.contains('*'), Fault::WildcardHost),
            (!authority.is_ascii(), Fault::NotAscii),
        ] {
            if is_wrong {
                return Err(fault);
            }
        }
        // What apps send whose pages are files.
        if authority.is_empty() && scheme.eq_ignore_ascii_case("file") {
            return Ok(Origin { scheme, host: "", port: None });
        }
        let (host, port) = grammar::host_and_port(authority.as_bytes()).ok_or(Fault::Host)?;
        let host = &authority[..host.len()];
        // Browsers undo escapes, and write what ends in a number as an IPv4 address (WHATWG URL).
        let last = host.rsplit('.').next().unwrap_or("");
        let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        if host.contains('%') || (is_number && !grammar::is_ipv4(host)) {
            return Err(Fault::Host);
        }
        Ok(Origin { scheme, host, port: port.filter(|port| Some(*port) != default_port(scheme)) })
    }

    /// Is it the origin of a page that this request's own server serves? The scheme may be either,
    /// as there may be a proxy that ends TLS.
    fn is_of(self, head: &RequestHead) -> bool {
        // RFC 9112 §3.2.2: in an absolute target, the authority stands for the Host.
        let host = head.header_values("Host").next();
        let authority = head.authority().map(str::as_bytes).or(host);
        let (Some(default), Some(authority)) = (default_port(self.scheme), authority) else {
            return false;
        };
        let own = grammar::host_and_port(authority);
        own.is_some_and(|(host, port)| {
            grammar::is_same_host(host, self.host.as_bytes())
                && port.unwrap_or(default) == self.port.unwrap_or(default)
        })
    }

    /// Is the host an address, or a name that only a network of its own knows?
    fn is_local(self) -> bool {
        self.host.starts_with('[') || !self.host.contains('.') || grammar::is_ipv4(self.host)
    }
}

impl PartialEq for Origin<'_> {
    fn eq(&self, other: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.port == other.port
            && grammar::is_same_host(self.host.as_bytes(), other.host.as_bytes())
    }
}

impl Eq for Origin<'_> {}

/// Holds `Origin` against a list of those allowed; an empty list allows all (§4.2.2 item 4, §10.2).
///
/// The list has them as [`Origin::parse`] reads them, and what it would refuse matches nobody. They
/// are compared as URLs are: scheme and host in any case, the default port like none. With a list,
/// `null` never passes: any page can send it from a sandboxed frame.
///
/// The server's own page always passes: one whose origin has the host and port of the request's
/// `Host`, over https or http. That is no proof that the name is the server's: whoever owns a name
/// can have it point here once his page is loaded (DNS rebinding), and `Host` and `Origin` are both
/// his then. A server that trusts where its users are has to judge `Host` as well, in
/// [`on_upgrade`](crate::Server::on_upgrade).
///
/// A request without `Origin` does not come from a browser and passes; this check protects
/// browsers' users, it does not authenticate clients.
///
/// # Errors
///
/// [`HandshakeError::RepeatedOrigin`] or [`HandshakeError::OriginNotAllowed`].
pub fn check_origin(head: &RequestHead, allowed: &[String]) -> Result<(), HandshakeError> {
    let Some(value) = head.single_value("Origin", HandshakeError::RepeatedOrigin)? else {
        return Ok(());
    };
    if allowed.is_empty() {
        return Ok(());
    }
    // §10.2: the server answers an origin that it does not want with 403.
    let origin = str::from_utf8(value).ok().and_then(|text| Origin::read(text).ok());
    let origin = origin.ok_or(HandshakeError::OriginNotAllowed)?;
    let mut listed = allowed.iter().filter_map(|text| Origin::read(text).ok());
    let ours = listed.any(|other| other == origin) || origin.is_of(head);
    if ours { Ok(()) } else { Err(HandshakeError::OriginNotAllowed) }
}

impl InvalidOrigin {
    /// What was meant, as far as it can be told.
    fn meant(&self) -> Option<String> {
        let parts = self.text.split(is_separator).filter(|part| !part.is_empty());
        let parts: Option<Vec<_>> = parts.map(mended).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.join(" and "))
    }
}

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = match self.fault {
            Fault::Empty => "is no origin",
            Fault::Wildcard => "is no origin",
            Fault::Null => "is what any page can send from a sandboxed frame",
            Fault::Several => "is more than one origin, or has a space, comma or semicolon in it",
            Fault::NoScheme => "has no scheme",
            Fault::NotThePage => "has the scheme of the server, and not of the page",
            Fault::Path => "goes on behind the host and port, where not even a slash may stand",
            Fault::UserInfo => "has a user name in it",
            Fault::WildcardHost => "has a wildcard in it; name each host",
            Fault::NotAscii => "is not ASCII; browsers send such a name as xn--...",
            Fault::Host => "has a malformed host or port",
        };
        write!(f, "{:?} {wrong}: ", self.text)?;
        match (self.fault, self.meant()) {
            (Fault::Empty | Fault::Wildcard, _) => f.write_str("list no origin to let in all"),
            (Fault::Null, _) => f.write_str("it cannot be let in, unless all are"),
            (_, Some(meant)) => write!(f, "write {meant}"),
            _ => f.write_str("write it like https://example.com or http://localhost:8080"),
        }
    }
}

impl std::error::Error for InvalidOrigin {}

/// The origin that this may have been meant to be.
fn mended(text: &str) -> Option<String> {
    let (scheme, rest) = match text.split_once(':') {
        // That is the colon of a port, or of an address.
        Some((start, rest))
            if start.starts_with('[') || rest.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            ("", text)
        }
        Some((scheme, rest)) => (scheme, rest),
        None => ("", text),
    };
    let rest = rest.trim_start_matches('/');
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let authority = authority.rsplit('@').next().unwrap_or("");
    let with = |scheme: &str| format!("{scheme}://{authority}");
    let mended = match &*scheme.to_ascii_lowercase() {
        "ws" => with("http"),
        "wss" => with("https"),
        "" => {
            let https = with("https");
            // What is local has no certificate.
            let local = Origin::read(&https).is_ok_and(Origin::is_local);
            if local { with("http") } else { https }
        }
        _ => with(scheme),
    };
    Origin::read(&mended).is_ok().then_some(mended)
}

fn is_separator(c: char) -> bool {
    c == ',' || c == ';' || c.is_whitespace()
}

/// The port that stands for itself where none is named (RFC 9110 §4.2).
fn default_port(scheme: &str) -> Option<u16> {
    let is = |name| scheme.eq_ignore_ascii_case(name);
    is("http").then_some(80).or(is("https").then_some(443))
}

#[cfg(test)]
mod tests;
