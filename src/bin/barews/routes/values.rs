//! Values out of a path or a query, and what is wrong with one.

use std::borrow::Cow;

use barews::{Response, Status};

/// Why a request is refused: a status, and a line on what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub status: Status,
    pub line: String,
}

impl Wrong {
    /// In the path: there is nothing of this name.
    pub fn path(line: impl Into<String>) -> Self {
        Self { status: Status::NOT_FOUND, line: line.into() }
    }

    /// In the query of a path that there is.
    pub fn query(line: impl Into<String>) -> Self {
        Self { status: Status::BAD_REQUEST, line: line.into() }
    }

    /// What is right, and not to be had here.
    pub fn forbidden(line: impl Into<String>) -> Self {
        Self { status: Status::FORBIDDEN, line: line.into() }
    }

    /// The answer that says so. The line may repeat what was asked for, so nobody is to take it for
    /// anything but text.
    pub fn response(&self) -> Response {
        Response::new(self.status, format!("{}\n", self.line))
            .header("X-Content-Type-Options", "nosniff")
    }
}

/// The names and values of a query, as they are there. Names that mean nothing are for everybody to
/// pass over: caches are kept off by them.
pub fn pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or("").split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// A number in digits alone, within bounds: `parse` would let a sign pass.
pub fn number(text: &str, min: u64, max: u64) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten()?;
    (min..=max).contains(&number).then_some(number)
}

/// A number in a query.
pub fn parameter(path: &str, what: &str, text: &str, min: u64, max: u64) -> Result<u64, Wrong> {
    let wrong = || Wrong::query(format!("/{path}: {what} is a number from {min} to {max}"));
    number(text, min, max).ok_or_else(wrong)
}

/// Whether this is a token (RFC 9110 §5.6.2), as names of headers, cookies and subprotocols are.
pub fn is_token(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_part)
}

/// Text out of a query, where a plus is a space.
pub fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    decode(text, b' ')
}

/// Text out of a path, where a plus is a plus.
pub fn decode_segment(text: &str) -> Option<Cow<'_, str>> {
    decode(text, b'+')
}

fn decode(text: &str, plus: u8) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => plus,
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}
