//! The frame header (§5.2), in both directions.
//!
//! A header is 2 to 14 bytes long. It is judged in the order of its bytes, so a prefix that is
//! already wrong is refused before the rest has come, and the verdict does not depend on how
//! the bytes were cut.

use super::error::ProtocolError;

/// The longest a header can be: two bytes, a 64-bit length, a masking key.
pub const MAX_HEADER: usize = 14;

/// The most that a control frame may carry, in bytes (§5.5).
pub const MAX_CONTROL: usize = 125;

/// What a frame is for (§5.2, §11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpCode {
    /// A further fragment of the message under way.
    Continuation = 0x0,
    /// A text message or its first fragment.
    Text = 0x1,
    /// A binary message or its first fragment.
    Binary = 0x2,
    /// A Close frame.
    Close = 0x8,
    /// A Ping frame.
    Ping = 0x9,
    /// A Pong frame.
    Pong = 0xa,
}

impl OpCode {
    /// Reads the lower half of a frame's first byte.
    const fn decode(bits: u8) -> Result<Self, ProtocolError> {
        Ok(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return Err(ProtocolError::ReservedOpCode(bits)),
        })
    }

    /// Whether frames of this kind may stand between the fragments of a message (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// A frame header. The reserved bits are not kept: without an extension they are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last fragment of its message (FIN).
    pub fin: bool,
    /// What the frame is for.
    pub opcode: OpCode,
    /// The key that the payload is masked with, if it is: from a client always, from a
    /// server never (§5.1).
    pub mask: Option<[u8; 4]>,
    /// Length of the payload in bytes, below 2^63.
    pub len: u64,
}

impl Header {
    /// Reads a header from the start of `bytes`, and tells how many of them it takes.
    /// `None` asks for more bytes.
    ///
    /// # Errors
    ///
    /// The first rule of §5.2 or §5.5 that the header breaks, in the order of its bytes.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        // §5.2: RSV1 to RSV3 are zero unless an extension says otherwise. Where one does, `rsv1`
        // takes the bit off and asks again.
        let reserved = first >> 4 & 0x7;
        if reserved != 0 {
            return Err(ProtocolError::ReservedBits(reserved));
        }
        let fin = first & 0x80 != 0;
        let opcode = OpCode::decode(first & 0xf)?;
        // §5.5: control frames are never fragmented.
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }

        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        let short = second & 0x7f;
        // §5.5: and they carry 125 bytes at the most.
        if opcode.is_control() && usize::from(short) > MAX_CONTROL {
            return Err(ProtocolError::OversizedControl(short));
        }

        let (len, at) = match short {
            126 => match bytes.get(2..).and_then(<[u8]>::first_chunk) {
                Some(&long) => (u64::from(u16::from_be_bytes(long)), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..).and_then(<[u8]>::first_chunk) {
                Some(&long) => (u64::from_be_bytes(long), 10),
                None => return Ok(None),
            },
            short => (u64::from(short), 2),
        };
        // §5.2: the shortest encoding that holds the length is the only one allowed.
        if at != 2 && len < 126 || at == 10 && len <= u64::from(u16::MAX) {
            return Err(ProtocolError::LengthNotMinimal(len));
        }
        // §5.2: the highest bit of a 64-bit length is zero.
        if len >> 63 != 0 {
            return Err(ProtocolError::LengthTooLarge(len));
        }

        let (mask, end) = if second & 0x80 == 0 {
            (None, at)
        } else {
            match bytes.get(at..).and_then(<[u8]>::first_chunk) {
                Some(&key) => (Some(key), at + 4),
                None => return Ok(None),
            }
        };
        let header = Self { fin, opcode, mask, len };
        Ok(Some((header, end)))
    }

    /// Writes the header to the start of `out`, and tells how many bytes it takes.
    #[inline]
    pub fn encode(&self, out: &mut [u8; MAX_HEADER]) -> usize {
        out[0] = u8::from(self.fin) << 7 | self.opcode as u8;
        let mut at = 2;
        out[1] = match self.len {
            0..=125 => self.len as u8,
            126..=0xffff => {
                out[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                at = 4;
                126
            }
            _ => {
                out[2..10].copy_from_slice(&self.len.to_be_bytes());
                at = 10;
                127
            }
        };
        if let Some(key) = self.mask {
            out[1] |= 0x80;
            out[at..at + 4].copy_from_slice(&key);
            at += 4;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [u64; 12] =
        [0, 1, 125, 126, 127, 255, 256, 65_534, 65_535, 65_536, 65_537, (1 << 63) - 1];

    fn encoded(header: &Header) -> Vec<u8> {
        let mut out = [0; MAX_HEADER];
        let len = header.encode(&mut out);
        out[..len].to_vec()
    }

    #[test]
    fn what_is_encoded_is_decoded_again_and_every_prefix_asks_for_more() {
        for len in LENGTHS {
            for mask in [None, Some([0; 4]), Some([0x37, 0xfa, 0x21, 0x3d])] {
                for fin in [false, true] {
                    for opcode in [OpCode::Continuation, OpCode::Text, OpCode::Binary] {
                        let header = Header { fin, opcode, mask, len };
                        let mut bytes = encoded(&header);
                        for cut in 0..bytes.len() {
                            assert_eq!(Header::decode(&bytes[..cut]), Ok(None));
                        }
                        let used = bytes.len();
                        bytes.extend([0xff; 3]);
                        assert_eq!(Header::decode(&bytes), Ok(Some((header, used))));
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_take_their_shortest_encoding() {
        let sizes = LENGTHS.map(|len| {
            let header = Header { fin: true, opcode: OpCode::Binary, mask: None, len };
            encoded(&header).len()
        });
        assert_eq!(sizes, [2, 2, 2, 4, 4, 4, 4, 4, 4, 10, 10, 10]);
    }

    #[test]
    fn longer_encodings_than_needed_are_refused() {
        for len in 0..=125u64 {
            let mut bytes = vec![0x82, 126];
            bytes.extend((len as u16).to_be_bytes());
            assert_eq!(Header::decode(&bytes), Err(ProtocolError::LengthNotMinimal(len)));
        }
        for len in 0..=65_535u64 {
            let mut bytes = vec![0x82, 127];
            bytes.extend(len.to_be_bytes());
            assert_eq!(Header::decode(&bytes), Err(ProtocolError::LengthNotMinimal(len)));
        }
    }

    #[test]
    fn the_highest_bit_of_a_length_is_refused() {
        for bit in 0..63 {
            let len = 1 << 63 | 1u64 << bit;
            let mut bytes = vec![0x82, 127];
            bytes.extend(len.to_be_bytes());
            assert_eq!(Header::decode(&bytes), Err(ProtocolError::LengthTooLarge(len)));
        }
    }

    /// The rules of §5.2 and §5.5 on the first two bytes, written a second time.
    fn oracle(first: u8, second: u8) -> Option<ProtocolError> {
        let (rsv, opcode, len) = (first / 16 % 8, first % 16, second % 128);
        if rsv > 0 {
            Some(ProtocolError::ReservedBits(rsv))
        } else if (3..8).contains(&opcode) || opcode > 10 {
            Some(ProtocolError::ReservedOpCode(opcode))
        } else if opcode >= 8 && first < 128 {
            Some(ProtocolError::FragmentedControl)
        } else if opcode >= 8 && len > 125 {
            Some(ProtocolError::OversizedControl(len))
        } else {
            None
        }
    }

    #[test]
    fn all_65536_first_two_bytes_against_an_oracle() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                match (oracle(first, second), Header::decode(&[first, second])) {
                    (Some(expected), got) => assert_eq!(got, Err(expected)),
                    (None, Ok(None)) => assert!(second >= 126),
                    (None, Ok(Some((header, used)))) => {
                        assert!(second < 126);
                        assert_eq!((used, header.mask), (2, None));
                        assert_eq!(header.fin, first >= 128);
                        assert_eq!(header.opcode as u8, first % 16);
                        assert_eq!(header.len, u64::from(second));
                    }
                    (None, got) => panic!("{first:02x} {second:02x}: {got:?}"),
                }
            }
        }
    }

    #[test]
    fn the_examples_of_section_5_7() {
        let decode = |bytes: &[u8]| Header::decode(bytes).unwrap().unwrap();
        let header = |fin, opcode, mask, len| Header { fin, opcode, mask, len };
        let key = Some([0x37, 0xfa, 0x21, 0x3d]);
        use OpCode::{Binary, Continuation, Ping, Pong, Text};
        let examples: [(&[u8], Header); 8] = [
            (&[0x81, 0x05], header(true, Text, None, 5)),
            (&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d], header(true, Text, key, 5)),
            (&[0x01, 0x03], header(false, Text, None, 3)),
            (&[0x80, 0x02], header(true, Continuation, None, 2)),
            (&[0x89, 0x05], header(true, Ping, None, 5)),
            (&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d], header(true, Pong, key, 5)),
            (&[0x82, 0x7e, 0x01, 0x00], header(true, Binary, None, 256)),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], header(true, Binary, None, 65_536)),
        ];
        for (bytes, expected) in examples {
            assert_eq!(decode(bytes), (expected, bytes.len()));
            assert_eq!(encoded(&expected), bytes);
        }
    }
}
