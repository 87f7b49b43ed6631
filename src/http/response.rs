//! What the server answers: a status, a [`Response`] that ends the connection, or an [`Accept`]
//! that turns it into a WebSocket.
//!
//! Much of a reply is not the caller's to choose: how its body is delimited, what becomes of the
//! connection, and the handshake's own headers. Those are written here and nowhere else; a caller
//! who names one of them, or whose text could end a line early, gets an [`InvalidResponse`] and
//! nothing is sent.

use std::fmt;

use super::date::Date;
use super::grammar;
use super::head::RequestHead;

/// An HTTP status code, 101 or a final one from 200 to 599 (RFC 9110 §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

/// Defines the constants and the one table of reason phrases.
macro_rules! statuses {
    ($($name:ident = $code:literal, $reason:literal, $section:literal;)*) => {
        impl Status {
            $(
                #[doc = concat!("`", $code, " ", $reason, "` (", $section, ").")]
                pub const $name: Status = Status($code);
            )*

            /// The usual words for this status, empty for one that has no constant here; nothing
            /// is to be read from them (RFC 9112 §4).
            pub fn reason_phrase(self) -> &'static str {
                match self.0 {
                    $($code => $reason,)*
                    _ => "",
                }
            }
        }
    };
}

statuses! {
    SWITCHING_PROTOCOLS = 101, "Switching Protocols", "RFC 9110 §15.2.2";
    OK = 200, "OK", "RFC 9110 §15.3.1";
    NO_CONTENT = 204, "No Content", "RFC 9110 §15.3.5";
    MOVED_PERMANENTLY = 301, "Moved Permanently", "RFC 9110 §15.4.2";
    FOUND = 302, "Found", "RFC 9110 §15.4.3";
    SEE_OTHER = 303, "See Other", "RFC 9110 §15.4.4";
    NOT_MODIFIED = 304, "Not Modified", "RFC 9110 §15.4.5";
    TEMPORARY_REDIRECT = 307, "Temporary Redirect", "RFC 9110 §15.4.8";
    BAD_REQUEST = 400, "Bad Request", "RFC 9110 §15.5.1";
    UNAUTHORIZED = 401, "Unauthorized", "RFC 9110 §15.5.2";
    FORBIDDEN = 403, "Forbidden", "RFC 9110 §15.5.4";
    NOT_FOUND = 404, "Not Found", "RFC 9110 §15.5.5";
    METHOD_NOT_ALLOWED = 405, "Method Not Allowed", "RFC 9110 §15.5.6";
    REQUEST_TIMEOUT = 408, "Request Timeout", "RFC 9110 §15.5.9";
    URI_TOO_LONG = 414, "URI Too Long", "RFC 9110 §15.5.15";
    EXPECTATION_FAILED = 417, "Expectation Failed", "RFC 9110 §15.5.18";
    UPGRADE_REQUIRED = 426, "Upgrade Required", "RFC 9110 §15.5.22";
    TOO_MANY_REQUESTS = 429, "Too Many Requests", "RFC 6585 §4";
    REQUEST_HEADER_FIELDS_TOO_LARGE = 431, "Request Header Fields Too Large", "RFC 6585 §5";
    INTERNAL_SERVER_ERROR = 500, "Internal Server Error", "RFC 9110 §15.6.1";
    SERVICE_UNAVAILABLE = 503, "Service Unavailable", "RFC 9110 §15.6.4";
    HTTP_VERSION_NOT_SUPPORTED = 505, "HTTP Version Not Supported", "RFC 9110 §15.6.6";
}

impl Status {
    /// The final status with this code, if it is one: 200 to 599 (RFC 9110 §15).
    pub const fn new(code: u16) -> Option<Status> {
        match code {
            200..=599 => Some(Status(code)),
            _ => None,
        }
    }

    /// The three digits.
    pub const fn code(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason_phrase())
    }
}

/// Why a reply that the program made was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidResponse {
    /// A header name is not a token (RFC 9110 §5.1).
    HeaderName,
    /// A header value has a control character in it, such as CR or LF (RFC 9110 §5.5).
    HeaderValue,
    /// The header is one that only the server may write: those that frame the reply or steer the
    /// connection (`Connection`, `Content-Length`, `Keep-Alive`, `Proxy-Connection`, `TE`,
    /// `Trailer`, `Transfer-Encoding`, `Upgrade`) and all of `Sec-WebSocket-*`.
    ReservedHeader,
    /// A [`Response`] has status 101, which only an accepted handshake has (§4.2.2).
    NotFinal,
    /// A body was given to a status that has none: 204, 205 or 304 (RFC 9110 §6.4.1).
    BodyNotAllowed,
    /// The subprotocol is not one that the client offered (§4.2.2 item 4).
    SubprotocolNotOffered,
}

impl fmt::Display for InvalidResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidResponse::HeaderName => "a header name of the reply is not a token",
            InvalidResponse::HeaderValue => "a header value of the reply has a control character",
            InvalidResponse::ReservedHeader => "a header of the reply is the server's own to write",
            InvalidResponse::NotFinal => "a response cannot have status 101",
            InvalidResponse::BodyNotAllowed => "a response with this status cannot have a body",
            InvalidResponse::SubprotocolNotOffered => "the client did not offer this subprotocol",
        })
    }
}

impl std::error::Error for InvalidResponse {}

/// A whole HTTP response, after which the connection is closed.
///
/// A 426 always says what to upgrade to: `Upgrade: websocket` and `Sec-WebSocket-Version: 13` are
/// written with it (RFC 9110 §15.5.22, §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// The consent to an upgrade: which subprotocol was chosen, and what else the 101 shall say.
///
/// Extensions are negotiated by the server: without the feature `deflate` it declines them all
/// (§9.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    protocol: Option<String>,
    headers: Vec<(String, String)>,
    #[cfg(feature = "deflate")]
    uncompressed: bool,
}

impl Accept {
    /// Accepts without a subprotocol.
    pub fn new() -> Accept {
        Accept::default()
    }

    /// Chooses a subprotocol, which must be one that the client offered (§4.2.2 item 4).
    #[must_use]
    pub fn subprotocol(mut self, protocol: impl Into<String>) -> Accept {
        self.protocol = Some(protocol.into());
        self
    }

    /// Chooses the first subprotocol in the client's order of preference that is `supported`, or
    /// none if there is none (§4.1 item 10). Upper and lower case differ.
    #[must_use]
    pub fn select_subprotocol(mut self, head: &RequestHead, supported: &[&str]) -> Accept {
        self.protocol = head
            .header_list("Sec-WebSocket-Protocol")
            .find_map(|offer| supported.iter().find(|name| name.as_bytes() == offer))
            .map(|name| (*name).to_owned());
        self
    }

    /// Adds a header line to the 101. What is wrong with it comes out when the 101 is encoded.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Accept {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The subprotocol that was chosen.
    pub fn selected_subprotocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Whether permessage-deflate may be agreed on, if the client offers it and the server is
    /// configured to compress (RFC 7692). Default `true`.
    ///
    /// `false` is for a connection whose messages hold secrets beside text of an attacker's choice:
    /// their lengths, compressed, give the secrets away, encrypted or not (CRIME, BREACH).
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compress(mut self, on: bool) -> Accept {
        self.uncompressed = !on;
        self
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn compresses(&self) -> bool {
        !self.uncompressed
    }

    /// The 101 that accepts the handshake of this head (§4.2.2 item 5), and these extensions.
    pub(super) fn encode(
        &self,
        head: &RequestHead,
        accept_key: &str,
        extensions: Option<&str>,
    ) -> Result<Vec<u8>, InvalidResponse> {
        let mut bytes = status_line(Status::SWITCHING_PROTOCOLS);
        push_line(&mut bytes, "Upgrade", "websocket");
        push_line(&mut bytes, "Connection", "Upgrade");
        push_line(&mut bytes, "Sec-WebSocket-Accept", accept_key);
        if let Some(protocol) = &self.protocol {
            // §4.2.2 item 4, /subprotocol/: one of those in the client's handshake, or none.
            let mut offers = head.header_list("Sec-WebSocket-Protocol");
            if !offers.any(|offer| offer == protocol.as_bytes()) {
                return Err(InvalidResponse::SubprotocolNotOffered);
            }
            push_line(&mut bytes, "Sec-WebSocket-Protocol", protocol);
        }
        if let Some(extensions) = extensions {
            if !extensions.bytes().all(grammar::is_value_byte) {
                return Err(InvalidResponse::HeaderValue);
            }
            push_line(&mut bytes, "Sec-WebSocket-Extensions", extensions);
        }
        push_headers(&mut bytes, &self.headers)?;
        Ok(bytes)
    }
}

/// Headers that a caller may not write, beside `Sec-WebSocket-*`.
const RESERVED: [&str; 8] = [
    "Connection",
    "Content-Length",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

fn status_line(status: Status) -> Vec<u8> {
    // Room for a common head.
    let mut bytes = Vec::with_capacity(256);
    // RFC 9112 §4: the space ahead of the reason stays where the reason is empty. To format all
    // this would take ten times as long.
    let code = [100, 10, 1].map(|place| b'0' + (status.code() / place % 10) as u8);
    for part in [b"HTTP/1.1 ", &code[..], b" ", status.reason_phrase().as_bytes(), b"\r\n"] {
        bytes.extend_from_slice(part);
    }
    bytes
}

fn push_line(bytes: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        bytes.extend_from_slice(part.as_bytes());
    }
}

/// Writes the caller's headers, and the empty line that ends the head.
fn push_headers(bytes: &mut Vec<u8>, headers: &[(String, String)]) -> Result<(), InvalidResponse> {
    for (name, value) in headers {
        // RFC 9110 §5.1: a name is a token.
        if !grammar::is_token(name.as_bytes()) {
            return Err(InvalidResponse::HeaderName);
        }
        if grammar::is_websocket_field(name)
            || RESERVED.iter().any(|other| other.eq_ignore_ascii_case(name))
        {
            return Err(InvalidResponse::ReservedHeader);
        }
        // RFC 9110 §5.5: a CR, LF or NUL here would let a value split the response.
        if !value.bytes().all(grammar::is_value_byte) {
            return Err(InvalidResponse::HeaderValue);
        }
        push_line(bytes, name, value);
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests;
