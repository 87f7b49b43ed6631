//! Every way in which a request fails the opening handshake, and the response to each.

use std::fmt;

use super::error::HeadError;
use super::head::RequestHead;
use super::response::{Response, Status};

/// Why a request is not upgraded.
///
/// Its text is one line in plain words, and is what the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The bytes are not a request head (RFC 9112).
    Head(HeadError),
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2; §4.2.1 item 2).
    MissingHost,
    /// More than one `Host` (RFC 9112 §3.2).
    RepeatedHost,
    /// `Host` is not a host with an optional port (RFC 9112 §3.2, RFC 9110 §7.2).
    InvalidHost,
    /// The absolute target does not name a host with an optional port (RFC 9110 §4.2).
    InvalidAuthority,
    /// A `Transfer-Encoding` announces a body; this server reads none (RFC 9112 §6.1).
    TransferEncoding,
    /// More than one `Content-Length` (RFC 9110 §8.6).
    RepeatedContentLength,
    /// `Content-Length` is not a number in digits (RFC 9110 §8.6).
    InvalidContentLength,
    /// `Content-Length` announces a body; this server reads none (RFC 9112 §6.2).
    Body,
    /// `Expect` asks for something else than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// More than one `Origin` (RFC 6454 §7.3, RFC 9110 §5.3).
    RepeatedOrigin,
    /// An ordinary HTTP request: no `Upgrade` to websocket, nor a `Sec-WebSocket-Key` or
    /// `Sec-WebSocket-Version` (§4.2.1).
    NotWebSocket,
    /// The method of a handshake is not `GET` (§4.2.1 item 1).
    MethodNotGet,
    /// A handshake over HTTP/1.0 (§4.2.1 item 1).
    HttpTooOld,
    /// A handshake without `Upgrade`, as a proxy leaves it that does not pass it on (§4.2.1 item 3).
    MissingUpgrade,
    /// `Upgrade` is not a list of protocols (RFC 9110 §7.8).
    InvalidUpgrade,
    /// `Upgrade` does not ask for `websocket` (§4.2.1 item 3).
    UpgradeNotWebSocket,
    /// `Connection` is not a list of tokens (RFC 9110 §7.6.1).
    InvalidConnection,
    /// `Connection` does not have `Upgrade` in it (§4.2.1 item 4).
    ConnectionNotUpgrade,
    /// No `Sec-WebSocket-Version` (§4.2.1 item 6).
    MissingVersion,
    /// More than one `Sec-WebSocket-Version` (§11.3.5).
    RepeatedVersion,
    /// `Sec-WebSocket-Version` is not 13 (§4.2.1 item 6, §4.2.2 item 4).
    UnsupportedVersion,
    /// No `Sec-WebSocket-Key` (§4.2.1 item 5).
    MissingKey,
    /// More than one `Sec-WebSocket-Key` (§11.3.1).
    RepeatedKey,
    /// `Sec-WebSocket-Key` is not the base64 of 16 bytes (§4.2.1 item 5).
    InvalidKey,
    /// `Sec-WebSocket-Protocol` is not a list of one token or more (§4.1 item 10, §11.3.4).
    InvalidProtocol,
    /// `Sec-WebSocket-Protocol` offers the same subprotocol twice (§4.1 item 10).
    RepeatedProtocol,
    /// `Sec-WebSocket-Extensions` is not a list of extensions (§9.1).
    InvalidExtensions,
    /// `Origin` is not one that this server is configured to serve (§4.2.2 item 4, §10.2).
    /// [`HandshakeError::reason`] names it.
    OriginNotAllowed,
}

impl HandshakeError {
    /// The status that answers it.
    pub fn status(self) -> Status {
        match self {
            HandshakeError::Head(error) => error.status(),
            // RFC 9110 §15.5.22: the client is to ask again, for WebSocket 13.
            HandshakeError::MissingUpgrade
            | HandshakeError::UpgradeNotWebSocket
            | HandshakeError::ConnectionNotUpgrade
            | HandshakeError::MissingVersion
            | HandshakeError::UnsupportedVersion => Status::UPGRADE_REQUIRED,
            HandshakeError::MethodNotGet => Status::METHOD_NOT_ALLOWED,
            // §4.2.2 item 4: a server that does not accept this origin.
            HandshakeError::OriginNotAllowed => Status::FORBIDDEN,
            // RFC 9110 §10.1.1: an expectation that is not known.
            HandshakeError::Expectation => Status::EXPECTATION_FAILED,
            HandshakeError::MissingHost
            | HandshakeError::RepeatedHost
            | HandshakeError::InvalidHost
            | HandshakeError::InvalidAuthority
            | HandshakeError::TransferEncoding
            | HandshakeError::RepeatedContentLength
            | HandshakeError::InvalidContentLength
            | HandshakeError::Body
            | HandshakeError::RepeatedOrigin
            | HandshakeError::NotWebSocket
            | HandshakeError::HttpTooOld
            | HandshakeError::InvalidUpgrade
            | HandshakeError::InvalidConnection
            | HandshakeError::RepeatedVersion
            | HandshakeError::MissingKey
            | HandshakeError::RepeatedKey
            | HandshakeError::InvalidKey
            | HandshakeError::InvalidProtocol
            | HandshakeError::RepeatedProtocol
            | HandshakeError::InvalidExtensions => Status::BAD_REQUEST,
        }
    }

    /// The response that answers it: its status, and its text as the body. Where the request could
    /// be read, [`response_to`](Self::response_to) may say more, and where it is HTTP/2,
    /// [`HeadError::frame`] is the answer.
    pub fn response(self) -> Response {
        self.response_with(&self.to_string())
    }

    /// The same for this request: the body is the [`reason`](Self::reason).
    pub fn response_to(self, head: &RequestHead) -> Response {
        self.response_with(&self.reason(head))
    }

    /// Its text for this request: an origin that is not allowed is named, as far as it is short and
    /// of visible ASCII. One line, and fit for a log.
    pub fn reason(self, head: &RequestHead) -> String {
        const LONGEST: usize = 100;
        let origin = head.header_values("Origin").next().unwrap_or_default();
        if self != HandshakeError::OriginNotAllowed || origin.is_empty() {
            return self.to_string();
        }
        let visible = |&byte: &u8| if byte.is_ascii_graphic() { char::from(byte) } else { '?' };
        let mut name: String = origin.iter().take(LONGEST).map(visible).collect();
        if origin.len() > LONGEST {
            name += "...";
        }
        format!("the origin {name} is not allowed")
    }

    fn response_with(self, reason: &str) -> Response {
        let response = Response::new(self.status(), format!("{reason}\n"));
        match self {
            // RFC 9110 §15.5.6: 405 tells which methods there are.
            HandshakeError::MethodNotGet => response.header("Allow", "GET"),
            _ => response,
        }
    }
}

/// The value of a header that may be given once; `repeated` if it is given more often.
pub(super) fn only<'a>(
    head: &'a RequestHead,
    name: &str,
    repeated: HandshakeError,
) -> Result<Option<&'a [u8]>, HandshakeError> {
    let mut values = head.header_values(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(repeated),
        (value, None) => Ok(value),
    }
}

impl From<HeadError> for HandshakeError {
    fn from(error: HeadError) -> HandshakeError {
        HandshakeError::Head(error)
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HandshakeError::Head(error) => return error.fmt(f),
            HandshakeError::MissingHost => "the Host header is missing",
            HandshakeError::RepeatedHost => "there is more than one Host header",
            HandshakeError::InvalidHost => "the Host header is malformed",
            HandshakeError::InvalidAuthority => "the host in the request target is malformed",
            HandshakeError::TransferEncoding => "a request with a body (Transfer-Encoding) is not accepted",
            HandshakeError::RepeatedContentLength => "there is more than one Content-Length header",
            HandshakeError::InvalidContentLength => "the Content-Length header is malformed",
            HandshakeError::Body => "a request with a body (Content-Length) is not accepted",
            HandshakeError::Expectation => "the Expect header asks for more than 100-continue",
            HandshakeError::RepeatedOrigin => "there is more than one Origin header",
            HandshakeError::NotWebSocket => "this is a WebSocket endpoint, and the request is plain HTTP",
            HandshakeError::MethodNotGet => "a WebSocket handshake uses the method GET",
            HandshakeError::HttpTooOld => {
                "a WebSocket handshake needs HTTP/1.1 (a proxy on the way may speak HTTP/1.0)"
            },
            HandshakeError::MissingUpgrade => {
                "the Upgrade header is missing (a proxy on the way may have removed it)"
            }
            HandshakeError::InvalidUpgrade => "the Upgrade header is malformed",
            HandshakeError::UpgradeNotWebSocket => "the Upgrade header does not ask for websocket",
            HandshakeError::InvalidConnection => "the Connection header is malformed",
            HandshakeError::ConnectionNotUpgrade => {
                "the Connection header does not say Upgrade (a proxy on the way may have removed it)"
            }
            HandshakeError::MissingVersion => "the Sec-WebSocket-Version header is missing",
            HandshakeError::RepeatedVersion => "there is more than one Sec-WebSocket-Version header",
            HandshakeError::UnsupportedVersion => "this server speaks WebSocket version 13",
            HandshakeError::MissingKey => "the Sec-WebSocket-Key header is missing",
            HandshakeError::RepeatedKey => "there is more than one Sec-WebSocket-Key header",
            HandshakeError::InvalidKey => "the Sec-WebSocket-Key header is not the base64 of 16 bytes",
            HandshakeError::InvalidProtocol => "the Sec-WebSocket-Protocol header is not a list of tokens",
            HandshakeError::RepeatedProtocol => "the same subprotocol is offered twice",
            HandshakeError::InvalidExtensions => "the Sec-WebSocket-Extensions header is malformed",
            HandshakeError::OriginNotAllowed => "this origin is not allowed",
        })
    }
}

impl std::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            HandshakeError::Head(error) => Some(error),
            _ => None,
        }
    }
}
