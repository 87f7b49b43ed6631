//! A connection in two halves, used by several threads at once.

use std::collections::HashMap;
use std::io::Write;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use barews::{
    CloseCode, Config, Connection, Deadline, Error, Message, MessageType, Receiver, Sender,
};

use crate::common::{
    CONT, Frame, PATIENCE, PING, TEXT, TestServer, close, frame, ms, pair, with_timeouts,
};

/// The contract on the types: what may cross threads, and what may be shared.
#[test]
fn what_may_be_shared() {
    fn send<T: Send>() {}
    fn share<T: Send + Sync + Clone>() {}
    send::<Connection>();
    send::<Receiver>();
    share::<Sender>();
}

/// Threads that send at once: every message arrives whole, and each thread's in their order. Pings
/// are answered in between.
#[test]
fn several_senders_and_pongs_in_between() {
    const THREADS: usize = 4;
    const MESSAGES: usize = 50;
    let server = TestServer::with_handler(
        |server| server,
        |conn| {
            let (mut receiver, sender) = conn.split();
            let threads = (0..THREADS).map(|thread| {
                let sender = sender.clone();
                thread::spawn(move || {
                    for number in 0..MESSAGES {
                        let text = format!("{thread} {number} {}", "x".repeat(number * 97));
                        match number % 3 {
                            // In fragments, which nobody may get in between.
                            0 => {
                                let mut writer = sender.writer(MessageType::Text);
                                for part in text.as_bytes().chunks(text.len() / 3 + 1) {
                                    writer.write_all(part)?;
                                }
                                writer.finish()?;
                            }
                            _ => sender.send(&text)?,
                        }
                        if number % 10 == 0 {
                            sender.ping(b"from a sender")?;
                        }
                    }
                    Ok::<(), std::io::Error>(())
                })
            });
            let threads: Vec<_> = threads.collect();
            assert_eq!(receiver.recv(&mut Vec::new())?, Some(Message::from("go on")));
            assert_eq!(receiver.recv(&mut Vec::new())?, None);
            for thread in threads {
                thread.join().expect("no panic")?;
            }
            Ok(())
        },
    );
    let mut client = server.open();
    let mut next = HashMap::new();
    let (mut done, mut pings, mut pongs) = (0, 0, 0);
    let mut part: Option<Vec<u8>> = None;
    client.send(frame(PING, "0"));
    while done < THREADS * MESSAGES || pongs < 20 {
        let Frame { fin, opcode, payload } = client.read_frame().expect("a frame");
        match opcode {
            9 => {
                assert_eq!(payload, b"from a sender");
                pings += 1;
                continue;
            }
            // Each Pong calls for the next Ping.
            10 => {
                assert_eq!(payload, format!("{pongs}").as_bytes());
                pongs += 1;
                client.send(frame(PING, format!("{pongs}")));
                continue;
            }
            1 => assert!(part.is_none(), "a message inside another"),
            0 => assert!(part.is_some(), "a continuation of nothing"),
            opcode => panic!("opcode {opcode}"),
        }
        let mut message = part.take().unwrap_or_default();
        message.extend(payload);
        if !fin {
            part = Some(message);
            continue;
        }
        let text = String::from_utf8(message).expect("text");
        let mut words = text.split(' ');
        let thread: usize = words.next().unwrap().parse().unwrap();
        let number: usize = words.next().unwrap().parse().unwrap();
        assert_eq!(words.next().unwrap(), "x".repeat(number * 97));
        assert_eq!(std::mem::replace(next.entry(thread).or_insert(0), number + 1), number);
        done += 1;
    }
    assert_eq!(pings, THREADS * MESSAGES / 10);
    client.send([frame(TEXT, "go on"), close(1000, "")].concat());
    // The Pong to the last Ping comes first.
    client.expect(&Frame::pong(format!("{pongs}")));
    client.expect_close(1000);
}

/// A sender that is blocked, since the client does not read, holds up nobody who receives; and
/// what the receiver has to answer goes out behind the frame that was under way.
#[test]
fn receiving_goes_on_while_a_sender_is_blocked() {
    let (sender, received) = channel();
    let server = TestServer::with_handler(
        |server| server,
        move |conn| {
            let (mut receiver, sending) = conn.split();
            // More than any socket takes.
            let thread = thread::spawn(move || sending.send(&vec![1; 32 << 20]));
            let mut buf = Vec::new();
            while let Some(message) = receiver.recv(&mut buf)? {
                sender.send(message.len())?;
            }
            thread.join().expect("no panic")?;
            Ok(())
        },
    );
    let mut client = server.open();
    assert!(client.heard_within(PATIENCE), "the sender has begun");
    for len in [1, 100, 100_000] {
        client.send([frame(PING, "p"), frame(TEXT, "x".repeat(len))].concat());
        assert_eq!(received.recv_timeout(PATIENCE).expect("it is received at once"), len);
    }
    client.expect(&Frame::binary(vec![1; 32 << 20]));
    for _ in 0..3 {
        client.expect(&Frame::pong("p"));
    }
    client.finish();
}

/// And though the client has ended its side, it has the message that was under way, and the answer to its
/// Close behind that.
#[test]
fn a_client_that_closes_and_ends_its_side_while_a_sender_is_blocked() {
    const LEN: usize = 8 << 20;
    let (told, ended) = channel();
    let server = TestServer::with_handler(
        |server| server,
        move |mut conn| {
            let sender = conn.sender();
            let blocked = thread::spawn(move || sender.send(&vec![b'x'; LEN]));
            let end = conn.recv(&mut Vec::new())?.is_none();
            told.send(end)?;
            Ok(blocked.join().expect("no panic")?)
        },
    );
    let mut client = server.open();
    // It has begun.
    assert!(client.heard_within(PATIENCE));
    client.send(close(1000, ""));
    client.send_eof();
    let early = ended.recv_timeout(ms(200));
    client.expect(&Frame::binary(vec![b'x'; LEN]));
    client.expect(&Frame::close(1000, ""));
    client.expect_eof();
    assert!(early.is_err(), "it has ended before that");
    assert_eq!(ended.recv_timeout(PATIENCE), Ok(true));
}

/// Many Pings while the sender is blocked: only the latest need an answer (§5.5.3), and memory for
/// the others is not held.
#[test]
fn pongs_behind_a_blocked_sender_are_bounded() {
    let (sender, received) = channel();
    let server = TestServer::with_handler(
        |server| server,
        move |conn| {
            let (mut receiver, sending) = conn.split();
            let thread = thread::spawn(move || sending.send(&vec![1; 32 << 20]));
            let mut buf = Vec::new();
            while receiver.recv(&mut buf)?.is_some() {
                sender.send(())?;
            }
            thread.join().expect("no panic")?;
            Ok(())
        },
    );
    let mut client = server.open();
    assert!(client.heard_within(PATIENCE), "the sender has begun");
    let pings: Vec<u8> = (0..10_000).flat_map(|n| frame(PING, format!("{n:0100}"))).collect();
    client.send([pings, frame(TEXT, "all are through")].concat());
    received.recv_timeout(PATIENCE).unwrap();
    client.expect(&Frame::binary(vec![1; 32 << 20]));
    client.send(close(1000, ""));
    let mut last = None;
    let mut count = 0;
    loop {
        let frame = client.read_frame().expect("a Close at the end");
        if frame.opcode == 8 {
            break;
        }
        assert_eq!(frame.opcode, 10);
        last = Some(frame.payload);
        count += 1;
    }
    client.expect_eof();
    assert_eq!(last, Some(format!("{:0100}", 9_999).into_bytes()), "the latest is answered");
    assert!(count < 1000, "{count} Pongs were kept");
}

/// Control frames do not wait for the message that a writer has begun (§5.4); messages do.
#[test]
fn control_frames_pass_between_fragments() {
    let (conn, mut client) = pair(&Config::default());
    let (mut receiver, sender) = conn.split();
    let other = sender.clone();
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"a").unwrap();
    client.expect(&Frame::new(0x01, "a"));
    other.ping(b"between").unwrap();
    client.expect(&Frame::new(PING, "between"));
    client.send([frame(PING, "p"), frame(TEXT, "received")].concat());
    let mut buf = Vec::new();
    assert_eq!(receiver.recv(&mut buf).unwrap(), Some(Message::from("received")));
    client.expect(&Frame::pong("p"));
    thread::scope(|scope| {
        scope.spawn(move || other.send("after").unwrap());
        // The other message has every chance to go wrong.
        assert!(!client.heard_within(ms(50)));
        writer.write_all(b"b").unwrap();
        writer.finish().unwrap();
        client.expect(&Frame::new(0x00, "b"));
        client.expect(&Frame::new(CONT, ""));
        client.expect(&Frame::text("after"));
        client.send(close(1000, ""));
        scope.spawn(move || client.expect_close(1000));
        assert_eq!(receiver.recv(&mut buf).unwrap(), None);
    });
}

/// A sender starts the closing handshake, and the receiver sees it through.
#[test]
fn a_sender_that_closes() {
    let (conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.close = ms(1000)));
    let (mut receiver, sender) = conn.split();
    for code in [0, 1005, 1006, 1015, 5000].map(CloseCode) {
        let result = sender.close(code, "");
        assert!(matches!(result, Err(Error::InvalidCloseCode(other)) if other == code));
    }
    thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            let result = receiver.recv(&mut Vec::new()).map(|message| message.is_some());
            (result, receiver.close_frame().cloned())
        });
        sender.close(CloseCode(4000), "ours").unwrap();
        sender.close(CloseCode(4001), "again").unwrap();
        assert!(matches!(sender.send("late"), Err(Error::Closed)));
        assert!(matches!(sender.ping(b""), Err(Error::Closed)));
        client.expect(&Frame::close(4000, "ours"));
        client.send(close(4002, "theirs"));
        client.expect_eof();
        drop(client);
        let (result, close_frame) = receiving.join().expect("no panic");
        assert!(matches!(result, Ok(false)), "{result:?}");
        assert_eq!(close_frame.expect("their Close").code, CloseCode(4002));
    });
}

/// And ends the connection when nobody answers, though it was waiting before.
#[test]
fn a_sender_that_closes_without_an_answer() {
    let (conn, mut client) = pair(&with_timeouts(|timeouts| timeouts.close = ms(300)));
    let (mut receiver, sender) = conn.split();
    thread::scope(|scope| {
        let receiving = scope.spawn(move || receiver.recv(&mut Vec::new()).map(drop));
        // By then it waits, most likely; that it may not yet is no harm.
        assert!(!client.heard_within(ms(50)));
        let start = Instant::now();
        sender.close(CloseCode::NORMAL, "").unwrap();
        client.expect(&Frame::close(1000, ""));
        client.expect_eof();
        let result = receiving.join().expect("no panic");
        assert!(matches!(result, Err(Error::DeadlineExceeded(Deadline::Close))), "{result:?}");
        assert!((ms(280)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    });
}

/// The receiver's end is the connection's; a sender's is nothing.
#[test]
fn halves_that_are_dropped() {
    let (mut conn, mut client) = pair(&Config::default());
    conn.write("queued").unwrap();
    let (receiver, sender) = conn.split();
    client.expect(&Frame::text("queued"));
    drop(sender.clone());
    sender.send("still open").unwrap();
    client.expect(&Frame::text("still open"));
    thread::scope(|scope| {
        scope.spawn(move || client.expect_close(1000));
        drop(receiver);
    });
    assert!(matches!(sender.send("late"), Err(Error::Closed)));
}
