//! RFC 7692 on top of RFC 6455, for streams of a client that are there as a whole: naive, and slow.

use barews::ProtocolError;
use barews::proto::{DecoderLimits, MessageType};

use super::blocks::{self, End};
use super::reference::{Header, Item, close, first_bad_byte, header};

/// What a client's messages may refer to.
#[derive(Clone, Copy)]
pub struct Window {
    pub len: usize,
    /// Whether to messages before, too.
    pub takeover: bool,
}

/// All there is to know of a stream.
#[derive(Debug, Default)]
pub struct Verdict {
    pub items: Vec<Item>,
    /// Whether a Close was received.
    pub closed: bool,
    /// What is wrong with it. Which of these is found first, the way it is cut may decide.
    pub wrong: Vec<ProtocolError>,
}

/// A message under way.
struct Message {
    kind: MessageType,
    is_compressed: bool,
    fragments: u32,
    /// Its bytes as they came.
    came: Vec<u8>,
}

/// What a server is to make of a client's stream, once compression is agreed on.
pub fn judge(stream: &[u8], limits: DecoderLimits, window: Window) -> Verdict {
    let mut reader =
        Reader { limits, window, said: Vec::new(), message: None, verdict: Verdict::default() };
    let mut rest = stream;
    while let Some(len) = reader.frame(rest) {
        rest = &rest[len..];
    }
    reader.verdict
}

struct Reader {
    limits: DecoderLimits,
    window: Window,
    /// What was said in compressed messages (RFC 7692 §7.2.3.2).
    said: Vec<u8>,
    message: Option<Message>,
    verdict: Verdict,
}

impl Reader {
    /// Reads a frame; its length, if all of it is there and another may follow.
    fn frame(&mut self, rest: &[u8]) -> Option<usize> {
        let first = *rest.first()?;
        // RFC 7692 §6.1: RSV1 says something in the first frame of a message alone.
        let is_marked = first & 0x70 == 0x40 && matches!(first & 15, 1 | 2);
        let mut head = rest[..rest.len().min(14)].to_vec();
        head[0] ^= if is_marked { 0x40 } else { 0 };
        let prefixes = (1..=head.len()).map(|len| header(&head[..len]));
        let found = prefixes.filter_map(Result::transpose).next()?;
        let Header { fin, opcode, key, len, size } = self.refuse(found)?;
        let key = self.refuse(key.ok_or(ProtocolError::Unmasked))?;
        if opcode < 8 {
            let begun = self.begin(opcode, is_marked, len);
            self.refuse(begun)?;
        }
        let came = (rest.len() - size).min(usize::try_from(len).unwrap_or(usize::MAX));
        let payload = rest[size..size + came].iter().enumerate();
        let payload: Vec<u8> = payload.map(|(i, byte)| byte ^ key[i % 4]).collect();
        let is_whole = came as u64 == len;
        if opcode < 8 {
            self.data(&payload, fin && is_whole)?;
        } else if is_whole {
            self.control(opcode, payload)?;
        }
        is_whole.then_some(size + came)
    }

    /// The header of a frame of a message has come (§5.4, §10.4).
    fn begin(&mut self, opcode: u8, is_compressed: bool, len: u64) -> Result<(), ProtocolError> {
        match (opcode, &self.message) {
            (0, None) => return Err(ProtocolError::UnexpectedContinuation),
            (1 | 2, Some(_)) => return Err(ProtocolError::UnfinishedMessage),
            _ => {}
        }
        let kind = if opcode == 1 { MessageType::Text } else { MessageType::Binary };
        let new = || Message { kind, is_compressed, fragments: 0, came: Vec::new() };
        let message = self.message.get_or_insert_with(new);
        let most = self.limits.max_message_size;
        // What is compressed may be a little longer than what it says.
        let on_wire = if message.is_compressed { most + most / 8 + 1024 } else { most };
        if message.came.len() as u128 + u128::from(len) > u128::from(on_wire) {
            return Err(ProtocolError::MessageTooBig(most));
        }
        if message.fragments == self.limits.max_fragments {
            return Err(ProtocolError::TooManyFragments(self.limits.max_fragments));
        }
        message.fragments += 1;
        Ok(())
    }

    /// Bytes of a message have come.
    fn data(&mut self, payload: &[u8], fin: bool) -> Option<()> {
        let message = self.message.as_mut()?;
        message.came.extend(payload);
        let mut bytes = message.came.clone();
        let mut wrong = Vec::new();
        if message.is_compressed {
            let before = if self.window.takeover { &self.said[..] } else { b"" };
            let read = blocks::read(&message.came, before, self.window.len);
            bytes = read.bytes;
            let most = self.limits.max_message_size as usize;
            let is_too_long = bytes.len() > most;
            // Nothing is inflated that lies more than a byte behind the limit.
            if read.end == End::Bad && bytes.len() <= most + 1 {
                wrong.push(ProtocolError::NotDeflate);
            }
            if is_too_long {
                wrong.push(ProtocolError::MessageTooBig(most as u64));
                bytes.truncate(most + 1);
            } else if fin && read.end == End::Short {
                wrong.push(ProtocolError::IncompleteDeflate);
            }
        }
        let is_cut = fin && wrong.is_empty() && str::from_utf8(&bytes).is_err();
        if message.kind == MessageType::Text && (is_cut || first_bad_byte(&bytes).is_some()) {
            wrong.push(ProtocolError::TextNotUtf8);
        }
        if !wrong.is_empty() {
            self.verdict.wrong = wrong;
            return None;
        }
        if let Some(message) = self.message.take_if(|_| fin) {
            if message.is_compressed {
                self.said.extend(&bytes);
            }
            self.verdict.items.push(Item::Message(message.kind, bytes));
        }
        Some(())
    }

    /// A control frame has come.
    fn control(&mut self, opcode: u8, payload: Vec<u8>) -> Option<()> {
        let item = match opcode {
            9 => Item::Ping(payload),
            10 => Item::Pong(payload),
            _ => {
                let (code, reason) = self.refuse(close(&payload))?;
                self.verdict.closed = true;
                Item::Close(code, reason)
            }
        };
        self.verdict.items.push(item);
        (!self.verdict.closed).then_some(())
    }

    fn refuse<T>(&mut self, result: Result<T, ProtocolError>) -> Option<T> {
        result.inspect_err(|&violation| self.verdict.wrong = vec![violation]).ok()
    }
}
