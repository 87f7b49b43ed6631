//! §7: the closing handshake, and connections that end without one.

use std::io::ErrorKind;
use std::sync::mpsc::channel;
use std::time::Instant;

use barews::ProtocolError::{CloseCode as BadCode, CloseReasonNotUtf8, CloseTooShort};
use barews::{CloseCode, Deadline, Error};

use crate::common::{
    CLOSE, CONT, Case, Frame, PATIENCE, PING, PONG, PROMPT, TEXT, TestServer, awake, close, closes,
    fails, frame, hex, masked, ms, r0, with_timeouts,
};

const PROTOCOL_ERROR: u16 = 1002;
const INVALID_DATA: u16 = 1007;

/// §7.4: codes that may stand in a Close frame.
fn mirrored(code: u16) -> Case {
    closes(close(code, ""), [], code, "")
}

/// And those that may not.
fn refused(code: u16) -> Case {
    fails(close(code, ""), [], PROTOCOL_ERROR, BadCode(code))
}

fn bad_reason(reason: &str) -> Case {
    fails(close(1000, hex(reason)), [], INVALID_DATA, CloseReasonNotUtf8)
}

conversations! {
    w29_close_between_fragments => [
        closes([frame(0x01, "part"), close(1000, "")].concat(), [], 1000, ""),
        closes([frame(0x01, [0xc3]), close(1001, "bye")].concat(), [], 1001, "bye"),
        closes([frame(0x02, ""), frame(0x00, "x"), close(1000, "")].concat(), [], 1000, ""),
    ];
    w42_empty_close => [
        closes(hex("88 80 m"), [], 1005, ""),
        closes(hex("88 80 37fa213d"), [], 1005, ""),
    ];
    w43_close_of_one_byte => [
        fails(hex("88 81 m 03"), [], PROTOCOL_ERROR, CloseTooShort),
        fails(hex("88 81 m 00"), [], PROTOCOL_ERROR, CloseTooShort),
    ];
    w44_valid_codes => [
        mirrored(1000), mirrored(1001), mirrored(1002), mirrored(1003), mirrored(1007),
        mirrored(1008), mirrored(1009), mirrored(1010), mirrored(1011), mirrored(1012),
        mirrored(1013), mirrored(1014), mirrored(3000), mirrored(3999), mirrored(4000),
        mirrored(4999),
    ];
    w45_invalid_codes => [
        refused(0), refused(1), refused(999), refused(1004), refused(1005), refused(1006),
        refused(1015), refused(1016), refused(1100), refused(2000), refused(2999), refused(5000),
        refused(10_000), refused(0x7fff), refused(65_535),
    ];
    w46_reason_that_is_not_utf8 => [
        bad_reason("c328"),
        bad_reason("ff"),
        bad_reason("48656c6c6f c3"),
        bad_reason("e298"),
        bad_reason("eda080"),
        bad_reason("c080"),
        // Cut inside a character by the limit of 123 bytes.
        fails(
            close(1000, &"\u{e9}".repeat(62).as_bytes()[..123]),
            [],
            INVALID_DATA,
            CloseReasonNotUtf8,
        ),
    ];
    w48_the_longest_reason => [
        closes(close(1000, "x".repeat(123)), [], 1000, &"x".repeat(123)),
        closes(close(4321, "\u{2603}".repeat(41)), [], 4321, &"\u{2603}".repeat(41)),
        closes(close(1000, "bye"), [], 1000, "bye"),
        closes(close(1000, "\0"), [], 1000, "\0"),
    ];
    /// §5.5.1: what follows a Close does not count, be it right or wrong.
    w49_a_text_behind_the_close => [
        closes([close(1000, ""), frame(TEXT, "late")].concat(), [], 1000, ""),
        closes([close(1000, ""), frame(PING, "late")].concat(), [], 1000, ""),
        closes([close(1000, ""), close(1001, "")].concat(), [], 1000, ""),
        closes([close(1000, ""), hex("ff ff ff")].concat(), [], 1000, ""),
        closes([close(1000, ""), vec![0xff; 5000]].concat(), [], 1000, ""),
    ];
    /// What came before it does.
    answers_come_before_the_close => [
        closes(
            [frame(TEXT, "first"), frame(PING, "second"), close(1000, "third")].concat(),
            [Frame::text("first"), Frame::pong("second")],
            1000,
            "third",
        ),
        closes([frame(PONG, ""), close(3000, "")].concat(), [], 3000, ""),
    ];
    /// A bad code counts before a bad reason: it comes first.
    the_first_fault_decides => [
        fails(close(1005, [0xff]), [], PROTOCOL_ERROR, BadCode(1005)),
        fails(masked(CLOSE, [1, 2, 3, 4], [3]), [], PROTOCOL_ERROR, CloseTooShort),
    ];
}

/// All 65,536 codes are judged by the same rule: around each border of §7.4 and elsewhere.
#[test]
fn codes_at_every_border() {
    let server = TestServer::start();
    let borders = [1000, 1003, 1007, 1014, 3000, 3999, 4000, 4999, 32_768, 256];
    for code in borders.into_iter().flat_map(|code| code - 2..=code + 2) {
        let expected = match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => code,
            _ => PROTOCOL_ERROR,
        };
        let mut client = server.open();
        client.send(close(code, ""));
        client.expect_close(expected);
    }
}

/// §7.1.4: either end may begin, and if both do, each sends one Close.
#[test]
fn w51_both_ends_close_at_once() {
    let (sender, results) = channel();
    let server = TestServer::with_handler(
        |server| server,
        move |mut conn| {
            let result = conn.close(CloseCode(4000), "ours");
            sender.send((result, conn.close_frame().cloned()))?;
            Ok(())
        },
    );
    let mut client = server.connect();
    client.send([r0().bytes(), close(4001, "theirs")].concat());
    client.expect_upgrade();
    assert_eq!(client.expect_close(4000), "ours");
    drop(client);
    let (result, frame) = results.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(result, Ok(())), "{result:?}");
    let frame = frame.expect("their Close");
    assert_eq!((frame.code, &*frame.reason), (CloseCode(4001), "theirs"));
}

/// §7.1.1: the server ends the stream, and does not wait for the client to do so first.
#[test]
fn the_server_ends_the_stream() {
    let server = TestServer::start();
    let mut client = server.open();
    client.send(close(1000, ""));
    client.expect_close(1000);
}

/// A client that keeps its end open holds a thread for no longer than the close deadline.
#[test]
fn a_client_that_does_not_end_the_stream() {
    let server = TestServer::echo(with_timeouts(|timeouts| timeouts.close = ms(300)));
    for sent in [close(1000, ""), hex("83 80 m")] {
        let mut client = server.open();
        client.send(sent);
        assert_eq!(client.read_frame().expect("a Close").opcode, 8);
        client.expect_eof();
        let start = Instant::now();
        server.ended(client.addr);
        let spent = start.elapsed();
        assert!(spent < ms(3000), "{spent:?}");
    }
}

/// §7.1.5: with no Close frame the code is 1006, which here is an error and not a frame.
#[test]
fn w52_end_of_stream() {
    let server = TestServer::start();
    for sent in [
        // Between messages, in a header, in a payload, in a control frame, and between fragments.
        vec![],
        hex("81"),
        hex("81 fe 01"),
        hex("81 85 37fa21"),
        hex("81 85 37fa213d 7f9f"),
        hex("82 ff 0000000000010000 m 00"),
        hex("89 85 37fa213d 7f9f"),
        hex("88 82 m 03"),
        frame(0x01, "part"),
        [frame(0x01, "part"), hex("80")].concat(),
    ] {
        let mut client = server.open();
        client.send(&sent);
        client.send_eof();
        let start = Instant::now();
        let ended = server.ended(client.addr);
        assert!(awake(start) < PROMPT, "{sent:?}: {:?}", start.elapsed());
        match ended.result {
            Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
            result => panic!("{sent:?}: {result:?}"),
        }
        assert_eq!(ended.close_frame, None);
        client.expect_eof();
    }
}

/// What was right before the end of the stream is still answered.
#[test]
fn answers_come_before_the_end_of_the_stream() {
    let server = TestServer::start();
    let mut client = server.open();
    client.send([frame(TEXT, "last"), frame(0x01, "part")].concat());
    client.send_eof();
    client.expect(&Frame::text("last"));
    client.expect_eof();
}

/// A reset instead of the end: the client closes with an answer unread.
#[test]
fn a_reset() {
    let server = TestServer::start();
    let mut client = server.connect();
    client.send([r0().bytes(), frame(0x01, "part")].concat());
    // The answer has arrived when there is anything to read, and is left unread.
    assert!(client.heard_within(PATIENCE));
    let peer = client.addr;
    drop(client);
    match server.ended(peer).result {
        Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        result => panic!("{result:?}"),
    }
}

/// The server's own closing handshake with a client that never answers.
#[test]
fn a_close_that_is_not_answered() {
    let (sender, results) = channel();
    let server = TestServer::with_handler(
        |server| server.config(with_timeouts(|timeouts| timeouts.close = ms(300))),
        move |mut conn| {
            let start = Instant::now();
            let result = conn.close(CloseCode::NORMAL, "");
            sender.send((result, start.elapsed()))?;
            Ok(())
        },
    );
    // Silent, or talking about something else: the deadline is for the whole.
    for talks in [false, true] {
        let mut client = server.open();
        client.expect(&Frame::close(1000, ""));
        while talks && !client.heard_within(ms(20)) {
            let _ = client.try_send([frame(TEXT, "still"), frame(PING, "")].concat());
        }
        client.expect_eof();
        let (result, spent) = results.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(result, Err(Error::DeadlineExceeded(Deadline::Close))), "{result:?}");
        assert!((ms(250)..ms(3000)).contains(&spent), "{spent:?}");
    }
}

/// While the server waits for the answer, messages are thrown away, but a violation still counts.
#[test]
fn what_comes_before_the_answer_to_our_close() {
    let (sender, results) = channel();
    let server = TestServer::with_handler(
        |server| server,
        move |mut conn| {
            sender.send(conn.close(CloseCode::NORMAL, ""))?;
            Ok(())
        },
    );
    let mut client = server.open();
    client.expect(&Frame::close(1000, ""));
    client.send([frame(TEXT, "late"), frame(PING, "late"), frame(0x01, "a")].concat());
    client.send([frame(CONT, "b"), close(4000, "done")].concat());
    client.expect_eof();
    drop(client);
    assert!(matches!(results.recv_timeout(PATIENCE).unwrap(), Ok(())));

    let mut client = server.open();
    client.expect(&Frame::close(1000, ""));
    client.send(hex("83 80 m"));
    client.expect_eof();
    drop(client);
    let result = results.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(result, Err(Error::Protocol(_))), "{result:?}");
}
