use std::time::{Duration, Instant};

use super::*;
use crate::config::Timeouts;
use crate::proto::{CloseCode, CloseFrame, ProtocolError};
use crate::session::timers::Next as Timer;
use crate::session::{Deadline, Pending};

mod testing;
#[cfg(feature = "deflate")]
mod compressed {
    mod tests;
}

use testing::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn cut_anywhere_and_taken_anyhow_it_is_the_same() {
    let stream = [
        frames(&[(0x81, b"Hello"), (0x82, &[]), (0x81, "κόσμε".as_bytes()), (0x82, &[7; 300])]),
        // In parts, some of them empty, with control frames between.
        frames(&[(0x01, b""), (0x89, b"there?"), (0x00, "κό".as_bytes()), (0x8a, b"")]),
        frames(&[(0x00, b""), (0x00, "σ".as_bytes()), (0x89, &[9; 125]), (0x80, b"me")]),
        frames(&[(0x02, &[1; 70]), (0x80, b""), (0x02, b""), (0x80, &[2; 3]), (0x81, b"last")]),
        close(4000, "bye"),
        frame(0x81, b"behind a Close"),
    ]
    .concat();
    let got = agree(&stream);
    assert_eq!(got[..3], [text("Hello"), binary(b""), text("κόσμε")]);
    assert_eq!(got[4..6], [Got::Ping(b"there?".to_vec()), Got::Pong(Vec::new())]);
    assert_eq!(got[7..9], [text("κόσme"), binary(&[1; 70])]);
    let frame = CloseFrame { code: CloseCode(4000), reason: "bye".into() };
    assert_eq!(got[9..], [binary(&[2; 3]), text("last"), Got::Close(frame)]);
}

#[test]
fn long_messages_are_the_same() {
    let long: Vec<u8> = (0..100_000).map(|at| (at % 251) as u8).collect();
    let stream =
        frames(&[(0x02, &long[..70_000]), (0x89, b"?"), (0x80, &long[70_000..]), (0x82, &long)]);
    let expected = expected(&stream);
    assert_eq!(expected, [Got::Ping(b"?".to_vec()), binary(&long), binary(&long)]);
    for way in WAYS {
        for size in [777, 4096, 65_536, usize::MAX] {
            let got = receive(Receiver::plain(), way, stream.chunks(size.min(stream.len())));
            assert_eq!(got, expected, "{way:?} in pieces of {size}");
        }
    }
}

/// Each behind a message and a Ping, which are there all the same, and ahead of one that is not.
#[test]
fn what_breaks_a_rule_ends_it() {
    let unmasked = [0x81, 1, b'a'];
    let cases: [(&[u8], ProtocolError); 9] = [
        (&unmasked, ProtocolError::Unmasked),
        (&[0xc1], ProtocolError::ReservedBits(4)),
        (&[0x83], ProtocolError::ReservedOpCode(3)),
        (&[0x09], ProtocolError::FragmentedControl),
        (&frame(0x80, b"a"), ProtocolError::UnexpectedContinuation),
        (&frames(&[(0x01, b"a"), (0x82, b"b")]), ProtocolError::UnfinishedMessage),
        (&frame(0x81, &[0xff]), ProtocolError::TextNotUtf8),
        (&frames(&[(0x01, b"\xc3"), (0x89, b""), (0x80, b"a")]), ProtocolError::TextNotUtf8),
        (&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0], {
            ProtocolError::MessageTooBig(1 << 20)
        }),
    ];
    for (broken, error) in cases {
        let stream =
            [&frames(&[(0x81, b"good"), (0x89, b"")]), broken, &frame(0x81, b"late")].concat();
        let got = agree(&stream);
        assert_eq!(got[0], text("good"));
        assert_eq!(got.last(), Some(&Got::Failed(ReceiveError::Protocol(error))));
        assert_eq!(ReceiveError::Protocol(error).close_code(), error.close_code());
    }
    let many = [frame(0x01, b"a"), frame(0x00, b"").repeat(16)].concat();
    let error = ProtocolError::TooManyFragments(16);
    assert_eq!(agree(&many), [Got::Failed(error.into())]);
}

/// Also where the next call asks for something else.
#[test]
fn what_has_failed_stays_so() {
    let mut receiver = Receiver::plain();
    let failed = Got::Failed(ProtocolError::Unmasked.into());
    assert!(receiver.whole(&[0x81, 0], None));
    assert!(receiver.whole(&frame(0x81, b"late"), Some(9)));
    assert!(receiver.parts(&frame(0x81, b"late"), 5));
    assert!(receiver.parts(&[], 5));
    assert_eq!(receiver.got, vec![failed; 4]);
    assert_eq!(receiver.receiving.payload_left(), 0);
}

#[test]
fn without_memory_a_long_message_ends_it_and_short_ones_do_not() {
    let long = vec![7; 40_000];
    let stream = frames(&[(0x81, b"short"), (0x02, &long), (0x80, b"")]);
    for way in WAYS {
        for size in [100, 5000] {
            let receiver = Receiver::new(Receiving::new(LIMITS), 0);
            let got = receive(receiver, way, stream.chunks(size));
            let end = match way {
                // Whoever takes it in parts needs no memory for it.
                Way::Parts(1..) => binary(&long),
                _ => Got::Failed(ReceiveError::Overloaded),
            };
            assert_eq!(got, [text("short"), end], "{way:?} in pieces of {size}");
        }
    }
    assert_eq!(ReceiveError::Overloaded.close_code(), CloseCode::TRY_AGAIN_LATER);
}

/// What was decoded has found no room yet: it comes again, unmasked.
#[test]
fn input_that_was_not_used_comes_again() {
    let mut receiver = Receiver::plain();
    let mut input = frames(&[(0x81, b"Hello, you"), (0x89, b"?")]);
    let (mut at, mut out) = (0, [0; 4]);
    for (part, fin) in [("Hell", false), ("o, y", false), ("ou", true)] {
        let target = &mut Target::Slice(&mut receiver.assembler, &mut out);
        let (used, event) =
            receiver.receiving.feed(&mut receiver.timers, &mut input[at..], target).unwrap();
        at += used;
        assert_eq!(event, Event::Data { kind: MessageType::Text, len: part.len(), fin });
        assert_eq!(&out[..part.len()], part.as_bytes());
        assert_eq!(receiver.receiving.has_part(), !fin);
    }
    // Nobody takes another message out of turn meanwhile.
    let target = &mut Target::Slice(&mut receiver.assembler, &mut out);
    let mut input = frame(0x81, b"abcdef");
    let (at, _) = receiver.receiving.feed(&mut receiver.timers, &mut input, target).unwrap();
    let other = frame(0x81, b"other");
    assert_eq!(
        receiver.receiving.take_whole(&mut receiver.timers, &other, 9, &mut receiver.buf),
        None
    );
    let next = receiver.receiving.next_message(
        &mut receiver.timers,
        &mut input[at..],
        &mut receiver.assembler,
        &mut receiver.buf,
    );
    assert_eq!(next, Ok((2, Next::Message(MessageType::Text, Place::Input(0..2)))));
    assert_eq!(&input[at..], b"ef");
    // It is of no more use at the end.
    let mut input = frame(0x81, b"abcdef");
    let target = &mut Target::Slice(&mut receiver.assembler, &mut out);
    receiver.receiving.feed(&mut receiver.timers, &mut input, target).unwrap();
    receiver.receiving.end();
    assert!(!receiver.receiving.has_part());
}

#[test]
fn it_counts_what_has_come_of_what_is_unfinished() {
    let mut receiver = Receiver::plain();
    let mut after = |bytes: &[u8]| {
        receiver.whole(bytes, None);
        receiver.receiving.unfinished()
    };
    assert_eq!(after(b""), None);
    assert_eq!(after(&frame(0x81, b"whole")), None);
    assert_eq!(after(&[0x01]), Some(0), "of a header");
    assert_eq!(after(&frame(0x01, &[b'a'; 90])[1..]), Some(90));
    assert_eq!(after(&frame(0x89, b"?")), Some(90));
    assert_eq!(after(&frame(0x00, &[b'a'; 10])[..9]), Some(93));
    assert_eq!(after(&frame(0x00, &[b'a'; 10])[9..]), Some(100));
    assert_eq!(after(&frame(0x80, b"")), None);
    assert_eq!(after(&frame(0x82, &[0; 50])[..16]), Some(10), "it begins anew");
    assert_eq!(after(&frame(0x82, &[0; 50])[16..]), None);
    assert_eq!(after(&frame(0x89, b"?")[..6]), Some(0), "of a Ping");
    assert_eq!(after(&frame(0x89, b"?")[6..]), None);
}

/// The time that is left of four seconds for a message, after three in which these bytes were waited
/// for and came.
fn left_after(receiver: &mut Receiver, bytes: &[u8]) -> Option<Duration> {
    let timeouts = Timeouts { message: SECOND * 4, ..Timeouts::default() };
    let pending = |receiver: &Receiver| {
        let message = receiver.receiving.unfinished();
        Pending { message, closing: false }
    };
    let waited = pending(receiver);
    receiver.timers.read_done(Some(bytes.len()), waited, true, || SECOND * 3);
    receiver.whole(bytes, None);
    let now = pending(receiver);
    now.message?;
    match receiver.timers.next(&timeouts, now, Instant::now(), || false) {
        Ok(Timer::Wait(wait)) => Some(wait),
        Err(Deadline::Message) => Some(Duration::ZERO),
        other => panic!("{other:?}"),
    }
}

/// A message has its time from its first byte to its last, whatever comes between; the next one has all
/// of it.
#[test]
fn a_message_has_its_time_and_the_next_one_too() {
    let mut receiver = Receiver::plain();
    let first = frame(0x01, b"a");
    assert_eq!(left_after(&mut receiver, &first[..1]), Some(SECOND * 4));
    assert_eq!(left_after(&mut receiver, &first[1..]), Some(SECOND));
    assert_eq!(left_after(&mut receiver, &frame(0x89, b"")), Some(Duration::ZERO));
    assert_eq!(left_after(&mut receiver, &frame(0x80, b"b")), None);
    assert_eq!(left_after(&mut receiver, &first), Some(SECOND * 4));
    // One more second for 64 KiB.
    assert_eq!(left_after(&mut receiver, &frame(0x00, &[b'a'; 64 << 10])), Some(SECOND * 2));
    assert_eq!(left_after(&mut receiver, &frame(0x80, b"")), None);
    // A Ping that dribbles in, and what follows it.
    let ping = frame(0x89, b"?");
    assert_eq!(left_after(&mut receiver, &ping[..1]), Some(SECOND * 4));
    assert_eq!(left_after(&mut receiver, &ping[1..3]), Some(SECOND));
    assert_eq!(left_after(&mut receiver, &ping[3..]), None);
    assert_eq!(left_after(&mut receiver, &ping[..1]), Some(SECOND * 4));
}

/// Whether no message has come for long is known whichever way they are taken.
#[test]
fn messages_break_the_quiet_and_pings_do_not() {
    let nothing = Pending { message: None, closing: false };
    for way in [Way::Whole(None), Way::Whole(Some(9)), Way::Parts(9)] {
        let mut receiver = Receiver::plain();
        let mut is_idle_after = |bytes: &[u8]| {
            receiver.timers.read_done(Some(bytes.len()), nothing, true, || SECOND * 3);
            match way {
                Way::Parts(size) => receiver.parts(bytes, size),
                Way::Whole(most) => receiver.whole(bytes, most),
                Way::Direct => unreachable!(),
            };
            receiver.timers.is_idle()
        };
        assert!(!is_idle_after(&frame(0x81, b"a")), "{way:?}");
        assert!(is_idle_after(&frame(0x89, b"a")), "{way:?}");
        assert!(!is_idle_after(&frame(0x82, b"")), "{way:?}");
    }
}
