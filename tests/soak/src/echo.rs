//! What a client receives, judged as it comes in.

use std::collections::VecDeque;
use std::time::Instant;

use crate::codec::{Agreed, Codec};
use crate::frame::{self, Header, Stretch};

/// The longest answer to the request, in bytes. Barews's is a quarter of this.
const LONGEST_ANSWER: usize = 1024;

/// The receiving half of a client.
#[derive(Default)]
pub(crate) struct Echoes {
    awaited: VecDeque<Awaited>,
    /// Bytes of the answer to the request or of a frame's header that is not all there, and of a
    /// control frame.
    partial: Vec<u8>,
    /// Bytes of the frame under way that are still to come; `None` between frames.
    left: Option<(Header, usize)>,
    /// How much of the echo under way has come, if one is.
    have: Option<usize>,
    /// Whether it is compressed.
    compressed: bool,
    /// Whether compression was offered.
    offered: bool,
    /// What was agreed to, if anything was.
    codec: Option<Codec>,
}

struct Awaited {
    opcode: u8,
    stretch: Stretch,
    sent: Instant,
}

/// What has been received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Came {
    /// Part of something.
    Part,
    /// The whole echo of the message that was sent then.
    Echo(Instant),
    Ping(Vec<u8>),
    /// With this code, 1005 for none.
    Close(u16),
}

impl Echoes {
    /// Those of a client that has offered compression.
    pub(crate) fn compressed() -> Self {
        Self { offered: true, ..Self::default() }
    }

    /// Compresses a message for the way out, if that was agreed to.
    pub(crate) fn deflate(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        self.codec.as_mut().map(|codec| codec.deflate(plain))
    }

    /// A message goes out, whose echo is to come after those that were announced before.
    pub(crate) fn expect(&mut self, opcode: u8, stretch: Stretch) {
        self.awaited.push_back(Awaited { opcode, stretch, sent: Instant::now() });
    }

    /// Takes in the answer to the request; how many of the bytes belong to it, once it is whole.
    ///
    /// # Errors
    ///
    /// If it is no consent.
    pub(crate) fn answer(&mut self, bytes: &[u8]) -> Result<Option<usize>, String> {
        let before = self.partial.len();
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.windows(4).position(|window| window == b"\r\n\r\n") else {
            return match self.partial.len() > LONGEST_ANSWER {
                true => Err("an endless answer".to_owned()),
                false => Ok(None),
            };
        };
        let text = String::from_utf8_lossy(&self.partial[..end]).into_owned();
        self.partial.clear();
        let status = text.lines().next().unwrap_or_default();
        if !status.starts_with("HTTP/1.1 101 ") {
            return Err(format!("{status:?}"));
        }
        if frame::header_value(&text, "Sec-WebSocket-Accept") != Some(frame::ACCEPT) {
            return Err("a wrong Sec-WebSocket-Accept".to_owned());
        }
        match frame::header_value(&text, "Sec-WebSocket-Extensions") {
            None if self.offered => return Err("no extension".to_owned()),
            Some(answer) if self.offered => self.codec = Some(Codec::new(Agreed::parse(answer)?)),
            Some(_) => return Err("an extension that was not offered".to_owned()),
            None => {}
        }
        Ok(Some(end + 4 - before))
    }

    /// Takes in some of the bytes, at least one; how many, and what they complete.
    ///
    /// # Errors
    ///
    /// If the server must not send this, or the echo is not what was sent.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Came), String> {
        let Some((header, left)) = self.left else { return self.header(bytes) };
        let used = left.min(bytes.len());
        let part = &bytes[..used];
        self.left = Some((header, left - used));
        if header.opcode >= frame::CLOSE {
            self.partial.extend_from_slice(part);
        } else {
            self.compare(part)?;
        }
        let came = if left == used { self.complete(header)? } else { Came::Part };
        Ok((used, came))
    }

    fn header(&mut self, bytes: &[u8]) -> Result<(usize, Came), String> {
        let before = self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(10)]);
        let Some((header, used)) = Header::decode(&self.partial)? else {
            return Ok((self.partial.len() - before, Came::Part));
        };
        self.partial.clear();
        self.left = Some((header, header.len));
        match header.opcode {
            frame::CLOSE..=frame::PONG if header.len > 125 || !header.fin || header.compressed => {
                return Err("a control frame that is long, fragmented or compressed".to_owned());
            }
            frame::CLOSE..=frame::PONG => {}
            _ => self.begin(header)?,
        }
        let came = if header.len == 0 { self.complete(header)? } else { Came::Part };
        Ok((used - before, came))
    }

    /// A frame of data begins.
    fn begin(&mut self, header: Header) -> Result<(), String> {
        let awaited = self.awaited.front().ok_or("an echo of nothing")?;
        let first = self.have.is_none();
        let right = if first { awaited.opcode } else { frame::CONTINUATION };
        if header.opcode != right {
            return Err(format!("opcode {} instead of {right}", header.opcode));
        }
        if header.compressed && !(first && self.codec.is_some()) {
            return Err("RSV1 where none may be".to_owned());
        }
        self.compressed = if first { header.compressed } else { self.compressed };
        self.have.get_or_insert(0);
        Ok(())
    }

    fn compare(&mut self, part: &[u8]) -> Result<(), String> {
        let (Some(awaited), Some(have)) = (self.awaited.front(), self.have.as_mut()) else {
            return Err("an echo of nothing".to_owned());
        };
        match &mut self.codec {
            Some(codec) if self.compressed => {
                codec.inflate(part, |plain| compare(awaited.stretch, have, plain))
            }
            _ => compare(awaited.stretch, have, part),
        }
    }

    /// Compares what a compressed message leaves out at its end.
    fn compare_end(&mut self) -> Result<(), String> {
        match (&mut self.codec, self.awaited.front(), self.have.as_mut()) {
            (Some(codec), Some(awaited), Some(have)) if self.compressed => {
                codec.end(|plain| compare(awaited.stretch, have, plain))
            }
            _ => Ok(()),
        }
    }

    /// The frame has ended.
    fn complete(&mut self, header: Header) -> Result<Came, String> {
        self.left = None;
        let payload = std::mem::take(&mut self.partial);
        match header.opcode {
            frame::PING => Ok(Came::Ping(payload)),
            frame::PONG => Err("a Pong that nobody asked for".to_owned()),
            frame::CLOSE => match payload[..] {
                [] => Ok(Came::Close(1005)),
                [high, low, ..] => Ok(Came::Close(u16::from_be_bytes([high, low]))),
                [_] => Err("a Close of one byte".to_owned()),
            },
            _ if !header.fin => Ok(Came::Part),
            _ => {
                self.compare_end()?;
                match (self.awaited.pop_front(), self.have.take()) {
                    (Some(awaited), Some(have)) if have == awaited.stretch.len => {
                        Ok(Came::Echo(awaited.sent))
                    }
                    _ => Err("an echo cut short".to_owned()),
                }
            }
        }
    }
}

/// Compares a part of an echo that begins at `have`, which it moves on.
fn compare(stretch: Stretch, have: &mut usize, part: &[u8]) -> Result<(), String> {
    if !stretch.plain(*have).starts_with(part) {
        return Err("an echo with other bytes".to_owned());
    }
    *have += part.len();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    /// What comes of `bytes` in pieces of `step`, after messages of these lengths.
    fn fed(lens: &[usize], bytes: &[u8], step: usize) -> Result<Vec<Came>, String> {
        let mut echoes = Echoes::default();
        for (at, len) in lens.iter().enumerate() {
            echoes.expect(frame::BINARY, Stretch::new(at, *len));
        }
        let mut all = Vec::new();
        for mut piece in bytes.chunks(step) {
            while !piece.is_empty() {
                let (used, came) = echoes.feed(piece)?;
                piece = &piece[used..];
                if came != Came::Part {
                    all.push(came);
                }
            }
        }
        Ok(all)
    }

    fn echo(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first, payload.len() as u8];
        frame.extend(payload);
        frame
    }

    #[test]
    fn right_echoes_pass_in_any_pieces() {
        let [one, two] = [0, 1].map(|at| Stretch::new(at, 100).plain(0));
        let mut bytes = echo(0x82, one);
        bytes.extend(echo(0x02, &two[..40]));
        bytes.extend(echo(0x89, b"hey"));
        bytes.extend(echo(0x80, &two[40..]));
        bytes.extend(echo(0x88, &[0x03, 0xe8]));
        for step in [1, 2, 3, 7, 1000] {
            let all = fed(&[100, 100], &bytes, step).unwrap();
            let [Came::Echo(_), Came::Ping(ping), Came::Echo(_), Came::Close(1000)] = &all[..]
            else {
                panic!("{all:?}")
            };
            assert_eq!(ping, b"hey");
        }
    }

    #[test]
    fn compressed_echoes_pass_whole_and_only_if_they_were_asked_for() {
        let answer = format!(
            "HTTP/1.1 101 X\r\nSec-WebSocket-Accept: {}\r\n\
            Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            frame::ACCEPT
        );
        assert!(Echoes::default().answer(answer.as_bytes()).is_err());
        let stretch = Stretch::new(0, 100);
        let payload = codec::alone(stretch.plain(0));
        for (first, cut, passes) in [(0xc2, 0, true), (0xc2, 2, false), (0x82, 0, false)] {
            let mut echoes = Echoes::compressed();
            assert_eq!(echoes.answer(answer.as_bytes()), Ok(Some(answer.len())));
            echoes.expect(frame::BINARY, stretch);
            let bytes = echo(first, &payload[..payload.len() - cut]);
            let came = echoes.feed(&bytes[..2]).and_then(|_| echoes.feed(&bytes[2..]));
            assert_eq!(matches!(came, Ok((_, Came::Echo(_)))), passes, "{first:x} {cut}");
        }
    }

    #[test]
    fn wrong_ones_do_not() {
        let text = Stretch::new(0, 100).plain(0);
        let mut changed = text.to_vec();
        changed[99] ^= 1;
        for bytes in [
            echo(0x82, &changed),
            echo(0x82, &text[..99]),
            echo(0x82, &[text, b"x"].concat()),
            echo(0x81, text),
            echo(0x80, text),
            echo(0xc2, text),
            echo(0x8a, b""),
            [echo(0x82, text), echo(0x82, text)].concat(),
        ] {
            assert!(fed(&[100], &bytes, 1000).is_err(), "{bytes:02x?}");
        }
    }
}
