//! Every way in which a request fails the opening handshake, as two tables: what is wrong with a
//! head, and what is wrong with a request whose head could be read.
//!
//! Each error has one row: the status that answers it, the section of the rule, and the words that
//! the client is told. The tables make the enums, so a row cannot lack a part, and two places
//! cannot disagree.

use std::fmt;

use super::head::RequestHead;
use super::response::{Response, Status};

/// Defines an error from its rows: `Variant = STATUS, section, words`. A first variant may hold
/// another such error, and has all of that one.
macro_rules! errors {
    (
        $(#[$meta:meta])*
        pub enum $name:ident $(: $(#[$held_doc:meta])* $holder:ident($held:ident))?;
        $($(#[$doc:meta])* $variant:ident = $status:ident, $section:literal, $words:literal;)*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$held_doc])* $holder($held),)?
            $(
                $(#[$doc])*
                #[doc = concat!("\n", $section, ": ", "[`", stringify!($status), "`](Status::", stringify!($status), ").")]
                $variant,
            )*
        }

        impl $name {
            /// All there are, but for one that holds another error: for those who count them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The status that answers it.
            pub const fn status(self) -> Status {
                match self {
                    $($name::$holder(error) => error.status(),)?
                    $($name::$variant => Status::$status,)*
                }
            }

            /// The section that holds the rule; where no document is named, it is one of RFC 6455.
            pub const fn section(self) -> &'static str {
                match self {
                    $($name::$holder(error) => error.section(),)?
                    $($name::$variant => $section,)*
                }
            }

            /// The words that the client is told: one line.
            const fn words(self) -> &'static str {
                match self {
                    $($name::$holder(error) => error.words(),)?
                    $($name::$variant => $words,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.words())
            }
        }
    };
}

errors! {
    /// Why bytes are not a request head that this server reads.
    pub enum HeadError;
    /// The request line is longer than `HeadLimits::max_request_line`.
    RequestLineTooLong = URI_TOO_LONG, "RFC 9112 §3", "the request line is too long";
    /// A header line is longer than `HeadLimits::max_header_line`.
    HeaderLineTooLong = REQUEST_HEADER_FIELDS_TOO_LARGE, "RFC 9110 §5.4",
        "a header line is too long";
    /// There are more header lines than `HeadLimits::max_headers`.
    TooManyHeaders = REQUEST_HEADER_FIELDS_TOO_LARGE, "RFC 9110 §5.4", "there are too many headers";
    /// The head is longer than `HeadLimits::max_head_size`.
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "RFC 9110 §5.4",
        "the request head is too large";
    /// A line ends in LF without CR: the CR may be left out only where a server chooses to allow
    /// it.
    BareLf = BAD_REQUEST, "RFC 9112 §2.2", "a line ends in LF without CR";
    /// A CR is not followed by LF.
    BareCr = BAD_REQUEST, "RFC 9112 §2.2", "a CR is not followed by LF";
    /// More than one empty line stands ahead of the request line.
    EmptyLines = BAD_REQUEST, "RFC 9112 §2.2", "more than one empty line precedes the request line";
    /// The first bytes are a TLS handshake's, and this is no port for TLS.
    TlsClientHello = BAD_REQUEST, "RFC 8446 §5.1",
        "TLS on a plain port: use ws:// or http://, or put a TLS proxy in front";
    /// The first bytes are those of plain HTTP, and this is a port for TLS. The answer is as plain.
    PlainHttp = BAD_REQUEST, "RFC 9110 §4.2.2",
        "HTTP without TLS on a port for TLS: use wss:// or https://";
    /// HTTP/2 begins without being asked for. What answers it is no HTTP/1.1, but
    /// [`HeadError::frame`].
    Http2Preface = HTTP_VERSION_NOT_SUPPORTED, "RFC 9113 §3.4", "HTTP/2 on a port for HTTP/1.1";
    /// The method is missing, or is not a token.
    InvalidMethod = BAD_REQUEST, "RFC 9112 §3.1", "the method is missing or malformed";
    /// The target is neither a path nor an absolute http, https, ws or wss URI, nor the `*` of
    /// `OPTIONS *`, or has a byte in it that no URI has.
    InvalidTarget = BAD_REQUEST, "RFC 9112 §3.2", "the request target is malformed";
    /// The target has a user name in it.
    UserInfo = BAD_REQUEST, "RFC 9110 §4.2.4", "the request target has a user name in it";
    /// The HTTP version is missing, or is not `HTTP/` digit `.` digit.
    InvalidVersion = BAD_REQUEST, "RFC 9112 §2.3", "the HTTP version is missing or malformed";
    /// The major version of HTTP is not 1.
    UnsupportedVersion = HTTP_VERSION_NOT_SUPPORTED, "RFC 9110 §15.6.6",
        "this server speaks HTTP/1.1";
    /// White space stands ahead of the first header name.
    LeadingSpace = BAD_REQUEST, "RFC 9112 §2.2", "white space precedes the first header";
    /// A header goes on over a second line (obs-fold).
    FoldedLine = BAD_REQUEST, "RFC 9112 §5.2", "a header is folded over two lines";
    /// A header line begins with its colon.
    EmptyName = BAD_REQUEST, "RFC 9112 §5", "a header has no name";
    /// White space stands in a header name, or between it and its colon.
    SpaceInName = BAD_REQUEST, "RFC 9112 §5.1", "white space in a header name or before its colon";
    /// A header name has a byte in it that is not a token's.
    InvalidName = BAD_REQUEST, "RFC 9110 §5.1", "a header name has an invalid character in it";
    /// A header line has no colon.
    MissingColon = BAD_REQUEST, "RFC 9112 §5", "a header line has no colon";
    /// A header value has a control character in it.
    InvalidValue = BAD_REQUEST, "RFC 9110 §5.5", "a header value has a control character in it";
}

errors! {
    /// Why a request is not upgraded.
    ///
    /// Its text is one line in plain words, and is what the client is told.
    pub enum HandshakeError: /// The bytes are not a request head (RFC 9112).
        Head(HeadError);
    /// HTTP/1.1 without `Host`.
    MissingHost = BAD_REQUEST, "RFC 9112 §3.2; §4.2.1 item 2", "the Host header is missing";
    /// More than one `Host`.
    RepeatedHost = BAD_REQUEST, "RFC 9112 §3.2", "there is more than one Host header";
    /// `Host` is not a host with an optional port.
    InvalidHost = BAD_REQUEST, "RFC 9112 §3.2, RFC 9110 §7.2", "the Host header is malformed";
    /// The absolute target does not name a host with an optional port.
    InvalidAuthority = BAD_REQUEST, "RFC 9110 §4.2", "the host in the request target is malformed";
    /// A `Transfer-Encoding` announces a body; this server reads none.
    TransferEncoding = BAD_REQUEST, "RFC 9112 §6.1",
        "a request with a body (Transfer-Encoding) is not accepted";
    /// More than one `Content-Length`.
    RepeatedContentLength = BAD_REQUEST, "RFC 9110 §8.6",
        "there is more than one Content-Length header";
    /// `Content-Length` is not a number in digits.
    InvalidContentLength = BAD_REQUEST, "RFC 9110 §8.6", "the Content-Length header is malformed";
    /// `Content-Length` announces a body; this server reads none.
    Body = BAD_REQUEST, "RFC 9112 §6.2", "a request with a body (Content-Length) is not accepted";
    /// `Expect` asks for something else than `100-continue`.
    Expectation = EXPECTATION_FAILED, "RFC 9110 §10.1.1",
        "the Expect header asks for more than 100-continue";
    /// More than one `Origin`.
    RepeatedOrigin = BAD_REQUEST, "RFC 6454 §7.3, RFC 9110 §5.3",
        "there is more than one Origin header";
    /// An ordinary HTTP request: no `Upgrade` to websocket, nor a `Sec-WebSocket-Key` or
    /// `Sec-WebSocket-Version`.
    NotWebSocket = BAD_REQUEST, "§4.2.1",
        "this is a WebSocket endpoint, and the request is plain HTTP";
    /// The method of a handshake is not `GET`.
    MethodNotGet = METHOD_NOT_ALLOWED, "§4.2.1 item 1", "a WebSocket handshake uses the method GET";
    /// A handshake over HTTP/1.0.
    HttpTooOld = BAD_REQUEST, "§4.2.1 item 1",
        "a WebSocket handshake needs HTTP/1.1 (a proxy on the way may speak HTTP/1.0)";
    /// A handshake without `Upgrade`, as a proxy leaves it that does not pass it on.
    MissingUpgrade = UPGRADE_REQUIRED, "§4.2.1 item 3",
        "the Upgrade header is missing (a proxy on the way may have removed it)";
    /// `Upgrade` is not a list of protocols.
    InvalidUpgrade = BAD_REQUEST, "RFC 9110 §7.8", "the Upgrade header is malformed";
    /// `Upgrade` does not ask for `websocket`.
    UpgradeNotWebSocket = UPGRADE_REQUIRED, "§4.2.1 item 3",
        "the Upgrade header does not ask for websocket";
    /// `Connection` is not a list of tokens.
    InvalidConnection = BAD_REQUEST, "RFC 9110 §7.6.1", "the Connection header is malformed";
    /// `Connection` does not have `Upgrade` in it.
    ConnectionNotUpgrade = UPGRADE_REQUIRED, "§4.2.1 item 4",
        "the Connection header does not say Upgrade (a proxy on the way may have removed it)";
    /// No `Sec-WebSocket-Version`.
    MissingVersion = UPGRADE_REQUIRED, "§4.2.1 item 6",
        "the Sec-WebSocket-Version header is missing";
    /// More than one `Sec-WebSocket-Version`.
    RepeatedVersion = BAD_REQUEST, "§11.3.5", "there is more than one Sec-WebSocket-Version header";
    /// `Sec-WebSocket-Version` is not 13.
    UnsupportedVersion = UPGRADE_REQUIRED, "§4.2.1 item 6, §4.2.2 item 4",
        "this server speaks WebSocket version 13";
    /// No `Sec-WebSocket-Key`.
    MissingKey = BAD_REQUEST, "§4.2.1 item 5", "the Sec-WebSocket-Key header is missing";
    /// More than one `Sec-WebSocket-Key`.
    RepeatedKey = BAD_REQUEST, "§11.3.1", "there is more than one Sec-WebSocket-Key header";
    /// `Sec-WebSocket-Key` is not the base64 of 16 bytes.
    InvalidKey = BAD_REQUEST, "§4.2.1 item 5",
        "the Sec-WebSocket-Key header is not the base64 of 16 bytes";
    /// `Sec-WebSocket-Protocol` is not a list of one token or more.
    InvalidSubprotocol = BAD_REQUEST, "§4.1 item 10, §11.3.4",
        "the Sec-WebSocket-Protocol header is not a list of tokens";
    /// `Sec-WebSocket-Protocol` offers the same subprotocol twice.
    RepeatedSubprotocol = BAD_REQUEST, "§4.1 item 10", "the same subprotocol is offered twice";
    /// `Sec-WebSocket-Extensions` is not a list of extensions.
    InvalidExtensions = BAD_REQUEST, "§9.1", "the Sec-WebSocket-Extensions header is malformed";
    /// `Origin` is not one that this server is configured to serve. [`HandshakeError::reason`]
    /// names it.
    OriginNotAllowed = FORBIDDEN, "§4.2.2 item 4, §10.2", "this origin is not allowed";
}

impl HeadError {
    /// The bytes that answer it where a response in HTTP/1.1 would not be understood: to
    /// [`Http2Preface`](Self::Http2Preface) a GOAWAY that says HTTP_1_1_REQUIRED, which clients
    /// turn into clear words, or into a second try in HTTP/1.1. It is all that is sent.
    pub fn frame(self) -> Option<&'static [u8]> {
        match self {
            HeadError::Http2Preface => Some(&GOAWAY),
            _ => None,
        }
    }
}

/// RFC 9113 §6.8: length 8, type 7, no flags, on stream 0; the last stream that was looked at is
/// none, and the error is 0xd (§7).
const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xd];

impl HandshakeError {
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

impl From<HeadError> for HandshakeError {
    fn from(error: HeadError) -> HandshakeError {
        HandshakeError::Head(error)
    }
}

impl std::error::Error for HeadError {}

impl std::error::Error for HandshakeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            HandshakeError::Head(error) => Some(error),
            _ => None,
        }
    }
}
