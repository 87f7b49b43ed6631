//! Frames, made and read byte by byte.
//!
//! A client's frame is just bytes, since most of those in the tests are wrong in some way. A
//! server's frame is read with every rule of §5 that holds for one.

use std::fmt;
use std::io::{self, ErrorKind, Read};

/// The first byte of an unfragmented frame (§5.2). Clear [`FIN`] for a fragment.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
/// The last fragment of a message.
pub const CONT: u8 = 0x80;
const FIN: u8 = 0x80;
/// Set on the first frame of a compressed message (RFC 7692 §6).
pub const RSV1: u8 = 0x40;

/// The masking key of the examples in §5.7.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Bytes from hexadecimal digits. White space is ignored; `m` is the masking key 00000000.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.replace('m', "00000000").split_whitespace().collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {text}");
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hexadecimal digits");
    (0..digits.len()).step_by(2).map(byte).collect()
}

/// A masked frame with its length in the shortest encoding.
pub fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    masked(first, KEY, payload)
}

/// The same with another key.
pub fn masked(first: u8, key: [u8; 4], payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = head(first, payload.len() as u64);
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&key);
    let masked = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
    bytes.extend(masked);
    bytes
}

/// A masked Close frame.
pub fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(CLOSE, [&code.to_be_bytes()[..], reason.as_ref()].concat())
}

/// The header of a masked frame, with the key 00000000: what follows is its payload as it is.
pub fn head(first: u8, len: u64) -> Vec<u8> {
    let mut bytes = unmasked_head(first, len);
    bytes[1] |= 0x80;
    bytes.extend([0; 4]);
    bytes
}

fn unmasked_head(first: u8, len: u64) -> Vec<u8> {
    match len {
        0..=125 => vec![first, len as u8],
        126..=0xffff => [&[first, 126], &(len as u16).to_be_bytes()[..]].concat(),
        _ => [&[first, 127], &len.to_be_bytes()[..]].concat(),
    }
}

/// A frame that the server sent, or is to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    pub fin: bool,
    /// 0 to 15.
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// `first` is the first byte of the frame.
    pub fn new(first: u8, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref().to_vec();
        Self { fin: first & FIN != 0, opcode: first & 0xf, payload }
    }

    pub fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(TEXT, payload)
    }

    pub fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(BINARY, payload)
    }

    pub fn pong(payload: impl AsRef<[u8]>) -> Self {
        Self::new(PONG, payload)
    }

    /// Code 1005 stands for an empty Close, as in §7.1.5.
    pub fn close(code: u16, reason: &str) -> Self {
        match code {
            1005 => Self::new(CLOSE, b""),
            _ => Self::new(CLOSE, [&code.to_be_bytes()[..], reason.as_bytes()].concat()),
        }
    }

    /// The code and the reason of a Close.
    pub fn close_parts(&self) -> (u16, &str) {
        assert!(self.fin && self.opcode == 8, "expected a Close, got {self:?}");
        match self.payload.split_first_chunk() {
            Some((&code, reason)) => {
                let reason = std::str::from_utf8(reason).expect("a reason in UTF-8");
                (u16::from_be_bytes(code), reason)
            }
            None => {
                assert!(self.payload.is_empty(), "a Close with half a code");
                (1005, "")
            }
        }
    }

    /// The bytes, as a server sends them.
    pub fn encode(&self) -> Vec<u8> {
        let first = if self.fin { FIN | self.opcode } else { self.opcode };
        let mut bytes = unmasked_head(first, self.payload.len() as u64);
        bytes.extend(&self.payload);
        bytes
    }

    /// Reads a frame and holds it to §5; `None` is the end of the stream.
    pub fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let frame = Self::read_marked(stream)?;
        Ok(frame.map(|(is_marked, frame)| {
            assert!(!is_marked, "§5.2: RSV1 is set, and no extension was agreed on: {frame:?}");
            frame
        }))
    }

    /// The same where RSV1 has a meaning (RFC 7692 §6); whether it was set.
    pub fn read_marked(stream: &mut impl Read) -> io::Result<Option<(bool, Self)>> {
        let mut start = [0; 2];
        // Whatever stops a process and lets it go on may interrupt a read.
        let len = loop {
            match stream.read(&mut start[..1]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        if len == 0 {
            return Ok(None);
        }
        stream.read_exact(&mut start[1..])?;
        let [first, second] = start;
        assert_eq!(first & 0x30, 0, "§5.2: reserved bits in {start:02x?}");
        assert_eq!(second & 0x80, 0, "§5.1: a server does not mask: {start:02x?}");
        let (fin, opcode, is_marked) = (first & FIN != 0, first & 0xf, first & RSV1 != 0);
        // RFC 7692 §6.1.
        assert!(!is_marked || matches!(opcode, 1 | 2), "RSV1 on a frame of opcode {opcode}");
        assert!(matches!(opcode, 0..=2 | 8..=10), "§5.2: reserved opcode {opcode}");
        let len = match second {
            126 => {
                let mut long = [0; 2];
                stream.read_exact(&mut long)?;
                let len = u64::from(u16::from_be_bytes(long));
                assert!(len > 125, "§5.2: {len} is not in its shortest encoding");
                len
            }
            127 => {
                let mut long = [0; 8];
                stream.read_exact(&mut long)?;
                let len = u64::from_be_bytes(long);
                assert!(len > 0xffff, "§5.2: {len} is not in its shortest encoding");
                len
            }
            short => u64::from(short),
        };
        assert!(opcode < 8 || (fin && len <= 125), "§5.5: a control frame of {len}, fin {fin}");
        assert!(len <= 64 << 20, "no test makes the server send {len} bytes");
        let mut payload = vec![0; len as usize];
        stream.read_exact(&mut payload)?;
        Ok(Some((is_marked, Self { fin, opcode, payload })))
    }
}

impl fmt::Debug for Frame {
    /// Large payloads are cut.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fin, opcode, payload } = self;
        let start = payload[..payload.len().min(150)].escape_ascii();
        write!(f, "Frame(fin {fin}, opcode {opcode}, {} bytes: \"{start}\")", payload.len())
    }
}
