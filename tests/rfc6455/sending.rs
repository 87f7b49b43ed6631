//! §6.1 as the API has it: whole messages, messages in fragments, control frames, and the end.

use std::io::{BufWriter, ErrorKind, Write};
use std::sync::mpsc::channel;
use std::thread;

use barews::{CloseCode, Config, Connection, Error, Message, MessageType};

use crate::common::{
    BINARY, CONT, Frame, PING, RawClient, TEXT, close, frame, ms, pair, with_timeouts,
};

/// First bytes of fragments.
const TEXT_PART: u8 = 0x01;
const BINARY_PART: u8 = 0x02;
const CONT_PART: u8 = 0x00;

/// Runs the client beside the connection; when it has read what it expects, it leaves.
fn beside<T>(
    mut client: RawClient,
    reads: impl FnOnce(&mut RawClient) + Send,
    run: impl FnOnce() -> T,
) -> T {
    thread::scope(|scope| {
        scope.spawn(move || reads(&mut client));
        run()
    })
}

#[test]
fn messages_of_every_type() {
    let (mut conn, mut client) = pair(&Config::default());
    conn.send("text").unwrap();
    conn.send(&String::from("string")).unwrap();
    conn.send(b"array").unwrap();
    conn.send(&b"slice"[..]).unwrap();
    conn.send(&vec![1, 2, 3]).unwrap();
    conn.send("").unwrap();
    conn.send(b"").unwrap();
    for expected in [
        Frame::text("text"),
        Frame::text("string"),
        Frame::binary("array"),
        Frame::binary("slice"),
        Frame::binary([1, 2, 3]),
        Frame::text(""),
        Frame::binary(""),
    ] {
        client.expect(&expected);
    }
    // A message that was received is sent back as it is.
    client.send([frame(TEXT, "\u{2603}"), frame(BINARY, [0xff])].concat());
    let mut buf = Vec::new();
    for expected in [Frame::text("\u{2603}"), Frame::binary([0xff])] {
        let message = conn.recv(&mut buf).unwrap().unwrap();
        conn.send(message).unwrap();
        client.expect(&expected);
    }
    beside(client, |client| drop(client.expect_close(1000)), || drop(conn));
}

/// Every `write` is a fragment, and an empty one ends the message (§5.4).
#[test]
fn a_message_in_fragments() {
    let (mut conn, mut client) = pair(&Config::default());
    let mut writer = conn.writer(MessageType::Text);
    // Cut inside a character, which is the sender's right.
    for part in [&b"a\xe2"[..], b"", b"\x98", b"\x83", b"z"] {
        assert_eq!(writer.write(part).unwrap(), part.len());
    }
    writer.flush().unwrap();
    writer.finish().unwrap();
    client.expect(&Frame::new(TEXT_PART, b"a\xe2"));
    client.expect(&Frame::new(CONT_PART, b"\x98"));
    client.expect(&Frame::new(CONT_PART, b"\x83"));
    client.expect(&Frame::new(CONT_PART, b"z"));
    client.expect(&Frame::new(CONT, ""));

    // Of nothing: one frame.
    conn.writer(MessageType::Binary).finish().unwrap();
    client.expect(&Frame::binary(""));

    // Gathered into larger fragments, each in its shortest encoding.
    let mut writer = BufWriter::with_capacity(1000, conn.writer(MessageType::Binary));
    for _ in 0..250 {
        writer.write_all(b"0123456789").unwrap();
    }
    writer.into_inner().map_err(drop).unwrap().finish().unwrap();
    let fragment = "0123456789".repeat(100);
    client.expect(&Frame::new(BINARY_PART, &fragment));
    client.expect(&Frame::new(CONT_PART, &fragment));
    client.expect(&Frame::new(CONT_PART, &fragment[..500]));
    client.expect(&Frame::new(CONT, ""));

    // And the connection goes on.
    conn.send("next").unwrap();
    client.expect(&Frame::text("next"));
    beside(client, |client| drop(client.expect_close(1000)), || drop(conn));
}

/// A writer that was dropped before it sent anything has sent nothing.
#[test]
fn a_message_that_was_not_begun() {
    let (mut conn, mut client) = pair(&Config::default());
    drop(conn.writer(MessageType::Text));
    let mut writer = conn.writer(MessageType::Text);
    let error = writer.write(b"\xff").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    drop(writer);
    conn.send("next").unwrap();
    client.expect(&Frame::text("next"));
    beside(client, |client| drop(client.expect_close(1000)), || drop(conn));
}

/// Half a message cannot be taken back: the connection ends (§7.4.1), and says why.
#[test]
fn a_message_that_was_left_unfinished() {
    let dropped = |conn: &mut Connection| {
        conn.writer(MessageType::Binary).write_all(b"part").unwrap();
    };
    let not_text = |conn: &mut Connection| {
        let mut writer = conn.writer(MessageType::Text);
        writer.write_all(b"part").unwrap();
        assert_eq!(writer.write(b"\xff").unwrap_err().kind(), ErrorKind::InvalidData);
    };
    let cut = |conn: &mut Connection| {
        let mut writer = conn.writer(MessageType::Text);
        writer.write_all(b"part\xe2").unwrap();
        match writer.finish() {
            Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::InvalidData),
            result => panic!("{result:?}"),
        }
    };
    let ways: [&dyn Fn(&mut Connection); 3] = [&dropped, &not_text, &cut];
    let fragments = [
        Frame::new(BINARY_PART, "part"),
        Frame::new(TEXT_PART, "part"),
        Frame::new(TEXT_PART, b"part\xe2"),
    ];
    for (leave, fragment) in ways.into_iter().zip(fragments) {
        let (mut conn, mut client) = pair(&Config::default());
        leave(&mut conn);
        client.expect(&fragment);
        let last = client.read_frame().unwrap();
        assert_eq!(last.close_parts().0, 1011);
        assert!(matches!(conn.send("late"), Err(Error::Closed)));
    }
}

#[test]
fn pings() {
    let (mut conn, mut client) = pair(&Config::default());
    conn.ping(b"").unwrap();
    conn.ping(&[7; 125]).unwrap();
    assert!(matches!(conn.ping(&[7; 126]), Err(Error::TooLong)));
    conn.send("next").unwrap();
    client.expect(&Frame::new(PING, ""));
    client.expect(&Frame::new(PING, [7; 125]));
    client.expect(&Frame::text("next"));
    beside(client, |client| drop(client.expect_close(1000)), || drop(conn));
}

#[test]
fn a_close_of_our_own() {
    let (mut conn, mut client) = pair(&Config::default());
    // The client answers before it is asked, which comes to the same.
    client.send([frame(TEXT, "late"), close(4001, "theirs")].concat());
    conn.write("queued").unwrap();
    let read = |client: &mut RawClient| {
        client.expect(&Frame::text("queued"));
        assert_eq!(client.expect_close(4000), "ours");
    };
    beside(client, read, || conn.close(CloseCode(4000), "ours")).unwrap();
    let frame = conn.close_frame().expect("their Close");
    assert_eq!((frame.code, &*frame.reason), (CloseCode(4001), "theirs"));
    // It is over, and a second Close does nothing.
    assert_eq!(conn.recv(&mut Vec::new()).unwrap(), None);
    assert!(matches!(conn.send("late"), Err(Error::Closed)));
    assert!(matches!(conn.write("late"), Err(Error::Closed)));
    assert!(matches!(conn.ping(b"late"), Err(Error::Closed)));
    assert!(matches!(conn.writer(MessageType::Text).finish(), Err(Error::Closed)));
    conn.close(CloseCode::NORMAL, "").unwrap();
}

/// §7.4.1 and §7.4.2: what may not be on the wire does not get there.
#[test]
fn close_codes_that_may_not_be_sent() {
    let (mut conn, mut client) = pair(&Config::default());
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map(CloseCode) {
        match conn.close(code, "") {
            Err(Error::InvalidCloseCode(other)) => assert_eq!(other, code),
            result => panic!("{result:?}"),
        }
    }
    conn.send("still open").unwrap();
    client.expect(&Frame::text("still open"));
    client.send(close(1000, ""));
    let read = |client: &mut RawClient| drop(client.expect_close(4999));
    beside(client, read, || conn.close(CloseCode(4999), "")).unwrap();
}

/// 123 bytes fit; what is longer is cut between characters.
#[test]
fn close_reasons() {
    for (reason, sent) in [
        ("x".repeat(123), "x".repeat(123)),
        ("x".repeat(200), "x".repeat(123)),
        ("\u{2603}".repeat(42), "\u{2603}".repeat(41)),
        (format!("x{}", "\u{2603}".repeat(41)), format!("x{}", "\u{2603}".repeat(40))),
    ] {
        let (mut conn, mut client) = pair(&Config::default());
        client.send(close(1000, ""));
        let read = |client: &mut RawClient| assert_eq!(client.expect_close(1000), sent);
        beside(client, read, || conn.close(CloseCode::NORMAL, &reason)).unwrap();
    }
}

/// However much else comes before the answer to our Close, it is waited for.
#[test]
fn edge_ae_a_close_answered_behind_much_else() {
    let (mut conn, client) = pair(&with_timeouts(|timeouts| timeouts.close = ms(20_000)));
    let talk = |client: &mut RawClient| {
        client.send(frame(BINARY, vec![0; 30_000]).repeat(300));
        client.expect(&Frame::close(1000, ""));
        client.send(close(1000, ""));
        client.expect_eof();
    };
    let result = beside(client, talk, || conn.close(CloseCode::NORMAL, ""));
    assert!(matches!(result, Ok(())), "{result:?}");
    assert!(matches!(conn.recv(&mut Vec::new()), Ok(None)));
}

/// A connection that is dropped closes with 1000; by a panic, with 1011.
#[test]
fn a_connection_that_is_dropped() {
    let (conn, client) = pair(&Config::default());
    beside(client, |client| drop(client.expect_close(1000)), || drop(conn));

    let (conn, client) = pair(&Config::default());
    let read = |client: &mut RawClient| drop(client.expect_close(1011));
    let result = beside(client, read, || {
        thread::spawn(move || {
            let _conn = conn;
            panic!("as the test has it");
        })
        .join()
    });
    assert!(result.is_err());
}

/// What is queued goes out before the end.
#[test]
fn a_queue_that_is_dropped() {
    let (mut conn, client) = pair(&Config::default());
    conn.write("queued").unwrap();
    let read = |client: &mut RawClient| {
        client.expect(&Frame::text("queued"));
        client.expect_close(1000);
    };
    beside(client, read, || drop(conn));
}

/// Received text needs no second look to be sent, and none to be compared.
#[test]
fn a_message_is_plain_to_read() {
    let message = Message::from("\u{2603}");
    let Message::Text(text) = message else { panic!("{message:?}") };
    assert!(text == "\u{2603}" && text.as_bytes() == "\u{2603}".as_bytes());
    assert_eq!(format!("{message:?}"), "Text(\"\u{2603}\")");
    assert_eq!(format!("{:?}", Message::from(b"\xff")), "Binary([255])");
}

/// What is queued goes first, or the writer fails: also where others are through just behind the time for that.
#[test]
fn what_is_queued_goes_before_a_writer() {
    let (mut conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.write = ms(300)));
    let sender = conn.sender();
    let (begun, has_begun) = channel();
    let other = thread::spawn(move || {
        let mut message = sender.writer(MessageType::Binary);
        message.write_all(b"x").unwrap();
        begun.send(()).unwrap();
        thread::sleep(ms(450));
        message.finish().unwrap();
    });
    has_begun.recv().unwrap();
    conn.write("first").unwrap();
    let mut second = conn.writer(MessageType::Text);
    match second.write_all(b"second") {
        Ok(()) => second.finish().unwrap(),
        Err(_) => drop(second),
    }
    other.join().unwrap();
    conn.flush().unwrap();
    client.expect(&Frame::new(BINARY_PART, "x"));
    client.expect(&Frame::new(CONT, ""));
    client.expect(&Frame::text("first"));
}
