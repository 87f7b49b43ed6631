//! What the tests of this module share.

use super::error::HeadError;
use super::head::{HeadLimits, RequestHead};
use super::parser::HeadParser;

/// A good handshake with the key of §1.3 and nothing that could be left out.
pub(super) const R0: &str = "GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

/// R0 with one part of it replaced.
pub(super) fn changed(from: &str, to: &str) -> String {
    assert!(R0.contains(from), "nothing to change: {from}");
    R0.replace(from, to)
}

/// R0 with lines added at its end; each ends in CRLF.
pub(super) fn with(lines: &str) -> String {
    format!("{}{lines}\r\n", R0.strip_suffix("\r\n").unwrap())
}

/// R0 without the line that begins with this name.
pub(super) fn without(name: &str) -> String {
    let start = R0.find(&format!("\r\n{name}:")).expect(name) + 2;
    let end = start + R0[start..].find("\r\n").unwrap() + 2;
    format!("{}{}", &R0[..start], &R0[end..])
}

/// The head in these bytes, which must not end before it does.
pub(super) fn read(bytes: impl AsRef<[u8]>) -> Result<RequestHead, HeadError> {
    let mut parser = HeadParser::new(HeadLimits::default());
    let (_, head) = parser.feed(bytes.as_ref())?;
    Ok(head.expect("the head is not complete"))
}

/// Inputs, the position of the byte at which each fails, and why.
pub(super) const BAD: &[(&[u8], usize, HeadError)] = &[
    // H62, H63: a TLS ClientHello; binary.
    (b"\x16\x03\x01\x02\x00\x01", 1, HeadError::TlsClientHello),
    (b"\x16\x16", 1, HeadError::InvalidMethod),
    (b"\x16\n", 1, HeadError::InvalidMethod),
    (b"\r\n\x16\x03", 2, HeadError::InvalidMethod),
    (b"\x00", 0, HeadError::InvalidMethod),
    (b"\xff\xfe", 0, HeadError::InvalidMethod),
    (b" GET", 0, HeadError::InvalidMethod),
    (b"GET\t/", 3, HeadError::InvalidMethod),
    (b"GET\r\n", 3, HeadError::InvalidMethod),
    (b"G\0T", 1, HeadError::InvalidMethod),
    // H59 allows one empty line.
    (b"\r\n\r\n", 2, HeadError::EmptyLines),
    (b"\r\n\n", 2, HeadError::BareLf),
    (b"\r\n GET", 2, HeadError::InvalidMethod),
    (b"\rGET", 1, HeadError::BareCr),
    (b"\n", 0, HeadError::BareLf),
    // H61.
    (b"GET  /", 4, HeadError::InvalidTarget),
    (b"GET /  HTTP", 6, HeadError::InvalidVersion),
    (b"GET /\tHTTP", 5, HeadError::InvalidTarget),
    (b"GET / HTTP/1.1 \r\n", 14, HeadError::InvalidVersion),
    // H30, and other targets.
    (b"GET /a#b", 6, HeadError::InvalidTarget),
    (b"GET /\0", 5, HeadError::InvalidTarget),
    (b"GET /\x7f", 5, HeadError::InvalidTarget),
    (b"GET /\xc3", 5, HeadError::InvalidTarget),
    (b"GET chat HTTP/1.1", 4, HeadError::InvalidTarget),
    (b"GET ?a", 4, HeadError::InvalidTarget),
    (b"GET * HTTP/1.1", 4, HeadError::InvalidTarget),
    (b"options * HTTP/1.1", 8, HeadError::InvalidTarget),
    (b"OPTIONSS * HTTP/1.1", 9, HeadError::InvalidTarget),
    (b"OPTIONS */ HTTP/1.1", 9, HeadError::InvalidTarget),
    (b"OPTIONS ** HTTP/1.1", 9, HeadError::InvalidTarget),
    (b"OPTIONS *\r\n", 9, HeadError::InvalidVersion),
    (b"CONNECT a:80 HTTP/1.1", 8, HeadError::InvalidTarget),
    (b"GET ftp://a/", 4, HeadError::InvalidTarget),
    (b"GET hto", 6, HeadError::InvalidTarget),
    (b"GET htty://a/", 7, HeadError::InvalidTarget),
    (b"GET wx://a/", 5, HeadError::InvalidTarget),
    (b"GET httpx://a/", 8, HeadError::InvalidTarget),
    (b"GET httpss", 9, HeadError::InvalidTarget),
    (b"GET wsx", 6, HeadError::InvalidTarget),
    (b"GET ws:/a", 8, HeadError::InvalidTarget),
    (b"GET ws:// ", 9, HeadError::InvalidTarget),
    (b"GET ws:///", 9, HeadError::InvalidTarget),
    (b"GET ws://?", 9, HeadError::InvalidTarget),
    (b"GET ws HTTP", 6, HeadError::InvalidTarget),
    (b"GET ws://a#", 10, HeadError::InvalidTarget),
    (b"GET http://u@h/", 12, HeadError::UserInfo),
    (b"GET http://u:p@h/", 14, HeadError::UserInfo),
    (b"GET http://@h/", 11, HeadError::UserInfo),
    // H4, and other versions.
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 13, HeadError::Http2Preface),
    (b"\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 6, HeadError::InvalidTarget),
    (b"PRI * HTTP/1.1\r\n", 11, HeadError::InvalidTarget),
    (b"PRI * HTTP/2.1\r\n", 13, HeadError::InvalidTarget),
    (b"PRI */", 5, HeadError::InvalidTarget),
    (b"PRI *\n", 5, HeadError::BareLf),
    (b"PRIX *", 5, HeadError::InvalidTarget),
    (b"PRI / HTTP/2.0\r\n", 11, HeadError::UnsupportedVersion),
    (b"GET / HTTP/2.0", 11, HeadError::UnsupportedVersion),
    (b"GET / HTTP/0.9", 11, HeadError::UnsupportedVersion),
    (b"GET / HTTP/10.0", 12, HeadError::InvalidVersion),
    (b"GET / HTTP/1.10", 14, HeadError::InvalidVersion),
    (b"GET / HTTP/1,1", 12, HeadError::InvalidVersion),
    (b"GET / HTTP/1.x", 13, HeadError::InvalidVersion),
    (b"GET / HTTP/1\r\n", 12, HeadError::InvalidVersion),
    (b"GET / http/1.1", 6, HeadError::InvalidVersion),
    (b"GET / HTTPS/1.1", 10, HeadError::InvalidVersion),
    (b"GET /\r\n", 5, HeadError::InvalidVersion),
    (b"GET http://a\r\n", 12, HeadError::InvalidVersion),
    (b"GET / \r\n", 6, HeadError::InvalidVersion),
    // H34, H39: line ends and NUL, anywhere.
    (b"GET\n", 3, HeadError::BareLf),
    (b"GET /\n", 5, HeadError::BareLf),
    (b"GET / HTTP/1.1\nHost: a", 14, HeadError::BareLf),
    (b"GET / HTTP/1.1\r\r\n", 15, HeadError::BareCr),
    (b"GET / HTTP/1.1\r\nA: b\n", 20, HeadError::BareLf),
    (b"GET / HTTP/1.1\r\nA\n", 17, HeadError::BareLf),
    (b"GET / HTTP/1.1\r\nA: b\rc", 21, HeadError::BareCr),
    (b"GET / HTTP/1.1\r\nA: b\r\n\n", 22, HeadError::BareLf),
    (b"GET / HTTP/1.1\r\nA: b\r\n\rX", 23, HeadError::BareCr),
    (b"GET / HTTP/1.1\r\nA\0: b", 17, HeadError::InvalidName),
    (b"GET / HTTP/1.1\r\nA: \0", 19, HeadError::InvalidValue),
    (b"GET / HTTP/1.1\0", 14, HeadError::InvalidVersion),
    (b"GET / HTTP/1.1\r\n\0", 16, HeadError::InvalidName),
    // H32, H33.
    (b"GET / HTTP/1.1\r\nA: b\r\n c", 22, HeadError::FoldedLine),
    (b"GET / HTTP/1.1\r\nA: b\r\n\tc", 22, HeadError::FoldedLine),
    (b"GET / HTTP/1.1\r\n A: b", 16, HeadError::LeadingSpace),
    (b"GET / HTTP/1.1\r\n\tA: b", 16, HeadError::LeadingSpace),
    // H36, H37, H38, H40, H42.
    (b"GET / HTTP/1.1\r\nA\r\n", 17, HeadError::MissingColon),
    (b"GET / HTTP/1.1\r\nHost : a", 20, HeadError::SpaceInName),
    (b"GET / HTTP/1.1\r\nHost\t: a", 20, HeadError::SpaceInName),
    (b"GET / HTTP/1.1\r\n: a", 16, HeadError::EmptyName),
    (b"GET / HTTP/1.1\r\nX(y): a", 17, HeadError::InvalidName),
    (b"GET / HTTP/1.1\r\nX\xc3: a", 17, HeadError::InvalidName),
    (b"GET / HTTP/1.1\r\nA: b\x01", 20, HeadError::InvalidValue),
    (b"GET / HTTP/1.1\r\nA:\x7f", 18, HeadError::InvalidValue),
];

/// A head with something of everything that is allowed, and the start of a frame behind it.
pub(super) const RICH: &[u8] =
    b"\r\nGET wss://a.example:9001/x?y=1 HTTP/1.1\r\nHost:a\r\nX-Empty:\r\n\
    X-Space: \t \r\nx-obs: \t\xff\x80 in  side\t \r\nHost: b\r\n\r\n\x81\x80\0\0\0\0";
