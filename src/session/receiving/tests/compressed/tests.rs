use std::sync::Arc;

use super::super::testing::*;
use super::super::*;
use crate::config::Deflate;
use crate::http::DeflateOffer;
use crate::proto::{CloseCode, CloseFrame, ProtocolError};
use crate::session::codecs::Codecs;
use crate::session::compression::{Agreed, agree};
use crate::session::deflation::Deflation;

/// A connection that has agreed on compression, and what its client compresses with.
struct Pair {
    codecs: Arc<Codecs>,
    offer: DeflateOffer,
}

impl Pair {
    fn new() -> Self {
        let settings = Deflate { threshold: 0, threshold_no_context: 0, ..Deflate::default() };
        let offer = DeflateOffer {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: Some(None),
        };
        Self { codecs: Arc::new(Codecs::new(settings)), offer }
    }

    fn receiver(&self) -> Receiver {
        self.receiver_with(LIMITS, 1 << 30)
    }

    fn receiver_with(&self, limits: DecoderLimits, budget: u64) -> Receiver {
        let Agreed { inflation, .. } = agree(&self.codecs, &self.offer, limits.max_message_size);
        Receiver::new(Receiving::with_inflation(limits, inflation), budget)
    }

    /// The window of the other side is the smaller one.
    fn client(&self) -> Box<Deflation> {
        agree(&self.codecs, &self.offer, 1).deflation
    }
}

/// A message, compressed, in frames of so many bytes, with a Ping between any two.
fn compressed(client: &mut Deflation, first: u8, message: &[u8], size: usize) -> Vec<u8> {
    let mut payload = Vec::new();
    client.deflate(message, &mut payload).expect("it can be compressed");
    client.sent(message, payload.len());
    let mut stream = Vec::new();
    let mut parts = payload.chunks(size).peekable();
    let mut opcode = 0x40 | first;
    while let Some(part) = parts.next() {
        let fin = if parts.peek().is_none() { 0x80 } else { 0 };
        stream.extend(frame(fin | opcode, part));
        if fin == 0 {
            stream.extend(frame(0x89, b"between"));
        }
        opcode = 0;
    }
    stream
}

/// Without the Pings, of which the test has put so many there.
fn messages(got: &[Got]) -> Vec<Got> {
    got.iter().filter(|got| !matches!(got, Got::Ping(_))).cloned().collect()
}

#[test]
fn cut_anywhere_and_taken_anyhow_it_is_the_same() {
    let pair = Pair::new();
    let mut client = pair.client();
    let words = "the same words, and the same words again; ".repeat(20);
    let stream = [
        compressed(&mut client, 1, words.as_bytes(), usize::MAX),
        frame(0x81, b"plain"),
        compressed(&mut client, 2, words.as_bytes(), 5),
        // Of no bytes, with an empty fragment.
        frames(&[(0x41, b""), (0x89, b""), (0x80, b"\0")]),
        compressed(&mut client, 1, "κόσμε κόσμε κόσμε".as_bytes(), 1),
        frames(&[(0x02, &[1; 70]), (0x80, &[2])]),
        close(1000, ""),
    ]
    .concat();
    let expected = receive(pair.receiver(), Way::Whole(None), [&stream[..]]);
    let last = [&[1; 70][..], &[2]].concat();
    let frame = CloseFrame { code: CloseCode(1000), reason: String::new() };
    let wanted = [
        text(&words),
        text("plain"),
        binary(words.as_bytes()),
        text(""),
        text("κόσμε κόσμε κόσμε"),
        binary(&last),
        Got::Close(frame),
    ];
    assert_eq!(messages(&expected), wanted);
    check(&stream, &expected, || pair.receiver());
}

/// A part of 1 KiB makes 1 MiB: it is left to be taken though all its input is used.
#[test]
fn what_is_left_inside_is_a_part() {
    let pair = Pair::new();
    let stream = compressed(&mut pair.client(), 2, &[0; 100_000], usize::MAX);
    let mut receiver = pair.receiver();
    let (mut input, mut out) = (stream.clone(), vec![0; 1000]);
    let (mut at, mut len) = (0, 0);
    loop {
        let target = &mut Target::Slice(&mut receiver.assembler, &mut out);
        match receiver.receiving.feed(&mut receiver.timers, &mut input[at..], target).unwrap() {
            (used, Event::Data { len: more, fin, .. }) => {
                (at, len) = (at + used, len + more);
                assert_eq!(receiver.receiving.has_part(), !fin);
                assert_eq!(receiver.receiving.payload_left(), 0, "not to be read directly");
                if fin {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((at, len), (stream.len(), 100_000));
    for way in WAYS {
        let got = receive(pair.receiver(), way, stream.chunks(9));
        assert_eq!(got, [binary(&[0; 100_000])], "{way:?}");
    }
}

#[test]
fn limits_hold_for_what_is_inflated() {
    let pair = Pair::new();
    let stream = compressed(&mut pair.client(), 2, &[0; 100_000], usize::MAX);
    let limits = DecoderLimits { max_message_size: 99_999, max_fragments: 1 };
    let too_big = Got::Failed(ProtocolError::MessageTooBig(99_999).into());
    for way in WAYS {
        let got = receive(pair.receiver_with(limits, 1 << 30), way, [&stream[..]]);
        assert_eq!(got, std::slice::from_ref(&too_big), "{way:?}");
        let got = receive(pair.receiver_with(LIMITS, 0), way, [&stream[..]]);
        let end = match way {
            Way::Parts(1..) => binary(&[0; 100_000]),
            _ => Got::Failed(ReceiveError::Overloaded),
        };
        assert_eq!(got, [end], "{way:?}");
    }
}

#[test]
fn what_breaks_a_rule_ends_it() {
    let pair = Pair::new();
    let not_text = compressed(&mut pair.client(), 1, &[0xff; 40], 3);
    let cases: [(&[u8], ProtocolError); 3] = [
        // RFC 7692 §6.1: the first frame of a message alone has the mark.
        (&frames(&[(0x41, b"\xf2"), (0xc0, b"\x48")]), ProtocolError::ReservedBits(4)),
        (&frame(0xc1, b"\x07"), ProtocolError::NotDeflate),
        (&not_text, ProtocolError::TextNotUtf8),
    ];
    for (broken, error) in cases {
        let stream = [&frame(0x81, b"good"), broken, &frame(0x81, b"late")].concat();
        for way in WAYS {
            for size in [1, 4, usize::MAX] {
                let got = receive(pair.receiver(), way, stream.chunks(size.min(stream.len())));
                let wanted = [text("good"), Got::Failed(error.into())];
                assert_eq!(messages(&got), wanted, "{way:?} in pieces of {size}");
            }
        }
    }
}

/// The history is given back, too.
#[test]
fn the_end_gives_memory_back() {
    let pair = Pair::new();
    let mut receiver = pair.receiver();
    let held = pair.codecs.stats().histories;
    assert!(held > 0);
    let stream = compressed(&mut pair.client(), 2, &[0; 100_000], usize::MAX);
    receiver.whole(&stream[..stream.len() - 5], None);
    assert!(pair.codecs.stats().codecs > 0);
    receiver.receiving.end();
    let stats = pair.codecs.stats();
    assert_eq!((stats.histories, stats.codecs), (0, 0));
    assert!(!receiver.receiving.has_part());
}
