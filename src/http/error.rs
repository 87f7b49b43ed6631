//! What can be wrong with a request head.

use std::fmt;

/// Why bytes are not a request head that this server reads.
///
/// [`HeadError::status`] gives the HTTP status that answers each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeadError {
    /// The request line is longer than `HeadLimits::max_request_line` (RFC 9112 §3).
    RequestLineTooLong,
    /// A header line is longer than `HeadLimits::max_header_line` (RFC 9110 §5.4).
    HeaderLineTooLong,
    /// There are more header lines than `HeadLimits::max_headers` (RFC 9110 §5.4).
    TooManyHeaders,
    /// The head is longer than `HeadLimits::max_head_size` (RFC 9110 §5.4).
    HeadTooLarge,
    /// A line ends in LF without CR (RFC 9112 §2.2: the CR may be left out only where a server
    /// chooses to allow it).
    BareLf,
    /// A CR is not followed by LF (RFC 9112 §2.2).
    BareCr,
    /// More than one empty line stands ahead of the request line (RFC 9112 §2.2).
    EmptyLines,
    /// The first bytes are a TLS handshake's, and this is no port for TLS (RFC 8446 §5.1).
    TlsClientHello,
    /// HTTP/2 begins without being asked for (RFC 9113 §3.4). What answers it is no HTTP/1.1, but
    /// [`HeadError::frame`].
    Http2Preface,
    /// The method is missing, or is not a token (RFC 9112 §3.1).
    InvalidMethod,
    /// The target is neither a path nor an absolute http, https, ws or wss URI, nor the `*` of
    /// `OPTIONS *`, or has a byte in it that no URI has (RFC 9112 §3.2).
    InvalidTarget,
    /// The target has a user name in it (RFC 9110 §4.2.4).
    UserInfo,
    /// The HTTP version is missing, or is not `HTTP/` digit `.` digit (RFC 9112 §2.3).
    InvalidVersion,
    /// The major version of HTTP is not 1 (RFC 9110 §15.6.6).
    UnsupportedVersion,
    /// White space stands ahead of the first header name (RFC 9112 §2.2).
    LeadingSpace,
    /// A header goes on over a second line (obs-fold, RFC 9112 §5.2).
    FoldedLine,
    /// A header line begins with its colon (RFC 9112 §5).
    EmptyName,
    /// White space stands in a header name, or between it and its colon (RFC 9112 §5.1).
    SpaceInName,
    /// A header name has a byte in it that is not a token's (RFC 9110 §5.1).
    InvalidName,
    /// A header line has no colon (RFC 9112 §5).
    MissingColon,
    /// A header value has a control character in it (RFC 9110 §5.5).
    InvalidValue,
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

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeadError::RequestLineTooLong => "the request line is too long",
            HeadError::HeaderLineTooLong => "a header line is too long",
            HeadError::TooManyHeaders => "there are too many headers",
            HeadError::HeadTooLarge => "the request head is too large",
            HeadError::BareLf => "a line ends in LF without CR",
            HeadError::BareCr => "a CR is not followed by LF",
            HeadError::EmptyLines => "more than one empty line precedes the request line",
            HeadError::TlsClientHello => {
                "TLS on a plain port: use ws:// or http://, or put a TLS proxy in front"
            }
            HeadError::Http2Preface => "HTTP/2 on a port for HTTP/1.1",
            HeadError::InvalidMethod => "the method is missing or malformed",
            HeadError::InvalidTarget => "the request target is malformed",
            HeadError::UserInfo => "the request target has a user name in it",
            HeadError::InvalidVersion => "the HTTP version is missing or malformed",
            HeadError::UnsupportedVersion => "this server speaks HTTP/1.1",
            HeadError::LeadingSpace => "white space precedes the first header",
            HeadError::FoldedLine => "a header is folded over two lines",
            HeadError::EmptyName => "a header has no name",
            HeadError::SpaceInName => "white space in a header name or before its colon",
            HeadError::InvalidName => "a header name has an invalid character in it",
            HeadError::MissingColon => "a header line has no colon",
            HeadError::InvalidValue => "a header value has a control character in it",
        })
    }
}

impl std::error::Error for HeadError {}
