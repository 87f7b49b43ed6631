use super::*;
use crate::proto::{Decoder, DecoderLimits, Event, MessageType};

const LIMITS: DecoderLimits = DecoderLimits { max_message_size: 200, max_fragments: 4 };

/// The first byte of a frame, a length below 126, and a masking key of zeros.
fn head(first: u8, len: u8) -> [u8; 6] {
    [first, 0x80 | len, 0, 0, 0, 0]
}

/// What all events are of bytes that come in these pieces.
fn events(pieces: &[&[u8]]) -> Result<Vec<Event>, ProtocolError> {
    let mut decoder = Decoder::new(LIMITS).with_compression();
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut rest = &mut piece[..];
        loop {
            let (used, event) = decoder.feed(rest)?;
            if matches!(event, Event::Compressed { .. }) {
                assert_eq!(decoder.payload_left(), 0, "none is read past the decoder");
            }
            match event {
                Event::NeedMore => break,
                event => events.push(event),
            }
            rest = &mut rest[used..];
        }
    }
    Ok(events)
}

/// RFC 7692 §6.1 and §5.2 on the first byte, written a second time.
#[test]
fn all_first_bytes_against_an_oracle() {
    for first in 0..=u8::MAX {
        let (rsv, opcode, fin) = (first >> 4 & 7, first & 15, first >= 0x80);
        let is_refused = match (rsv, opcode) {
            (0, 0..=2) | (4, 1 | 2) => None,
            (0, 8..=10) if fin => None,
            (0, 8..=10) => Some(ProtocolError::FragmentedControl),
            (0, _) => Some(ProtocolError::ReservedOpCode(opcode)),
            _ => Some(ProtocolError::ReservedBits(rsv)),
        };
        let mut rsv1 = Rsv1::ALLOWED;
        let whole = head(first, 5);
        for len in 1..=whole.len() {
            let got = rsv1.header(&whole[..len]);
            match is_refused {
                Some(error) => assert_eq!(got, Err(error), "{first:#x}"),
                None => assert_eq!(got.unwrap().is_some(), len == 6, "{first:#x}"),
            }
            assert_eq!(rsv1.take_mark(), is_refused.is_none() && rsv == 4 && len == 6);
        }
        let mut refused = Rsv1::REFUSED;
        assert_eq!(refused.header(&whole), Header::decode(&whole));
        assert!(!refused.take_mark());
    }
}

/// The mark is judged once, also where the header comes in pieces, of all lengths.
#[test]
fn a_cut_header_keeps_its_mark() {
    let mut long = vec![0xc2, 0xfe, 0, 130, 1, 2, 3, 4];
    long.extend([0; 130]);
    for bytes in [[&head(0xc1, 3)[..], b"abc"].concat(), long, head(0xc1, 0).to_vec()] {
        let kind = if bytes[0] & 1 == 1 { MessageType::Text } else { MessageType::Binary };
        let len = bytes.len() - if bytes.len() > 80 { 8 } else { 6 };
        let whole = Event::Compressed { kind, len, fin: true };
        assert_eq!(events(&[&bytes]), Ok(vec![whole.clone()]));
        for cut in 1..bytes.len() - len {
            assert_eq!(events(&[&bytes[..cut], &bytes[cut..]]), Ok(vec![whole.clone()]), "{cut}");
        }
        let one_by_one: Vec<_> = bytes.chunks(1).collect();
        let parts = events(&one_by_one).unwrap();
        assert_eq!(parts.len(), len.max(1));
        assert!(parts.iter().all(|part| matches!(part, Event::Compressed { .. })));
    }
}

#[test]
fn the_mark_stands_on_the_first_fragment_alone_and_counts_for_all() {
    let part = |len, fin| Event::Compressed { kind: MessageType::Text, len, fin };
    let plain = Event::Data { kind: MessageType::Text, len: 2, fin: true };
    // Not UTF-8, and that is for later to say.
    let first = [&head(0x41, 2)[..], &[0xff, 0xff]].concat();
    let last = [&head(0x80, 1)[..], &[0xff]].concat();
    let empty = head(0x00, 0);
    let next = [&head(0x81, 2)[..], b"ok"].concat();
    let ping = head(0x89, 0);
    assert_eq!(
        events(&[&first, &empty, &ping, &last, &next]),
        Ok(vec![part(2, false), Event::Ping, part(1, true), plain])
    );
    let marked = head(0xc0, 0);
    assert_eq!(events(&[&first, &marked]), Err(ProtocolError::ReservedBits(4)));
    let plain_first = [&head(0x01, 2)[..], b"ok"].concat();
    assert_eq!(events(&[&plain_first, &marked]), Err(ProtocolError::ReservedBits(4)));
    assert_eq!(events(&[&first, &head(0x41, 2)]), Err(ProtocolError::UnfinishedMessage));
    // §5.1: and unmasked it is no better than any other.
    assert_eq!(events(&[&[0xc1, 0x00]]), Err(ProtocolError::Unmasked));
}

/// Blocks that hold nothing must not go on for ever.
#[test]
fn what_a_compressed_message_may_have_on_the_wire() {
    let limits = DecoderLimits { max_message_size: 8000, max_fragments: 3 };
    let most: u16 = 8000 + 1000 + 1024;
    for (len, is_refused) in [(most, false), (most + 1, true)] {
        let [high, low] = len.to_be_bytes();
        let got =
            Decoder::new(limits).with_compression().feed(&mut [0xc2, 0xfe, high, low, 0, 0, 0, 0]);
        let error = ProtocolError::MessageTooBig(8000);
        assert_eq!(got, if is_refused { Err(error) } else { Ok((8, Event::NeedMore)) });
    }
    // A plain one has what it always had.
    let limits = DecoderLimits { max_message_size: 80, ..limits };
    let got = Decoder::new(limits).with_compression().feed(&mut head(0x82, 81));
    assert_eq!(got, Err(ProtocolError::MessageTooBig(80)));
    for limit in [0, u64::MAX, i64::MAX as u64] {
        let limits = DecoderLimits { max_message_size: limit, ..limits };
        let got = Decoder::new(limits).with_compression().feed(&mut head(0xc2, 100));
        assert_eq!(got, Ok((6, Event::NeedMore)));
    }
    let mut fragments = Decoder::new(limits).with_compression();
    for first in [0x41, 0x00, 0x00] {
        assert_eq!(fragments.feed(&mut head(first, 0)), Ok((6, Event::NeedMore)));
    }
    assert_eq!(fragments.feed(&mut head(0x00, 0)), Err(ProtocolError::TooManyFragments(3)));
}
