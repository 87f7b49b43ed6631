//! Senders of connections on a loop, which other threads have: what they send, and how they end.

use std::io::Write;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Instant;

use barews::{
    BoxError, CloseCode, CloseFrame, CloseInfo, Deadline, Error, EventHandler, Message,
    MessageType, Outbox, OwnedMessage, Reject, Request, Sender, Server, TrySendError, broadcast,
};

use crate::common::{
    BINARY, CONT, Frame, PATIENCE, PING, RawClient, TEXT, TestServer, awake, close, frame, hex, ms,
    r0, with_limits, with_timeouts,
};

/// More than any socket takes.
const MUCH: usize = 32 << 20;

type End = (Option<Error>, Option<CloseFrame>);

/// An echo that hands out the senders of its connections, and tells how those have ended.
struct Hands {
    senders: mpsc::Sender<Sender>,
    ends: mpsc::Sender<End>,
}

impl EventHandler for Hands {
    type State = ();

    fn open(&self, _: &Request, sender: Sender) -> Result<(), Reject> {
        self.senders.send(sender).expect("the test waits");
        Ok(())
    }

    fn message(
        &self,
        (): &mut (),
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        Ok(out.send(message)?)
    }

    fn closed(&self, (): (), how: CloseInfo) {
        // The test may have seen enough.
        let _ = self.ends.send((how.error, how.close_frame));
    }
}

struct Hand {
    server: TestServer,
    senders: Receiver<Sender>,
    ends: Receiver<End>,
}

impl Hand {
    fn serve(set_up: impl FnOnce(Server) -> Server) -> Self {
        let ((senders, handed), (ends, ended)) = (channel(), channel());
        let server = TestServer::with_event_handler(set_up, Hands { senders, ends });
        Self { server, senders: handed, ends: ended }
    }

    /// A connection, from both ends.
    fn open(&self) -> (Sender, RawClient) {
        let client = self.server.open();
        (self.senders.recv_timeout(PATIENCE).expect("a sender"), client)
    }

    fn ended(&self) -> End {
        self.ends.recv_timeout(PATIENCE).expect("an end")
    }
}

/// All ways to send from elsewhere, between echoes.
#[test]
fn all_that_can_be_sent() {
    let hand = Hand::serve(|server| server);
    let (sender, mut client) = hand.open();
    let queue = sender.queued(4 << 20).unwrap();
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20, MUCH] {
        let bytes = vec![7; len];
        thread::scope(|scope| {
            scope.spawn(|| {
                sender.send(&bytes).unwrap();
                sender.send_owned(&OwnedMessage::from(bytes.clone())).unwrap();
                sender.send_all([&bytes, &bytes]).unwrap();
                sender.send_sized(MessageType::Binary, len as u64, &bytes[..]).unwrap();
                sender.ping(b"ping").unwrap();
                if len <= 1 << 20 {
                    queue.try_send(&OwnedMessage::from(bytes.clone())).unwrap();
                    assert!(queue.flush(PATIENCE).unwrap());
                }
            });
            for _ in 0..5 {
                client.expect(&Frame::binary(&bytes));
            }
            client.expect(&Frame::new(PING, "ping"));
            if len <= 1 << 20 {
                client.expect(&Frame::binary(&bytes));
            }
        });
        client.send(frame(TEXT, "echo"));
        client.expect(&Frame::text("echo"));
    }
    client.finish();
    assert!(matches!(sender.send("late"), Err(Error::Closed)) && sender.is_closed());
    assert!(matches!(queue.try_send(&"late".into()), Err(TrySendError::Closed)));
}

/// A message in fragments lets control frames pass, and holds the loop's own messages back without
/// holding up anybody else's.
#[test]
fn a_message_in_fragments() {
    let hand = Hand::serve(|server| server);
    let ((sender, mut client), (_other, mut beside)) = (hand.open(), hand.open());
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"a").unwrap();
    client.expect(&Frame::new(0x01, "a"));
    client.send([frame(PING, "p"), frame(TEXT, "echo")].concat());
    client.expect(&Frame::pong("p"));
    assert!(!client.heard_within(ms(100)));
    beside.send(frame(TEXT, "beside"));
    beside.expect(&Frame::text("beside"));
    writer.write_all(b"b").unwrap();
    writer.finish().unwrap();
    client.expect(&Frame::new(0x00, "b"));
    client.expect(&Frame::new(CONT, ""));
    client.expect(&Frame::text("echo"));
    client.finish();
}

/// One that is never finished costs its own connection, at the write deadline.
#[test]
fn a_message_that_is_never_finished() {
    let config = with_timeouts(|timeouts| timeouts.write = ms(300));
    let hand = Hand::serve(|server| server.config(config));
    let (sender, mut client) = hand.open();
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"a").unwrap();
    client.send(frame(TEXT, "echo"));
    let start = Instant::now();
    let (error, _) = hand.ended();
    assert!(matches!(error, Some(Error::DeadlineExceeded(Deadline::Write))), "{error:?}");
    assert!((ms(280)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// A peer that does not read, and then ends the stream, breaks a rule or wants to close: a sender that
/// is blocked is not waited for, and learns of it soon.
#[test]
fn ends_while_a_sender_is_blocked() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(300));
    let hand = Hand::serve(|server| server.config(config));
    let acts: [fn(&mut RawClient); 3] = [
        RawClient::send_eof,
        |client| client.send(hex("83 80 m")),
        |client| client.send(close(1000, "")),
    ];
    for (number, act) in acts.into_iter().enumerate() {
        let (sender, mut client) = hand.open();
        let sending = thread::spawn(move || sender.send(&vec![0; MUCH]));
        assert!(client.heard_within(PATIENCE), "the sender has begun");
        let start = Instant::now();
        act(&mut client);
        let (error, _) = hand.ended();
        match (number, error) {
            (0, Some(Error::Io(_))) | (1, Some(Error::Protocol(_))) | (2, None) => {}
            (number, error) => panic!("{number}: {error:?}"),
        }
        let sent = sending.join().expect("no panic");
        assert!(matches!(sent, Err(Error::Io(_) | Error::Closed)), "{sent:?}");
        assert!(awake(start) < ms(3000), "{:?}", start.elapsed());
    }
}

/// A sender whose peer never reads ends the connection, and both are told why.
#[test]
fn edge_n_a_sender_whose_peer_never_reads() {
    let config = with_timeouts(|timeouts| timeouts.write = ms(300));
    let hand = Hand::serve(|server| server.config(config));
    let (sender, _client) = hand.open();
    let (error, spent) = loop {
        let start = Instant::now();
        // Less than 64 KiB, for which nothing is added to the deadline.
        if let Err(error) = sender.send(&[0; 60_000]) {
            break (error, start.elapsed());
        }
    };
    assert!(matches!(error, Error::DeadlineExceeded(Deadline::Write)), "{error:?}");
    assert!((ms(280)..ms(3000)).contains(&spent), "{spent:?}");
    assert!(matches!(sender.send("late"), Err(Error::Closed)));
    let (error, _) = hand.ended();
    // Not that the stream has ended, which is our own doing.
    assert!(matches!(error, Some(Error::DeadlineExceeded(Deadline::Write))), "{error:?}");
}

/// A Pong waits for no sender that is blocked; nor do other connections of the loop.
#[test]
fn a_pong_waits_for_no_sender() {
    let hand = Hand::serve(|server| server);
    let ((sender, mut client), (_other, mut beside)) = (hand.open(), hand.open());
    let message = vec![7; MUCH];
    thread::scope(|scope| {
        scope.spawn(|| {
            sender.send(&message).unwrap();
            sender.send("behind").unwrap();
        });
        assert!(client.heard_within(PATIENCE), "the sender has begun");
        client.send([frame(PING, "1"), frame(PING, "2")].concat());
        for _ in 0..10 {
            beside.send(frame(TEXT, "beside"));
            beside.expect(&Frame::text("beside"));
        }
        client.expect(&Frame::binary(&message));
        // They may have come together.
        let mut last = client.read_frame().expect("a Pong");
        if last == Frame::pong("1") {
            last = client.read_frame().expect("another");
        }
        assert_eq!(last, Frame::pong("2"));
        client.expect(&Frame::text("behind"));
    });
    client.finish();
}

/// A Close of a sender's is answered, or ends the connection at the close deadline.
#[test]
fn edge_q_a_sender_closes() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(400));
    let hand = Hand::serve(|server| server.config(config));
    for answers in [true, false] {
        let (sender, mut client) = hand.open();
        // More has come before the answer than one read brings.
        client.send(frame(BINARY, vec![7; 1000]));
        client.expect(&Frame::binary([7; 1000]));
        let start = Instant::now();
        sender.close(CloseCode(4000), "ours").unwrap();
        assert!(matches!(sender.send("late"), Err(Error::Closed)));
        client.expect(&Frame::close(4000, "ours"));
        if answers {
            client.send(close(4001, "theirs"));
        }
        client.expect_eof();
        match (answers, hand.ended()) {
            (true, (None, Some(frame))) => assert_eq!(frame.code, CloseCode(4001)),
            (false, (Some(Error::DeadlineExceeded(Deadline::Close)), None)) => {
                assert!((ms(380)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The end of a peer that is not worth a Close: at once, though one sends to it and it does not read.
#[test]
fn a_sender_aborts() {
    let hand = Hand::serve(|server| server);
    let (sender, mut client) = hand.open();
    let blocked = {
        let sender = sender.clone();
        thread::spawn(move || sender.send(&vec![1; MUCH]))
    };
    assert_eq!(client.read_bytes(2), [0x82, 127]);
    let start = Instant::now();
    sender.abort();
    let (error, frame) = hand.ended();
    assert!(error.as_ref().is_some_and(Error::is_disconnect) && frame.is_none(), "{error:?}");
    blocked.join().expect("no panic").unwrap_err();
    assert!(awake(start) < ms(5_000) && sender.is_closed());
    assert!(client.read_rest().len() < MUCH);
}

/// Descriptors count against the cap while they are open, whoever keeps them.
#[test]
fn edge_l_a_kept_sender_counts_against_the_cap() {
    const CAP: usize = 4;
    let config = with_limits(|limits| limits.max_connections = CAP);
    let hand = Hand::serve(|server| server.config(config));
    let mut senders = Vec::new();
    for _ in 0..CAP {
        let (sender, mut client) = hand.open();
        client.finish();
        senders.push(sender);
    }
    let mut client = hand.server.connect();
    let _ = client.try_send(r0().bytes());
    client.expect_turned_away();
    senders.clear();
    let (_sender, mut client) = hand.open();
    client.finish();
}

/// One message for many, whoever of them reads late.
#[test]
fn a_broadcast() {
    let hand = Hand::serve(|server| server);
    let mut all: Vec<_> = (0..8).map(|_| hand.open()).collect();
    let queues: Vec<_> =
        all.iter().map(|(sender, _)| sender.queued(4 << 20).expect("a thread")).collect();
    let news = OwnedMessage::from(vec![7; 1 << 20]);
    for _ in 0..3 {
        assert_eq!(broadcast(&queues, &news).queued, queues.len());
    }
    for (_, client) in &mut all {
        for _ in 0..3 {
            client.expect(&Frame::binary(news.as_bytes()));
        }
        client.send(frame(TEXT, "echo"));
        client.expect(&Frame::text("echo"));
    }
    let (_, first) = &mut all[0];
    for _ in 0..100 {
        broadcast(&queues[..1], &news);
    }
    assert!(matches!(queues[0].try_send(&news), Err(TrySendError::Full)));
    first.send_eof();
    drop(all);
}

/// Senders, queues, a message in fragments and echoes at once: each message is whole, each sender's own
/// are in order, and none is lost.
#[test]
fn all_at_once() {
    const MESSAGES: usize = 300;
    let hand = Hand::serve(|server| server);
    let (sender, client) = hand.open();
    let client = Mutex::new(client);
    let bytes = |id: u8, number: usize| {
        let mut bytes = vec![id; [9, 200, 20, 70_000, 17_000][number % 5]];
        bytes[1..9].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    let mut client = client.into_inner().expect("no panic");
    thread::scope(|scope| {
        for id in 0..4 {
            let sender = sender.clone();
            scope.spawn(move || {
                let queue = sender.queued(1 << 20).expect("a thread");
                for number in 0..MESSAGES {
                    let bytes = bytes(id, number);
                    match id {
                        0 => sender.send(&bytes).unwrap(),
                        1 => {
                            let mut writer = sender.writer(MessageType::Binary);
                            bytes.chunks(5000).for_each(|part| writer.write_all(part).unwrap());
                            writer.finish().unwrap();
                        }
                        2 => queue.send(&OwnedMessage::from(bytes), PATIENCE).unwrap(),
                        _ => sender.send_all([&bytes]).unwrap(),
                    }
                }
                assert!(queue.flush(PATIENCE).unwrap());
            });
        }
        let (mut next, mut echoes, mut message) = ([0; 5], 0, Vec::new());
        while next != [MESSAGES; 5] {
            // One at a time: while the server waits for room, it does not read.
            if echoes == next[4] && echoes < MESSAGES {
                client.send([frame(PING, "p"), frame(BINARY, bytes(4, echoes))].concat());
                echoes += 1;
            }
            let frame = client.read_frame().expect("a frame");
            if frame.opcode == 10 {
                continue;
            }
            message.extend_from_slice(&frame.payload);
            if frame.fin {
                let id = message[0];
                assert!(message == bytes(id, next[usize::from(id)]), "{id}: {next:?}");
                next[usize::from(id)] += 1;
                message.clear();
            }
        }
    });
    client.send(close(1000, ""));
    while client.read_frame().is_some() {}
    assert!(matches!(hand.ended(), (None, Some(_))));
}
