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
