//! Sample data, the same on every machine and in every run.

use barews::MessageType;
use barews::proto::frame::{Header, MAX_HEADER, OpCode};
use barews::proto::{encoder, mask};

/// The masking key of the first frame of a stream. Its high bits are zero, so that ASCII stays
/// ASCII however often it is masked with it.
pub const KEY: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

/// The request of a browser's handshake; its key is the example of §1.3.
pub const CHROME: &[u8] = b"GET /chat?room=42 HTTP/1.1\r\n\
    Host: localhost:9001\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: http://localhost:9001\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9\r\n\
    Cookie: session=0f1e2d3c4b5a69788796a5b4c3d2e1f0\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    \r\n";

/// The answer to the key in [`CHROME`].
pub const ACCEPT_KEY: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What a payload is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Bytes of every value.
    Binary,
    /// English.
    Ascii,
    /// ASCII with a letter of two bytes now and then, as in French or German.
    Mixed,
    /// Chinese: three bytes a character.
    Cjk,
    /// Four bytes a character.
    Emoji,
}

impl Payload {
    /// The type of the message that carries it.
    #[must_use]
    pub fn kind(self) -> MessageType {
        match self {
            Payload::Binary => MessageType::Binary,
            _ => MessageType::Text,
        }
    }

    /// `len` bytes of it. A text is filled up with ASCII where no whole character fits.
    #[must_use]
    pub fn bytes(self, len: usize) -> Vec<u8> {
        let text = match self {
            Payload::Binary => return (0..len).map(|i| (i * 31 % 251) as u8).collect(),
            Payload::Ascii => "The quick brown fox jumps over the lazy dog, again and again. ",
            Payload::Mixed => "Übergröße, déjà vu and the naïve façade; mostly plain letters. ",
            Payload::Cjk => "天地玄黄宇宙洪荒日月盈昃辰宿列張寒来暑往秋収冬蔵",
            Payload::Emoji => "😀🚀🌍🎉🐟🦀🔧📦",
        };
        let mut bytes = Vec::with_capacity(len);
        for char in text.chars().cycle() {
            if bytes.len() + char.len_utf8() > len {
                break;
            }
            bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
        bytes.resize(len, b'.');
        bytes
    }
}

/// Text `i` of a stream, `len` bytes of JSON as an application sends it: names and words come again,
/// numbers do not. Compressed it has about a fifth of its bytes, and a short one after others a third.
#[must_use]
pub fn json(i: usize, len: usize) -> Vec<u8> {
    const SYMBOLS: [&str; 8] = ["ADA", "BTC", "DOT", "ETH", "LTC", "SOL", "XMR", "XRP"];
    let mut state = i as u64 + 1;
    // The generator is SplitMix64.
    let mut random = |below: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ mixed >> 27) % below
    };
    let mut text = String::new();
    while text.len() < len {
        let symbol = SYMBOLS[random(8) as usize];
        let side = ["buy", "sell"][random(2) as usize];
        let (id, amount, price) = (random(1 << 32), random(10_000), random(100_000));
        let time = 1_764_400_000_000 + random(100_000_000);
        text.push_str(&format!(
            "{{\"id\":\"{id:08x}\",\"symbol\":\"{symbol}\",\"side\":\"{side}\",\"amount\":{amount},\
             \"price\":\"{}.{:02}\",\"time\":{time},\"type\":\"limit\",\"status\":\"open\"}},",
            price / 100,
            price % 100,
        ));
    }
    text.truncate(len);
    text.into_bytes()
}

/// A frame with nothing to follow, masked with `key` as a client's is (§5.3).
#[must_use]
pub fn client_frame(opcode: OpCode, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let header = Header { fin: true, opcode, mask: Some(key), len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER];
    let head_len = header.encode(&mut head);
    let mut frame = head[..head_len].to_vec();
    frame.extend_from_slice(payload);
    mask::apply(&mut frame[head_len..], key, 0);
    frame
}

/// A message in one frame as a server sends it.
#[must_use]
pub fn server_frame(kind: MessageType, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encoder::message(kind, payload, &mut frame);
    frame
}

/// The masking key of frame `i` of a stream: all are different, and none is zero.
#[must_use]
pub fn key(i: usize) -> [u8; 4] {
    (i as u32).wrapping_mul(0x9e37_79b9).wrapping_add(u32::from_le_bytes(KEY)).to_le_bytes()
}
