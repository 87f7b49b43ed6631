use super::*;

/// "Hello", as RFC 7692 §7.2.3.1 has it.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

/// Inflates a message that comes in pieces, with so much room at a time.
fn inflate_in(
    inflater: &mut Inflater,
    pieces: &[&[u8]],
    room: usize,
    history: &mut History,
) -> Result<Vec<u8>, ProtocolError> {
    let mut message = Vec::new();
    let mut out = vec![0; room];
    inflater.begin(history);
    for piece in pieces {
        let mut input = *piece;
        loop {
            let Progress { read, written } = inflater.inflate(input, &mut out, history)?;
            message.extend_from_slice(&out[..written]);
            input = &input[read..];
            if input.is_empty() && written < room {
                break;
            }
        }
    }
    inflater.finish()?;
    Ok(message)
}

fn inflate(payload: &[u8], history: &mut History) -> Result<Vec<u8>, ProtocolError> {
    inflate_in(&mut Inflater::new(), &[payload], 1024, history)
}

/// A message as it is sent: deflated, without the end of the flush.
fn deflate(
    (level, deflater): (u8, &mut Deflater),
    message: &[u8],
    history: &mut History,
) -> Vec<u8> {
    deflater.begin(history, level);
    let mut payload = vec![0; 2 * message.len() + 64];
    let Progress { read, written } = deflater.deflate(message, &mut payload);
    assert!(read == message.len() && written < payload.len());
    payload.truncate(written);
    assert!(payload.ends_with(&TAIL));
    payload.truncate(written - TAIL.len());
    history.append(message);
    payload
}

fn pieces(payload: &[u8], len: usize) -> Vec<&[u8]> {
    payload.chunks(len).collect()
}

/// Text-like bytes with something to refer back to at all distances.
fn sample(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let dice = (state >> 33) as usize;
        if bytes.is_empty() || dice.is_multiple_of(4) {
            bytes.push(b'a' + (dice >> 8) as u8 % 26);
        } else {
            let back = 1 + (dice >> 2) % bytes.len().min(33_000);
            let from = bytes.len() - back;
            for at in 0..3 + (dice >> 20) % 20 {
                bytes.push(bytes[from + at]);
            }
        }
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn the_examples_of_rfc_7692_section_7_2_3() {
    let examples: [(&[u8], &[u8]); 8] = [
        (&HELLO, b"Hello"),
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00], b"Hello"),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], b"Hello"),
        (&[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00], b"Hello"),
        (&[0x00], b""),
        (&[0x02, 0x00], b""),
        // §7.2.1 item 2: the empty block at the end may be a final one.
        (&[0x01], b""),
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x01], b"Hello"),
    ];
    for (payload, message) in examples {
        for len in 1..=payload.len() {
            for room in [1, 2, 5, 6, 100] {
                let pieces = pieces(payload, len);
                let got = inflate_in(&mut Inflater::new(), &pieces, room, &mut History::new(256));
                assert_eq!(got.as_deref(), Ok(message), "{payload:x?}, {len}, {room}");
            }
        }
    }
    // §7.2.3.2: the second one refers to the first.
    let mut history = History::new(256);
    assert_eq!(inflate(&HELLO, &mut history), Ok(b"Hello".to_vec()));
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    assert_eq!(inflate(&again, &mut history), Ok(b"Hello".to_vec()));
    history.clear();
    assert_eq!(inflate(&again, &mut history), Err(ProtocolError::NotDeflate));
}

#[test]
fn two_ends_without_an_empty_block_are_accepted() {
    let mut history = History::new(256);
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    assert_eq!(inflate(&last, &mut history), Ok(b"Hello".to_vec()));
    assert_eq!(inflate(b"", &mut history), Ok(Vec::new()));
    // What stands behind a final block is part of the message, and may refer to what is before it.
    let mut two = last.to_vec();
    two.extend([0xf2, 0x00, 0x11, 0x00, 0x00]);
    assert_eq!(inflate(&two, &mut History::new(256)), Ok(b"HelloHello".to_vec()));
}

#[test]
fn what_is_no_deflate_stream_is_refused() {
    for payload in [
        &[0x06, 0x00][..],
        &[0x00, 0x05, 0x00, 0x00, 0x00, 0x48, 0x65, 0x6c, 0x6c, 0x6f],
        &[0x05, 0xe0, 0x81, 0x08, 0x84, 0x00, 0x00, 0x00],
        &[0x4b, 0x04, 0x41, 0x00],
        &[0xff; 100],
        &[0x78, 0x9c, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
        &[0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00],
        b"Hello, this is plain",
    ] {
        for room in [1, 1024] {
            for len in [1, payload.len()] {
                let pieces = pieces(payload, len);
                let got = inflate_in(&mut Inflater::new(), &pieces, room, &mut History::new(256));
                assert!(got.is_err(), "{payload:x?} {got:?}");
            }
        }
    }
}

/// Also where the bytes that complete the stream could be taken for the rest of what was cut.
#[test]
fn a_stream_that_was_cut_anywhere_is_refused() {
    let mut stored = vec![0x00, 0x0d, 0x00, 0xf2, 0xff];
    stored.extend(b"thirteen byte");
    stored.push(0x00);
    let text = sample(1000, 1);
    let deflated = deflate((6, &mut Deflater::new(15)), &text, &mut History::new(0));
    for payload in [&HELLO[..], &stored, &deflated] {
        // A zero by itself is a message, of no bytes.
        for end in 1 + usize::from(payload[0] == 0)..payload.len() {
            for room in [1, 7, 4096] {
                let mut inflater = Inflater::new();
                let pieces = [&payload[..end]];
                let got = inflate_in(&mut inflater, &pieces, room, &mut History::new(32 << 10));
                assert!(got.is_err(), "{end} of {payload:x?}");
            }
        }
        for more in [&TAIL[..], &TAIL[..1], &TAIL[..2], &TAIL[..3], &[0xff]] {
            let payload = [payload, more].concat();
            assert!(inflate(&payload, &mut History::new(32 << 10)).is_err(), "{payload:x?}");
        }
    }
}

#[test]
fn what_is_deflated_is_inflated_again_at_every_level_and_window() {
    let mut inflater = Inflater::new();
    for level in 1..=9 {
        for bits in 8..=15 {
            let mut deflater = Deflater::new(bits);
            assert!(deflater.is_for(bits));
            let (mut sent, mut received) = (History::new(2 << 10), History::new(1 << bits));
            for (seed, len) in [1, 0, 20, 700, 3000, 40_000, 300].into_iter().enumerate() {
                let message = sample(len, seed as u64);
                let payload = deflate((level, &mut deflater), &message, &mut sent);
                let pieces = pieces(&payload, 1000);
                let got = inflate_in(&mut inflater, &pieces, 777, &mut received);
                assert_eq!(got, Ok(message), "level {level}, {bits} bits");
            }
        }
    }
}

#[test]
fn a_message_may_refer_back_to_the_end_of_those_before() {
    let (mut sent, mut received) = (History::new(2 << 10), History::new(4 << 10));
    let mut deflater = Deflater::new(15);
    let message = sample(1000, 7);
    let first = deflate((3, &mut deflater), &message, &mut sent);
    let second = deflate((3, &mut deflater), &message, &mut sent);
    assert!(second.len() < first.len() / 4, "{} {}", first.len(), second.len());
    for payload in [&first, &second] {
        assert_eq!(inflate(payload, &mut received), Ok(message.clone()));
    }
    // To a message of another connection it does not.
    assert_eq!(deflate((3, &mut deflater), &message, &mut History::new(2 << 10)), first);
}

#[test]
fn a_history_is_what_came_last() {
    let mut history = History::new(10);
    assert!(!history.is_reserved() && history.reserve() && history.is_reserved());
    let mut all = Vec::new();
    for len in [3, 0, 4, 5, 10, 1, 25, 9] {
        let bytes: Vec<u8> = (0..len).map(|at| (all.len() + at) as u8).collect();
        history.append(&bytes);
        all.extend(bytes);
        for len in [0, 1, 5, 10, 100] {
            let len_there = all.len().min(10).min(len);
            assert_eq!(history.last(len).concat(), all[all.len() - len_there..]);
        }
        assert_eq!(history.bytes.capacity(), 10);
    }
}

/// Where the zeros come from, there are more of them.
#[test]
fn a_bomb_is_inflated_as_far_as_there_is_room() {
    let zeros = vec![0; 1 << 20];
    let bomb = deflate((9, &mut Deflater::new(15)), &zeros, &mut History::new(0));
    let mut history = History::new(4 << 10);
    let mut inflater = Inflater::new();
    inflater.begin(&history);
    let progress = inflater.inflate(&bomb, &mut [1; 1000], &mut history);
    assert_eq!(progress.map(|progress| progress.written), Ok(1000));
    assert!(bomb.len() < 1100);
}

/// Bytes that no level makes fewer.
fn noise(len: usize) -> Vec<u8> {
    let mut state = len as u64;
    let mut byte = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|_| byte()).collect()
}

/// As a message is that would be no shorter: the next one, of another connection and perhaps at
/// another level, has the codec.
#[test]
fn a_message_that_is_given_up_leaves_nothing_behind() {
    let messages = [sample(100, 7), noise(30_000), sample(30_000, 8)];
    for bits in [9, 15] {
        let mut deflater = Deflater::new(bits);
        for (given_up, level) in [(1, 1), (1, 3), (3, 1), (2, 2), (3, 3), (6, 1), (9, 6)] {
            for (len, room) in [(5_000, 1), (5_000, 2_500), (30_000, 15_000), (30_000, 30_000)] {
                deflater.begin(&History::new(0), given_up);
                let _ = deflater.deflate(&noise(len), &mut vec![0; room]);
                for message in &messages {
                    let payload = deflate((level, &mut deflater), message, &mut History::new(0));
                    let back = inflate(&payload, &mut History::new(0));
                    let case = format!("{given_up}, {level}, {bits} bits, {len} bytes, {room}");
                    assert!(back.is_ok_and(|back| back == *message), "{case}");
                }
            }
        }
    }
}
