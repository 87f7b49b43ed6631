//! permessage-deflate in the handshake, as a client sees it (RFC 7692 §7.1).

use crate::outcome::Outcome;

/// What browsers offer: the line of a request.
pub(crate) const OFFER: &str =
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

/// What a server has agreed to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Agreement {
    pub(crate) server_no_context_takeover: bool,
    pub(crate) client_no_context_takeover: bool,
    pub(crate) client_max_window_bits: u8,
}

/// What the head of a 101 agrees to, if to anything.
pub(crate) fn agreed(head: &str) -> Outcome<Option<Agreement>> {
    let answer = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Extensions").then_some(value.trim())
    });
    let Some(answer) = answer else { return Ok(None) };
    let mut parts = answer.split(';').map(str::trim);
    if parts.next() != Some("permessage-deflate") {
        return Err(format!("nobody has offered {answer:?}").into());
    }
    let mut agreement = Agreement {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        client_max_window_bits: 15,
    };
    for parameter in parts {
        match parameter.split_once('=').unwrap_or((parameter, "")) {
            ("server_no_context_takeover", "") => agreement.server_no_context_takeover = true,
            ("client_no_context_takeover", "") => agreement.client_no_context_takeover = true,
            ("client_max_window_bits", bits) => agreement.client_max_window_bits = bits.parse()?,
            // Whatever it is, the largest window inflates it.
            ("server_max_window_bits", _) => {}
            _ => return Err(format!("what is {parameter} in {answer:?}?").into()),
        }
    }
    Ok(Some(agreement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_agreed_to() {
        let agreed = |answer| agreed(&format!("HTTP/1.1 101 X\r\n{answer}Date: now\r\n\r\n"));
        assert_eq!(agreed("").unwrap(), None);
        let full = agreed(
            "sec-websocket-extensions: permessage-deflate; server_max_window_bits=9; \
             client_max_window_bits=12;server_no_context_takeover\r\n",
        );
        let expected = Agreement {
            server_no_context_takeover: true,
            client_no_context_takeover: false,
            client_max_window_bits: 12,
        };
        assert_eq!(full.unwrap(), Some(expected));
        assert!(agreed("Sec-WebSocket-Extensions: permessage-deflate; more\r\n").is_err());
        assert!(agreed("Sec-WebSocket-Extensions: x-other\r\n").is_err());
    }
}
