//! What a path asks for.
//!
//! A path is compared segment by segment, each percent-decoded, and a slash at its end is none. What
//! none of the rows of the table is meant by echoes; what nearly is one is told which.

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
        name.is_some_and(|name| near::names().any(|known| known == name))
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
    pub fn parse(path: &str, query: Option<&str>) -> Result<Self, Wrong> {
        let rest = path[1..].strip_suffix('/').unwrap_or(&path[1..]);
        let (first, values) = match rest.split_once('/') {
            Some((first, values)) => (first, Some(values)),
            None => (rest, None),
        };
        // What is not UTF-8 is no name of ours.
        let Some(name) = decode_segment(first) else { return Ok(Self::Echo) };
        let shown = escape::shown(path);
        let named = |name: &str, query| Self::named(name, values, &shown, query);
        if let Some(route) = named(&name, query) {
            return route;
        }
        let fits = |right: &&str| matches!(named(right, None), Some(Ok(_)));
        let right = match near::in_other_case(&name) {
            Some(right) => match named(right, None) {
                Some(Err(wrong)) => return Err(wrong),
                _ => Some(right),
            },
            None => near::one_edit_away(&name).find(fits),
        };
        let Some(right) = right else { return Ok(Self::Echo) };
        // What stands behind these is somebody's secret.
        let (shown, values) = match (right, values) {
            ("auth", _) => (format!("/{}/...", escape::shown(first)).into(), "/...".to_owned()),
            (_, Some(values)) => (shown, format!("/{}", escape::shown(values))),
            (_, None) => (shown, String::new()),
        };
        Err(Wrong::path(format!("there is no path {shown}: did you mean /{right}{values}?")))
    }

    /// What the values of a path of this name ask for; `None` if there is no such name. `path` is for
    /// the line on what is wrong.
    fn named(
        name: &str,
        values: Option<&str>,
        path: &str,
        query: Option<&str>,
    ) -> Option<Result<Self, Wrong>> {
        if matches!(name, "echo" | "ws") {
            return Some(Ok(Self::Echo));
        }
        let segments = values.map(|values| values.split('/')).into_iter().flatten();
        let Some(decoded) = segments.map(decode_segment).collect::<Option<Vec<_>>>() else {
            let wrong = "there is something in it that is not UTF-8, percent-encoded";
            let is_ours = near::names().any(|known| known == name);
            return is_ours.then(|| Err(Wrong::path(format!("/{name}: {wrong}"))));
        };
        let values: Vec<&str> = decoded.iter().map(|value| &**value).collect();
        Self::with_values(name, &values, path, query).transpose()
    }

    fn with_values(
        name: &str,
        values: &[&str],
        path: &str,
        query: Option<&str>,
    ) -> Result<Option<Self>, Wrong> {
        // Most have one.
        let one = match values {
            [value] => Some(*value),
            _ => None,
        };
        let number = |what: &str, min, max| {
            let wrong = || Wrong::path(format!("{path}: {what} is a number from {min} to {max}"));
            one.and_then(|value| number(value, min, max)).ok_or_else(wrong)
        };
        let ms = |what: &str, min, max| number(what, min, max).map(Duration::from_millis);
        Ok(Some(match name {
            "headers" | "subprotocol" | "stall" | "limits" if !values.is_empty() => {
                return Err(Wrong::path(format!("{path}: nothing goes behind /{name}")));
            }
            "headers" => Self::Headers,
            "subprotocol" => Self::Subprotocol,
            "stall" => Self::Stall,
            "limits" => Self::Limits(Box::new(limits::parse(query)?)),
            "broadcast" => Self::Broadcast(room(one)?),
            "close" => Self::close(number("code", 1000, 4999)?, path, query)?,
            "delay" => Self::Delay(ms("ms", 0, MAX_DELAY)?),
            "jitter" => Self::Jitter(ms("max ms", 0, MAX_DELAY)?),
            "fragment" => Self::Fragment(number("bytes", 1, MAX_SIZE)? as usize),
            "slow" => Self::Slow(number("bytes per second", 1, MAX_SIZE)?),
            "flood" => Self::Flood(number("bytes", 0, MAX_SIZE)? as usize),
            "count" => {
                let n = number("n", 0, u64::MAX)?;
                Self::Count { n, every: every("count", query, Duration::ZERO)? }
            }
            "tick" => Self::Tick(ms("ms", 1, MAX_TICK)?),
            "drop" => Self::Drop(number("n", 0, u64::MAX)?),
            "reset" => Self::Reset(number("n", 0, u64::MAX)?),
            "ping" => Self::Ping(seconds(one, path)?),
            "status" => Self::Status(Box::new(Answer::parse(path, one, query)?)),
            "auth" => Self::Auth(Box::new(Credentials::parse(values)?)),
            "handshake" => {
                let fault = handshake_fault(one)?;
                Self::Handshake(fault, every("handshake", query, Duration::from_secs(1))?)
            }
            "invalid" => Self::Invalid(invalid_frame(one)?),
            _ => return Ok(None),
        }))
    }

    fn close(code: u64, path: &str, query: Option<&str>) -> Result<Self, Wrong> {
        let code = CloseCode(code as u16);
        if !code.is_sendable() {
            return Err(Wrong::path(format!(
                "{path}: close code {code} must not be sent; try 1000, 1001 or 3000 to 4999"
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

fn close_reason(value: &str) -> Result<String, Wrong> {
    let reason = percent_decode(value)
        .ok_or_else(|| Wrong::query("/close: the reason is not UTF-8, percent-encoded"))?;
    match reason.len() {
        0..=MAX_REASON => Ok(reason),
        _ => Err(Wrong::query(format!("/close: a reason has at most {MAX_REASON} bytes"))),
    }
}

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
fn every(path: &str, query: Option<&str>, default: Duration) -> Result<Duration, Wrong> {
    let given = pairs(query).filter(|(name, _)| *name == "every").last();
    given.map_or(Ok(default), |(_, text)| {
        parameter(path, "every", text, 0, MAX_DELAY).map(Duration::from_millis)
    })
}

fn handshake_fault(kind: Option<&str>) -> Result<HandshakeFault, Wrong> {
    kind.and_then(HandshakeFault::parse).ok_or_else(|| {
        let kinds = HandshakeFault::ALL.map(HandshakeFault::name).join(", ");
        Wrong::path(format!("/handshake/{{kind}}: kind is one of {kinds}"))
    })
}

/// The frame of `/invalid/{kind}`.
fn invalid_frame(kind: Option<&str>) -> Result<&'static [u8], Wrong> {
    let frame = INVALID_FRAMES.iter().find(|(name, _)| Some(*name) == kind);
    frame.map(|(_, frame)| *frame).ok_or_else(|| {
        Wrong::path("/invalid/{kind}: kind is utf8, rsv, opcode, masked, length or continuation")
    })
}

fn seconds(text: Option<&str>, path: &str) -> Result<Duration, Wrong> {
    // `parse` would let signs, exponents and names pass.
    let plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.filter(plain).and_then(|text| text.parse::<f64>().ok());
    let seconds = seconds.filter(|seconds| (0.01..=3600.0).contains(seconds));
    let wrong = || Wrong::path(format!("{path}: seconds is a number from 0.01 to 3600"));
    seconds.map(Duration::from_secs_f64).ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
