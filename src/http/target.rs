//! The request target, byte by byte (RFC 9112 §3.2): `/path?query`, an absolute URI, or `*`.

use super::error::HeadError;
use super::grammar;

/// Parts of `http(s)://authority/path` and `ws(s)://authority/path`, where all ahead of the path
/// may be missing. A slice is what is left of a fixed text.
#[derive(Clone, Copy, Debug)]
pub(super) enum TargetPart {
    Start,
    Scheme(&'static [u8]),
    /// `http` or `ws` has been read: an `s` may follow.
    SchemeEnd,
    Slashes(&'static [u8]),
    AuthorityStart,
    Authority,
    /// Path and query.
    Path,
    /// The `*` that is all of a target.
    Asterisk,
    /// Behind `PRI *`: what is left of the first line of HTTP/2's preface.
    Preface(&'static [u8]),
}

impl TargetPart {
    /// Whether a target may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(self, TargetPart::Authority | TargetPart::Path | TargetPart::Asterisk)
    }
}

/// RFC 9112 §3.2: origin-form or absolute-form; the parser, which knows the method, lets
/// asterisk-form begin. Nothing is served to `CONNECT`, so authority-form is refused.
pub(super) fn target_byte(part: TargetPart, byte: u8) -> Result<TargetPart, HeadError> {
    use TargetPart::{Authority, AuthorityStart, Path, Preface, Scheme, SchemeEnd, Slashes, Start};
    Ok(match (part, byte) {
        (Start, b'/') => Path,
        (Path, _) if grammar::is_target_byte(byte) => Path,
        // RFC 3986 §3.1: case does not matter in a scheme.
        (Start, b'h' | b'H') => Scheme(b"ttp"),
        (Start, b'w' | b'W') => Scheme(b"s"),
        (Scheme([want]), _) if byte.eq_ignore_ascii_case(want) => SchemeEnd,
        (Scheme([want, rest @ ..]), _) if byte.eq_ignore_ascii_case(want) => Scheme(rest),
        (SchemeEnd, b's' | b'S') => Slashes(b"://"),
        (SchemeEnd, b':') => Slashes(b"//"),
        (Slashes([want]), _) if byte == *want => AuthorityStart,
        (Slashes([want, rest @ ..]), _) if byte == *want => Slashes(rest),
        // RFC 9110 §4.2: an empty host is invalid, and so (§4.2.4) is a user name.
        (AuthorityStart | Authority, b'@') => return Err(HeadError::UserInfo),
        (AuthorityStart, b'/' | b'?') => return Err(HeadError::InvalidTarget),
        (Authority, b'/' | b'?') => Path,
        (AuthorityStart | Authority, _) if grammar::is_target_byte(byte) => Authority,
        (Preface([want]), _) if byte == *want => return Err(HeadError::Http2Preface),
        (Preface([want, rest @ ..]), _) if byte == *want => Preface(rest),
        _ => return Err(HeadError::InvalidTarget),
    })
}
