//! The small grammar that the head parser and the handshake share: byte classes, comma lists,
//! hosts and extension lists.
//!
//! Everything here is a question about a byte slice. No function looks at a byte more than a fixed
//! number of times, none allocates, and none can fail other than by answering "no". White space is
//! spaces and tabs: the parser let no other into a value.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::iter;

pub(super) const TOKEN: u8 = 1;
pub(super) const VALUE: u8 = 2;
pub(super) const TARGET: u8 = 4;
const REG_NAME: u8 = 8;

/// Which of the classes each byte value belongs to.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut value = 0;
    while value < 256 {
        let byte = value as u8;
        // RFC 9110 §5.6.2: tchar.
        if byte.is_ascii_alphanumeric() || contains(b"!#$%&'*+-.^_`|~", byte) {
            classes[value] |= TOKEN;
        }
        // RFC 9110 §5.5: visible characters, space, tab and obs-text; no other control.
        if byte.is_ascii_graphic() || byte >= 0x80 {
            classes[value] |= VALUE;
        }
        if byte == b' ' || byte == b'\t' {
            classes[value] |= VALUE;
        }
        // RFC 9112 §3.2: a target has no white space, and no fragment (RFC 9110 §7.1).
        if byte.is_ascii_graphic() && byte != b'#' {
            classes[value] |= TARGET;
        }
        // RFC 3986 §3.2.2: unreserved and sub-delims. The comma is left out, since it is what
        // joins two Host lines into one.
        if byte.is_ascii_alphanumeric() || contains(b"-._~!$&'()*+;=", byte) {
            classes[value] |= REG_NAME;
        }
        value += 1;
    }
    classes
};

/// May this byte be part of a method, a header name or another token (RFC 9110 §5.6.2)?
pub(super) const fn is_token_byte(byte: u8) -> bool {
    CLASSES[byte as usize] & TOKEN != 0
}

/// May this byte be part of a header value (RFC 9110 §5.5)?
pub(super) const fn is_value_byte(byte: u8) -> bool {
    CLASSES[byte as usize] & VALUE != 0
}

/// May this byte be part of a request target (RFC 9112 §3.2)?
pub(super) const fn is_target_byte(byte: u8) -> bool {
    CLASSES[byte as usize] & TARGET != 0
}

/// How many bytes at the start of this belong to a class.
pub(super) fn run(bytes: &[u8], class: u8) -> usize {
    bytes.iter().take_while(|&&byte| CLASSES[byte as usize] & class != 0).count()
}

/// Is this a token: one byte or more, all of the class (RFC 9110 §5.6.2)?
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&byte| is_token_byte(byte))
}

/// Is this the name of a header that belongs to the opening handshake (§11.3)?
pub(super) fn is_websocket_field(name: &str) -> bool {
    const PREFIX: &[u8] = b"Sec-WebSocket-";
    name.as_bytes().get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// The elements of a comma list that may go on over several header lines, without the white space
/// around them and without the empty ones (RFC 9110 §5.6.1). They are not checked further.
pub(super) fn elements<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    lines
        .flat_map(|line| line.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Is this `protocol-name ["/" protocol-version]`, an element of `Upgrade` (RFC 9110 §7.8)?
pub(super) fn is_upgrade_protocol(element: &[u8]) -> bool {
    element.splitn(2, |&byte| byte == b'/').all(is_token)
}

/// Is this `uri-host [ ":" port ]` with a host that is not empty (RFC 9110 §7.2, RFC 3986 §3.2.2)?
pub(super) fn is_host(value: &[u8]) -> bool {
    host_and_port(value).is_some()
}

/// The two parts of what [`is_host`] accepts; an IPv6 address keeps its brackets, and a port without
/// digits is none (RFC 3986 §3.2.3).
pub(super) fn host_and_port(value: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let (host, rest) = match value {
        [b'[', address @ ..] => {
            let end = address.iter().position(|&byte| byte == b']')?;
            ipv6(&address[..end])?;
            value.split_at(end + 2)
        }
        _ => {
            let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
            let (host, rest) = value.split_at(end);
            is_reg_name(host).then_some((host, rest))?
        }
    };
    match rest {
        [] | [b':'] => Some((host, None)),
        [b':', digits @ ..] => Some((host, Some(port(digits)?))),
        _ => None,
    }
}

/// Are these two hosts the same, in upper or lower case, and however an IPv6 address is written?
pub(super) fn is_same_host(a: &[u8], b: &[u8]) -> bool {
    let address = |host: &[u8]| match host {
        [b'[', address @ .., b']'] => ipv6(address),
        _ => None,
    };
    match (address(a), address(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.eq_ignore_ascii_case(b),
    }
}

/// The extensions that a header line offers (§9.1): the name of each, and what stands behind it, for
/// `parameters` to read. `None` stands for the first that breaks the grammar, and is the last.
///
/// A parameter's value may be quoted, and must be a token once it is unquoted. White space is
/// passed over between any two parts: §9.1 takes the "implied LWS" rule from RFC 2616.
pub(super) fn extensions(line: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    let mut rest = line;
    iter::from_fn(move || {
        // RFC 9110 §5.6.1: empty elements count for nothing.
        while let [b',' | b' ' | b'\t', tail @ ..] = rest {
            rest = tail;
        }
        if rest.is_empty() {
            return None;
        }
        let extension = extension(rest);
        rest = extension.map_or(&[], |(.., behind)| behind);
        Some(extension.map(|(name, parameters, _)| (name, parameters)))
    })
}

/// The parameters of an extension that [`extensions`] has found: the name of each, and its value,
/// unquoted.
#[cfg(feature = "deflate")]
pub(super) fn parameters<'a>(
    mut rest: &'a [u8],
) -> impl Iterator<Item = (&'a [u8], Option<impl Iterator<Item = u8> + 'a>)> {
    iter::from_fn(move || {
        let [b';', tail @ ..] = rest else { return None };
        let (name, value, behind) = parameter(tail)?;
        rest = behind;
        // No token has a backslash, so this one is there to quote the byte behind it.
        let unquoted = |value: &'a [u8]| value.iter().copied().filter(|&byte| byte != b'\\');
        Some((name, value.map(unquoted)))
    })
}

/// The name of an extension, what is behind its name, and what is behind all its parameters.
fn extension(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, parameters) = token(text)?;
    let mut rest = parameters;
    while let [b';', tail @ ..] = rest {
        (.., rest) = parameter(tail)?;
    }
    matches!(rest, [] | [b',', ..]).then_some((name, parameters, rest))
}

/// A `token [ "=" ( token | quoted-string ) ]`, the value as it stands between its quotes, and what
/// follows it and the white space behind it.
#[expect(clippy::type_complexity)]
fn parameter(text: &[u8]) -> Option<(&[u8], Option<&[u8]>, &[u8])> {
    let (name, rest) = token(text.trim_ascii_start())?;
    let [b'=', tail @ ..] = rest else { return Some((name, None, rest)) };
    let (value, rest) = match tail.trim_ascii_start() {
        [b'"', quoted @ ..] => quoted_token(quoted)?,
        value => token(value)?,
    };
    Some((name, Some(value), rest))
}

/// A token, and what follows it and the white space behind it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&byte| !is_token_byte(byte));
    match end.unwrap_or(text.len()) {
        0 => None,
        end => Some((&text[..end], text[end..].trim_ascii_start())),
    }
}

/// A quoted token up to its closing quote, and what follows that and the white space behind it; the
/// opening quote is already gone.
fn quoted_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = text;
    loop {
        rest = match rest {
            // An empty string is not a token.
            [b'"', tail @ ..] if rest.len() < text.len() => {
                return Some((&text[..text.len() - rest.len()], tail.trim_ascii_start()));
            }
            [b'\\', byte, tail @ ..] | [byte, tail @ ..] if is_token_byte(*byte) => tail,
            _ => return None,
        };
    }
}

fn is_reg_name(host: &[u8]) -> bool {
    let mut rest = host;
    while let [byte, tail @ ..] = rest {
        rest = match tail {
            [a, b, tail @ ..]
                if *byte == b'%' && a.is_ascii_hexdigit() && b.is_ascii_hexdigit() =>
            {
                tail
            }
            _ if CLASSES[usize::from(*byte)] & REG_NAME != 0 => tail,
            _ => return false,
        };
    }
    !host.is_empty()
}

/// The address between the brackets (RFC 3986 §3.2.2); a zone is no part of it (RFC 9110 §4.2).
fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// Is this four numbers up to 255, without leading zeros (RFC 3986 §3.2.2)?
pub(super) fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

/// The number that these digits are. A sign is no digit.
fn port(digits: &[u8]) -> Option<u16> {
    let digits = str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'));
    digits?.parse().ok()
}

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut at = 0;
    while at < set.len() {
        if set[at] == byte {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests;
