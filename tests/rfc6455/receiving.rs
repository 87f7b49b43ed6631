//! §6.2 as the API has it: whole messages, parts of them, and calls that do not wait for ever.

use std::time::{Duration, Instant};

use barews::{Chunk, Config, Connection, Error, Message, MessageType};

use crate::common::{
    BINARY, CONT, Frame, PATIENCE, PING, RawClient, TEXT, close, frame, head, ms, pair,
    with_limits, with_timeouts,
};

/// First bytes of fragments.
const TEXT_PART: u8 = 0x01;
const BINARY_PART: u8 = 0x02;
const CONT_PART: u8 = 0x00;

/// Lets the client send Close 1000, and the connection answer it.
fn finish(mut conn: Connection, mut client: RawClient) {
    client.send(close(1000, ""));
    std::thread::scope(|scope| {
        // The answer is not the end of it: the client has its own side to close.
        scope.spawn(move || client.expect_close(1000));
        conn.set_recv_timeout(None);
        assert_eq!(conn.recv(&mut Vec::new()).expect("the end"), None);
    });
}

/// A message by parts of at most `size` bytes.
fn by_chunks(conn: &mut Connection, size: usize) -> (MessageType, Vec<u8>) {
    let (mut out, mut message) = (vec![0; size], Vec::new());
    loop {
        let chunk = conn.recv_chunk(&mut out).expect("a part").expect("not the end");
        assert!(chunk.len <= size);
        message.extend(&out[..chunk.len]);
        if chunk.fin {
            return (chunk.kind, message);
        }
        assert!(chunk.len > 0, "a part of nothing that ends nothing");
    }
}

#[test]
fn a_message_replaces_what_was_in_the_buffer() {
    let (mut conn, mut client) = pair(&Config::default());
    client.send([frame(TEXT, "first"), frame(BINARY, ""), frame(BINARY, "3rd")].concat());
    let mut buf = b"something from before".to_vec();
    let message = conn.recv(&mut buf).unwrap().unwrap();
    assert_eq!(message, Message::from("first"));
    assert_eq!((message.kind(), message.len(), message.is_empty()), (MessageType::Text, 5, false));
    let Message::Text(text) = message else { panic!("{message:?}") };
    assert_eq!((text.as_str(), text.to_string()), ("first", "first".to_owned()));
    assert_eq!(buf, b"first");
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::Binary(b"")));
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::Binary(b"3rd")));
    finish(conn, client);
}

#[test]
fn messages_by_chunks_of_every_small_size() {
    let (mut conn, mut client) = pair(&Config::default());
    let snowmen = "\u{2603}".repeat(10);
    let sent = [
        frame(TEXT, "Hello"),
        frame(TEXT, ""),
        frame(TEXT_PART, &snowmen.as_bytes()[..4]),
        frame(PING, "in between"),
        frame(CONT_PART, ""),
        frame(CONT, &snowmen.as_bytes()[4..]),
        frame(BINARY_PART, ""),
        frame(CONT_PART, "a"),
        frame(CONT, ""),
        frame(BINARY, vec![7; 10_000]),
    ]
    .concat();
    for size in [1, 2, 3, 5, 7, 100, 4096, 20_000] {
        client.send(&sent);
        assert_eq!(by_chunks(&mut conn, size), (MessageType::Text, b"Hello".to_vec()));
        assert_eq!(by_chunks(&mut conn, size), (MessageType::Text, vec![]));
        assert_eq!(by_chunks(&mut conn, size), (MessageType::Text, snowmen.clone().into_bytes()));
        assert_eq!(by_chunks(&mut conn, size), (MessageType::Binary, b"a".to_vec()));
        assert_eq!(by_chunks(&mut conn, size), (MessageType::Binary, vec![7; 10_000]));
        // The answer to a Ping waits for the next call that waits, or that sends.
        conn.flush().unwrap();
        client.expect(&Frame::pong("in between"));
    }
    finish(conn, client);
}

/// More than the memory that a message may have: a part at a time is no matter.
#[test]
fn a_message_of_any_size_by_chunks() {
    let config = with_limits(|limits| {
        limits.max_message_size = 100 << 20;
        limits.max_buffered_bytes = 0;
    });
    let (mut conn, mut client) = pair(&config);
    let len = 20 << 20;
    std::thread::scope(|scope| {
        scope.spawn(|| client.send([head(BINARY, len as u64), vec![0xa5; len]].concat()));
        let (mut out, mut got) = (vec![0; 50_000], 0);
        loop {
            let chunk = conn.recv_chunk(&mut out).unwrap().unwrap();
            assert!(out[..chunk.len].iter().all(|&byte| byte == 0xa5));
            got += chunk.len;
            if chunk.fin {
                break;
            }
        }
        assert_eq!(got, len);
    });
    finish(conn, client);
}

/// A violation in the middle of a message is found by whoever receives it.
#[test]
fn chunks_of_bad_text() {
    let (mut conn, mut client) = pair(&Config::default());
    client.send([frame(TEXT_PART, "good"), frame(CONT, [0xff])].concat());
    drop_later(client, 1007);
    let mut out = [0; 10];
    let first = conn.recv_chunk(&mut out).unwrap();
    assert_eq!(first, Some(Chunk { kind: MessageType::Text, len: 4, fin: false }));
    assert!(matches!(conn.recv_chunk(&mut out), Err(Error::Protocol(_))));
    assert!(matches!(conn.recv_chunk(&mut out), Err(Error::Closed)));
    assert!(matches!(conn.recv(&mut Vec::new()), Err(Error::Closed)));
}

/// Reads a Close on another thread, and then ends the stream.
fn drop_later(mut client: RawClient, code: u16) {
    std::thread::spawn(move || client.expect_close(code));
}

#[test]
fn recv_after_chunks_gives_the_rest() {
    let (mut conn, mut client) = pair(&Config::default());
    let mut buf = Vec::new();
    for len in [10_usize, 10_000] {
        let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
        client.send([frame(BINARY, &message), frame(TEXT, "next")].concat());
        let chunk = conn.recv_chunk(&mut [0; 3]).unwrap();
        assert_eq!(chunk, Some(Chunk { kind: MessageType::Binary, len: 3, fin: false }));
        assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::Binary(&message[3..])));
        assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("next")));
    }
    finish(conn, client);
}

/// The rest of a text may begin inside a character: it is no text, and comes as binary.
#[test]
fn recv_after_chunks_of_a_text() {
    let (mut conn, mut client) = pair(&Config::default());
    let mut buf = Vec::new();
    client.send([frame(TEXT, "\u{e9}"), frame(TEXT, "\u{e9}")].concat());
    let chunk = conn.recv_chunk(&mut [0; 1]).unwrap();
    assert_eq!(chunk, Some(Chunk { kind: MessageType::Text, len: 1, fin: false }));
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::Binary(&[0xa9])));
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("\u{e9}")), "a whole one is text");
    finish(conn, client);
}

/// What a `recv` that timed out has gathered is no reason not to wait for the peer's Close.
#[test]
fn close_after_a_recv_that_timed_out() {
    let (mut conn, mut client) = pair(&Config::default());
    conn.set_recv_timeout(Some(ms(50)));
    client.send([head(BINARY, 200_001), vec![0; 200_000]].concat());
    assert!(matches!(conn.recv(&mut Vec::new()), Err(Error::RecvTimeout)));
    let peer = std::thread::spawn(move || {
        assert_eq!(client.read_frame().expect("a Close").close_parts().0, 1000);
        client.send([&[0][..], &close(1000, "")].concat());
        client.expect_eof();
    });
    conn.close(barews::CloseCode::NORMAL, "").unwrap();
    drop(conn);
    peer.join().expect("the peer was waited for");
}

/// An empty slice could receive nothing for ever: it is an error, which loses nothing, wherever the
/// message stands.
#[test]
fn edge_o_chunks_of_no_bytes() {
    let (mut conn, mut client) = pair(&Config::default());
    for len in [5, 100_000] {
        let message = vec![3; len];
        client.send(frame(BINARY, &message));
        let mut got: Vec<u8> = Vec::new();
        let mut out = vec![0; len / 3 + 1];
        loop {
            let nothing = conn.recv_chunk(&mut []);
            assert!(matches!(nothing, Err(Error::EmptyBuffer)), "{nothing:?}");
            let chunk = conn.recv_chunk(&mut out).unwrap().unwrap();
            got.extend(&out[..chunk.len]);
            if chunk.fin {
                break;
            }
        }
        assert_eq!(got, message);
    }
    finish(conn, client);
}

/// A conversation cut everywhere, with a timeout at each cut.
#[test]
fn a_timeout_loses_nothing() {
    let long: Vec<u8> = (0..9_000_u32).map(|n| n as u8).collect();
    let sent = [
        frame(TEXT, "first"),
        frame(TEXT_PART, "one "),
        frame(PING, "ping"),
        frame(CONT_PART, ""),
        frame(CONT, "message"),
        frame(BINARY, &long),
        frame(TEXT, ""),
    ]
    .concat();
    let expected = [
        (MessageType::Text, b"first".to_vec()),
        (MessageType::Text, b"one message".to_vec()),
        (MessageType::Binary, long),
        (MessageType::Text, vec![]),
    ];
    let (mut conn, mut client) = pair(&Config::default());
    conn.set_recv_timeout(Some(ms(5)));
    let mut buf = Vec::new();
    let mut messages = Vec::new();
    // Every byte of the first frames, and then larger pieces.
    let (slow, fast) = sent.split_at(70);
    for piece in slow.chunks(1).chain(fast.chunks(500)) {
        client.send(piece);
        let start = Instant::now();
        loop {
            match conn.recv(&mut buf) {
                Ok(message) => {
                    let message = message.expect("not the end");
                    messages.push((message.kind(), message.as_bytes().to_vec()));
                }
                Err(Error::RecvTimeout) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(start.elapsed() >= ms(5));
    }
    conn.set_recv_timeout(Some(PATIENCE));
    while messages.len() < expected.len() {
        let message = conn.recv(&mut buf).unwrap().unwrap();
        messages.push((message.kind(), message.as_bytes().to_vec()));
    }
    assert_eq!(messages, expected);
    client.expect(&Frame::pong("ping"));
    finish(conn, client);
}

/// What a `recv` had gathered when it timed out is there for `recv_chunk`, and for the next.
#[test]
fn calls_of_both_kinds_after_a_timeout() {
    let message: Vec<u8> = (0..20_000_u32).map(|n| (n * 7) as u8).collect();
    let (mut conn, mut client) = pair(&Config::default());
    for cut in [1, 100, 5_000, 19_999] {
        let (start, rest) = message.split_at(cut);
        client.send([head(BINARY, 20_000), start.to_vec()].concat());
        let mut got: Vec<u8> = Vec::new();
        let mut out = [0; 700];
        conn.set_recv_timeout(Some(ms(20)));
        assert!(matches!(conn.recv(&mut Vec::new()), Err(Error::RecvTimeout)));
        while got.len() < cut {
            match conn.recv_chunk(&mut out) {
                Ok(chunk) => got.extend(&out[..chunk.unwrap().len]),
                // On a slow machine, what was sent may come later.
                Err(error) => assert!(matches!(error, Error::RecvTimeout), "{error}"),
            }
        }
        assert_eq!(got, start);
        assert!(matches!(conn.recv_chunk(&mut out), Err(Error::RecvTimeout)));
        client.send(rest);
        conn.set_recv_timeout(None);
        let mut buf = Vec::new();
        assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::Binary(rest)));
    }
    finish(conn, client);
}

/// No time at all is not for ever, and `None` is.
#[test]
fn timeouts_of_zero_and_none() {
    let (mut conn, mut client) = pair(&Config::default());
    let mut buf = Vec::new();
    conn.set_recv_timeout(Some(Duration::ZERO));
    assert!(matches!(conn.recv(&mut buf), Err(Error::RecvTimeout)));
    assert!(matches!(conn.recv_chunk(&mut [0; 10]), Err(Error::RecvTimeout)));
    // What has come is received without a wait; when it has, is the system's business.
    client.send(frame(TEXT, "there"));
    let start = Instant::now();
    loop {
        match conn.recv(&mut buf) {
            Ok(message) => break assert_eq!(message, Some(Message::from("there"))),
            Err(error) => assert!(matches!(error, Error::RecvTimeout), "{error}"),
        }
        assert!(start.elapsed() < PATIENCE);
    }
    client.send(frame(TEXT, "and there"));
    conn.set_recv_timeout(None);
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("and there")));
    conn.set_recv_timeout(Some(Duration::MAX));
    client.send(frame(TEXT, "again"));
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("again")));
    finish(conn, client);
}

/// Calls that time out do the keepalive's work together.
#[test]
fn the_keepalive_goes_on_over_timeouts() {
    let (mut conn, mut client) = pair(&with_timeouts(|timeouts| {
        timeouts.ping_interval = ms(100);
        timeouts.idle_timeout = ms(300);
    }));
    conn.set_recv_timeout(Some(ms(10)));
    let (start, mut timeouts) = (Instant::now(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.expect(&Frame::new(PING, ""));
            client.expect_close(1008);
            drop(client);
        });
        loop {
            match conn.recv(&mut Vec::new()) {
                Err(Error::RecvTimeout) => timeouts += 1,
                Err(Error::DeadlineExceeded(wait)) => {
                    break assert_eq!(wait, barews::Deadline::Idle);
                }
                other => panic!("{other:?}"),
            }
        }
    });
    assert!(timeouts >= 2, "{timeouts}");
    assert!((ms(280)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// A handler that was busy does not run its peer's clock down.
#[test]
fn time_spent_elsewhere_does_not_count() {
    let (mut conn, mut client) = pair(&with_timeouts(|timeouts| {
        timeouts.ping_interval = ms(200);
        timeouts.idle_timeout = ms(400);
        timeouts.message = ms(400);
    }));
    client.send(frame(TEXT_PART, "a"));
    conn.set_recv_timeout(Some(ms(20)));
    assert!(matches!(conn.recv(&mut Vec::new()), Err(Error::RecvTimeout)));
    // The wait is the subject: longer than every deadline.
    assert!(!client.heard_within(ms(600)));
    conn.set_recv_timeout(None);
    client.send(frame(CONT, "b"));
    assert_eq!(conn.recv(&mut Vec::new()).unwrap(), Some(Message::from("ab")));
    finish(conn, client);
}
