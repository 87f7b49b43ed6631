//! How a client on this machine reaches a listener: a URL for a browser, a command for a shell.
//!
//! What listens on all interfaces is reached at the loopback of the same family, which is on every
//! machine. A Unix-domain socket has no URL, so curl and websocat are told the file.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// How to reach a listener.
#[derive(Debug, PartialEq, Eq)]
pub struct Reach {
    /// For a browser.
    pub url: Option<String>,
    /// For people: what to open, what to run.
    pub hint: String,
}

/// How to reach what listens here, which is written as `listen::display` does. One that speaks TLS
/// may have a certificate that nobody trusts yet.
pub fn reach(listener: &str, tls: bool, trusted: bool) -> Reach {
    match (listener.strip_prefix("unix:"), listener.parse::<SocketAddr>()) {
        (Some(path), _) => Reach { url: None, hint: unix(path, tls, trusted) },
        (None, Ok(addr)) => tcp(addr, tls, trusted),
        (None, Err(_)) => Reach { url: None, hint: String::new() },
    }
}

/// The address at which this machine reaches what listens there.
pub fn from_here(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(match addr {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    addr
}

fn tcp(addr: SocketAddr, tls: bool, trusted: bool) -> Reach {
    let everywhere = if addr.ip().is_unspecified() { " (all interfaces)" } else { "" };
    let here = from_here(addr);
    let (http, ws) = if tls { ("https", "wss") } else { ("http", "ws") };
    let insecure = if tls && !trusted { "--insecure " } else { "" };
    let url = format!("{http}://{here}/");
    let hint = format!("{everywhere} -- open {url} or run: websocat {insecure}{ws}://{here}/");
    Reach { url: Some(url), hint }
}

fn unix(path: &str, tls: bool, trusted: bool) -> String {
    let (curl, websocat, name) = match path.strip_prefix('@') {
        Some(name) => ("--abstract-unix-socket", "abstract", name),
        None => ("--unix-socket", "unix", path),
    };
    let file = quoted(name);
    if tls {
        // No address of websocat has both.
        let insecure = if trusted { "" } else { "--insecure " };
        return format!(" -- run: curl {insecure}{curl} {file} https://localhost/");
    }
    let ws = quoted(&format!("ws-c:{websocat}:{name}"));
    format!(" -- run: websocat --text - {ws} or: curl {curl} {file} http://localhost/")
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+:,@%".contains(c);
    match word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_and_websocat_would_use() {
        for (listener, tls, trusted, url, hint) in [
            ("127.0.0.1:1", false, false, "http://127.0.0.1:1/", "websocat ws://127.0.0.1:1/"),
            ("[::1]:1", false, false, "http://[::1]:1/", "websocat ws://[::1]:1/"),
            ("0.0.0.0:1", false, false, "http://127.0.0.1:1/", "websocat ws://127.0.0.1:1/"),
            ("[::]:1", true, true, "https://[::1]:1/", "websocat wss://[::1]:1/"),
            (
                "127.0.0.1:1",
                true,
                false,
                "https://127.0.0.1:1/",
                "websocat --insecure wss://127.0.0.1:1/",
            ),
        ] {
            let all = if listener.contains("[::]") || listener.starts_with('0') {
                " (all interfaces)"
            } else {
                ""
            };
            let hint = format!("{all} -- open {url} or run: {hint}");
            assert_eq!(reach(listener, tls, trusted), Reach { url: Some(url.to_owned()), hint });
        }
    }

    #[test]
    fn a_unix_domain_socket_has_no_url() {
        for (listener, tls, hint) in [
            (
                "unix:/run/a.sock",
                false,
                "websocat --text - ws-c:unix:/run/a.sock or: curl --unix-socket /run/a.sock http://localhost/",
            ),
            (
                "unix:@a",
                false,
                "websocat --text - ws-c:abstract:a or: curl --abstract-unix-socket a http://localhost/",
            ),
            (
                "unix:/a b'c",
                false,
                r"websocat --text - 'ws-c:unix:/a b'\''c' or: curl --unix-socket '/a b'\''c' http://localhost/",
            ),
            ("unix:/a", true, "curl --insecure --unix-socket /a https://localhost/"),
        ] {
            let hint = format!(" -- run: {hint}");
            assert_eq!(reach(listener, tls, false), Reach { url: None, hint });
        }
        assert_eq!(reach("?", false, false).hint, "");
    }
}
