//! A connection that is not divided, with senders for other threads beside it; and what a handler
//! does that has more to do than to wait for messages.

use std::io::{ErrorKind, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use barews::{CloseCode, Config, Error, Message, MessageType};

use crate::common::{
    Frame, PATIENCE, PING, PONG, TEXT, TestServer, close, frame, ms, pair, with_timeouts,
};

/// What was queued before comes before what the sender sends, and what is queued later keeps its
/// order.
#[test]
fn a_sender_beside_a_connection() {
    let (mut conn, mut client) = pair(&Config::default());
    conn.write("queued").unwrap();
    let sender = conn.sender();
    sender.send("beside").unwrap();
    for expected in ["queued", "beside"] {
        client.expect(&Frame::text(expected));
    }
    conn.write("one").unwrap();
    conn.write("two").unwrap();
    sender.send("overtakes what is only queued").unwrap();
    conn.send("three").unwrap();
    for expected in ["overtakes what is only queued", "one", "two", "three"] {
        client.expect(&Frame::text(expected));
    }
    conn.write("before it waits").unwrap();
    client.send(frame(TEXT, "received"));
    assert_eq!(conn.recv(&mut Vec::new()).unwrap(), Some(Message::from("received")));
    client.expect(&Frame::text("before it waits"));
    assert!(!sender.is_closed());
    let closing = thread::spawn(move || conn.close(CloseCode::NORMAL, ""));
    client.expect(&Frame::close(1000, ""));
    client.send(close(1000, ""));
    client.expect_eof();
    drop(client);
    closing.join().unwrap().unwrap();
    assert!(sender.is_closed() && matches!(sender.send("late"), Err(Error::Closed)));
}

/// A Pong waits neither for a sender that is blocked nor for the message that a sender has begun.
#[test]
fn a_pong_waits_for_no_sender() {
    let (mut conn, mut client) = pair(&Config::default());
    let sender = conn.sender();
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"begun").unwrap();
    client.expect(&Frame::new(0x01, "begun"));
    client.send([frame(PING, "p"), frame(TEXT, "received")].concat());
    assert_eq!(conn.recv(&mut Vec::new()).unwrap(), Some(Message::from("received")));
    client.expect(&Frame::pong("p"));
    writer.finish().unwrap();
    client.expect(&Frame::new(0x80, ""));
}

/// A message that gets no turn is not sent, and nothing else is lost: what was queued goes out later,
/// and the connection goes on.
#[test]
fn a_turn_that_never_comes() {
    let (mut conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.write = ms(100)));
    let sender = conn.sender();
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"a").unwrap();
    conn.write("queued").unwrap();
    for result in [conn.send("refused"), conn.recv(&mut Vec::new()).map(drop)] {
        assert!(matches!(result, Err(Error::DeadlineExceeded(_))), "{result:?}");
    }
    writer.finish().unwrap();
    client.expect(&Frame::new(0x01, "a"));
    client.expect(&Frame::new(0x80, ""));
    conn.send("sent").unwrap();
    client.expect(&Frame::text("queued"));
    client.expect(&Frame::text("sent"));
}

/// A Close of a sender's is noticed by the connection, and ends a read in good time.
#[test]
fn a_sender_beside_a_connection_closes() {
    let (mut conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.close = ms(100)));
    let sender = conn.sender();
    let waits = thread::spawn(move || conn.recv(&mut Vec::new()).map(|message| message.is_some()));
    assert!(!client.heard_within(ms(50)));
    sender.close(CloseCode(4000), "").unwrap();
    client.expect(&Frame::close(4000, ""));
    client.expect_eof();
    let result = waits.join().expect("no panic");
    assert!(matches!(result, Err(Error::DeadlineExceeded(_))), "{result:?}");
}

/// The end of a peer that is not worth a Close: at once, though one sends to it and it does not read.
#[test]
fn a_sender_aborts() {
    let (begun, has_begun) = channel();
    let (aborted, has_aborted) = channel();
    let has_begun = Mutex::new(has_begun);
    let server = TestServer::with_handler(
        |server| server,
        move |mut conn| {
            let sender = conn.sender();
            let blocked = {
                let sender = conn.sender();
                thread::spawn(move || sender.send(&vec![1; 32 << 20]))
            };
            let waits = thread::spawn(move || conn.recv(&mut Vec::new()).map(drop));
            has_begun.lock().unwrap().recv_timeout(PATIENCE)?;
            let start = Instant::now();
            sender.abort();
            let received = waits.join().expect("no panic").unwrap_err();
            assert!(received.is_disconnect(), "{received:?}");
            assert!(
                matches!(&received, Error::Io(error) if error.kind() == ErrorKind::ConnectionAborted)
            );
            blocked.join().expect("no panic").unwrap_err();
            assert!(start.elapsed() < ms(5_000) && sender.is_closed());
            sender.abort();
            aborted.send(())?;
            Ok(())
        },
    );
    let mut client = server.open();
    assert_eq!(client.read_bytes(2), [0x82, 127]);
    begun.send(()).unwrap();
    has_aborted.recv_timeout(PATIENCE).expect("it is aborted while nobody reads");
    let rest = client.read_rest();
    assert!(rest.len() < 32 << 20, "{} bytes", rest.len());
}

/// A handler that only sends: Pings are answered, messages thrown away, and the Close is noticed.
#[test]
fn a_handler_that_only_sends() {
    let server = TestServer::with_handler(
        |server| server,
        |mut conn| {
            let mut number = 0;
            while conn.serve_control(ms(20))? {
                number += 1;
                conn.write(&format!("{number}"))?;
            }
            assert_eq!(conn.close_frame().expect("their Close").code, CloseCode(4001));
            // And it says so again.
            assert!(!conn.serve_control(ms(20))?);
            Ok(())
        },
    );
    let mut client = server.open();
    client.expect(&Frame::text("1"));
    let long = "x".repeat(100_000);
    client.send([frame(TEXT, "ignored"), frame(TEXT, long), frame(PING, "p")].concat());
    let mut pongs = 0;
    for number in 2..20 {
        let mut next = client.read_frame().expect("a frame");
        if next.opcode == PONG & 0x0f {
            assert_eq!(next.payload, b"p");
            pongs += 1;
            next = client.read_frame().expect("a frame");
        }
        assert_eq!(next, Frame::text(format!("{number}")));
    }
    assert_eq!(pongs, 1);
    client.send(close(4001, ""));
    loop {
        let next = client.read_frame().expect("a Close at the end");
        if next.opcode == 8 {
            assert_eq!(next.close_parts().0, 4001);
            return client.expect_eof();
        }
    }
}

/// Its limits hold all the same, and a flood ends no later than a silence.
#[test]
fn what_is_thrown_away_is_held_to_the_limits() {
    let config = crate::common::with_limits(|limits| limits.max_message_size = 10);
    let (mut conn, mut client) = pair(&config);
    client.send(frame(TEXT, "x".repeat(10)));
    assert!(conn.serve_control(ms(30)).unwrap());
    client.send(frame(TEXT, "x".repeat(11)));
    let failed = thread::spawn(move || conn.serve_control(PATIENCE).unwrap_err());
    client.expect_close(1009);
    assert!(matches!(failed.join().unwrap(), Error::Protocol(_)));
    let (mut conn, mut client) = pair(&Config::default());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let frames = frame(TEXT, "x").repeat(10_000);
            while !over.load(Ordering::Relaxed) {
                client.send(&frames);
            }
        });
        let start = Instant::now();
        assert!(conn.serve_control(ms(100)).unwrap());
        assert!((ms(100)..PATIENCE).contains(&start.elapsed()), "{:?}", start.elapsed());
        over.store(true, Ordering::Relaxed);
        // It is not to wait for room.
        while !flood.is_finished() {
            assert!(conn.serve_control(ms(1)).unwrap());
        }
    });
}

/// A point in time, kept however often something comes; and one that has passed still receives.
#[test]
fn a_deadline_of_the_callers() {
    let (mut conn, mut client) = pair(&Config::default());
    let mut buf = Vec::new();
    let start = Instant::now();
    let at = start + ms(150);
    let mut received = 0;
    client.send(frame(TEXT, "a"));
    let late = loop {
        match conn.recv_deadline(&mut buf, at) {
            Ok(Some(_)) => {
                received += 1;
                if received < 1000 {
                    client.send(frame(TEXT, "a"));
                }
            }
            other => break other.map(drop),
        }
    };
    assert!(matches!(late, Err(Error::RecvTimeout)) && received > 1, "{late:?} {received}");
    assert!((ms(145)..PATIENCE).contains(&start.elapsed()), "{:?}", start.elapsed());
    client.send(frame(PING, "p"));
    let passed = start.checked_sub(ms(1)).unwrap_or(start);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match conn.recv_deadline(&mut buf, passed) {
            Err(Error::RecvTimeout) if client.heard_within(ms(1)) => break,
            Err(Error::RecvTimeout) | Ok(Some(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    client.expect(&Frame::pong("p"));
    // The timeout of other calls is as it was.
    conn.set_recv_timeout(Some(ms(10)));
    client.send(frame(TEXT, "late"));
    let far = Instant::now() + PATIENCE;
    assert_eq!(conn.recv_deadline(&mut buf, far).unwrap(), Some(Message::from("late")));
}

/// What has arrived is received, however late it is and however long what is queued has to wait before.
#[test]
fn a_deadline_that_passed_before_the_queue_was_sent() {
    let (mut conn, mut client) = pair(&Config::default());
    client.send(frame(TEXT, "heard?"));
    let sender = conn.sender();
    let mut writer = sender.writer(MessageType::Binary);
    writer.write_all(b"x").unwrap();
    conn.write("queued").unwrap();
    let late = thread::spawn(move || {
        let mut buf = Vec::new();
        let received = conn.recv_deadline(&mut buf, Instant::now());
        received.map(|message| message.map(|message| message.as_bytes().to_vec()))
    });
    // Longer than the millisecond in which it looks at what has arrived.
    thread::sleep(ms(20));
    assert!(!late.is_finished());
    writer.finish().unwrap();
    let received = late.join().unwrap();
    assert!(matches!(&received, Ok(Some(message)) if message == b"heard?"), "{received:?}");
}

/// Pings are told to who asks, each once, and answered all the same, whole or in halves.
#[test]
fn pings_are_told() {
    for split in [false, true] {
        let (mut conn, mut client) = pair(&Config::default());
        let (told, pings) = channel();
        client.send(
            [frame(PING, "1"), frame(PONG, "no"), frame(PING, ""), frame(TEXT, "a")].concat(),
        );
        let mut buf = Vec::new();
        let f = move |payload: &[u8]| told.send(payload.to_vec()).unwrap();
        if split {
            let (mut receiver, _sender) = conn.split();
            receiver.on_ping(f);
            receiver.recv(&mut buf).unwrap();
            for payload in ["1", ""] {
                client.expect(&Frame::pong(payload));
            }
        } else {
            conn.on_ping(f);
            conn.recv(&mut buf).unwrap();
            conn.flush().unwrap();
            for payload in ["1", ""] {
                client.expect(&Frame::pong(payload));
            }
        }
        assert_eq!(pings.try_iter().collect::<Vec<_>>(), [b"1".to_vec(), vec![]]);
    }
}
