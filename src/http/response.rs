//! What the server answers: a status, a [`Response`] that ends the connection, or an [`Accept`]
//! that turns it into a WebSocket.
//!
//! Much of a reply is not the caller's to choose: how its body is delimited, what becomes of the
//! connection, and the handshake's own headers. Those are written here and nowhere else; a caller
//! who names one of them, or whose text could end a line early, gets an [`InvalidResponse`] and
//! nothing is sent.

use std::fmt;

use super::date::Date;

mod status;
mod lines;
mod attachments;
mod accept;

pub use accept::Accept;
pub(crate) use attachments::Attachments;
pub use lines::InvalidResponse;
use lines::{Names, push_headers, push_line, status_line};
pub use status::Status;

/// A whole HTTP response, after which the connection is closed.
///
/// A 426 always says what to upgrade to: `Upgrade: websocket` and `Sec-WebSocket-Version: 13` are
/// written with it (RFC 9110 §15.5.22, §4.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: Status,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A response that refuses an upgrade.
pub type Reject = Response;

impl Response {
    /// A response with a body of plain text in UTF-8, unless a `Content-Type` is set.
    pub fn new(status: Status, body: impl Into<Vec<u8>>) -> Response {
        Response { status, headers: Vec::new(), body: body.into() }
    }

    /// A response with a body of JSON (RFC 8259), which is not looked into.
    ///
    /// ```
    /// use barews::{Response, Status};
    ///
    /// let busy = Response::json(Status::SERVICE_UNAVAILABLE, r#"{"error":"come back later"}"#)
    ///     .header("Retry-After", "60");
    /// ```
    #[must_use]
    pub fn json(status: Status, body: impl Into<Vec<u8>>) -> Response {
        Response::new(status, body).header("Content-Type", "application/json")
    }

    /// Adds a header line. A second `Content-Type` or `Date` takes the place of the first; any
    /// other name may come more than once. What is wrong with it comes out of
    /// [`Response::encode`].
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Response {
        let name = name.into();
        if ["Content-Type", "Date"].iter().any(|single| single.eq_ignore_ascii_case(&name)) {
            self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(&name));
        }
        self.headers.push((name, value.into()));
        self
    }

    /// The status.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The bytes to send.
    ///
    /// `date` is the time now, for a `Date` line (RFC 9110 §6.6.1); a server that has no clock has
    /// `None`. A `Date` among the headers stands in its place, such as that of a response which
    /// was stored.
    ///
    /// # Errors
    ///
    /// [`InvalidResponse`] if a header is not one that may be sent, or the status is 101, or the
    /// status has no body and one was given.
    pub fn encode(&self, date: Option<Date>) -> Result<Vec<u8>, InvalidResponse> {
        let mut bytes = self.encode_head_only(date)?;
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }

    /// The bytes that answer a `HEAD` request: the same as [`Response::encode`], `Content-Length`
    /// and all, without the body (RFC 9110 §9.3.2).
    ///
    /// # Errors
    ///
    /// Those of [`Response::encode`].
    pub fn encode_head_only(&self, date: Option<Date>) -> Result<Vec<u8>, InvalidResponse> {
        if self.status == Status::SWITCHING_PROTOCOLS {
            return Err(InvalidResponse::NotFinal);
        }
        // RFC 9110 §15.3.5, §15.3.6, §15.4.5: no content at all with these three.
        let bodiless = matches!(self.status.code(), 204 | 205 | 304);
        if bodiless && !self.body.is_empty() {
            return Err(InvalidResponse::BodyNotAllowed);
        }
        let mut bytes = status_line(self.status);
        // "close" stands first, for those who look no further.
        if self.status == Status::UPGRADE_REQUIRED {
            // RFC 9110 §15.5.22, §7.8: 426 has an Upgrade, and Connection names it; §4.4:
            // and the versions that the server speaks.
            push_line(&mut bytes, "Connection", "close, Upgrade");
            push_line(&mut bytes, "Upgrade", "websocket");
            push_line(&mut bytes, "Sec-WebSocket-Version", "13");
        } else {
            push_line(&mut bytes, "Connection", "close");
        }
        if let Some(date) = date.filter(|_| !self.has("Date")) {
            push_line(&mut bytes, "Date", &date.to_string());
        }
        // RFC 9110 §8.6: none with 204, and with 304 it would be the length of something else.
        if !matches!(self.status.code(), 204 | 304) {
            push_line(&mut bytes, "Content-Length", &self.body.len().to_string());
        }
        if !self.has("Content-Type") && !self.body.is_empty() {
            push_line(&mut bytes, "Content-Type", "text/plain; charset=utf-8");
        }
        push_headers(&mut bytes, &self.headers)?;
        Ok(bytes)
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }
}

impl From<Status> for Response {
    /// A response whose body is the status in words, where it may have one: so `?` and `.into()`
    /// make a [`Reject`] of a status.
    fn from(status: Status) -> Response {
        match status.code() {
            // RFC 9110 §15.3.5, §15.3.6, §15.4.5.
            204 | 205 | 304 => Response::new(status, ""),
            _ => Response::new(status, format!("{status}\n")),
        }
    }
}

impl fmt::Debug for Response {
    /// Without the values of headers, which may set a cookie, and without the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &Names(&self.headers))
            .field("body_len", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
mod tests;
