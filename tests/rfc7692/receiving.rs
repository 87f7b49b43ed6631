//! RFC 6455 §6.2: receiving as the API has it, where messages are compressed.

use std::thread;

use barews::{Connection, Error, Message, MessageType};

use crate::common::compressed::{OFFER, compressed_pair, compressing, inflating, open_compressed};
use crate::common::deflate::{Bits, Deflater};
use crate::common::{CONT, Frame, PING, RawClient, TEXT, TestServer, close, frame, ms};
use crate::frames::{AGAIN, CONT_PART, DEFLATED, DEFLATED_BINARY, DEFLATED_PART, HZ};

/// A text of many kinds of characters, and a message that says it.
fn long_text() -> (String, Vec<u8>) {
    let text = "Hello, \u{20ac} and \u{1f600}! ".repeat(30);
    let payload = Deflater::new(12, true).message(&text);
    (text, payload)
}

/// Lets the client send Close 1000, and the connection answer it.
fn finish(mut conn: Connection, mut client: RawClient) {
    client.send(close(1000, ""));
    thread::scope(|scope| {
        scope.spawn(move || client.expect_close(1000));
        conn.set_recv_timeout(None);
        assert_eq!(conn.recv(&mut Vec::new()).expect("the end"), None);
    });
}

/// The next part of a message is in `message`; whether it was the last one.
fn chunk(conn: &mut Connection, size: usize, message: &mut Vec<u8>) -> Result<bool, Error> {
    let mut out = vec![0; size];
    let chunk = conn.recv_chunk(&mut out)?.expect("not the end");
    assert!(chunk.len > 0 || chunk.fin, "a part of nothing that ends nothing");
    message.extend(&out[..chunk.len]);
    Ok(chunk.fin)
}

/// A call that ends in the middle of a message loses nothing of it, wherever that is.
#[test]
fn a_recv_that_times_out_anywhere() {
    let (text, payload) = long_text();
    let (mut conn, mut client) = compressed_pair(&inflating(|_, _| ()), OFFER);
    let bytes = [frame(DEFLATED_PART, &payload[..20]), frame(CONT, &payload[20..])].concat();
    let mut buf = Vec::new();
    for cut in 1..bytes.len() {
        client.send(&bytes[..cut]);
        conn.set_recv_timeout(Some(ms(1)));
        assert!(matches!(conn.recv(&mut buf), Err(Error::RecvTimeout)), "cut at {cut}");
        client.send(&bytes[cut..]);
        conn.set_recv_timeout(None);
        assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from(&*text)), "cut at {cut}");
    }
    finish(conn, client);
}

/// What a call that timed out has gathered comes first, by parts of any size.
#[test]
fn a_recv_that_times_out_and_parts() {
    let (text, payload) = long_text();
    let (mut conn, mut client) = compressed_pair(&inflating(|_, _| ()), OFFER);
    let bytes = [frame(DEFLATED_PART, &payload[..20]), frame(CONT, &payload[20..])].concat();
    for size in [1, 3, 50, 5000] {
        for cut in (1..bytes.len()).step_by(7) {
            client.send(&bytes[..cut]);
            conn.set_recv_timeout(Some(ms(1)));
            assert!(matches!(conn.recv(&mut Vec::new()), Err(Error::RecvTimeout)));
            let mut message = Vec::new();
            // One part while the rest has not come.
            match chunk(&mut conn, size, &mut message) {
                Ok(fin) => assert!(!fin),
                Err(error) => assert!(matches!(error, Error::RecvTimeout), "{error:?}"),
            }
            client.send(&bytes[cut..]);
            conn.set_recv_timeout(None);
            while !chunk(&mut conn, size, &mut message).unwrap() {}
            assert!(message == text.as_bytes(), "cut at {cut}, by {size}");
        }
    }
    finish(conn, client);
}

/// Parts first, and then the rest at once: as binary, for it may begin inside a character.
#[test]
fn parts_and_then_the_rest() {
    let (text, payload) = long_text();
    let (mut conn, mut client) = compressed_pair(&inflating(|_, _| ()), OFFER);
    let sent = [
        frame(DEFLATED, &payload),
        [frame(DEFLATED_PART, &payload[..20]), frame(CONT, &payload[20..])].concat(),
    ];
    for sent in sent {
        for parts in [1, 2, 5, 17] {
            for size in [1, 2, 7] {
                client.send(
                    [&sent[..], &frame(DEFLATED_BINARY, [0]), &frame(TEXT, "plain")].concat(),
                );
                let mut message = Vec::new();
                for _ in 0..parts {
                    assert!(!chunk(&mut conn, size, &mut message).unwrap());
                }
                let mut buf = Vec::new();
                let rest = conn.recv(&mut buf).unwrap().expect("the rest");
                assert_eq!(rest.kind(), MessageType::Binary);
                message.extend(rest.as_bytes());
                assert!(message == text.as_bytes());
                // And the next messages are whole again.
                assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::Binary(b"")));
                assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("plain")));
            }
        }
    }
    finish(conn, client);
}

/// Parts that fit exactly leave nothing to come but the end.
#[test]
fn parts_that_fit_exactly() {
    let (mut conn, mut client) = compressed_pair(&inflating(|_, _| ()), OFFER);
    for payload in [&HZ[..], &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], &AGAIN, &AGAIN] {
        for sizes in [&[5][..], &[6], &[1, 1, 1, 1, 1], &[4, 1], &[2, 3]] {
            client.send(frame(DEFLATED, payload));
            let mut message = Vec::new();
            let mut fin = false;
            for &size in sizes {
                assert!(!fin);
                fin = chunk(&mut conn, size, &mut message).unwrap();
            }
            // The end may be a part of its own.
            assert!(fin || chunk(&mut conn, 1, &mut message).unwrap());
            assert_eq!(message, b"Hello");
        }
    }
    finish(conn, client);
}

/// Timeouts, parts and whole messages by turns, one byte at a time.
#[test]
fn all_of_it_by_turns() {
    let (text, payload) = long_text();
    let (mut conn, client) = compressed_pair(&inflating(|_, _| ()), OFFER);
    let mut bytes = Vec::new();
    for round in 0..20 {
        let cut = 1 + round % 10;
        bytes.extend(frame(DEFLATED_PART, &payload[..cut]));
        bytes.extend(frame(PING, "p"));
        bytes.extend(frame(CONT_PART, ""));
        bytes.extend(frame(CONT, &payload[cut..]));
    }
    conn.set_recv_timeout(Some(ms(1)));
    thread::scope(|scope| {
        let mut client = client;
        scope.spawn(move || {
            client.dribble(&bytes);
            client.send(close(1000, ""));
            for _ in 0..20 {
                client.expect(&Frame::pong("p"));
            }
            client.expect_close(1000);
        });
        let mut said: Vec<u8> = Vec::new();
        let (mut buf, mut out) = (Vec::new(), [0; 11]);
        for turn in 0.. {
            if turn % 3 == 0 {
                match conn.recv(&mut buf) {
                    Ok(Some(message)) => said.extend(message.as_bytes()),
                    Ok(None) => break,
                    Err(error) => assert!(matches!(error, Error::RecvTimeout), "{error:?}"),
                }
            } else {
                match conn.recv_chunk(&mut out) {
                    Ok(Some(chunk)) => said.extend(&out[..chunk.len]),
                    Ok(None) => break,
                    Err(error) => assert!(matches!(error, Error::RecvTimeout), "{error:?}"),
                }
            }
        }
        assert!(said == text.repeat(20).as_bytes(), "{} of {}", said.len(), 20 * text.len());
    });
}

/// What was left of a message by its handler does not count when the connection is closed.
#[test]
fn a_close_within_a_message_that_is_partly_read() {
    let (mut conn, mut client) = compressed_pair(&inflating(|_, _| ()), OFFER);
    let payload = Bits::new().fixed(false).text("a").copy(258, 1).copy(258, 1).end().message();
    client.send(frame(DEFLATED, &payload));
    assert!(!chunk(&mut conn, 1, &mut Vec::new()).unwrap());
    let thread = thread::spawn(move || {
        client.expect(&Frame::close(1000, "enough"));
        client.send(close(1000, ""));
        client.expect_eof();
    });
    conn.close(barews::CloseCode::NORMAL, "enough").expect("an answer");
    thread.join().expect("no panic");
}

/// An empty slice is refused, and changes nothing.
#[test]
fn no_room_to_receive_into() {
    let (mut conn, mut client) = compressed_pair(&inflating(|_, _| ()), OFFER);
    client.send(frame(DEFLATED, HZ));
    assert!(matches!(conn.recv_chunk(&mut []), Err(Error::EmptyBuffer)));
    let mut message = Vec::new();
    chunk(&mut conn, 2, &mut message).unwrap();
    assert!(matches!(conn.recv_chunk(&mut []), Err(Error::EmptyBuffer)));
    while !chunk(&mut conn, 2, &mut message).unwrap() {}
    assert_eq!(message, b"Hello");
    finish(conn, client);
}

/// What came behind the request in its own segment is compressed already.
#[test]
fn messages_behind_the_request() {
    let server = TestServer::echo(inflating(|_, _| ()));
    let mut client = server.connect();
    let request = crate::common::r0().add("Sec-WebSocket-Extensions: permessage-deflate").bytes();
    client.send([request, frame(DEFLATED, HZ), frame(DEFLATED, AGAIN)].concat());
    crate::common::compressed::upgraded(&client.read_response());
    client.expect(&Frame::text("Hello"));
    client.expect(&Frame::text("Hello"));
    client.finish();
}

/// Ends of the stream in the middle of a compressed message are what they are without compression.
#[test]
fn ends_within_a_message() {
    let server = TestServer::echo(compressing(|_, _| ()));
    for sent in [frame(DEFLATED_PART, &HZ[..3]), frame(DEFLATED, HZ)[..8].to_vec(), vec![DEFLATED]]
    {
        let mut client = open_compressed(server.addr, OFFER);
        client.send(&sent);
        client.send_eof();
        let peer = client.addr;
        client.expect_eof();
        drop(client);
        let ended = server.ended(peer);
        assert!(matches!(ended.result, Err(Error::Io(_))), "{ended:?}");
        let client = {
            let mut client = open_compressed(server.addr, OFFER);
            client.send(&sent);
            client
        };
        let peer = client.addr;
        client.reset();
        assert!(matches!(server.ended(peer).result, Err(Error::Io(_))));
    }
}

/// A Unix-domain socket carries the same.
#[cfg(unix)]
#[test]
fn a_unix_socket() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use barews::{Accept, Config, Upgrade};

    use crate::common::compressed::{Receive, frames};
    use crate::common::{PATIENCE, r0};

    let config: Config = inflating(|_, _| ());
    let (text, payload) = long_text();
    let good = [
        frame(DEFLATED, HZ),
        frame(PING, "p"),
        frame(DEFLATED_PART, &AGAIN[..2]),
        frame(CONT, &AGAIN[2..]),
        frame(DEFLATED, Bits::new().stored(true, &text).message()),
        close(1000, ""),
    ]
    .concat();
    let answers = [
        Frame::text("Hello"),
        Frame::pong("p"),
        Frame::text("Hello"),
        Frame::text(&text),
        Frame::close(1000, ""),
    ];
    let bad = [frame(DEFLATED, &payload), frame(DEFLATED, [6, 0])].concat();
    for receive in [Receive::Whole, Receive::Parts(1), Receive::Parts(100), Receive::Split] {
        for (sent, code, len) in [(&good, 1000, 5), (&bad, 1007, 2)] {
            let (ours, mut theirs) = UnixStream::pair().expect("a pair");
            theirs.set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
            let request = r0().add("Sec-WebSocket-Extensions: permessage-deflate").bytes();
            theirs.write_all(&[&request[..], sent].concat()).expect("room for it");
            let config = config.clone();
            let server = thread::spawn(move || {
                let upgrade = Upgrade::handshake(ours, &config).expect("a valid request");
                receive.echo(upgrade.accept(&Accept::new()).expect("a valid answer"))
            });
            let mut output = Vec::new();
            let mut byte = [0; 512];
            loop {
                match theirs.read(&mut byte) {
                    Ok(0) => break,
                    Ok(len) => output.extend(&byte[..len]),
                    Err(error) => panic!("{error}"),
                }
            }
            drop(theirs);
            let ended = server.join().expect("no panic");
            let frames = frames(&output);
            assert_eq!((frames.len(), frames[len - 1].close_parts().0), (len, code), "{ended:?}");
            assert!(code != 1000 || frames == answers, "{frames:?}");
        }
    }
}
