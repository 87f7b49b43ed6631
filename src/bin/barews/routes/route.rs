//! What a path asks for.

use std::time::Duration;

use barews::CloseCode;

use super::faults::INVALID_FRAMES;

/// Every path with its behaviour, for the help and the manual.
pub const PATHS: &[(&str, &str)] = &[
    ("/, /echo, /ws, any other", "echo: text as text, binary as binary"),
    ("/broadcast/{room}", "each message to all in the room, its sender too"),
    ("/close/{code}?reason=R&after=N", "close with that code after N messages [0]"),
    ("/delay/{ms}", "echo so much later; 1,000 or 1 MiB may wait"),
    ("/jitter/{max ms}", "the same by a random time, in order"),
    ("/fragment/{bytes}", "echo in fragments of that size"),
    ("/ping/{seconds}", "server pings; a JSON text on each pong; echo"),
    ("/count/{n}", "n text messages, 1 to n, then a close"),
    ("/flood/{bytes}", "binary messages as fast as the client reads"),
    ("/headers", "the request's head as a JSON text, then echo"),
    ("/subprotocol", "always the first subprotocol offered; echo"),
    ("any path?subprotocol=NAME", "agrees to that one, or to none; else 400"),
    ("/drop/{n}", "n echoes, then TCP closed with no Close frame"),
    ("/reset/{n}", "n echoes, then a TCP reset (RST)"),
    ("/stall", "reads nothing, until the idle timeout; pings"),
    ("/invalid/{kind}", "one violation, with --faults; kind is"),
    ("", "utf8, rsv, opcode, masked, length, continuation"),
];

/// The same for plain HTTP.
pub const PLAIN: &[(&str, &str)] = &[
    ("GET /", "a page to try all this from a browser"),
    ("GET /healthz", "ok"),
    ("GET /metrics", "counters in the text format of Prometheus"),
    #[cfg(feature = "tls")]
    ("GET /cert.pem", "the certificate of --tls-self-signed"),
];

/// In bytes.
const MAX_ROOM_NAME: usize = 255;

/// In milliseconds.
const MAX_DELAY: u64 = 60_000;

/// The longest message or fragment that a path makes, in bytes.
const MAX_SIZE: u64 = 16 << 20;

#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    Echo,
    Broadcast(String),
    Close {
        code: CloseCode,
        reason: String,
        after: u64,
    },
    Delay(Duration),
    Jitter(Duration),
    Fragment(usize),
    Ping(Duration),
    Count(u64),
    Flood(usize),
    Headers,
    Subprotocol,
    Drop(u64),
    Reset(u64),
    Stall,
    /// Sends this frame.
    Invalid(&'static [u8]),
}

impl Route {
    /// Whether a path is one of those that are documented: others echo too, but over plain HTTP
    /// they are nothing.
    pub fn is_known(path: &str) -> bool {
        let first = |path: &'static str| path.strip_prefix('/')?.split(['/', '?']).next();
        let mut names = PATHS.iter().flat_map(|(paths, _)| paths.split(", ")).filter_map(first);
        let name = path[1..].split('/').next().filter(|name| !name.is_empty());
        name.is_some_and(|name| names.any(|other| other == name))
    }

    /// What a path and a query ask for, or a line on what would be right.
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, String> {
        let (name, value) = match path[1..].split_once('/') {
            Some((name, value)) => (name, Some(value)),
            None => (&path[1..], None),
        };
        let value = value.filter(|value| !value.is_empty());
        let number = |what: &str, min, max| number(name, what, value, min, max);
        Ok(match (name, value) {
            ("headers", None) => Self::Headers,
            ("subprotocol", None) => Self::Subprotocol,
            ("stall", None) => Self::Stall,
            ("broadcast", Some(room)) if room.len() > MAX_ROOM_NAME => {
                return Err(format!(
                    "/broadcast/{{room}}: a room's name has at most {MAX_ROOM_NAME} bytes"
                ));
            }
            ("broadcast", Some(room)) => Self::Broadcast(room.to_owned()),
            ("broadcast", None) => return Err("/broadcast/{room} needs a room".to_owned()),
            ("close", _) => Self::close(number("code", 1000, 4999)?, query)?,
            ("delay", _) => Self::Delay(Duration::from_millis(number("ms", 0, MAX_DELAY)?)),
            ("jitter", _) => Self::Jitter(Duration::from_millis(number("max ms", 0, MAX_DELAY)?)),
            ("fragment", _) => Self::Fragment(number("bytes", 1, MAX_SIZE)? as usize),
            ("flood", _) => Self::Flood(number("bytes", 0, MAX_SIZE)? as usize),
            ("count", _) => Self::Count(number("n", 0, u64::MAX)?),
            ("drop", _) => Self::Drop(number("n", 0, u64::MAX)?),
            ("reset", _) => Self::Reset(number("n", 0, u64::MAX)?),
            ("ping", _) => Self::Ping(seconds(value)?),
            ("invalid", _) => Self::Invalid(invalid_frame(value)?),
            _ => Self::Echo,
        })
    }

    fn close(code: u64, query: Option<&str>) -> Result<Self, String> {
        let code = CloseCode(code as u16);
        if !code.is_sendable() {
            return Err(format!(
                "close code {code} must not be sent; try 1000, 1001 or 3000 to 4999"
            ));
        }
        let (mut reason, mut after) = (String::new(), 0);
        for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("reason", text) => {
                    reason =
                        percent_decode(text).ok_or("the reason is not UTF-8, percent-encoded")?;
                }
                ("after", count) => {
                    after = self::number("close", "after", Some(count), 0, u64::MAX)?
                }
                // Caches are kept off by parameters that mean nothing.
                _ => {}
            }
        }
        if reason.len() > 123 {
            return Err("a close reason has at most 123 bytes".to_owned());
        }
        Ok(Self::Close { code, reason, after })
    }
}

/// The frame of `/invalid/{kind}`.
fn invalid_frame(kind: Option<&str>) -> Result<&'static [u8], String> {
    let frame = INVALID_FRAMES.iter().find(|(name, _)| Some(*name) == kind);
    frame.map(|(_, frame)| *frame).ok_or_else(|| {
        "/invalid/{kind}: kind is utf8, rsv, opcode, masked, length or continuation".to_owned()
    })
}

fn number(name: &str, what: &str, text: Option<&str>, min: u64, max: u64) -> Result<u64, String> {
    let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|text| text.parse().ok());
    number
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("/{name}: {what} is a number from {min} to {max}"))
}

fn seconds(text: Option<&str>) -> Result<Duration, String> {
    // `parse` would let signs, exponents and names pass.
    let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.filter(plain).and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| (0.01..=3600.0).contains(seconds));
    let wrong = || "/ping: seconds is a number from 0.01 to 3600".to_owned();
    seconds.map(Duration::from_secs_f64).ok_or_else(wrong)
}

/// Text out of a query, where a plus is a space.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(target: &str) -> Result<Route, String> {
        match target.split_once('?') {
            Some((path, query)) => Route::parse(path, Some(query)),
            None => Route::parse(target, None),
        }
    }

    #[test]
    fn every_path() {
        let ms = Duration::from_millis;
        let close = |code, reason: &str, after| {
            Ok(Route::Close { code: CloseCode(code), reason: reason.into(), after })
        };
        for (target, route) in [
            ("/", Ok(Route::Echo)),
            ("/echo", Ok(Route::Echo)),
            ("/ws?delay=1", Ok(Route::Echo)),
            ("/headers/more", Ok(Route::Echo)),
            ("/closed/1000", Ok(Route::Echo)),
            ("/broadcast/a%20b", Ok(Route::Broadcast("a%20b".into()))),
            ("/close/1000", close(1000, "", 0)),
            ("/close/4999?after=3&reason=b%C3%BCe+bye", close(4999, "büe bye", 3)),
            ("/close/1001?x&y=1&reason=", close(1001, "", 0)),
            ("/delay/0", Ok(Route::Delay(ms(0)))),
            ("/jitter/60000", Ok(Route::Jitter(ms(60_000)))),
            ("/fragment/1", Ok(Route::Fragment(1))),
            ("/ping/0.5", Ok(Route::Ping(ms(500)))),
            ("/count/10", Ok(Route::Count(10))),
            ("/flood/0", Ok(Route::Flood(0))),
            ("/headers", Ok(Route::Headers)),
            ("/subprotocol", Ok(Route::Subprotocol)),
            ("/drop/0", Ok(Route::Drop(0))),
            ("/reset/18446744073709551615", Ok(Route::Reset(u64::MAX))),
            ("/stall", Ok(Route::Stall)),
            ("/invalid/rsv", Ok(Route::Invalid(b"\xc1\x05Hello"))),
        ] {
            assert_eq!(parsed(target), route, "{target}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (target, wrong) in [
            ("/broadcast/", "/broadcast/{room} needs a room"),
            ("/close", "/close: code is a number from 1000 to 4999"),
            ("/close/1000/1", "/close: code is a number from 1000 to 4999"),
            ("/close/1006", "close code 1006 must not be sent"),
            ("/close/1000?after=x", "/close: after is a number from 0 to 18446744073709551615"),
            ("/close/1000?reason=%ff", "the reason is not UTF-8"),
            ("/close/1000?reason=%f", "the reason is not UTF-8"),
            ("/delay/60001", "/delay: ms is a number from 0 to 60000"),
            ("/delay/-1", "/delay: ms is a number"),
            ("/jitter/+1", "/jitter: max ms is a number"),
            ("/fragment/0", "/fragment: bytes is a number from 1 to 16777216"),
            ("/flood/x", "/flood: bytes is a number"),
            ("/count/18446744073709551616", "/count: n is a number from 0 to 18446744073709551615"),
            ("/ping/0", "/ping: seconds is a number from 0.01 to 3600"),
            ("/ping/inf", "/ping: seconds is a number"),
            ("/ping/1e1", "/ping: seconds is a number"),
            ("/invalid/", "/invalid/{kind}: kind is utf8"),
            ("/invalid/UTF8", "/invalid/{kind}: kind is utf8"),
        ] {
            let error = parsed(target).expect_err(target);
            assert!(error.starts_with(wrong), "{target}: {error}");
        }
        let long = format!("/close/1000?reason={}", "x".repeat(124));
        assert_eq!(parsed(&long).unwrap_err(), "a close reason has at most 123 bytes");
    }

    #[test]
    fn the_table_names_every_path() {
        for name in [
            "/broadcast/",
            "/close/",
            "/delay/",
            "/jitter/",
            "/fragment/",
            "/ping/",
            "/count/",
            "/flood/",
            "/headers",
            "/subprotocol",
            "/drop/",
            "/reset/",
            "/stall",
            "/invalid/",
        ] {
            assert!(PATHS.iter().any(|(path, _)| path.starts_with(name)), "{name}");
            assert_ne!(parsed(name).ok(), Some(Route::Echo), "{name}");
        }
    }

    #[test]
    fn edge_v_which_paths_are_known() {
        for path in ["/echo", "/ws", "/close", "/close/99", "/stall", "/invalid/x", "/ws/a"] {
            assert!(Route::is_known(path), "{path}");
        }
        for path in
            ["//", "/favicon.ico", "/any", "/any other", "/closed/1000", "/robots.txt", "/ECHO"]
        {
            assert!(!Route::is_known(path), "{path}");
        }
    }

    #[test]
    fn edge_m_a_room_has_a_name_of_some_length() {
        let room = |len| Route::parse(&format!("/broadcast/{}", "x".repeat(len)), None);
        assert!(matches!(room(255), Ok(Route::Broadcast(_))));
        assert!(room(256).unwrap_err().ends_with("at most 255 bytes"));
    }
}
