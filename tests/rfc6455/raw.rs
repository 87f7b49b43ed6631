//! What lies below the connection: Pongs that are heard of, and the bare stream.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use barews::{Accept, CloseCode, Config, Error, Message, Request, Response, Server};

use crate::common::{
    CONT, Frame, PONG, RawClient, TEXT, TestServer, frame, handshake, ms, pair, r0,
};

/// §5.5.3: a Pong is told of, between messages and inside one, and is no message itself.
#[test]
fn pongs_are_told_of() {
    let (mut conn, mut client) = pair(&Config::default());
    let (note, pongs) = channel();
    conn.on_pong(move |payload| note.send(payload.to_vec()).unwrap());
    conn.ping(b"asked").unwrap();
    assert_eq!(client.read_frame().unwrap().payload, b"asked");
    let sent = [
        frame(PONG, "asked"),
        frame(TEXT & 0x7f, "a"),
        frame(PONG, ""),
        frame(CONT, "b"),
        frame(PONG, "not asked"),
        frame(TEXT, "c"),
    ];
    client.send(sent.concat());
    let mut buf = Vec::new();
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("ab")));
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("c")));
    let heard: Vec<_> = pongs.try_iter().collect();
    assert_eq!(heard, [&b"asked"[..], b"", b"not asked"]);
}

/// A stream taken out of its connection: queued messages go first, what was read ahead is handed
/// on, and no frame of ours follows, though the handler returns `Ok`.
#[test]
fn a_stream_without_its_connection() {
    let server = TestServer::with_handler(
        |server| server,
        |mut conn| {
            let mut buf = Vec::new();
            let message = conn.recv(&mut buf)?.expect("a message");
            conn.write(message)?;
            let mut raw = conn.into_stream()?;
            let mut ahead = [0; 7];
            raw.read_exact(&mut ahead)?;
            raw.write_all(&ahead)?;
            raw.read_exact(&mut ahead[..1])?;
            raw.write_all(&ahead[..1])?;
            raw.shutdown(Shutdown::Write);
            assert_eq!(raw.read(&mut ahead)?, 0);
            Ok(())
        },
    );
    let mut client = server.open();
    client.send([&frame(TEXT, "a")[..], b"no fram"].concat());
    client.expect(&Frame::text("a"));
    client.send("e");
    assert_eq!(client.read_rest(), b"no frame");
}

/// A server that shuts down cuts a bare stream when its grace is over, and says nothing on it.
#[test]
fn a_bare_stream_ends_with_its_server() {
    let (note, began) = channel();
    let mut server = TestServer::with_handler(
        |server| server,
        move |conn| {
            let mut raw = conn.into_stream()?;
            note.send(()).unwrap();
            // Until the server cuts it.
            assert_eq!(raw.read(&mut [0; 9])?, 0);
            Ok(())
        },
    );
    let mut client = server.open();
    began.recv().unwrap();
    server.stop(ms(200));
    client.expect_eof();
}

/// What was taken out of a handler that has ended is not the server's any more, whoever else outlives its grace.
#[test]
fn a_shutdown_leaves_the_bare_stream_of_a_handler_that_has_ended() {
    let (note, taken) = channel();
    let is_first = AtomicBool::new(true);
    let mut server = TestServer::with_handler(
        |server| server,
        move |conn| {
            let mut raw = conn.into_stream()?;
            if is_first.swap(false, Ordering::Relaxed) {
                note.send(Some(raw)).unwrap();
                return Ok(());
            }
            note.send(None).unwrap();
            assert_eq!(raw.read(&mut [0; 9])?, 0);
            Ok(())
        },
    );
    let mut client = server.open();
    let mut raw = taken.recv().unwrap().expect("the first");
    server.settle();
    let mut other = server.open();
    assert!(taken.recv().unwrap().is_none());
    server.stop(ms(200));
    other.expect_eof();
    client.send("x");
    let mut byte = [0];
    raw.read_exact(&mut byte).unwrap();
    raw.write_all(&byte).unwrap();
    drop(raw);
    assert_eq!(client.read_rest(), b"x");
}

/// Until then it is the handler's own: not a Close for it, and no deadline of the closing handshake.
#[test]
fn a_shutdown_leaves_a_bare_stream_its_grace() {
    let (note, began) = channel();
    let is_first = AtomicBool::new(true);
    let mut config = Config::default();
    config.timeouts.close = ms(100);
    let mut server = TestServer::with_handler(
        |server| server.config(config),
        move |mut conn| {
            if !is_first.swap(false, Ordering::Relaxed) {
                conn.recv(&mut Vec::new())?;
                return Ok(());
            }
            let mut raw = conn.into_stream()?;
            note.send(()).unwrap();
            let mut byte = [0];
            while raw.read(&mut byte)? > 0 {
                raw.write_all(&byte)?;
            }
            Ok(())
        },
    );
    let mut client = server.open();
    began.recv().unwrap();
    let mut other = server.open();
    thread::scope(|scope| {
        scope.spawn(|| server.stop(ms(10_000)));
        other.expect_close(1001);
        let later = Instant::now() + ms(400);
        while Instant::now() < later {
            client.send("x");
            assert_eq!(client.read_bytes(1), b"x");
        }
        client.send_eof();
        client.expect_eof();
    });
}

/// A read ends when its time is over, or finds what has come.
#[test]
fn a_bare_stream_waits_no_longer_than_it_is_told() {
    let (conn, mut client) = pair(&Config::default());
    let mut raw = conn.into_stream().unwrap();
    let mut bytes = [0; 9];
    for wait in [0, 30] {
        raw.set_read_timeout(Some(ms(wait)));
        assert_eq!(raw.read(&mut bytes).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    raw.set_read_timeout(None);
    client.send("come");
    assert_eq!(raw.read(&mut bytes[..1]).unwrap(), 1);
    raw.set_read_timeout(Some(ms(0)));
    raw.read_exact(&mut bytes[1..4]).unwrap();
    assert_eq!(&bytes[..4], b"come");
}

/// §5.5.1: whoever speaks on has to know that nothing may follow.
#[test]
fn a_bare_stream_knows_of_a_close_that_went_out() {
    let (conn, mut client) = pair(&Config::default());
    assert!(!conn.into_stream().unwrap().close_sent());
    client.expect_eof();
    let (mut conn, mut client) = pair(&Config::default());
    conn.sender().close(CloseCode::GOING_AWAY, "").unwrap();
    assert!(conn.into_stream().unwrap().close_sent());
    client.expect(&Frame::close(1001, ""));
    client.expect_eof();
}

/// Has the handler answer each request.
fn hijacked(server: Server) -> Server {
    server.on_upgrade(|_: &Request| {
        Ok::<_, Response>(Accept::new().subprotocol("x").attach(7u8).hijack())
    })
}

/// A request with bytes behind it, for a server that answers by hand.
fn ask(server: &TestServer) -> RawClient {
    let mut client = server.connect();
    client.send([&r0().bytes()[..], b"ahead"].concat());
    client
}

/// Nothing can be sent or received beside what a handler says on the bare stream, which has what came
/// behind the request.
#[test]
fn a_handler_answers_the_request() {
    let server = TestServer::with_handler(hijacked, |mut conn| {
        assert_eq!(conn.attached(), Some(&7u8));
        assert!(matches!(conn.send("a message"), Err(Error::Closed)));
        assert!(matches!(conn.ping(b""), Err(Error::Closed)));
        assert!(matches!(conn.recv(&mut Vec::new()), Err(Error::Closed)));
        let mut raw = conn.into_stream()?;
        let mut ahead = [0; 5];
        raw.read_exact(&mut ahead)?;
        raw.write_all(b"HTTP/1.1 299 ")?;
        raw.write_all(&ahead)?;
        Ok(())
    });
    let mut client = ask(&server);
    assert_eq!(client.read_rest(), b"HTTP/1.1 299 ahead");
}

/// A handler that says nothing ends the stream with nothing, whatever its result.
#[test]
fn a_handler_that_answers_nothing() {
    let fails = AtomicBool::new(false);
    let server = TestServer::with_handler(hijacked, move |_| {
        if fails.fetch_xor(true, Ordering::Relaxed) { Err("no".into()) } else { Ok(()) }
    });
    for _ in 0..2 {
        let mut client = server.connect();
        client.send(r0().bytes());
        assert_eq!(client.read_rest(), b"");
    }
}

/// A server that shuts down leaves it the grace, and says nothing in its place.
#[test]
fn a_shutdown_leaves_an_answer_its_grace() {
    let (note, began) = channel();
    let mut server = TestServer::with_handler(hijacked, move |conn| {
        note.send(()).unwrap();
        let mut raw = conn.into_stream()?;
        raw.read_exact(&mut [0; 5])?;
        // Until the server cuts it.
        assert_eq!(raw.read(&mut [0; 9])?, 0);
        Ok(())
    });
    let mut client = ask(&server);
    began.recv().unwrap();
    server.stop(ms(200));
    assert_eq!(client.read_rest(), b"");
}

/// The same for those who accept by themselves.
#[test]
fn a_request_is_answered_by_hand() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        let mut client = RawClient::connect_tls(addr);
        client.send([&r0().bytes()[..], b"ahead"].concat());
        client
    });
    let upgrade = handshake(listener.accept().unwrap().0, &Config::default());
    let mut raw = upgrade.into_stream();
    let mut ahead = [0; 5];
    raw.read_exact(&mut ahead).unwrap();
    raw.write_all(&ahead).unwrap();
    raw.shutdown(Shutdown::Write);
    assert_eq!(client.join().unwrap().read_rest(), b"ahead");
}
