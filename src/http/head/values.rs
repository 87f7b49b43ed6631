//! Values that stand inside parts of a head: cookies, what a query says, a bearer's token.
//!
//! Each is looked for in one pass over bytes that a peer has chosen, and nothing is allocated but for
//! a value that has to be decoded.

use std::borrow::Cow;
use std::iter;
use std::str;

/// The value of the first cookie of this name in a line of `Cookie`: `a=1; b="2"` (RFC 6265 §4.2.1).
/// `None` inside, if it is not UTF-8: another of the same name is not meant.
pub(super) fn cookie<'a>(line: &'a [u8], name: &str) -> Option<Option<&'a str>> {
    let pair = line.split(|byte| *byte == b';').find_map(|pair| {
        let (key, value) = split_once(pair, b'=')?;
        (key.trim_ascii() == name.as_bytes()).then(|| value.trim_ascii())
    })?;
    let value = match pair {
        [b'"', value @ .., b'"'] => value,
        value => value,
    };
    Some(str::from_utf8(value).ok())
}

/// The first value of this name in a query, decoded.
pub(super) fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query.as_bytes().split(|byte| *byte == b'&').find_map(|pair| {
        let (key, value) = split_once(pair, b'=').unwrap_or((pair, b""));
        // The empty string between two `&` is no name.
        let is_it = !pair.is_empty() && decoded(key).eq(name.bytes());
        is_it.then(|| {
            if value.iter().any(|byte| matches!(byte, b'+' | b'%')) {
                let bytes: Vec<u8> = decoded(value).collect();
                return Cow::Owned(String::from_utf8_lossy(&bytes).into_owned());
            }
            String::from_utf8_lossy(value)
        })
    })
}

/// The token of a value of `Authorization` (RFC 6750 §2.1): `Bearer`, spaces, and a `b64token`.
pub(super) fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = split_once(value, b' ')?;
    // RFC 9110 §11.1: case does not matter in a scheme.
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return None;
    }
    let start = token.iter().position(|byte| *byte != b' ')?;
    let token = &token[start..];
    let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
    let is_char = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let text = &token[..token.len() - padding];
    (!text.is_empty() && text.iter().all(is_char)).then(|| str::from_utf8(token).ok())?
}

/// Whether the value of a header is somebody's credentials.
pub(super) fn is_secret(name: &str) -> bool {
    ["Authorization", "Proxy-Authorization", "Cookie"]
        .iter()
        .any(|secret| secret.eq_ignore_ascii_case(name))
}

/// What stands for these bytes in a form.
fn decoded(mut bytes: &[u8]) -> impl Iterator<Item = u8> {
    let hex = |digit: u8| char::from(digit).to_digit(16);
    iter::from_fn(move || {
        if let [b'%', high, low, rest @ ..] = bytes
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            bytes = rest;
            return Some((high << 4 | low) as u8);
        }
        let (first, rest) = bytes.split_first()?;
        bytes = rest;
        Some(if *first == b'+' { b' ' } else { *first })
    })
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_come_out_as_they_were_set() {
        for (line, value) in [
            (&b"id=1"[..], Some("1")),
            (b"a=b; id=1; id=2", Some("1")),
            (b"a=b;id=1;c", Some("1")),
            (b" \tid = 1 ; x=y", Some("1")),
            (b"id=\"1\"", Some("1")),
            (b"id=\"", Some("\"")),
            (b"id=\"\"", Some("")),
            (b"id=", Some("")),
            (b"id=a=b==", Some("a=b==")),
            (b"id={\"a\":[1,2]}", Some("{\"a\":[1,2]}")),
            (b"id=\xc3\xa9", Some("\u{e9}")),
            (b"id=\xe9; id=1", None),
            (b"ID=1", None),
            (b"xid=1; id2=1; id", None),
            (b"", None),
            (b";;;=;", None),
        ] {
            assert_eq!(cookie(line, "id").flatten(), value, "{}", line.escape_ascii());
        }
        assert_eq!(cookie(b"id=\xe9; id=1", "id"), Some(None), "no other is looked for");
    }

    #[test]
    fn queries_are_decoded_as_forms_are() {
        for (query, value) in [
            ("a=1", Some("1")),
            ("b=2&a=1&a=3", Some("1")),
            ("a", Some("")),
            ("a=", Some("")),
            ("a=b=c", Some("b=c")),
            ("%61=%31", Some("1")),
            ("a=1+2%2B3", Some("1 2+3")),
            ("a=%C3%A9%c3%A9", Some("\u{e9}\u{e9}")),
            ("a=%E9", Some("\u{fffd}")),
            ("a=%", Some("%")),
            ("a=%4", Some("%4")),
            ("a=%4g%zz%41", Some("%4g%zzA")),
            ("a=%00", Some("\0")),
            ("a=1;b=2", Some("1;b=2")),
            ("&&&a=1&", Some("1")),
            ("A=1&aa=2", None),
            ("", None),
        ] {
            assert_eq!(query_value(query, "a").as_deref(), value, "{query}");
        }
        assert_eq!(query_value("x+y=1", "x y").as_deref(), Some("1"));
        assert_eq!(query_value("&=1", "").as_deref(), Some("1"));
        assert_eq!(query_value("&&", ""), None);
        assert!(matches!(query_value("a=plain", "a"), Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn a_bearer_has_one_token() {
        for (value, token) in [
            (&b"Bearer abc"[..], Some("abc")),
            (b"bEARER   abc==", Some("abc==")),
            (b"Bearer aZ09-._~+/", Some("aZ09-._~+/")),
            (b"Bearer", None),
            (b"Bearer ", None),
            (b"Bearer ==", None),
            (b"Bearer a=b", None),
            (b"Bearer a b", None),
            (b"Bearer\ta", None),
            (b"Bearer a,b", None),
            (b"Bearer \xe9", None),
            (b"Basic abc", None),
            (b"Bearerabc", None),
            (b"", None),
        ] {
            assert_eq!(bearer(value), token, "{}", value.escape_ascii());
        }
    }

    /// Whatever a peer makes up: no panic, and what comes out is no longer than what went in.
    #[test]
    fn every_short_line_is_survived() {
        const BYTES: &[u8] = b"a=;\"% +&\xe9";
        let mut line = Vec::new();
        for number in 0..BYTES.len().pow(5) {
            line.clear();
            let mut rest = number;
            while rest > 0 {
                line.push(BYTES[rest % BYTES.len()]);
                rest /= BYTES.len();
            }
            let found = cookie(&line, "a").flatten().unwrap_or_default();
            assert!(found.len() <= line.len());
            assert_eq!(bearer(&line), None);
            if let Ok(query) = str::from_utf8(&line) {
                let found = query_value(query, "a").unwrap_or_default();
                // U+FFFD takes three bytes, and stands for what `%` and two digits are.
                assert!(found.len() <= line.len());
            }
        }
    }
}
