//! A client's connection: the handshake, and the bytes to send and to expect.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use barews_benches::sample::{self, ACCEPT_KEY, Payload};

use crate::outcome::Outcome;
use crate::server::Server;

/// A step that takes longer than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The key is the one that [`ACCEPT_KEY`] answers.
pub(crate) fn request(addr: SocketAddr) -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// Whether `bytes` are the head of the right 101, all of it. `None` asks for more.
pub(crate) fn is_accepted(bytes: &[u8]) -> Option<bool> {
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let switches = lines.next().is_some_and(|line| line.starts_with("HTTP/1.1 101"));
    let is_key = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        name.eq_ignore_ascii_case("Sec-WebSocket-Accept") && value.trim() == ACCEPT_KEY
    };
    Some(switches && lines.any(is_key))
}

/// Connects and, unless the server is without protocol, goes through the handshake.
pub(crate) fn open(server: &Server) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(server.addr)?;
    stream.set_nodelay(true)?;
    if server.contestant.is_raw() {
        return Ok(stream);
    }
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&request(server.addr))?;
    let mut reply = Vec::new();
    let mut buf = [0; 1024];
    loop {
        let n = stream.read(&mut buf)?;
        reply.extend_from_slice(&buf[..n]);
        match is_accepted(&reply) {
            Some(true) => return Ok(stream),
            None if n > 0 => {}
            _ => {
                let reply = String::from_utf8_lossy(&reply);
                return Err(format!("the handshake failed: {reply:?}").into());
            }
        }
    }
}

/// A few different messages over and over, as bytes to send and to get back. All frames have one
/// length, and so have all replies.
pub(crate) struct Script {
    frames: Vec<u8>,
    replies: Vec<u8>,
    /// Bytes of one frame, and of one reply.
    pub(crate) frame: u64,
    pub(crate) reply: u64,
}

impl Script {
    /// At least `depth` messages, and more if they are small.
    pub(crate) fn new(payload: Payload, size: usize, depth: usize, is_raw: bool) -> Self {
        let count = ((128 << 10) / size).clamp(2, 64).max(depth);
        let (mut frames, mut replies) = (Vec::new(), Vec::new());
        let mut plain = payload.bytes(size);
        for i in 0..count {
            // Told apart by their first byte, if only binary; by their masking key in any case.
            if payload == Payload::Binary {
                plain[0] = i as u8;
            }
            let frame = sample::client_frame(payload.kind().opcode(), &plain, sample::key(i));
            match is_raw {
                true => replies.extend_from_slice(&frame),
                false => replies.extend(sample::server_frame(payload.kind(), &plain)),
            }
            frames.extend(frame);
        }
        let (frame, reply) = ((frames.len() / count) as u64, (replies.len() / count) as u64);
        // Twice, so that what is in flight is always one slice.
        frames.extend_from_within(..);
        Self { frames, replies, frame, reply }
    }

    /// The bytes from position `from` to `to` of what is sent; not more than is in flight.
    pub(crate) fn frames(&self, from: u64, to: u64) -> &[u8] {
        let start = (from % (self.frames.len() as u64 / 2)) as usize;
        &self.frames[start..start + (to - from) as usize]
    }

    /// Whether these bytes are right at position `at` of what comes back.
    pub(crate) fn is_reply(&self, at: u64, mut bytes: &[u8]) -> bool {
        let mut at = (at % self.replies.len() as u64) as usize;
        while !bytes.is_empty() {
            let n = bytes.len().min(self.replies.len() - at);
            if bytes[..n] != self.replies[at..at + n] {
                return false;
            }
            bytes = &bytes[n..];
            at = 0;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_101_is_accepted() {
        let good = format!("HTTP/1.1 101 X\r\nsec-websocket-accept: {ACCEPT_KEY}\r\n\r\n");
        assert_eq!(is_accepted(good.as_bytes()), Some(true));
        for cut in 0..good.len() {
            assert_eq!(is_accepted(&good.as_bytes()[..cut]), None);
        }
        assert_eq!(is_accepted(good.replace("101", "200").as_bytes()), Some(false));
        assert_eq!(is_accepted(good.replace("s3p", "s3q").as_bytes()), Some(false));
    }

    #[test]
    fn a_script_goes_round_and_any_wrong_byte_shows() {
        for (raw, reply) in [(false, 22), (true, 26)] {
            let script = Script::new(Payload::Binary, 20, 1, raw);
            assert_eq!((script.frame, script.reply), (26, reply));
            let round = script.replies.len() as u64;
            // From the last of a round into the next.
            let at = round - 30;
            let mut bytes: Vec<_> =
                (at..at + 60).map(|i| script.replies[(i % round) as usize]).collect();
            assert!(script.is_reply(at, &bytes) && script.is_reply(at + round, &bytes));
            assert!(!script.is_reply(at + reply, &bytes), "the messages differ");
            for i in 0..bytes.len() {
                bytes[i] ^= 1;
                assert!(!script.is_reply(at, &bytes));
                bytes[i] ^= 1;
            }
            let sent = script.frames.len() as u64 / 2;
            assert_eq!(script.frames(sent - 26, sent + 26)[26..], *script.frames(0, 26));
        }
    }
}
