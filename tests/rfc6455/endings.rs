//! §7.1.1 and §7.1.7 as a peer sees them who is busy, slow or late, and as the two halves of a
//! connection see them that are in different hands. Names begin with `edge` and the letter of what
//! was once found wrong.

use std::io::{self, IoSlice, Write};
use std::net::Shutdown;
use std::sync::mpsc::{channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use barews::{
    Accept, CloseCode, Config, Connection, Deadline, Error, Limits, MessageType, Receiver, Sender,
    ShutdownHandle, Transport, Upgrade,
};

use crate::common::{
    BINARY, Frame, PATIENCE, PONG, RawClient, TEXT, TestServer, close, frame, head, hex, ms, pair,
    r0, with_limits, with_timeouts,
};

/// More than sockets hold.
const MUCH: usize = 9 << 20;

/// What a client does that sends on without a look, and gives up at its first write that fails.
fn sends_without_a_look(client: &mut RawClient, first: &[u8], junk: usize) {
    client.send(first);
    for _ in 0..junk / (64 << 10) {
        client.try_send(vec![0xff; 64 << 10]).expect("no write fails before the Close is read");
    }
}

#[test]
fn edge_ae_who_is_still_sending_learns_why() {
    let limits = |limits: &mut Limits| {
        limits.max_fragments = 2;
        limits.max_buffered_bytes = 1 << 20;
        limits.max_message_size = 8 << 20;
    };
    let server = TestServer::echo(with_limits(limits));
    for (code, first) in [
        (1002, hex("83 80 m")),
        (1007, frame(TEXT, b"\xff")),
        (1008, [frame(0x02, "a"), frame(0x00, "b"), frame(0x00, "c")].concat()),
        (1009, head(BINARY, (8 << 20) + 1)),
        (1013, head(BINARY, 8 << 20)),
    ] {
        let mut client = server.open();
        sends_without_a_look(&mut client, &first, MUCH);
        let last = client.read_frame().expect("a Close, not just the end of the stream");
        assert_eq!(last.close_parts().0, code);
        client.expect_eof();
    }
}

#[test]
fn edge_ae_who_is_still_sending_learns_how_the_handler_ended() {
    let server = TestServer::with_handler(
        |server| server,
        |mut conn: Connection| {
            match conn.request().path() {
                "/error" => return Err("the handler's own".into()),
                "/panic" => panic!("on purpose"),
                "/close" => conn.close(CloseCode(4000), "enough")?,
                _ => {}
            }
            Ok(())
        },
    );
    let message = frame(BINARY, vec![7; 64 << 10]);
    for (path, code) in [("/", 1000), ("/close", 4000), ("/error", 1011), ("/panic", 1011)] {
        let mut client = server.connect();
        client.send(r0().target(path).bytes());
        client.expect_upgrade();
        for _ in 0..MUCH / message.len() {
            client.try_send(&message).expect("no write fails before the Close is read");
        }
        let last = client.read_frame().expect("a Close, not just the end of the stream");
        assert_eq!(last.close_parts().0, code, "{path}");
        client.send(close(code, ""));
        client.expect_eof();
    }
}

#[test]
fn edge_ae_a_refused_request_with_a_body_is_read_to_its_end() {
    let server = TestServer::start();
    for (request, status) in [
        (r0().add(format!("Content-Length: {MUCH}")), 400),
        (r0().without("Sec-WebSocket-Version"), 426),
        (r0().without("Upgrade").without("Connection").without("Sec-WebSocket-Version"), 426),
    ] {
        let mut client = server.connect();
        sends_without_a_look(&mut client, &request.bytes(), MUCH);
        assert_eq!(client.read_response().status, status);
        client.expect_eof();
    }
}

/// A callback that takes its time stops no deadline: not that of a message under way, nor that of
/// our Close.
#[test]
fn edge_c_callbacks_do_not_stop_a_deadline() {
    let server = TestServer::with_handler(
        |server| {
            server.config(with_timeouts(|timeouts| {
                timeouts.message = ms(300);
                timeouts.close = ms(300);
            }))
        },
        |mut conn: Connection| {
            conn.on_pong(|_| thread::sleep(ms(20)));
            if conn.request().path() == "/close" {
                let (mut receiver, sender) = conn.split();
                sender.close(CloseCode::NORMAL, "")?;
                receiver.recv(&mut Vec::new())?;
            } else {
                conn.recv(&mut Vec::new())?;
            }
            Ok(())
        },
    );
    for (path, first, code) in [("/", frame(0x01, "part"), 1008), ("/close", vec![], 1000)] {
        let mut client = server.connect();
        client.send(r0().target(path).bytes());
        client.expect_upgrade();
        let start = Instant::now();
        // 40 s of callbacks.
        client.send([first, frame(PONG, "").repeat(2000)].concat());
        let last = client.read_frame().expect("a Close");
        assert_eq!(last.close_parts().0, code);
        // Cut with something unread, it may be a reset.
        let _ = client.read_rest();
        let spent = start.elapsed();
        assert!((ms(280)..ms(3000)).contains(&spent), "{path}: {spent:?}");
    }
}

/// Messages that came before the peer's answer to our Close are received, however long the handler
/// takes for each, and the peer is not blamed for that.
fn close_while_busy(close_it: impl FnOnce(&ShutdownHandle, &Sender) + Send) {
    const MESSAGES: usize = 6;
    let (started, starts) = channel();
    let (go, gate) = sync_channel::<()>(0);
    let gate = std::sync::Mutex::new(gate);
    let (done, results) = channel();
    let config = with_timeouts(|timeouts| timeouts.close = ms(100));
    let server = TestServer::with_handler(
        |server| server.config(config),
        move |conn: Connection| {
            let (mut receiver, sender) = conn.split();
            started.send(sender)?;
            gate.lock().expect("no panic").recv()?;
            let mut count = 0;
            let result = loop {
                match receiver.recv(&mut Vec::new()) {
                    Ok(Some(_)) => count += 1,
                    end => break end.map(drop),
                }
                // Longer than the close deadline.
                thread::sleep(ms(150));
            };
            done.send((count, result))?;
            Ok(())
        },
    );
    let mut client = server.open();
    let sender = starts.recv_timeout(PATIENCE).expect("the handler runs");
    for number in 0..MESSAGES {
        // More than one read brings all of.
        client.send(frame(TEXT, number.to_string().repeat(1000)));
    }
    thread::scope(|scope| {
        let handle = &server.handle;
        scope.spawn(|| close_it(handle, &sender));
        let code = client.read_frame().expect("our Close").close_parts().0;
        client.send(close(code, ""));
        go.send(()).expect("the handler waits");
        let (count, result) = results.recv_timeout(PATIENCE).expect("the handler ends");
        assert_eq!(count, MESSAGES, "{result:?}");
        assert!(matches!(result, Ok(())), "{result:?}");
        client.expect_eof();
    });
}

#[test]
fn edge_e_a_shutdown_while_the_handler_is_busy() {
    close_while_busy(|server, _| server.shutdown(PATIENCE));
}

#[test]
fn edge_e_a_close_while_the_handler_is_busy() {
    close_while_busy(|_, sender| sender.close(CloseCode::NORMAL, "").expect("a good code"));
}

/// A peer that answers our Close with a flood and no Close is not listened to for ever, whatever
/// the handler does meanwhile.
#[test]
fn edge_e_a_flood_is_no_answer() {
    let (done, results) = channel();
    let server = TestServer::with_handler(
        |server| server.config(with_timeouts(|timeouts| timeouts.close = ms(300))),
        move |conn: Connection| {
            let (mut receiver, sender) = conn.split();
            sender.close(CloseCode::NORMAL, "")?;
            let mut buf = Vec::new();
            let result = loop {
                match receiver.recv(&mut buf) {
                    Ok(Some(_)) => {}
                    end => break end.map(drop),
                }
            };
            done.send(result)?;
            Ok(())
        },
    );
    let mut client = server.open();
    client.expect(&Frame::close(1000, ""));
    let start = Instant::now();
    client.flood(&frame(BINARY, [0; 1000]).repeat(50), u64::MAX, PATIENCE);
    let result = results.recv_timeout(PATIENCE).expect("the handler ends");
    assert!(matches!(result, Err(Error::DeadlineExceeded(Deadline::Close))), "{result:?}");
    assert!(start.elapsed() < ms(5000), "{:?}", start.elapsed());
}

/// A server whose handler returns at once and leaves the receiving half to somebody else.
fn moved_receivers(config: Config) -> (TestServer, std::sync::mpsc::Receiver<Receiver>) {
    let (give, receivers) = channel();
    let server = TestServer::with_handler(
        |server| server.config(config),
        move |conn: Connection| {
            give.send(conn.split().0).expect("the test waits");
            Ok(())
        },
    );
    (server, receivers)
}

/// Only one reads the stream at a time: the end of a handler takes no byte from a receiving half
/// that has moved on, and a good peer stays a good peer.
#[test]
fn edge_f_a_receiver_outlives_its_handler() {
    let (server, receivers) = moved_receivers(Config::default());
    for _ in 0..20 {
        let mut client = server.open();
        let mut receiver = receivers.recv_timeout(PATIENCE).expect("it is moved");
        let receiving = thread::spawn(move || {
            let (mut buf, mut lens) = (Vec::new(), Vec::new());
            loop {
                match receiver.recv(&mut buf) {
                    Ok(Some(message)) => lens.push(message.len()),
                    end => return (lens, end.map(drop), receiver.close_frame().cloned()),
                }
            }
        });
        client.expect(&Frame::close(1000, ""));
        for len in [1, 1000, 100_000] {
            client.send(frame(BINARY, vec![0; len]));
        }
        client.send(close(4000, "theirs"));
        client.expect_eof();
        let (lens, result, frame) = receiving.join().expect("no panic");
        assert!(matches!(result, Ok(())), "{result:?}");
        assert_eq!(lens, [1, 1000, 100_000]);
        assert_eq!(frame.expect("their Close").code, CloseCode(4000));
    }
}

/// And the true cause, where the peer does not answer: not that the stream has ended, which is our
/// own doing.
#[test]
fn edge_n_a_receiver_outlives_its_handler_and_its_peer_says_nothing() {
    let (server, receivers) = moved_receivers(with_timeouts(|timeouts| timeouts.close = ms(300)));
    let mut client = server.open();
    let mut receiver = receivers.recv_timeout(PATIENCE).expect("it is moved");
    let start = Instant::now();
    let result = receiver.recv(&mut Vec::new()).map(drop);
    assert!(matches!(result, Err(Error::DeadlineExceeded(Deadline::Close))), "{result:?}");
    assert!((ms(200)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(matches!(receiver.recv(&mut Vec::new()), Err(Error::Closed)), "told once");
    client.expect(&Frame::close(1000, ""));
    client.expect_eof();
}

/// A server cuts a reader that has slept since before our Close, at the close deadline.
#[test]
fn edge_q_a_close_that_is_not_answered_wakes_the_reader() {
    let (give, halves) = channel();
    let server = TestServer::with_handler(
        |server| server.config(with_timeouts(|timeouts| timeouts.close = ms(300))),
        move |conn: Connection| {
            let (mut receiver, sender) = conn.split();
            let (done, result) = channel();
            give.send((sender, result)).expect("the test waits");
            done.send(receiver.recv(&mut Vec::new()).map(drop))?;
            Ok(())
        },
    );
    let mut client = server.open();
    let (sender, result) = halves.recv_timeout(PATIENCE).expect("the handler runs");
    // By then it waits, most likely; that it may not yet is no harm.
    assert!(!client.heard_within(ms(50)));
    let start = Instant::now();
    sender.close(CloseCode::NORMAL, "").expect("a good code");
    client.expect(&Frame::close(1000, ""));
    let result = result.recv_timeout(PATIENCE).expect("it is woken");
    assert!(matches!(result, Err(Error::DeadlineExceeded(Deadline::Close))), "{result:?}");
    assert!((ms(280)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    client.expect_eof();
}

/// Descriptors count against the cap while they are open, whoever keeps them.
#[test]
fn edge_l_a_kept_sender_counts_against_the_cap() {
    const CAP: usize = 4;
    let (give, kept) = channel();
    let server = TestServer::with_handler(
        |server| server.config(with_limits(|limits| limits.max_connections = CAP)),
        move |conn: Connection| {
            give.send(conn.split().1)?;
            Ok(())
        },
    );
    let mut senders = Vec::new();
    for _ in 0..CAP {
        let mut client = server.open();
        client.expect(&Frame::close(1000, ""));
        client.send(close(1000, ""));
        client.expect_eof();
        senders.push(kept.recv_timeout(PATIENCE).expect("a sender"));
    }
    let mut client = server.connect();
    client.send(r0().bytes());
    client.expect_turned_away();
    senders.clear();
    let mut client = server.open();
    client.expect(&Frame::close(1000, ""));
}

/// Every wait for others who send is bounded, even for oneself.
#[test]
fn edge_p_a_send_inside_a_message_of_ones_own() {
    let config = with_timeouts(|timeouts| {
        timeouts.write = ms(300);
        timeouts.close = ms(30);
    });
    let (conn, mut client) = pair(&config);
    let (mut receiver, sender) = conn.split();
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"a").expect("the client reads");
    let start = Instant::now();
    let sent = sender.send("inside");
    assert!(matches!(sent, Err(Error::DeadlineExceeded(Deadline::Write))), "{sent:?}");
    assert!((ms(280)..ms(3000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    // A second message of the same kind is no different.
    let mut second = sender.writer(MessageType::Binary);
    let error = second.write(b"b").expect_err("the first is not finished");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    drop(second);
    // Nothing is lost by that, and the first still has its turn.
    assert!(matches!(sender.send("inside"), Err(Error::DeadlineExceeded(Deadline::Write))));
    assert!(sender.writer(MessageType::Text).finish().is_err());
    assert!(matches!(sender.send("inside"), Err(Error::DeadlineExceeded(Deadline::Write))));
    writer.write_all(b"c").expect("the client reads");
    writer.finish().expect("the client reads");
    sender.send("behind").expect("the client reads");
    client.expect(&Frame::new(0x01, "a"));
    client.expect(&Frame::new(0x00, "c"));
    client.expect(&Frame::new(0x80, ""));
    client.expect(&Frame::text("behind"));
    client.send(close(1000, ""));
    assert!(matches!(receiver.recv(&mut Vec::new()), Ok(None)));
    client.expect_close(1000);
}

/// A stream that takes its time for each write.
#[cfg(unix)]
struct SlowWrites(std::os::unix::net::UnixStream);

#[cfg(unix)]
impl Transport for SlowWrites {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Transport::read(&self.0, buf)
    }
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        thread::sleep(ms(100));
        Transport::write_vectored(&self.0, bufs)
    }
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(timeout)
    }
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

/// The time of a `recv` begins with its first read: however long it takes to send what goes first,
/// what has arrived is received.
#[cfg(unix)]
#[test]
fn edge_j_a_flush_does_not_use_up_the_time_to_receive() {
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    theirs.write_all(&r0().bytes()).expect("there is room");
    let upgrade = Upgrade::handshake(SlowWrites(ours), &Config::default()).expect("a request");
    let mut conn = upgrade.accept(&Accept::new()).expect("a stream");
    conn.set_recv_timeout(Some(ms(30)));
    theirs.write_all(&[frame(TEXT, "one"), frame(TEXT, "two")].concat()).expect("there is room");
    let mut buf = Vec::new();
    for text in ["one", "two"] {
        conn.write("queued").expect("it is open");
        assert_eq!(conn.recv(&mut buf).expect("it is there"), Some(text.into()));
    }
    let start = Instant::now();
    assert!(matches!(conn.recv(&mut buf), Err(Error::RecvTimeout)));
    assert!(start.elapsed() >= ms(100 + 20), "{:?}", start.elapsed());
    drop(theirs);
}

/// A message that was begun and cannot go on ends the connection: no other may come inside it.
#[cfg(unix)]
#[test]
fn edge_p_a_fragment_that_could_not_be_sent() {
    let config = with_timeouts(|timeouts| {
        timeouts.write = ms(30);
        timeouts.close = ms(30);
    });
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    theirs.write_all(&r0().bytes()).expect("there is room");
    let upgrade = Upgrade::handshake(SlowWrites(ours), &config).expect("a request");
    let (receiver, sender) = upgrade.accept(&Accept::new()).expect("a stream").split();
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"one").expect("there is room");
    let other = sender.clone();
    let pinging = thread::spawn(move || other.ping(b""));
    // By then the other writes, most likely; if not, the fragment is sent.
    thread::sleep(ms(50));
    let _ = writer.write_all(b"two");
    drop(writer);
    assert!(matches!(sender.send("three"), Err(Error::Closed)));
    pinging.join().expect("no panic").expect("it is open");
    drop((sender, receiver));
    let mut sent = Vec::new();
    io::Read::read_to_end(&mut theirs, &mut sent).expect("the end");
    let close = Frame::close(1011, "a message was left unfinished").encode();
    assert!(sent.ends_with(&close), "{}", sent.escape_ascii());
}
