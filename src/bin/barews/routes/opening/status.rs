//! `/status`: the answer that a client asks for, in place of the 101.
//!
//! Anyone may make a link to such an answer, and send somebody there who trusts this host. So it is
//! plain text in a sandbox whatever it says, what would outlive the request or lead away needs
//! `--faults`, and what steers HTTP or a proxy in front of us is not to be had at all.

use std::borrow::Cow;

use barews::{Response, Status};

use crate::routes::values::{Wrong, is_token, pairs, percent_decode};

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    status: Status,
    headers: Vec<(String, String)>,
    /// `None` for the status in words.
    body: Option<String>,
}

/// The most that a link may ask for.
const MAX_HEADERS: usize = 32;

/// In bytes.
const MAX_BODY: usize = 64 << 10;

/// What the library or this path writes by itself.
const OWN: [&str; 12] = [
    "Connection",
    "Content-Length",
    "Content-Security-Policy",
    "Content-Type",
    "Date",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "X-Content-Type-Options",
];

/// How the names begin that are the handshake's own, and those by which proxies are told to serve
/// another file or place (nginx, Apache, lighttpd, Perlbal).
const OWN_PREFIXES: [&str; 5] =
    ["sec-websocket-", "x-accel-", "x-sendfile", "x-lighttpd-", "x-reproxy-"];

/// What a browser keeps beyond the answer, or takes the visitor away by.
const LASTING: [&str; 24] = [
    "Accept-CH",
    "Alt-Svc",
    "Attribution-Reporting-Register-Source",
    "Attribution-Reporting-Register-Trigger",
    "Clear-Site-Data",
    "Content-Disposition",
    "Content-Security-Policy-Report-Only",
    "Critical-CH",
    "Expect-CT",
    "Link",
    "NEL",
    "Origin-Trial",
    "Public-Key-Pins",
    "Refresh",
    "Report-To",
    "Reporting-Endpoints",
    "Sec-Session-Registration",
    "Service-Worker-Allowed",
    "Set-Cookie",
    "Set-Cookie2",
    "Set-Login",
    "Speculation-Rules",
    "Strict-Transport-Security",
    "Use-As-Dictionary",
];

impl Answer {
    /// What the code, from 200 to 599, and the query ask for.
    #[inline(never)]
    pub fn parse(code: u16, query: Option<&str>) -> Result<Self, Wrong> {
        let status = Status::new(code).unwrap_or(Status::OK);
        let mut answer = Self { status, headers: Vec::new(), body: None };
        for (name, value) in pairs(query) {
            match name {
                "header" => answer.headers.push(header(value)?),
                "body" => answer.body = Some(body(value)?),
                _ => {}
            }
        }
        if answer.headers.len() > MAX_HEADERS {
            return Err(Wrong::query(format!("/status: at most {MAX_HEADERS} headers")));
        }
        answer.add_defaults();
        Ok(answer)
    }

    /// What makes an answer of this status whole, unless a header says so already.
    fn add_defaults(&mut self) {
        let default = match self.status.code() {
            // RFC 9110 §11.6.1, §10.2.2, §10.2.3.
            401 => ("WWW-Authenticate", "Basic realm=\"barews\""),
            301 | 302 | 303 | 307 | 308 => ("Location", "/echo"),
            429 | 503 => ("Retry-After", "1"),
            _ => return,
        };
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(default.0)) {
            self.headers.push((default.0.to_owned(), default.1.to_owned()));
        }
    }

    /// What of it needs `--faults`; `host` is what the client calls this server.
    pub fn needs_faults(&self, host: Option<&str>) -> Option<Wrong> {
        let lasts = |(name, value): &&(String, String)| {
            is_one_of(name, &LASTING)
                || name.eq_ignore_ascii_case("Location") && !stays_here(value, host)
        };
        let (name, _) = self.headers.iter().find(lasts)?;
        let why = match name.eq_ignore_ascii_case("Location") {
            true => "a Location elsewhere than on this host",
            false => name,
        };
        Some(Wrong::forbidden(format!(
            "/status: {why} may outlive the request or lead a visitor away; start the server with \
             --faults"
        )))
    }

    pub fn response(&self) -> Response {
        let body = match (self.status.code(), &self.body) {
            // RFC 9110 §15.3.5, §15.3.6, §15.4.5: no content at all.
            (204 | 205 | 304, _) => String::new(),
            (_, Some(body)) => body.clone(),
            (_, None) => format!("{}\n", self.status.to_string().trim_end()),
        };
        let response = Response::new(self.status, body)
            .header("Content-Type", "text/plain; charset=utf-8")
            .header("Content-Security-Policy", "sandbox; default-src 'none'")
            .header("X-Content-Type-Options", "nosniff");
        let headers = self.headers.iter();
        headers.fold(response, |response, (name, value)| response.header(name, value))
    }
}

fn header(value: &str) -> Result<(String, String), Wrong> {
    let text = percent_decode(value);
    let header = text.as_deref().and_then(|text| text.split_once(':'));
    let (name, value) = header
        .ok_or_else(|| Wrong::query("/status: a header is Name:value, percent-encoded UTF-8"))?;
    let value = value.trim_matches([' ', '\t']);
    // RFC 9110 §5.1, §5.5: nothing of it may end the line.
    if !is_token(name) || value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(Wrong::query(
            "/status: a header's name is a token, and its value has no control characters",
        ));
    }
    let lower = name.to_ascii_lowercase();
    if is_one_of(name, &OWN) || OWN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(Wrong::query(format!("/status: the header {name} is the server's own")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn body(value: &str) -> Result<String, Wrong> {
    let body = percent_decode(value).filter(|body| body.len() <= MAX_BODY);
    let wrong = "/status: body is percent-encoded UTF-8, 64 KiB at most";
    body.map(Cow::into_owned).ok_or_else(|| Wrong::query(wrong))
}

/// Whether a redirect leads to this host. What browsers make of backslashes and blanks is none of it.
fn stays_here(location: &str, host: Option<&str>) -> bool {
    if !location.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return false;
    }
    let rest = match location.split_once("://") {
        Some(("http" | "https" | "ws" | "wss", rest)) => {
            let (authority, _) = rest.split_once(['/', '?', '#']).unwrap_or((rest, ""));
            return host.is_some_and(|host| host == authority);
        }
        _ => location.strip_prefix('/'),
    };
    rest.is_some_and(|rest| !rest.starts_with('/'))
}

fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(query: &str) -> Result<Option<u16>, Wrong> {
        let answer = Answer::parse(302, Some(query))?;
        Ok(answer.needs_faults(Some("a:1")).map(|wrong| wrong.status.code()))
    }

    #[test]
    fn where_redirects_may_lead() {
        for here in ["/", "/echo?x=//y", "http://a:1", "ws://a:1/x", "wss://a:1?x", "https://a:1#x"]
        {
            assert!(stays_here(here, Some("a:1")), "{here}");
        }
        for elsewhere in [
            "",
            "//b",
            "/\\b",
            "\\\\b",
            "/\t/b",
            "echo",
            "http:/b",
            "http:///b",
            "http://b",
            "http://a:1@b",
            "http://a:1.b",
            "http://a:1\\@b",
            "HTTP://a:1",
            "javascript://a:1/%0aalert()",
            "data:,x",
            "/x y",
            "/ü",
        ] {
            assert!(!stays_here(elsewhere, Some("a:1")), "{elsewhere}");
            assert!(!stays_here(elsewhere, None), "{elsewhere}");
        }
        assert!(!stays_here("http://a:1", None));
    }

    #[test]
    fn what_a_link_may_ask_for() {
        for fine in
            ["", "header=Retry-After:1", "header=X:", "header=Location:+/ws", "x=1&header=A:b"]
        {
            assert_eq!(refused(fine), Ok(None), "{fine}");
        }
        for lasting in ["set-cookie:a=b", "REFRESH:0", "Alt-Svc:x", "Location://b", "Link:x"] {
            assert_eq!(refused(&format!("header={lasting}")), Ok(Some(403)), "{lasting}");
        }
        for wrong in [
            "X",
            "",
            ":x",
            "a b:x",
            "X:%0d%0aY:z",
            "X:%00",
            "X:%ff",
            "%58%0a:x",
            "content-length:0",
            "Sec-WebSocket-Accept:x",
            "X-Accel-Redirect:/x",
            "Date:x",
            "Content-Type:text/html",
        ] {
            assert!(refused(&format!("header={wrong}")).is_err(), "{wrong}");
        }
        let many = |n| vec!["header=A:b"; n].join("&");
        assert!(refused(&many(32)).is_ok() && refused(&many(33)).is_err());
        let body = |n| format!("body={}", "x".repeat(n));
        assert!(refused(&body(65_536)).is_ok() && refused(&body(65_537)).is_err());
    }
}
