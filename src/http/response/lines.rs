//! The lines of a reply's head, and why one may not be sent.

use std::fmt;

use super::status::Status;
use crate::http::grammar;

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
    /// A [`Response`](crate::Response) has status 101, which only an accepted handshake has (§4.2.2).
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

/// Headers to be shown, without their values: those of a reply may set a cookie.
pub(super) struct Names<'a>(pub(super) &'a [(String, String)]);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Headers that a caller may not write, beside `Sec-WebSocket-*`.
pub(super) const RESERVED: [&str; 8] = [
    "Connection",
    "Content-Length",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

pub(super) fn status_line(status: Status) -> Vec<u8> {
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

pub(super) fn push_line(bytes: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        bytes.extend_from_slice(part.as_bytes());
    }
}

/// Writes the caller's headers, and the empty line that ends the head.
pub(super) fn push_headers(
    bytes: &mut Vec<u8>,
    headers: &[(String, String)],
) -> Result<(), InvalidResponse> {
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
