//! How long a peer may take, each deadline shortened. None may pass before its time, and all must
//! pass soon after it: a loaded machine may be late, but not by seconds.

use std::ops::Range;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use barews::{Deadline, Error};

use crate::common::{
    BINARY, Frame, PATIENCE, PING, PONG, PROMPT, RawClient, TEXT, TestServer, Unopened, awake,
    close, frame, head, hex, ms, r0, with_timeouts,
};

const POLICY_VIOLATION: u16 = 1008;

/// The deadline of all tests here, and when it may pass.
const DEADLINE: Duration = ms(300);
const IN_TIME: Range<Duration> = ms(280)..ms(3000);

/// Sends the pieces one by one, 20 ms apart, until the server answers or there are no more.
fn trickle(client: &mut RawClient, pieces: impl IntoIterator<Item = Vec<u8>>) {
    for piece in pieces {
        if client.try_send(piece).is_err() || client.heard_within(ms(20)) {
            return;
        }
    }
    panic!("the server waited for all of it");
}

/// How a connection ended for the API.
fn expired(server: &TestServer, client: RawClient) -> Deadline {
    let peer = client.addr;
    drop(client);
    match server.ended(peer).result {
        Err(Error::DeadlineExceeded(wait)) => wait,
        result => panic!("{result:?}"),
    }
}

/// A head that comes too slowly is answered with 408, whatever it is.
fn slow_head(pieces: impl IntoIterator<Item = Vec<u8>>) {
    let server = TestServer::echo(with_timeouts(|timeouts| {
        timeouts.handshake = DEADLINE;
        timeouts.close = DEADLINE;
    }));
    let start = Instant::now();
    let mut client = server.connect();
    trickle(&mut client, pieces);
    client.expect_refusal(408);
    let spent = start.elapsed();
    assert!(spent >= IN_TIME.start && awake(start) < DEADLINE + ms(1000), "{spent:?}");
    assert_eq!(server.unopened(client.addr), Unopened::TimedOut);
}

#[test]
fn h49_a_head_byte_by_byte() {
    slow_head(r0().add("X: a").bytes().chunks(1).map(<[u8]>::to_vec));
}

#[test]
fn h50_endless_headers() {
    let headers = (0..).map(|n| format!("X{n}: {}\r\n", "x".repeat(80)).into_bytes());
    slow_head([b"GET / HTTP/1.1\r\n".to_vec()].into_iter().chain(headers).take(1000));
}

#[test]
fn silence_before_the_head() {
    slow_head(vec![vec![]; 1000]);
}

/// The keepalive: a Ping half-way, and the end when not even that is answered.
#[test]
fn w53_silence() {
    let server = TestServer::echo(with_timeouts(|timeouts| {
        timeouts.ping_interval = DEADLINE / 2;
        timeouts.idle_timeout = DEADLINE;
    }));
    // Between messages, and wherever a client may stop.
    for sent in [
        vec![],
        hex("81"),
        hex("82 fe"),
        hex("82 ff 00000000"),
        hex("81 85 37fa213d 7f9f"),
        head(BINARY, 1 << 20),
        frame(0x01, "part"),
        hex("89 85 37fa213d 7f"),
    ] {
        // Before what the silence follows, and with nothing in between that may be late: that is this side's.
        let start = Instant::now();
        let mut client = server.connect();
        client.send([&r0().bytes()[..], &sent].concat());
        client.expect_upgrade();
        client.expect(&Frame::new(PING, ""));
        let pinged = start.elapsed();
        client.expect_close(POLICY_VIOLATION);
        let spent = start.elapsed();
        assert!(pinged >= DEADLINE / 2 - ms(20), "{sent:?} {pinged:?}");
        assert!(IN_TIME.contains(&spent), "{sent:?} {spent:?}");
        assert_eq!(expired(&server, client), Deadline::Idle);
    }
}

/// Any sign of life will do, and the connection stays open for as long as there is one.
#[test]
fn a_client_that_answers_pings_stays() {
    let idle = ms(3000);
    let server = TestServer::echo(with_timeouts(|timeouts| {
        timeouts.ping_interval = ms(50);
        timeouts.idle_timeout = idle;
    }));
    let mut client = server.open();
    let start = Instant::now();
    let message = [frame(0x01, "a"), frame(0x80, "b")].concat();
    let mut pings = 0;
    while start.elapsed() < idle * 3 / 2 {
        client.expect(&Frame::new(PING, ""));
        // A byte of a frame is as good as a Pong.
        match message.get(pings) {
            Some(byte) => client.send([*byte]),
            None => client.send(frame(PONG, "")),
        }
        pings += 1;
        if pings == message.len() {
            expect_behind_pings(&mut client, &Frame::text("ab"));
        }
    }
    assert!(pings > message.len(), "{pings} pings");
    client.send([frame(TEXT, "still here"), close(1000, "")].concat());
    expect_behind_pings(&mut client, &Frame::text("still here"));
    client.expect_close(1000);
}

/// However long a client may be silent, a Ping comes as soon as it has been for the interval, again and again.
#[test]
fn each_ping_comes_in_its_time() {
    let server = TestServer::echo(with_timeouts(|timeouts| {
        timeouts.ping_interval = ms(50);
        timeouts.idle_timeout = Duration::from_secs(60);
    }));
    let mut client = server.open();
    for _ in 0..5 {
        let start = Instant::now();
        client.expect(&Frame::new(PING, ""));
        assert!(awake(start) < PROMPT, "{:?}", start.elapsed());
        client.send(frame(PONG, ""));
    }
    client.send(close(1000, ""));
    expect_behind_pings(&mut client, &Frame::close(1000, ""));
}

/// Reads this frame, and answers the Pings before it: one is due as soon as this side is late.
fn expect_behind_pings(client: &mut RawClient, wanted: &Frame) {
    let mut next = client.read_frame();
    while next == Some(Frame::new(PING, "")) {
        client.send(frame(PONG, ""));
        next = client.read_frame();
    }
    assert_eq!(next.as_ref(), Some(wanted));
}

/// A Ping from the client is a sign of life, and is no reason to send one.
#[test]
fn a_client_that_talks_is_not_pinged() {
    let server = TestServer::echo(with_timeouts(|timeouts| {
        timeouts.ping_interval = ms(5000);
        timeouts.idle_timeout = ms(10_000);
    }));
    let mut client = server.open();
    for _ in 0..10 {
        client.send(frame(PING, "x"));
        client.expect(&Frame::pong("x"));
        assert!(!client.heard_within(ms(20)));
    }
    client.finish();
}

/// A message has a deadline of its own, which no trickle defeats: neither fragments, nor bytes of
/// one frame, nor control frames in between, nor those of a header.
#[test]
fn a_message_that_comes_too_slowly() {
    let server = TestServer::echo(with_timeouts(|timeouts| timeouts.message = DEADLINE));
    let fragments = || {
        let more = std::iter::repeat_with(|| frame(0x00, "x"));
        std::iter::once(frame(0x01, "x")).chain(more)
    };
    let bytes = || {
        let more = std::iter::repeat_with(|| vec![b'x']);
        std::iter::once(head(BINARY, 1 << 20)).chain(more)
    };
    let pongs = || {
        let more = std::iter::repeat_with(|| frame(PONG, "x"));
        std::iter::once(frame(0x01, "x")).chain(more)
    };
    // A Ping whose 125 bytes come one by one: no message, but unfinished all the same.
    let ping = || head(PING, 125).into_iter().chain(vec![0; 125]).map(|byte| vec![byte]);
    let start = |pieces: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut client = server.open();
        let start = Instant::now();
        trickle(&mut client, pieces.take(1000));
        client.expect_close(POLICY_VIOLATION);
        let spent = start.elapsed();
        assert!(IN_TIME.contains(&spent), "{spent:?}");
        assert_eq!(expired(&server, client), Deadline::Message);
    };
    start(&mut fragments());
    start(&mut bytes());
    start(&mut pongs());
    start(&mut ping());
}

/// Each message has all of the time, and so has each control frame.
#[test]
fn many_messages_in_more_than_the_deadline_of_one() {
    let server = TestServer::echo(with_timeouts(|timeouts| timeouts.message = ms(3000)));
    let ping = frame(PING, "ab");
    let text = [frame(0x01, "a"), frame(0x80, "b")];
    let halves = [
        (&text[0][..], &text[1][..], Frame::text("ab")),
        (&ping[..3], &ping[3..], Frame::pong("ab")),
    ];
    for (first, second, answer) in halves {
        let mut client = server.open();
        let start = Instant::now();
        while start.elapsed() < ms(3400) {
            client.send(first);
            assert!(!client.heard_within(ms(60)));
            client.send(second);
            client.expect(&answer);
        }
        client.finish();
    }
}

/// 1 s is granted for each 64 KiB that has come: a link that is slow but honest gets through.
#[test]
fn a_long_message_has_more_time() {
    let server = TestServer::echo(with_timeouts(|timeouts| timeouts.message = ms(100)));
    let mut client = server.open();
    client.send([head(BINARY, (256 << 10) + 1), vec![0; 256 << 10]].concat());
    assert!(!client.heard_within(ms(400)), "four seconds are granted");
    client.send([0]);
    client.expect(&Frame::binary(vec![0; (256 << 10) + 1]));
    client.finish();
}

/// A peer that never reads: of Pongs, or of echoes.
#[test]
fn w58_pings_from_a_peer_that_never_reads() {
    let server = TestServer::echo(with_timeouts(|timeouts| timeouts.write = DEADLINE));
    for bytes in [frame(PING, "p".repeat(125)), frame(TEXT, "x".repeat(1000))] {
        let mut client = server.open();
        let batch = bytes.repeat(100_000 / bytes.len());
        client.flood(&batch, 1_000_000 * bytes.len() as u64, PATIENCE);
        assert_eq!(expired(&server, client), Deadline::Write);
    }
}

/// The same for a sender on its own: its deadline ends the whole connection.
#[test]
fn edge_n_a_sender_whose_peer_never_reads() {
    let (sender, results) = channel();
    let server = TestServer::with_handler(
        |server| server.config(with_timeouts(|timeouts| timeouts.write = DEADLINE)),
        move |conn| {
            let (mut receiver, sending) = conn.split();
            let results = sender.clone();
            let thread = std::thread::spawn(move || {
                let mut calls = 0;
                loop {
                    calls += 1;
                    let start = Instant::now();
                    // Less than 64 KiB, for which nothing is added to the deadline.
                    if let Err(error) = sending.send(&[0; 60_000]) {
                        let spent = start.elapsed();
                        let later = sending.send("late");
                        results.send((error, spent, later)).expect("the test waits");
                        return calls;
                    }
                }
            });
            let end = receiver.recv(&mut Vec::new()).map(drop);
            // Not that the stream has ended, which is our own doing.
            assert!(matches!(end, Err(Error::DeadlineExceeded(Deadline::Write))), "{end:?}");
            assert!(thread.join().expect("no panic") > 1);
            Ok(())
        },
    );
    let client = server.open();
    let (error, spent, later) = results.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(error, Error::DeadlineExceeded(Deadline::Write)), "{error:?}");
    assert!(IN_TIME.contains(&spent), "{spent:?}");
    assert!(matches!(later, Err(Error::Closed)), "{later:?}");
    drop(client);
}

/// A peer that does not read while a sender has much to say, and then ends the stream, breaks a
/// rule or wants to close: the sender is not waited for, and learns of it soon.
fn ends_a_blocked_sender(act: impl Fn(&mut RawClient)) -> Result<(), Error> {
    let (sender, results) = channel();
    let server = TestServer::with_handler(
        |server| server.config(with_timeouts(|timeouts| timeouts.close = DEADLINE)),
        move |conn| {
            let (mut receiver, sending) = conn.split();
            // More than any socket takes, with minutes to take it in.
            let thread = std::thread::spawn(move || sending.send(&vec![0; 64 << 20]));
            let received = receiver.recv(&mut Vec::new()).map(drop);
            sender.send((received, thread.join().expect("no panic"))).expect("the test waits");
            Ok(())
        },
    );
    let mut client = server.open();
    assert!(client.heard_within(PATIENCE), "the sender has begun");
    let start = Instant::now();
    act(&mut client);
    let (received, sent) = results.recv_timeout(PATIENCE).expect("both have ended");
    assert!(awake(start) < ms(3000), "{:?}", start.elapsed());
    assert!(matches!(sent, Err(Error::Io(_) | Error::Closed)), "{sent:?}");
    received
}

#[test]
fn w52_end_of_stream_while_a_sender_is_blocked() {
    let received = ends_a_blocked_sender(RawClient::send_eof);
    assert!(matches!(received, Err(Error::Io(_))), "{received:?}");
}

#[test]
fn w62_a_bad_frame_while_a_sender_is_blocked() {
    let received = ends_a_blocked_sender(|client| client.send(hex("83 80 m")));
    assert!(matches!(received, Err(Error::Protocol(_))), "{received:?}");
}

#[test]
fn a_close_while_a_sender_is_blocked() {
    let received = ends_a_blocked_sender(|client| client.send(close(1000, "")));
    assert!(matches!(received, Ok(())), "{received:?}");
}

/// A client that sends on after its mistake, and gives up at its first write that fails, has all of
/// it thrown away, and gets to read our Close.
#[test]
fn w62_a_bad_frame_and_then_a_gibibyte() {
    // More than the systems hold, in any time; and more than anybody sends in a second.
    for (most, close) in [(64 << 20, PATIENCE), (u64::MAX, ms(1000))] {
        let server = TestServer::echo(with_timeouts(|timeouts| timeouts.close = close));
        let mut client = server.open();
        let start = Instant::now();
        client.send(hex("83 80 m"));
        let sent = client.flood(&[0xff; 64 << 10], most, PATIENCE);
        let is_endless = most == u64::MAX;
        assert!(sent >= most || is_endless, "{sent} bytes were taken");
        let frame = client.read_frame().expect("a Close");
        assert_eq!(frame.close_parts().0, 1002);
        let peer = client.addr;
        drop(client);
        let result = server.ended(peer).result;
        assert!(matches!(result, Err(Error::Protocol(_))), "{result:?}");
        assert!(awake(start) < close + ms(2000) || !is_endless, "{:?}", start.elapsed());
    }
}
