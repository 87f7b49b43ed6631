//! §6.2: a message as a stream of bytes.

use std::io::{ErrorKind, Read};

use barews::{Config, Connection, Error, Message, MessageReader, MessageType, ProtocolError};

use crate::common::{BINARY, CONT, Frame, PING, RawClient, TEXT, close, frame, ms, pair};

/// First bytes of fragments.
const TEXT_PART: u8 = 0x01;
const BINARY_PART: u8 = 0x02;
const CONT_PART: u8 = 0x00;

/// The next message, by reads of `size` bytes.
fn read(conn: &mut Connection, size: usize) -> (MessageType, Vec<u8>) {
    let mut reader = conn.reader().expect("a message").expect("not the end");
    let kind = reader.kind();
    (kind, read_all(&mut reader, size))
}

fn read_all(reader: &mut MessageReader<'_>, size: usize) -> Vec<u8> {
    let (mut buf, mut message) = (vec![0; size], Vec::new());
    loop {
        assert_eq!(reader.read(&mut []).unwrap(), 0);
        let len = reader.read(&mut buf).expect("a part");
        message.extend(&buf[..len]);
        if len == 0 {
            assert_eq!(reader.read(&mut buf).unwrap(), 0, "the end stays the end");
            return message;
        }
    }
}

/// The client says its last word, and hears that of the connection.
fn finish(mut conn: Connection, mut client: RawClient) {
    client.send(close(1000, ""));
    client.send_eof();
    assert!(conn.reader().expect("the end").is_none());
    assert!(conn.reader().expect("the end").is_none());
    client.expect_close(1000);
}

#[test]
fn messages_in_any_fragments_by_reads_of_any_size() {
    for size in [1, 2, 3, 7, 64, 4096] {
        let (mut conn, mut client) = pair(&Config::default());
        let long = vec![7; 20_000];
        client.send(frame(TEXT, "h\u{e9}llo"));
        client.send(frame(BINARY, ""));
        client.send([frame(TEXT_PART, ""), frame(CONT_PART, ""), frame(CONT, "")].concat());
        client.send([frame(TEXT_PART, b"h\xc3"), frame(PING, "?"), frame(CONT, b"\xa9")].concat());
        client.send([frame(BINARY_PART, ""), frame(CONT_PART, "ab"), frame(CONT, "")].concat());
        client.send(frame(BINARY, &long));
        assert_eq!(read(&mut conn, size), (MessageType::Text, "h\u{e9}llo".into()));
        assert_eq!(read(&mut conn, size), (MessageType::Binary, vec![]));
        assert_eq!(read(&mut conn, size), (MessageType::Text, vec![]));
        assert_eq!(read(&mut conn, size), (MessageType::Text, "h\u{e9}".into()));
        assert_eq!(read(&mut conn, size), (MessageType::Binary, "ab".into()));
        assert_eq!(read(&mut conn, size), (MessageType::Binary, long));
        conn.flush().unwrap();
        client.expect(&Frame::pong("?"));
        finish(conn, client);
    }
}

#[test]
fn the_rest_of_a_message_is_thrown_away_before_the_next_one() {
    let (mut conn, mut client) = pair(&Config::default());
    for message in ["first", "second", "third"] {
        client.send([frame(TEXT_PART, message), frame(CONT, [b'x'; 9000])].concat());
    }
    client.send(frame(TEXT, "fourth"));
    // Read to different depths: not at all, by half, up to the last byte.
    assert_eq!(conn.reader().unwrap().unwrap().kind(), MessageType::Text);
    let mut reader = conn.reader().unwrap().unwrap();
    let mut start = [0; 6];
    reader.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"second");
    let mut reader = conn.reader().unwrap().unwrap();
    reader.read_exact(&mut [0; 9005]).unwrap();
    assert_eq!(read(&mut conn, 100), (MessageType::Text, "fourth".into()));
    finish(conn, client);
}

#[test]
fn other_calls_receive_the_rest() {
    let (mut conn, mut client) = pair(&Config::default());
    client.send([frame(TEXT, "one"), frame(TEXT, "two"), frame(TEXT, "three")].concat());
    assert_eq!(conn.reader().unwrap().unwrap().kind(), MessageType::Text);
    // The first byte is gone, and so it is no text.
    assert_eq!(conn.recv(&mut Vec::new()).unwrap(), Some(Message::Binary(b"ne")));
    // And the other way round: a part that was received is not read again.
    let mut part = [0; 1];
    conn.recv_chunk(&mut part).unwrap().unwrap();
    assert_eq!(read(&mut conn, 9), (MessageType::Text, "three".into()));
    finish(conn, client);
}

#[test]
fn a_read_that_timed_out_may_go_on() {
    let (mut conn, mut client) = pair(&Config::default());
    conn.set_recv_timeout(Some(ms(20)));
    assert!(matches!(conn.reader(), Err(Error::RecvTimeout)));
    client.send(frame(TEXT_PART, "so "));
    let mut buf = [0; 9];
    let mut reader = loop {
        // A machine that is busy may take longer than that.
        match conn.reader() {
            Err(Error::RecvTimeout) => {}
            reader => break reader.unwrap().unwrap(),
        }
    };
    let mut message = Vec::<u8>::new();
    while message.len() < 3 {
        match reader.read(&mut buf) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            len => message.extend(&buf[..len.unwrap()]),
        }
    }
    assert_eq!(reader.read(&mut buf).unwrap_err().kind(), ErrorKind::TimedOut);
    client.send(frame(CONT, "far"));
    while message.len() < 6 {
        match reader.read(&mut buf) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            len => message.extend(&buf[..len.unwrap()]),
        }
    }
    assert_eq!(message, b"so far");
}

#[test]
fn a_message_that_does_not_end_is_no_message() {
    // The peer closes, leaves, or breaks the protocol.
    type End = (Vec<u8>, ErrorKind, Option<u16>);
    let ends: [End; 3] = [
        (close(1000, ""), ErrorKind::UnexpectedEof, Some(1000)),
        (vec![], ErrorKind::UnexpectedEof, None),
        (frame(CONT, b"\xff"), ErrorKind::InvalidData, Some(1007)),
    ];
    for (end, kind, code) in ends {
        let (mut conn, mut client) = pair(&Config::default());
        client.send([frame(TEXT_PART, "half"), end].concat());
        client.send_eof();
        let mut reader = conn.reader().unwrap().unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        if code == Some(1000) {
            // What `on_error` asks whether the peer has just gone.
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
            assert!(inner.is_some_and(Error::is_disconnect), "{error:?}");
        }
        let again = reader.read(&mut [0; 9]).unwrap_err();
        assert_ne!(again.kind(), ErrorKind::TimedOut, "{again}");
        if let Some(code) = code {
            client.expect_close(code);
        }
    }
}

#[test]
fn the_error_of_the_connection_is_inside() {
    let (mut conn, mut client) = pair(&Config::default());
    client.send([frame(TEXT_PART, "half"), frame(TEXT, "a second start")].concat());
    client.send_eof();
    let mut reader = conn.reader().unwrap().unwrap();
    let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref()).expect("an Error");
    assert!(matches!(inner, Error::Protocol(ProtocolError::UnfinishedMessage)), "{inner}");
    client.expect_close(1002);
}

#[test]
fn the_receiving_half_has_it_too() {
    let (conn, mut client) = pair(&Config::default());
    let (mut receiver, sender) = conn.split();
    client.send(frame(BINARY, [7; 100_000]));
    let mut reader = receiver.reader().unwrap().unwrap();
    // Sending goes on meanwhile.
    sender.send("early").unwrap();
    client.expect(&Frame::text("early"));
    let mut message = Vec::new();
    reader.read_to_end(&mut message).unwrap();
    assert_eq!(message, [7; 100_000]);
    client.send_eof();
}
