//! Frames as a client writes them, and messages that can be checked without keeping them.
//!
//! Every payload is a stretch of one fixed text. It is sent from where it lies, masked once and
//! for all, and an echo is compared with the text as it comes in; so a thousand clients cost
//! little memory, and the harness is not what is measured.

use std::sync::LazyLock;

/// FIN, and RSV1: the payload of a message is compressed (RFC 7692 §6).
pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;

/// The opcodes of §5.2.
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// One masking key for all frames: the server cannot know that it never changes.
const KEY: [u8; 4] = [0x9d, 0x37, 0x5a, 0xc1];

/// The longest message, in bytes.
const LONGEST: usize = 16 << 20;

/// In how many places of the text a message can start.
const STARTS: usize = 16 << 10;

/// The request that opens a connection, its key being the one in §1.3.
pub(crate) const REQUEST: &[u8] = b"GET /soak HTTP/1.1\r\n\
    Host: 127.0.0.1\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The same with an offer of extensions.
pub(crate) fn request(offer: &str) -> Vec<u8> {
    let (last, rest) = (b"\r\n", &REQUEST[..REQUEST.len() - 2]);
    [rest, format!("Sec-WebSocket-Extensions: {offer}\r\n").as_bytes(), last].concat()
}

/// What must be in the answer to [`REQUEST`].
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The value of a header in the head of an answer.
pub(crate) fn header_value<'a>(head: &'a str, wanted: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then_some(value.trim())
    })
}

/// A stretch of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    start: usize,
    pub(crate) len: usize,
}

impl Stretch {
    /// A stretch of `len` bytes. Two with different seeds have different bytes, if there are a
    /// few of them and the seeds are no multiple of [`STARTS`] apart.
    pub(crate) fn new(seed: usize, len: usize) -> Self {
        assert!(len <= LONGEST);
        // Multiples of four, where the masking key begins anew.
        Self { start: seed % STARTS * 4, len }
    }

    /// The bytes from `from` on, as they are.
    pub(crate) fn plain(self, from: usize) -> &'static [u8] {
        &TEXTS.0[self.start + from..self.start + self.len]
    }

    /// The bytes from `from` on, masked.
    pub(crate) fn masked(self, from: usize) -> &'static [u8] {
        &TEXTS.1[self.start + from..self.start + self.len]
    }
}

/// The text and its masked form. All ASCII, so that any stretch of it may be a text message.
static TEXTS: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut plain = Vec::with_capacity(LONGEST + 4 * STARTS);
    while plain.len() < LONGEST + 4 * STARTS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        plain.extend(state.to_le_bytes().map(|byte| b' ' + byte % 95));
    }
    let masked = plain.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
    (plain, masked)
});

/// Makes the text ahead of any measurement.
pub(crate) fn prepare() {
    LazyLock::force(&TEXTS);
}

/// The header of a masked frame.
pub(crate) fn header(first: u8, len: usize) -> Vec<u8> {
    let mut header = vec![first];
    match len {
        0..=125 => header.push(0x80 | len as u8),
        126..=0xffff => {
            header.push(0x80 | 126);
            header.extend((len as u16).to_be_bytes());
        }
        _ => {
            header.push(0x80 | 127);
            header.extend((len as u64).to_be_bytes());
        }
    }
    header.extend(KEY);
    header
}

/// A whole masked frame.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len());
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The header of a frame from the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    /// RSV1 is set.
    pub(crate) compressed: bool,
    pub(crate) opcode: u8,
    pub(crate) len: usize,
}

impl Header {
    /// The header at the start of `bytes` and its length, or `None` if it is not all there.
    ///
    /// # Errors
    ///
    /// What no server may send, whatever was agreed.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, &'static str> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x30 != 0 {
            return Err("a reserved bit is set");
        }
        if second & 0x80 != 0 {
            return Err("a frame from the server is masked");
        }
        let (len, used) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(len) => (u16::from_be_bytes(*len).into(), 4),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(len) => (u64::from_be_bytes(*len), 10),
                None => return Ok(None),
            },
            len => (len.into(), 2),
        };
        let len = usize::try_from(len).map_err(|_| "a frame of an absurd length")?;
        let [fin, compressed] = [FIN, RSV1].map(|bit| first & bit != 0);
        let header = Self { fin, compressed, opcode: first & 0x0f, len };
        Ok(Some((header, used)))
    }
}
