//! What a path asks for.
//!
//! A path is compared segment by segment, each percent-decoded, and a slash at its end is none. What
//! none of the rows of the table is meant by echoes; what nearly is one is told which.

use std::borrow::Cow;
use std::time::Duration;

use barews::{CloseCode, ConnectionLimits, Request, Response};

use super::by_hand::HandshakeFault;
use super::faults::INVALID_FRAMES;
use super::opening::auth::Credentials;
use super::opening::limits;
use super::opening::status::Answer;
use super::values::{Wrong, decode_segment, number, pairs, parameter, percent_decode};
use crate::log::escape;

mod table;
mod near;
pub mod listing;

pub use table::{Group, Path, paths};

const NO_FAULTS: &str = "this server serves no faults; start it with --faults";

/// In bytes.
const MAX_ROOM_NAME: usize = 255;

/// Of delays and of times between messages, in milliseconds.
const MAX_DELAY: u64 = 60_000;

/// In milliseconds.
const MAX_TICK: u64 = 3_600_000;

/// The longest message or fragment that a path makes, in bytes, and the highest rate in a second.
const MAX_SIZE: u64 = 16 << 20;

/// Of a Close (§5.5, §5.5.1), in bytes.
const MAX_REASON: usize = 123;

#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    Echo,
    Broadcast(String),
    Close {
        code: CloseCode,
        reason: String,
        /// After so many echoes; without it at once.
        after: Option<u64>,
        /// So much later, the answer to the client's too.
        delay: Option<Duration>,
        /// Whether the client's Close is answered.
        reply: bool,
    },
    Delay(Duration),
    Jitter(Duration),
    Fragment(usize),
    /// In bytes per second.
    Slow(u64),
    Limits(Box<ConnectionLimits>),
    Ping(Duration),
    Count {
        n: u64,
        every: Duration,
    },
    Tick(Duration),
    Flood(usize),
    Status(Box<Answer>),
    Auth(Box<Credentials>),
    Headers,
    Subprotocol,
    Drop(u64),
    Reset(u64),
    Stall,
    /// With the time for each byte, where it is slow.
    Handshake(HandshakeFault, Duration),
    /// Sends this frame.
    Invalid(&'static [u8]),
}

impl Route {
    /// Whether a path is one of those that are documented, or nearly: others echo too, but over plain
    /// HTTP they are nothing.
    pub fn is_known(path: &str) -> bool {
        let name = decode_segment(path[1..].split('/').next().unwrap_or_default());
        name.is_some_and(|name| near::NAMES.contains(&&*name))
    }

    /// Whether what is sent is not the library's, so that no compression can be agreed on.
    pub fn is_by_hand(&self) -> bool {
        match self {
            Self::Close { delay, reply, .. } => delay.is_some() || !reply,
            Self::Handshake(..) | Self::Invalid(_) | Self::Slow(_) => true,
            _ => false,
        }
    }

    /// Whether a Close of the client goes without an answer.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Invalid(_) | Self::Close { reply: false, .. })
    }

    /// The answer to a request that gets no WebSocket here, and for the log why.
    #[inline(never)]
    pub fn refuse(&self, request: &Request, faults: bool) -> Option<(Response, String)> {
        let wrong = match self {
            Self::Invalid(_) | Self::Handshake(..) if !faults => Some(Wrong::forbidden(NO_FAULTS)),
            Self::Status(answer) if !faults => {
                answer.needs_faults(request.header("Host").as_deref())
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Some((wrong.response(), wrong.line));
        }
        match self {
            Self::Status(answer) => {
                let response = answer.response();
                let why = format!("answered {}, as asked for", response.status().code());
                Some((response, why))
            }
            Self::Auth(credentials) => {
                let response = credentials.refuse(request)?;
                Some((response, "no credentials, or wrong ones".to_owned()))
            }
            _ => None,
        }
    }

    /// What a path and a query ask for, or a line on what would be right.
    ///
    /// This is on the stack of every connection, which has no room to spare: the steps follow each
    /// other rather than call each other, and none of them is large.
    #[inline(never)]
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, Wrong> {
        let rest = path[1..].strip_suffix('/').unwrap_or(&path[1..]);
        let (first, values) = match rest.split_once('/') {
            Some((first, values)) => (first, Some(values)),
            None => (rest, None),
        };
        // What is not UTF-8 is no name of ours.
        let Some(name) = decode_segment(first) else { return Ok(Self::Echo) };
        match near::nearest(&name) {
            None | Some("echo" | "ws") => Ok(Self::Echo),
            Some(known) if known == name => Self::named(known, values, path, query),
            Some(known) => near_miss(known, &name, first, values, path),
        }
    }

    /// What the values of a path of this name ask for; `path` is for the line on what is wrong.
    fn named(
        name: &str,
        values: Option<&str>,
        path: &str,
        query: Option<&str>,
    ) -> Result<Self, Wrong> {
        // Most have one.
        let one = match values.filter(|values| !values.contains('/')) {
            Some(value) => Some(decode_segment(value).ok_or_else(|| not_utf8(name))?),
            None => None,
        };
        let Some((what, min, max)) = bounds(name) else {
            return Self::other(name, values, one.as_deref(), path, query);
        };
        match one.and_then(|value| number(&value, min, max)) {
            Some(n) => Self::numbered(name, n, path, query),
            None => Err(not_a_number(path, what, min, max)),
        }
    }

    /// One whose value is a number, within its bounds.
    #[inline(never)]
    fn numbered(name: &str, n: u64, path: &str, query: Option<&str>) -> Result<Self, Wrong> {
        let ms = Duration::from_millis(n);
        Ok(match name {
            "delay" => Self::Delay(ms),
            "jitter" => Self::Jitter(ms),
            "tick" => Self::Tick(ms),
            "fragment" => Self::Fragment(n as usize),
            "flood" => Self::Flood(n as usize),
            "slow" => Self::Slow(n),
            "drop" => Self::Drop(n),
            "reset" => Self::Reset(n),
            "count" => return every("count", query, 0).map(|every| Self::Count { n, every }),
            "close" => return Self::close(n, path, query),
            "status" => {
                return Answer::parse(n as u16, query).map(|answer| Self::Status(answer.into()));
            }
            _ => Self::Echo,
        })
    }

    /// One whose values are something else.
    #[inline(never)]
    fn other(
        name: &str,
        values: Option<&str>,
        one: Option<&str>,
        path: &str,
        query: Option<&str>,
    ) -> Result<Self, Wrong> {
        match name {
            "headers" | "subprotocol" | "stall" | "limits" if values.is_some() => {
                Err(nothing_behind(path, name))
            }
            "headers" => Ok(Self::Headers),
            "subprotocol" => Ok(Self::Subprotocol),
            "stall" => Ok(Self::Stall),
            "limits" => limits::parse(query).map(|limits| Self::Limits(limits.into())),
            "auth" => {
                let values = decode_all(values).ok_or_else(|| not_utf8(name))?;
                Credentials::parse(&values).map(|wanted| Self::Auth(wanted.into()))
            }
            "broadcast" => room(one).map(Self::Broadcast),
            "ping" => seconds(one, path).map(Self::Ping),
            "invalid" => invalid_frame(one).map(Self::Invalid),
            "handshake" => {
                let fault = handshake_fault(one)?;
                every("handshake", query, 1000).map(|every| Self::Handshake(fault, every))
            }
            _ => Ok(Self::Echo),
        }
    }

    #[inline(never)]
    fn close(code: u64, path: &str, query: Option<&str>) -> Result<Self, Wrong> {
        let code = CloseCode(code as u16);
        if !code.is_sendable() {
            return Err(Wrong::path(format!(
                "{}: close code {code} must not be sent; try 1000, 1001 or 3000 to 4999",
                escape::shown(path)
            )));
        }
        let (mut reason, mut after, mut delay, mut reply) = (String::new(), None, None, true);
        for (name, value) in pairs(query) {
            match name {
                "reason" => reason = close_reason(value)?,
                "after" => after = Some(parameter("close", "after", value, 0, u64::MAX)?),
                "delay" => {
                    let ms = parameter("close", "delay", value, 0, MAX_DELAY)?;
                    delay = Some(Duration::from_millis(ms));
                }
                "reply" if value == "none" => reply = false,
                "reply" => return Err(Wrong::query("/close: reply is none, or not there")),
                _ => {}
            }
        }
        Ok(Self::Close { code, reason, after, delay, reply })
    }
}

/// The bounds of a value that is a number, and what it is.
fn bounds(name: &str) -> Option<(&'static str, u64, u64)> {
    Some(match name {
        "close" => ("code", 1000, 4999),
        "delay" => ("ms", 0, MAX_DELAY),
        "jitter" => ("max ms", 0, MAX_DELAY),
        "tick" => ("ms", 1, MAX_TICK),
        "fragment" => ("bytes", 1, MAX_SIZE),
        "flood" => ("bytes", 0, MAX_SIZE),
        "slow" => ("bytes per second", 1, MAX_SIZE),
        "count" | "drop" | "reset" => ("n", 0, u64::MAX),
        "status" => ("code", 200, 599),
        _ => return None,
    })
}

/// The segments behind the first, if all are UTF-8.
#[inline(never)]
fn decode_all(values: Option<&str>) -> Option<Vec<Cow<'_, str>>> {
    values.map_or(Some(Vec::new()), |values| values.split('/').map(decode_segment).collect())
}

/// What is said of a path whose name is nearly this: what was meant, if its values fit, or what is
/// wrong with them if the name is ours in other case.
#[cold]
#[inline(never)]
fn near_miss(
    known: &str,
    name: &str,
    first: &str,
    values: Option<&str>,
    path: &str,
) -> Result<Route, Wrong> {
    match Route::named(known, values, path, None) {
        Err(wrong) if known.eq_ignore_ascii_case(name) => return Err(wrong),
        Err(_) => return Ok(Route::Echo),
        Ok(_) => {}
    }
    let (path, values) = match (known, values) {
        // What stands behind this is somebody's secret.
        ("auth", _) => (format!("/{first}/..."), "/...".to_owned()),
        (_, None) => (escape::shown(path).into_owned(), String::new()),
        (_, Some(values)) => {
            (escape::shown(path).into_owned(), format!("/{}", escape::shown(values)))
        }
    };
    Err(Wrong::path(format!("there is no path {path}: did you mean /{known}{values}?")))
}

#[cold]
#[inline(never)]
fn not_utf8(name: &str) -> Wrong {
    Wrong::path(format!("/{name}: there is something in it that is not UTF-8, percent-encoded"))
}

#[cold]
#[inline(never)]
fn not_a_number(path: &str, what: &str, min: u64, max: u64) -> Wrong {
    Wrong::path(format!("{}: {what} is a number from {min} to {max}", escape::shown(path)))
}

#[cold]
#[inline(never)]
fn nothing_behind(path: &str, name: &str) -> Wrong {
    Wrong::path(format!("{}: nothing goes behind /{name}", escape::shown(path)))
}

fn close_reason(value: &str) -> Result<String, Wrong> {
    let reason = percent_decode(value)
        .ok_or_else(|| Wrong::query("/close: the reason is not UTF-8, percent-encoded"))?;
    match reason.len() {
        0..=MAX_REASON => Ok(reason.into_owned()),
        _ => Err(Wrong::query(format!("/close: a reason has at most {MAX_REASON} bytes"))),
    }
}

#[inline(never)]
fn room(name: Option<&str>) -> Result<String, Wrong> {
    match name {
        None | Some("") => Err(Wrong::path("/broadcast/{room} needs a room; a slash in it is %2F")),
        Some(name) if name.len() > MAX_ROOM_NAME => Err(Wrong::path(format!(
            "/broadcast/{{room}}: a room's name has at most {MAX_ROOM_NAME} bytes"
        ))),
        Some(name) => Ok(name.to_owned()),
    }
}

/// The milliseconds of `?every=`.
#[inline(never)]
fn every(path: &str, query: Option<&str>, default: u64) -> Result<Duration, Wrong> {
    let given = pairs(query).filter(|(name, _)| *name == "every").last();
    let every = given.map_or(Ok(default), |(_, text)| parameter(path, "every", text, 0, MAX_DELAY));
    every.map(Duration::from_millis)
}

#[inline(never)]
fn handshake_fault(kind: Option<&str>) -> Result<HandshakeFault, Wrong> {
    kind.and_then(HandshakeFault::parse).ok_or_else(|| {
        let kinds = HandshakeFault::ALL.map(HandshakeFault::name).join(", ");
        Wrong::path(format!("/handshake/{{kind}}: kind is one of {kinds}"))
    })
}

/// The frame of `/invalid/{kind}`.
#[inline(never)]
fn invalid_frame(kind: Option<&str>) -> Result<&'static [u8], Wrong> {
    let frame = INVALID_FRAMES.iter().find(|(name, _)| Some(*name) == kind);
    frame.map(|(_, frame)| *frame).ok_or_else(|| {
        Wrong::path("/invalid/{kind}: kind is utf8, rsv, opcode, masked, length or continuation")
    })
}

#[inline(never)]
fn seconds(text: Option<&str>, path: &str) -> Result<Duration, Wrong> {
    // `parse` would let signs, exponents and names pass.
    let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.filter(plain).and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| (0.01..=3600.0).contains(seconds));
    let wrong =
        || Wrong::path(format!("{}: seconds is a number from 0.01 to 3600", escape::shown(path)));
    seconds.map(Duration::from_secs_f64).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
