//! A handshake with one thing wrong with it (§4.2.2), for clients that must notice (§4.1), or one
//! thing odd, for those that must not mind.
//!
//! Whoever goes on after it has an echo, and the log says so: to go on after a wrong answer is the
//! defect that this is here to find.

use std::time::{Duration, Instant};

use barews::http::accept_key;
use barews::{Connection, Error};

use super::fault::HandshakeFault;
use super::peer::{Heard, Peer, PeerContext};
use crate::os::socket::reset_when_closed;
use crate::session::End;

/// Headers that are sent at once where there are 1 MiB of them: 16 KiB, as often as this.
const PADDING: &str = "X-Padding: ";
const PADDING_LEN: usize = 1024;
const PADDING_LINES: usize = 16;
const PADDING_PIECES: usize = 64;

/// Answers the request of a hijacked connection so, and echoes if the client goes on. `tell` is
/// told what the client makes of it.
#[inline(never)]
pub fn answer(
    conn: Connection,
    context: PeerContext<'_>,
    fault: HandshakeFault,
    every: Duration,
    tell: impl FnOnce(&str),
) -> End {
    // There is one, or the request would have been refused.
    let key = conn.request().header("Sec-WebSocket-Key").unwrap_or_default().into_owned();
    let head = head(fault, key.as_bytes(), conn.subprotocol());
    let mut peer = match conn.into_stream() {
        Ok(raw) => Peer::new(raw, context),
        Err(error) => return End { result: Err(error), received: None },
    };
    let sent = send(&mut peer, fault, &head, every);
    let is_whole = matches!(sent, Ok(None));
    let first = match sent {
        // There is nothing more that it could react to.
        Ok(Some(Heard::Due)) => return End { result: Ok(()), received: None },
        Ok(Some(heard)) => Ok(heard),
        Ok(None) => peer.next(None),
        Err(error) => Err(error),
    };
    tell(&reaction(&first));
    let result = match first {
        Ok(Heard::Frame { .. }) => peer.echo(),
        // So does one that does not like the answer.
        Ok(Heard::End) => Ok(None),
        // No frame goes into the middle of a head.
        Ok(_) if !is_whole => Ok(None),
        Ok(heard) => peer.conclude(heard),
        Err(error) => Err(error),
    };
    match result {
        Ok(received) => End { result: Ok(()), received },
        Err(error) => End { result: Err(error), received: None },
    }
}

/// What the client has made of the answer.
fn reaction(first: &Result<Heard, Error>) -> String {
    match first {
        Ok(Heard::Frame { .. }) => "the client went on".to_owned(),
        Ok(Heard::Close(frame)) => format!("the client closed with {}", frame.code),
        Ok(Heard::End) => "the client ended the stream".to_owned(),
        Ok(Heard::Idle | Heard::Due) => "the client did nothing".to_owned(),
        Ok(Heard::Stop) => "the client had done nothing yet".to_owned(),
        Err(error) => format!("the client was lost: {error}"),
    }
}

/// Sends the head; what happened meanwhile, if the client did not stay for the end of it.
fn send(
    peer: &mut Peer<'_>,
    fault: HandshakeFault,
    head: &[u8],
    every: Duration,
) -> Result<Option<Heard>, Error> {
    let half = &head[..head.len() / 2];
    match fault {
        HandshakeFault::Cut => {
            peer.write(half)?;
            peer.end();
            return Ok(Some(Heard::Due));
        }
        HandshakeFault::Reset => {
            peer.write(half)?;
            reset_when_closed(&peer.raw);
            return Ok(Some(Heard::Due));
        }
        HandshakeFault::Slow => {
            let mut due = Instant::now();
            for byte in head {
                peer.write(&[*byte])?;
                due += every;
                if let Some(heard) = peer.pause(due)? {
                    return Ok(Some(heard));
                }
            }
        }
        HandshakeFault::Huge => {
            // Nobody has all of it in memory but the client that wants it.
            let (lines, end) = head.split_at(head.len() - 2);
            peer.write(lines)?;
            let piece = padding();
            for _ in 0..PADDING_PIECES {
                peer.write(piece.as_bytes())?;
            }
            peer.write(end)?;
        }
        // In one piece.
        _ => peer.write(head)?,
    }
    Ok(None)
}

/// Headers without a meaning.
fn padding() -> String {
    let value = "x".repeat(PADDING_LEN - PADDING.len() - 2);
    format!("{PADDING}{value}\r\n").repeat(PADDING_LINES)
}

/// The 101, and whatever belongs to it.
fn head(fault: HandshakeFault, key: &[u8], subprotocol: Option<&str>) -> Vec<u8> {
    let accept = String::from_utf8_lossy(&accept_key(key)).into_owned();
    let wrong = String::from_utf8_lossy(&accept_key(b"another key")).into_owned();
    let mut lines = vec![
        ("Upgrade", "websocket".to_owned()),
        ("Connection", "Upgrade".to_owned()),
        ("Sec-WebSocket-Accept", accept),
    ];
    if let Some(name) = subprotocol {
        lines.push(("Sec-WebSocket-Protocol", name.to_owned()));
    }
    let (mut version, mut behind) = ("1.1", Vec::new());
    match fault {
        HandshakeFault::WrongAccept => lines[2].1 = wrong,
        HandshakeFault::NoAccept => drop(lines.remove(2)),
        HandshakeFault::TwoAccepts => lines.push(("Sec-WebSocket-Accept", wrong)),
        HandshakeFault::Subprotocol => {
            lines.truncate(3);
            lines.push(("Sec-WebSocket-Protocol", "not-offered".to_owned()));
        }
        HandshakeFault::Extension => {
            lines.push(("Sec-WebSocket-Extensions", "x-not-offered".to_owned()));
        }
        HandshakeFault::NoUpgrade => drop(lines.remove(0)),
        HandshakeFault::NoConnection => drop(lines.remove(1)),
        HandshakeFault::Http10 => version = "1.0",
        HandshakeFault::WithFrame => behind = b"\x81\x05Hello".to_vec(),
        HandshakeFault::LowerCase => lines[1].1 = "upgrade".to_owned(),
        HandshakeFault::UpperCase => {
            lines[0].1 = "WEBSOCKET".to_owned();
            lines[1].1 = "UPGRADE".to_owned();
        }
        HandshakeFault::Huge
        | HandshakeFault::Whitespace
        | HandshakeFault::Folded
        | HandshakeFault::Slow
        | HandshakeFault::Cut
        | HandshakeFault::Reset => {}
    }
    let mut head = format!("HTTP/{version} 101 Switching Protocols\r\n");
    for (name, value) in lines {
        head += &match fault {
            HandshakeFault::LowerCase => format!("{}: {value}\r\n", name.to_ascii_lowercase()),
            HandshakeFault::UpperCase => format!("{}: {value}\r\n", name.to_ascii_uppercase()),
            // RFC 9112 §5: white space around a value is no part of it.
            HandshakeFault::Whitespace => format!("{name}:\t  {value} \t\r\n"),
            // RFC 9112 §5.2: obsolete, and no server may send it. A client takes it for a space.
            HandshakeFault::Folded => format!("{name}:\r\n {value}\r\n"),
            _ => format!("{name}: {value}\r\n"),
        };
    }
    [head.as_bytes(), b"\r\n", &behind].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// §1.3 has this key, and what it becomes.
    fn told(fault: HandshakeFault) -> String {
        String::from_utf8(head(fault, b"dGhlIHNhbXBsZSBub25jZQ==", Some("chat"))).expect("text")
    }

    const RIGHT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    #[test]
    fn each_head_has_one_fault() {
        let right = told(HandshakeFault::Slow);
        assert_eq!(
            right,
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 {RIGHT}Sec-WebSocket-Protocol: chat\r\n\r\n"
            )
        );
        for (fault, from, to) in [
            (HandshakeFault::NoAccept, RIGHT, ""),
            (HandshakeFault::NoUpgrade, "Upgrade: websocket\r\n", ""),
            (HandshakeFault::NoConnection, "Connection: Upgrade\r\n", ""),
            (HandshakeFault::Http10, "HTTP/1.1", "HTTP/1.0"),
            (HandshakeFault::Subprotocol, "chat", "not-offered"),
            (
                HandshakeFault::Extension,
                "chat\r\n",
                "chat\r\nSec-WebSocket-Extensions: x-not-offered\r\n",
            ),
            (HandshakeFault::WithFrame, "chat\r\n\r\n", "chat\r\n\r\n\u{81}\u{5}Hello"),
            (HandshakeFault::Cut, "", ""),
            (HandshakeFault::Reset, "", ""),
        ] {
            let right = right.replacen(from, to, 1).chars().map(|c| c as u8).collect::<Vec<_>>();
            let key = b"dGhlIHNhbXBsZSBub25jZQ==";
            assert_eq!(head(fault, key, Some("chat")), right, "{fault:?}");
        }
        let wrong = told(HandshakeFault::WrongAccept);
        assert!(!wrong.contains(RIGHT) && wrong.len() == right.len(), "{wrong}");
        let two = told(HandshakeFault::TwoAccepts);
        assert!(two.contains(RIGHT) && two.matches("Sec-WebSocket-Accept").count() == 2, "{two}");
        let lower = told(HandshakeFault::LowerCase);
        assert!(lower.contains("\r\nsec-websocket-accept: s3pP") && lower.contains(": upgrade\r"));
        let upper = told(HandshakeFault::UpperCase);
        assert!(upper.contains("\r\nSEC-WEBSOCKET-ACCEPT: s3pP") && upper.contains("WEBSOCKET\r"));
        let space = told(HandshakeFault::Whitespace);
        assert!(space.contains("Upgrade:\t  websocket \t\r\n"), "{space}");
        let folded = told(HandshakeFault::Folded);
        assert!(folded.contains("Accept:\r\n s3pPLM"), "{folded}");
        assert_eq!(told(HandshakeFault::Huge), right);
        assert_eq!(padding().len() * PADDING_PIECES, 1 << 20);
    }
}
