//! What goes through Redis: a message with its place in the order, or a word between processes.
//!
//! ```text
//!  0       1       2                 10                18                26
//!  +-------+-------+-----------------+-----------------+-----------------+- - - -
//!  |   1   | kind  |     origin      |       run       |     number      | payload
//!  +-------+-------+-----------------+-----------------+-----------------+- - - -
//!  version   1: text, 2: binary, 3: mark, 4: mark that asks for marks, 5: beat     (big-endian)
//! ```
//!
//! `origin` is a process, by chance; `run` the time for which it has members in the room, counted;
//! `number` of the message in this run, from 1 on without a gap. So who receives 7 after 4 knows that
//! two are lost. A mark has the number of the last message before it, for those who may have missed
//! just that one.

use std::str;

use barews::MessageType;

/// What stands before the payload, in bytes.
pub const HEADER_LEN: usize = 26;

const VERSION: u8 = 1;

/// Nobody counts so far, and those that are smaller can be added to.
const MAX_NUMBER: u64 = 1 << 63;

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub content: Content,
    pub origin: u64,
    pub run: u64,
    pub number: u64,
}

/// What follows the header, or what it is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Message(MessageType),
    Mark {
        /// Whether everyone else is to send a mark.
        asks: bool,
    },
    /// A process to itself: both its connections work. The number is a time, in microseconds.
    Beat,
}

impl Header {
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = VERSION;
        bytes[1] = match self.content {
            Content::Message(MessageType::Text) => 1,
            Content::Message(MessageType::Binary) => 2,
            Content::Mark { asks: false } => 3,
            Content::Mark { asks: true } => 4,
            Content::Beat => 5,
        };
        for (at, value) in [(2, self.origin), (10, self.run), (18, self.number)] {
            bytes[at..at + 8].copy_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    /// A header and what follows it; `None` if somebody else has written this.
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, payload) = bytes.split_first_chunk::<HEADER_LEN>()?;
        let kind = match (header[0], header[1]) {
            (VERSION, 1) => Content::Message(MessageType::Text),
            (VERSION, 2) => Content::Message(MessageType::Binary),
            (VERSION, 3) => Content::Mark { asks: false },
            (VERSION, 4) => Content::Mark { asks: true },
            (VERSION, 5) => Content::Beat,
            _ => return None,
        };
        let value = |at: usize| {
            let bytes = header[at..at + 8].try_into().expect("it has eight bytes");
            u64::from_be_bytes(bytes)
        };
        let header = Self { content: kind, origin: value(2), run: value(10), number: value(18) };
        // Numbers begin at one, and what is no message has nothing behind it.
        let is_whole = match kind {
            Content::Message(_) => header.number > 0,
            Content::Mark { .. } | Content::Beat => payload.is_empty(),
        };
        (is_whole && header.number < MAX_NUMBER).then_some((header, payload))
    }
}

/// Whether a payload is what its type says.
pub fn is_valid(kind: MessageType, payload: &[u8]) -> bool {
    kind == MessageType::Binary || str::from_utf8(payload).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_as_they_were() {
        for kind in [
            Content::Message(MessageType::Text),
            Content::Message(MessageType::Binary),
            Content::Mark { asks: false },
            Content::Mark { asks: true },
            Content::Beat,
        ] {
            let header = Header { content: kind, origin: u64::MAX, run: 2, number: MAX_NUMBER - 1 };
            assert_eq!(Header::decode(&header.encode()), Some((header, &[][..])));
        }
    }

    #[test]
    fn a_header_byte_by_byte() {
        let kind = Content::Message(MessageType::Text);
        let header = Header { content: kind, origin: 0x0102_0304_0506_0708, run: 9, number: 10 };
        let mut bytes = header.encode().to_vec();
        assert_eq!(
            bytes,
            b"\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x0a"
        );
        bytes.extend(b"payload");
        assert_eq!(Header::decode(&bytes), Some((header, &b"payload"[..])));
    }

    #[test]
    fn what_others_write_is_told_apart() {
        let beat = Header { content: Content::Beat, origin: 1, run: 1, number: 0 }.encode();
        for len in 0..HEADER_LEN {
            assert_eq!(Header::decode(&beat[..len]), None);
        }
        let changed = |at: usize, to: u8| {
            let mut bytes = beat.to_vec();
            bytes[at] = to;
            Header::decode(&bytes).map(|(header, _)| header)
        };
        for to in [0, 2, b'{', 255] {
            assert_eq!(changed(0, to), None, "version {to}");
        }
        for to in [0, 6, 255] {
            assert_eq!(changed(1, to), None, "kind {to}");
        }
        assert_eq!(changed(18, 0x80), None);
        // Number 0 is no message's, and a beat has nothing behind it.
        assert_eq!(changed(1, 1), None);
        assert_eq!(Header::decode(&[&beat[..], b"x"].concat()), None);
        assert!(Header::decode(b"just some text that another program has published").is_none());
    }

    #[test]
    fn text_is_checked() {
        assert!(is_valid(MessageType::Text, "ü".as_bytes()));
        assert!(!is_valid(MessageType::Text, b"\xff"));
        assert!(is_valid(MessageType::Binary, b"\xff"));
    }
}
