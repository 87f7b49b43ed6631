//! A message sent as client frames in any fragmentation is received as that message, wherever its
//! payload is read.
//!
//! The first bytes choose the split, the type and the length; the others say, fragment after
//! fragment, its length, its key and what stands before it.

use barews::proto::{Header, MessageType, OpCode, mask};

use super::bytes::{Bytes, pieces};
use super::receive_split::LIMITS;
use super::reference::{End, Item, Verdict, frame};
use super::watch::Watch;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (seed, kind) = (bytes.short(), bytes.pick(&[MessageType::Text, MessageType::Binary]));
    let message = message(&mut bytes, kind);
    let (stream, mut items) = fragments(&mut bytes, kind, &message);
    items.push(Item::Message(kind, message));
    let verdict = Verdict { items, partial: None, end: End::Open { unfinished: false } };
    for mut watch in [Watch::new(LIMITS[0]), Watch::behind(LIMITS[0], usize::from(seed >> 4))] {
        for piece in pieces(seed, &stream) {
            watch.feed(piece, |_, _| ());
        }
        watch.assert_is(&verdict);
    }
}

/// A message of any length, with those among them where the encoding of lengths changes.
fn message(bytes: &mut Bytes<'_>, kind: MessageType) -> Vec<u8> {
    let len = match bytes.byte() {
        0..16 => 0,
        16..64 => 125 + bytes.below(3),
        64..66 => 65_535 + bytes.below(3),
        66..70 => usize::from(bytes.short()),
        70..128 => 200 + 4 * bytes.below(256),
        128.. => bytes.below(256),
    };
    let pattern = bytes.array::<7>();
    let text = match kind {
        MessageType::Text => String::from_utf8_lossy(&pattern).into_owned() + "é水😀",
        MessageType::Binary => return pattern.iter().copied().cycle().take(len).collect(),
    };
    let mut text = text.repeat(len / text.len() + 1);
    text.truncate(text.floor_char_boundary(len));
    text.into_bytes()
}

/// The frames of a message, and the control frames between them.
fn fragments(bytes: &mut Bytes<'_>, kind: MessageType, message: &[u8]) -> (Vec<u8>, Vec<Item>) {
    let (mut stream, mut items, mut rest) = (Vec::new(), Vec::new(), message);
    let mut opcode = kind.opcode();
    loop {
        let (what, key) = (bytes.byte(), bytes.array());
        if what & 3 == 3 {
            let payload = bytes.take(usize::from(what >> 3) * 4);
            let ping = what & 4 != 0;
            stream.extend(frame(if ping { 0x89 } else { 0x8a }, Some(key), payload));
            let payload = payload.to_vec();
            items.push(if ping { Item::Ping(payload) } else { Item::Pong(payload) });
        }
        // With nothing more to choose from, all that is left goes in one frame.
        let fin = bytes.is_empty() || what & 3 == 0;
        let len = if fin { rest.len() } else { rest.len().min(usize::from(bytes.byte())) };
        let (part, tail) = rest.split_at(len);
        rest = tail;
        // The library's own encoder, which must agree with the naive one.
        let mut head = [0; 14];
        let header = Header { fin, opcode, mask: Some(key), len: part.len() as u64 };
        let size = header.encode(&mut head);
        let mut payload = part.to_vec();
        mask::apply(&mut payload, key, 0);
        let encoded = [&head[..size], &payload].concat();
        assert_eq!(encoded, frame(u8::from(fin) << 7 | opcode as u8, Some(key), part));
        stream.extend(encoded);
        if fin {
            return (stream, items);
        }
        opcode = OpCode::Continuation;
    }
}
