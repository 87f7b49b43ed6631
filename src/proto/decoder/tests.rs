use super::*;
use crate::proto::CloseCode;

const LIMITS: DecoderLimits = DecoderLimits { max_message_size: 1 << 20, max_fragments: 100 };
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it; `first` is its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0xfe);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0xff);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(KEY);
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

fn frames(list: &[(u8, &[u8])]) -> Vec<u8> {
    list.iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}

/// What a caller gets to know, with the parts of a message joined.
#[derive(Debug, PartialEq, Eq, Clone)]
enum Got {
    Message(MessageType, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Failed(ProtocolError),
    /// A message that was not finished.
    Part(MessageType, Vec<u8>),
}

/// Feeds what comes next, behind a gap if it is payload and there is to be one.
fn feed(core: &mut Decoder, rest: &mut [u8], gap: Option<usize>) -> Fed {
    let len = rest.len().min(core.payload_left() as usize);
    let Some(gap) = gap.filter(|_| len > 0) else { return core.feed(rest) };
    let mut memory = [&vec![0xee; gap], &rest[..len]].concat();
    let event = core.feed_behind(&mut memory, gap);
    rest[..len].copy_from_slice(&memory[..len]);
    event.map(|event| (len, event))
}

type Fed = Result<(usize, Event), ProtocolError>;

fn receive(limits: DecoderLimits, pieces: &[&[u8]], gap: Option<usize>) -> Vec<Got> {
    let mut core = Decoder::new(limits);
    let mut got = Vec::new();
    let mut part: Option<(MessageType, Vec<u8>)> = None;
    'pieces: for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            let mut whole = vec![0xee; 3];
            let taken = core.decode_message(rest, usize::MAX, &mut whole);
            let is_between = !core.is_unfinished();
            let is_last = rest.first().is_some_and(|first| first & 0x80 != 0);
            let (used, event) = match feed(&mut core, rest, gap) {
                Ok(fed) => fed,
                Err(error) => {
                    assert_eq!(taken, None);
                    assert_eq!(core.feed(&mut [0x81]), Err(error), "failures stay");
                    got.push(Got::Failed(error));
                    // How much of a broken message had come depends on the cut.
                    return got;
                }
            };
            match event {
                Event::Data { kind, len, fin: true } if is_between && is_last => {
                    assert_eq!(taken, Some((used, kind)));
                    assert_eq!(whole, rest[used - len..used]);
                }
                _ => assert_eq!(taken, None),
            }
            match event {
                Event::NeedMore => {
                    assert_eq!(used, rest.len());
                    continue 'pieces;
                }
                Event::Data { kind, len, fin } => {
                    assert!(len > 0 || fin);
                    let (of, bytes) = part.get_or_insert((kind, Vec::new()));
                    assert_eq!(*of, kind);
                    bytes.extend_from_slice(&rest[used - len..used]);
                    if fin {
                        assert_eq!(core.message_kind(), None);
                        let (kind, bytes) = part.take().unwrap();
                        got.push(Got::Message(kind, bytes));
                    }
                }
                #[cfg(feature = "deflate")]
                Event::Compressed { .. } => unreachable!("it was not agreed on"),
                Event::Ping => got.push(Got::Ping(core.control().to_vec())),
                Event::Pong => got.push(Got::Pong(core.control().to_vec())),
                Event::Close(close) => {
                    part = None;
                    got.push(Got::Close(close.code.0, close.reason));
                }
            }
            rest = &mut rest[used..];
        }
    }
    got.extend(part.map(|(kind, bytes)| Got::Part(kind, bytes)));
    got
}

/// Receives `bytes` whole, byte by byte, and in every two pieces, and finds no difference.
#[track_caller]
fn received_with(limits: DecoderLimits, bytes: &[u8]) -> Vec<Got> {
    let whole = receive(limits, &[bytes], None);
    let cuts = bytes.len().min(200);
    for gap in [None, Some(0), Some(7), Some(8), Some(1025)] {
        if bytes.len() > 1000 && gap.is_some_and(|gap| gap < 1000) {
            continue;
        }
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(receive(limits, &single, gap), whole, "byte by byte, {gap:?}");
        for cut in (0..cuts).chain(bytes.len() - cuts..=bytes.len()) {
            let (left, right) = bytes.split_at(cut);
            assert_eq!(receive(limits, &[left, right], gap), whole, "cut at {cut}, {gap:?}");
        }
    }
    whole
}

#[track_caller]
fn received(bytes: &[u8]) -> Vec<Got> {
    received_with(LIMITS, bytes)
}

fn text(payload: &str) -> Got {
    Got::Message(MessageType::Text, payload.as_bytes().to_vec())
}

fn binary(payload: &[u8]) -> Got {
    Got::Message(MessageType::Binary, payload.to_vec())
}

#[test]
fn the_masked_examples_of_section_5_7() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(received(&hello), [text("Hello")]);
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(received(&pong), [Got::Pong(b"Hello".to_vec())]);
}

#[test]
fn what_is_longer_than_is_wanted_is_not_taken() {
    let core = Decoder::new(LIMITS);
    let mut out = Vec::new();
    assert_eq!(core.decode_message(&frame(0x81, b"Hello"), 4, &mut out), None);
    assert_eq!(
        core.decode_message(&frame(0x81, b"Hello"), 5, &mut out),
        Some((11, MessageType::Text))
    );
    assert_eq!(out, b"Hello");
    // But what there is memory for is.
    let other = frame(0x81, b"World");
    assert!(core.decode_message(&other, 4, &mut out).is_some() && out == b"World");
    let long = frame(0x81, &vec![b'a'; out.capacity() + 1]);
    assert_eq!(core.decode_message(&long, 4, &mut out), None);
}

#[test]
fn messages_of_every_length_around_a_boundary() {
    for len in [0, 1, 124, 125, 126, 127, 128, 65_534, 65_535, 65_536, 65_537] {
        let payload: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
        // Byte by byte and at the ends is enough for the long ones; `received` does that.
        assert_eq!(received(&frame(0x82, &payload)), [binary(&payload)]);
    }
}

#[test]
fn fragments_join_and_control_frames_pass_between_them() {
    let bytes = frames(&[
        (0x01, b"ab"),
        (0x89, b"ping"),
        (0x00, b""),
        (0x00, b"c"),
        (0x8a, b""),
        (0x80, b"d"),
        (0x02, b""),
        (0x80, b""),
    ]);
    let expected = [Got::Ping(b"ping".to_vec()), Got::Pong(Vec::new()), text("abcd"), binary(b"")];
    assert_eq!(received(&bytes), expected);
}

/// What the rules say of a frame with these first two bytes and a key, written a second time.
fn oracle(first: u8, second: u8, in_message: bool) -> Option<ProtocolError> {
    let (opcode, len) = (first & 15, second & 127);
    if first & 0x70 != 0 {
        Some(ProtocolError::ReservedBits(first >> 4 & 7))
    } else if ![0, 1, 2, 8, 9, 10].contains(&opcode) {
        Some(ProtocolError::ReservedOpCode(opcode))
    } else if opcode >= 8 && first & 0x80 == 0 {
        Some(ProtocolError::FragmentedControl)
    } else if opcode >= 8 && len > 125 {
        Some(ProtocolError::OversizedControl(len))
    } else if second & 0x80 == 0 {
        Some(ProtocolError::Unmasked)
    } else if opcode == 0 && !in_message {
        Some(ProtocolError::UnexpectedContinuation)
    } else if [1, 2].contains(&opcode) && in_message {
        Some(ProtocolError::UnfinishedMessage)
    } else {
        None
    }
}

#[test]
fn all_65536_first_two_bytes_in_each_fragmentation_state() {
    for before in [None, Some(0x01), Some(0x02)] {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let mut core = Decoder::new(LIMITS);
                if let Some(before) = before {
                    assert!(core.feed(&mut frame(before, b"")).is_ok());
                }
                // 126 is the least a 16-bit length may say, 65,536 the least of 64 bits.
                let mut header = vec![first, second];
                match second & 0x7f {
                    126 => header.extend([0, 126]),
                    127 => header.extend([0, 0, 0, 0, 0, 1, 0, 0]),
                    _ => {}
                }
                header.extend(KEY);
                let verdict = core.feed(&mut header).err();
                let expected = oracle(first, second, before.is_some());
                // A Close of one byte is wrong for its payload, but that has not come here.
                assert_eq!(verdict, expected, "{first:02x} {second:02x} after {before:?}");
            }
        }
    }
}

#[test]
fn a_header_is_judged_before_its_payload() {
    let judged = |header: &[u8]| Decoder::new(LIMITS).feed(&mut header.to_vec());
    // Nothing of these has a payload, or even a key: what is wrong shows before.
    assert_eq!(judged(&[0xc1]), Err(ProtocolError::ReservedBits(4)));
    assert_eq!(judged(&[0x83]), Err(ProtocolError::ReservedOpCode(3)));
    assert_eq!(judged(&[0x09]), Err(ProtocolError::FragmentedControl));
    assert_eq!(judged(&[0x89, 0xfe]), Err(ProtocolError::OversizedControl(126)));
    assert_eq!(judged(&[0x81, 0x05]), Err(ProtocolError::Unmasked));
    assert_eq!(judged(&[0x81, 0xfe, 0, 125]), Err(ProtocolError::LengthNotMinimal(125)));
    let mut long = vec![0x82, 0xff];
    long.extend(u64::MAX.to_be_bytes());
    assert_eq!(judged(&long), Err(ProtocolError::LengthTooLarge(u64::MAX)));
    let mut long = vec![0x82, 0xff];
    long.extend((LIMITS.max_message_size + 1).to_be_bytes());
    long.extend(KEY);
    assert_eq!(judged(&long), Err(ProtocolError::MessageTooBig(LIMITS.max_message_size)));
}

#[test]
fn the_length_limit_is_inclusive_and_counts_all_fragments() {
    let limits = DecoderLimits { max_message_size: 10, max_fragments: 100 };
    let too_big = Got::Failed(ProtocolError::MessageTooBig(10));
    assert_eq!(received_with(limits, &frame(0x82, &[1; 10])), [binary(&[1; 10])]);
    assert_eq!(received_with(limits, &frame(0x82, &[1; 11])), std::slice::from_ref(&too_big));
    let exact = frames(&[(0x02, &[1; 4]), (0x00, &[1; 3]), (0x80, &[1; 3]), (0x82, &[2; 10])]);
    assert_eq!(received_with(limits, &exact), [binary(&[1; 10]), binary(&[2; 10])]);
    let over = frames(&[(0x02, &[1; 4]), (0x00, &[1; 6]), (0x80, &[1; 1])]);
    assert_eq!(received_with(limits, &over), [too_big]);
}

#[test]
fn no_length_overflows_the_count() {
    let limits = DecoderLimits { max_message_size: u64::MAX, max_fragments: 100 };
    let mut core = Decoder::new(limits);
    assert!(core.feed(&mut frame(0x02, b"x")).is_ok());
    let mut header = vec![0x00, 0xff];
    header.extend((i64::MAX as u64).to_be_bytes());
    header.extend(KEY);
    assert_eq!(core.feed(&mut header), Err(ProtocolError::MessageTooBig(i64::MAX as u64)));
}

#[test]
fn the_fragment_limit_is_inclusive_and_counts_empty_ones() {
    let limits = DecoderLimits { max_message_size: 100, max_fragments: 3 };
    let three = frames(&[(0x01, b""), (0x00, b""), (0x80, b"")]);
    assert_eq!(received_with(limits, &[&three[..], &three].concat()), [text(""), text("")]);
    let four = frames(&[(0x01, b""), (0x00, b""), (0x00, b""), (0x80, b"")]);
    let expected = [Got::Failed(ProtocolError::TooManyFragments(3))];
    assert_eq!(received_with(limits, &four), expected);
}

#[test]
fn text_is_checked_across_frames_and_to_its_end() {
    let snowman = "\u{2603}".as_bytes();
    let bytes = frames(&[(0x01, &snowman[..1]), (0x89, b"\xff"), (0x80, &snowman[1..])]);
    assert_eq!(received(&bytes), [Got::Ping(b"\xff".to_vec()), text("\u{2603}")]);
    let bad = [Got::Failed(ProtocolError::TextNotUtf8)];
    assert_eq!(received(&frame(0x81, b"\xff")), bad);
    assert_eq!(received(&frame(0x81, &snowman[..2])), bad);
    assert_eq!(received(&frames(&[(0x01, &snowman[..2]), (0x80, b"")])), bad);
    assert_eq!(received(&frames(&[(0x01, b"\xf4"), (0x80, b"\x90")])), bad);
    assert_eq!(received(&frame(0x82, b"\xff")), [binary(b"\xff")]);
    // After binary, and after text that was cut short, the next text starts anew.
    let bytes = frames(&[(0x82, b"\xe2"), (0x81, b"ok")]);
    assert_eq!(received(&bytes), [binary(b"\xe2"), text("ok")]);
}

#[test]
fn a_bad_byte_fails_before_its_frame_has_ended() {
    let mut core = Decoder::new(LIMITS);
    let bytes = frame(0x81, b"a\xed\xa0zzzzzzzz");
    // The header, the first two bytes of the payload, and then the surrogate's second byte.
    let (mut good, mut bad) = (bytes[..6 + 2].to_vec(), bytes[6 + 2..6 + 3].to_vec());
    let (header, _) = core.feed(&mut good).unwrap();
    assert_eq!(header, 8);
    assert_eq!(core.feed(&mut bad), Err(ProtocolError::TextNotUtf8));
}

/// More would be another header's.
#[test]
#[should_panic(expected = "it is no payload")]
fn only_payload_is_taken_behind_a_gap() {
    let mut core = Decoder::new(LIMITS);
    core.feed(&mut frame(0x82, b"ab")[..6].to_vec()).unwrap();
    let _ = core.feed_behind(&mut b"-???".to_vec(), 1);
}

#[test]
fn nothing_counts_after_a_close() {
    let bytes = frames(&[(0x01, b"part"), (0x88, b"\x03\xe8bye"), (0x81, b"late"), (0x83, b"")]);
    assert_eq!(received(&bytes), [Got::Close(1000, "bye".into())]);
    let mut core = Decoder::new(LIMITS);
    let mut bytes = bytes;
    let (part, _) = core.feed(&mut bytes).unwrap();
    let (used, event) = core.feed(&mut bytes[part..]).unwrap();
    assert!(matches!(event, Event::Close(_)));
    assert!(!core.is_unfinished());
    let rest = bytes.len() - part - used;
    assert_eq!(core.feed(&mut bytes[part + used..]), Ok((rest, Event::NeedMore)));
}

#[test]
fn close_payloads() {
    assert_eq!(received(&frame(0x88, b"")), [Got::Close(1005, String::new())]);
    let failed = |error| [Got::Failed(error)];
    assert_eq!(received(&frame(0x88, b"\x03")), failed(ProtocolError::CloseTooShort));
    let bad = b"\x03\xe8\xc3\x28";
    assert_eq!(received(&frame(0x88, bad)), failed(ProtocolError::CloseReasonNotUtf8));
    let long = [&[0x03, 0xe8][..], &[b'x'; 123]].concat();
    assert_eq!(received(&frame(0x88, &long)), [Got::Close(1000, "x".repeat(123))]);
    for code in 0..=u16::MAX {
        let mut bytes = frame(0x88, &code.to_be_bytes());
        let verdict = Decoder::new(LIMITS).feed(&mut bytes);
        match CloseCode(code).is_sendable() {
            true => assert!(matches!(verdict, Ok((8, Event::Close(_)))), "{code}"),
            false => assert_eq!(verdict, Err(ProtocolError::CloseCode(code))),
        }
    }
}

#[test]
fn control_payloads_of_every_length() {
    for len in 0..=125 {
        let payload: Vec<u8> = (0..len).collect();
        assert_eq!(received(&frame(0x89, &payload)), [Got::Ping(payload)]);
    }
}

#[test]
fn tells_what_is_unfinished_and_what_payload_comes_next() {
    let mut core = Decoder::new(LIMITS);
    assert!(!core.is_unfinished());
    let bytes = frame(0x02, &[0; 300]);
    let feed = |core: &mut Decoder, from: usize, to: usize| {
        core.feed(&mut bytes[from..to].to_vec()).unwrap();
    };
    feed(&mut core, 0, 1);
    assert!(core.is_unfinished());
    assert_eq!((core.payload_left(), core.message_kind()), (0, None));
    feed(&mut core, 1, 8);
    assert_eq!((core.payload_left(), core.message_kind()), (300, Some(MessageType::Binary)));
    feed(&mut core, 8, 108);
    assert_eq!(core.payload_left(), 200);
    feed(&mut core, 108, 308);
    assert_eq!(core.payload_left(), 0);
    assert!(core.is_unfinished(), "the message goes on");
    core.feed(&mut frame(0x89, b"abc")[..7].to_vec()).unwrap();
    assert_eq!(core.payload_left(), 0, "a Ping's payload is no message's");
}

#[test]
fn holds_no_payload() {
    assert!(size_of::<Decoder>() <= 256, "{}", size_of::<Decoder>());
}
