//! RFC 6455 a second time, for streams that are there as a whole: naive, and slow.
//!
//! It shares types with the library, so that results can be compared, and no function.

use barews::proto::{DecoderLimits, MessageType, ProtocolError};

/// What a client's stream says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Message(MessageType, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    /// The code, 1005 if there is none, and the reason.
    Close(u16, String),
}

/// How far a stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It may go on; whether a frame or a message has begun that is not finished.
    Open { unfinished: bool },
    /// A Close was received.
    Closed,
    /// A rule was broken: by which byte, counted from 1, of a frame that begins where.
    Failed { violation: ProtocolError, at: usize, frame: usize },
}

/// All there is to know of a stream.
#[derive(Debug)]
pub struct Verdict {
    pub items: Vec<Item>,
    /// The message under way: every byte of it that came ahead of the end.
    pub partial: Option<(MessageType, Vec<u8>)>,
    pub end: End,
}

/// A frame header (§5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub fin: bool,
    pub opcode: u8,
    pub key: Option<[u8; 4]>,
    pub len: u64,
    /// Bytes of the header itself.
    pub size: usize,
}

/// The header at the start of `bytes`, or nothing if there is too little of it to tell.
pub fn header(bytes: &[u8]) -> Result<Option<Header>, ProtocolError> {
    let [first, ref after @ ..] = *bytes else { return Ok(None) };
    let (fin, reserved, opcode) = (first >= 128, first / 16 % 8, first % 16);
    refuse(reserved != 0, ProtocolError::ReservedBits(reserved))?;
    refuse(matches!(opcode, 3..=7 | 11..), ProtocolError::ReservedOpCode(opcode))?;
    refuse(opcode >= 8 && !fin, ProtocolError::FragmentedControl)?;
    let [second, ref after @ ..] = *after else { return Ok(None) };
    let (masked, short) = (second >= 128, second % 128);
    refuse(opcode >= 8 && short > 125, ProtocolError::OversizedControl(short))?;
    let (long, least) = [(0, 0), (2, 126), (8, 65_536)][usize::from(short.max(125) - 125)];
    let Some(digits) = after.get(..long) else { return Ok(None) };
    let number = digits.iter().fold(0, |number, &digit| number * 256 + u64::from(digit));
    refuse(number < least, ProtocolError::LengthNotMinimal(number))?;
    refuse(number >= 1 << 63, ProtocolError::LengthTooLarge(number))?;
    let len = if long == 0 { u64::from(short) } else { number };
    let key = after.get(long..long + 4).filter(|_| masked).map(|key| key.try_into().unwrap());
    let size = if masked { 6 + long } else { 2 + long };
    Ok((masked == key.is_some()).then_some(Header { fin, opcode, key, len, size }))
}

fn refuse(broken: bool, violation: ProtocolError) -> Result<(), ProtocolError> {
    if broken { Err(violation) } else { Ok(()) }
}

/// What a server is to make of a client's stream.
pub fn judge(stream: &[u8], limits: DecoderLimits) -> Verdict {
    let mut items = Vec::new();
    // The message under way, and how many frames it has.
    let mut message: Option<(MessageType, Vec<u8>, u32)> = None;
    let mut frame = 0;
    let end = loop {
        let rest = &stream[frame..];
        let failed = |violation, at| End::Failed { violation, at: frame + at, frame };

        // The header, as soon as it can be judged.
        let mut prefixes = (0..=rest.len().min(14)).map(|len| (len, header(&rest[..len])));
        let Header { fin, opcode, key, len, size } =
            match prefixes.find(|(_, found)| *found != Ok(None)) {
                Some((at, Err(violation))) => break failed(violation, at),
                Some((_, Ok(Some(header)))) => header,
                _ => break End::Open { unfinished: message.is_some() || !rest.is_empty() },
            };
        // §5.1, §5.4, §10.4: what it may not be here.
        let Some(key) = key else { break failed(ProtocolError::Unmasked, size) };
        let violation = match (opcode, &message) {
            (0, None) => Some(ProtocolError::UnexpectedContinuation),
            (1 | 2, Some(_)) => Some(ProtocolError::UnfinishedMessage),
            (0..=2, _) => {
                let (had, fragments) = message.as_ref().map_or((0, 0), |m| (m.1.len(), m.2));
                // A message ends where the length of a frame does, at 2^63 - 1, whatever the limit.
                let most = limits.max_message_size.min((1 << 63) - 1);
                if had as u128 + u128::from(len) > u128::from(most) {
                    Some(ProtocolError::MessageTooBig(most))
                } else if fragments == limits.max_fragments {
                    Some(ProtocolError::TooManyFragments(limits.max_fragments))
                } else {
                    None
                }
            }
            _ => None,
        };
        if let Some(violation) = violation {
            break failed(violation, size);
        }

        // The payload, or as much of it as there is.
        let came = (rest.len() - size).min(usize::try_from(len).unwrap_or(usize::MAX));
        let payload = rest[size..size + came].iter().enumerate();
        let payload: Vec<u8> = payload.map(|(i, byte)| byte ^ key[i % 4]).collect();
        let whole = came as u64 == len;
        if opcode < 8 {
            let kind = if opcode == 1 { MessageType::Text } else { MessageType::Binary };
            let (kind, mut text, fragments) = message.take().unwrap_or((kind, Vec::new(), 0));
            let had = text.len();
            text.extend(payload);
            if kind == MessageType::Text {
                // §8.1.
                let bad = first_bad_byte(&text).map(|bad| (bad, size + bad - had + 1));
                let cut = fin && whole && std::str::from_utf8(&text).is_err();
                if let Some((len, at)) = bad.or(cut.then_some((text.len(), size + came))) {
                    text.truncate(len);
                    message = Some((kind, text, fragments));
                    break failed(ProtocolError::TextNotUtf8, at);
                }
            }
            if fin && whole {
                items.push(Item::Message(kind, text));
            } else {
                message = Some((kind, text, fragments + 1));
            }
        } else if whole {
            match opcode {
                9 => items.push(Item::Ping(payload)),
                10 => items.push(Item::Pong(payload)),
                _ => match close(&payload) {
                    Ok((code, reason)) => {
                        items.push(Item::Close(code, reason));
                        message = None;
                        break End::Closed;
                    }
                    Err(violation) => break failed(violation, size + came),
                },
            }
        }
        if !whole {
            break End::Open { unfinished: true };
        }
        frame += size + came;
    };
    let partial = message.map(|(kind, bytes, _)| (kind, bytes));
    Verdict { items, partial, end }
}

/// The payload of a Close (§5.5.1, §7.4, and the codes that the IANA registry has added).
pub fn close(payload: &[u8]) -> Result<(u16, String), ProtocolError> {
    let [high, low, ref reason @ ..] = *payload else {
        return if payload.is_empty() {
            Ok((1005, String::new()))
        } else {
            Err(ProtocolError::CloseTooShort)
        };
    };
    let code = u16::from(high) * 256 + u16::from(low);
    match code {
        1000..1004 | 1007..1015 | 3000..5000 => match String::from_utf8(reason.to_vec()) {
            Ok(reason) => Ok((code, reason)),
            Err(_) => Err(ProtocolError::CloseReasonNotUtf8),
        },
        _ => Err(ProtocolError::CloseCode(code)),
    }
}

/// The first byte that no text in UTF-8 could have after those before it.
pub fn first_bad_byte(text: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(text).err()?;
    error.error_len()?;
    let from = error.valid_up_to();
    (from..text.len()).find(|&last| {
        let error = std::str::from_utf8(&text[from..=last]).err();
        error.is_some_and(|error| error.error_len().is_some())
    })
}

/// The code that answers a violation (§7.4.1).
pub fn code_of(violation: ProtocolError) -> u16 {
    match violation {
        ProtocolError::TextNotUtf8 | ProtocolError::CloseReasonNotUtf8 => 1007,
        #[cfg(feature = "deflate")]
        ProtocolError::NotDeflate | ProtocolError::IncompleteDeflate => 1007,
        ProtocolError::TooManyFragments(_) => 1008,
        ProtocolError::MessageTooBig(_) => 1009,
        _ => 1002,
    }
}

/// A frame with the FIN bit and the opcode of `first`, masked if there is a key.
pub fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    let mask = if key.is_some() { 128 } else { 0 };
    match payload.len() {
        len @ ..126 => frame.push(mask + len as u8),
        len @ ..65_536 => frame.extend([mask + 126, (len / 256) as u8, (len % 256) as u8]),
        len => {
            frame.push(mask + 127);
            frame.extend((0..8).rev().map(|i| (len as u64 >> (8 * i)) as u8));
        }
    }
    let key = key.inspect(|key| frame.extend(key)).unwrap_or_default();
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
    frame
}

/// Holds what a server sent to the rules; how many Close frames are in it.
pub fn assert_server_stream(stream: &[u8]) -> usize {
    let (mut rest, mut closes) = (stream, 0);
    let mut message: Option<(u8, Vec<u8>)> = None;
    while !rest.is_empty() {
        assert_eq!(closes, 0, "§5.5.1: a frame after a Close");
        let header = header(rest).expect("a bad header").expect("half a header");
        assert_eq!(header.key, None, "§5.1: a server does not mask");
        let end = header.size + header.len as usize;
        let payload = rest.get(header.size..end).expect("half a payload");
        rest = &rest[end..];
        match (header.opcode, message.take()) {
            (8, _) => {
                close(payload).expect("§5.5.1: a bad Close");
                closes += 1;
            }
            (9 | 10, unfinished) => message = unfinished,
            (0, None) => panic!("§5.4: nothing to continue"),
            (1 | 2, Some(_)) => panic!("§5.4: the message before is not finished"),
            (opcode, before) => {
                let (kind, mut text) = before.unwrap_or((opcode, Vec::new()));
                text.extend_from_slice(payload);
                if !header.fin {
                    message = Some((kind, text));
                } else if kind == 1 {
                    std::str::from_utf8(&text).expect("§8.1: text that is not UTF-8");
                }
            }
        }
    }
    closes
}
