//! §7.4.1: a server that goes away says so to everyone, and does not go before they have heard.

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use barews::{Connection, Server};

use crate::common::{
    Frame, PATIENCE, RawClient, TEXT, TestServer, awake, close, frame, ms, r0, run, with_timeouts,
};

/// §7.4.1: 1001 to everyone, and `run` returns when all handlers have ended.
#[test]
fn f19_shutdown() {
    let mut server = TestServer::start();
    let mut idle = server.open();
    let mut half = server.open();
    for client in [&mut idle, &mut half] {
        client.send(frame(TEXT, "whole"));
        client.expect(&Frame::text("whole"));
    }
    half.send(frame(0x01, "part"));
    let mut opening = server.connect();
    opening.send(&r0().bytes()[..20]);
    let addr = server.addr;
    let clients = thread::spawn(move || {
        for client in [&mut idle, &mut half] {
            let last = client.read_frame().expect("a Close");
            assert_eq!(last.close_parts().0, 1001);
            // What the client sends before its answer is thrown away.
            client.send([frame(0x80, "late"), close(1001, "")].concat());
            client.expect_eof();
        }
        // A request that was not complete is cut; it may also have come too late to be read.
        let answer = opening.read_rest();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 503 "), "{answer:?}");
    });
    let spent = server.stop(PATIENCE);
    assert!(spent < ms(5000), "{spent:?}");
    clients.join().expect("all were told");
    let refused = TcpStream::connect(addr).and_then(|mut stream| stream.read(&mut [0; 1]));
    assert!(!matches!(refused, Ok(1..)), "nobody is served any more");
}

/// Where the listener is not only ours, nothing of ours waits in it for whoever accepts next, be
/// one connection open or none.
#[test]
fn shutdown_leaves_an_inherited_listener_as_it_was() {
    for open in [0, 1, 2] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let ours = listener.try_clone().expect("a descriptor");
        let addr = listener.local_addr().expect("an address");
        let server = Server::from_listener(ours).expect("a listener");
        let handle = server.shutdown_handle();
        let server = thread::spawn(move || {
            run(server, |mut conn| {
                conn.recv(&mut Vec::new())?;
                Ok(())
            })
        });
        let mut clients: Vec<_> = (0..open).map(|_| RawClient::open(addr)).collect();
        let told = thread::spawn(move || {
            for client in &mut clients {
                assert_eq!(client.read_frame().expect("a Close").close_parts().0, 1001);
                client.send(close(1001, ""));
                client.expect_eof();
            }
        });
        handle.shutdown(PATIENCE);
        server.join().expect("no panic").expect("no error");
        told.join().expect("all were told");
        listener.set_nonblocking(true).expect("a flag");
        let next = listener.accept().expect_err("nobody is there");
        assert_eq!(next.kind(), ErrorKind::WouldBlock, "{open} open");
    }
}

/// A client that has read its 101 is open, however short the time since: it is told like any other.
#[test]
fn shutdown_just_after_the_opening() {
    for _ in 0..20 {
        let mut server = TestServer::start();
        let mut client = server.open();
        let reader = thread::spawn(move || {
            let last = client.read_frame().expect("a Close, not just the end of the stream");
            assert_eq!(last.close_parts().0, 1001);
            client.send(close(1001, ""));
            client.expect_eof();
        });
        server.stop(PATIENCE);
        reader.join().expect("the client was told");
    }
}

/// Those who do not answer are cut when the grace period is over.
#[test]
fn shutdown_with_a_silent_client() {
    let config = with_timeouts(|timeouts| timeouts.close = PATIENCE);
    let mut server = TestServer::echo(config);
    let mut client = server.open();
    client.send(frame(TEXT, "open"));
    client.expect(&Frame::text("open"));
    let spent = server.stop(ms(300));
    assert!((ms(280)..ms(3000)).contains(&spent), "{spent:?}");
    client.expect(&Frame::new(
        0x88,
        [&1001_u16.to_be_bytes()[..], b"the server is shutting down"].concat(),
    ));
    client.expect_eof();
}

/// A handler that is busy learns of it at its next call.
#[test]
fn shutdown_while_a_handler_is_busy() {
    let (sender, results) = channel();
    let mut server = TestServer::with_handler(
        |server| server,
        move |mut conn: Connection| {
            let result = loop {
                if let Err(error) = conn.send("still talking") {
                    break error;
                }
            };
            sender.send(result)?;
            Ok(())
        },
    );
    let mut client = server.open();
    client.expect(&Frame::text("still talking"));
    let reader = thread::spawn(move || {
        loop {
            let frame = client.read_frame().expect("a Close at the end");
            if frame.opcode == 8 {
                assert_eq!(frame.close_parts().0, 1001);
                // §7.1.4: the closing handshake is the same for everyone.
                client.send(close(1001, ""));
                return client.expect_eof();
            }
            assert_eq!(frame, Frame::text("still talking"));
        }
    });
    let spent = server.stop(PATIENCE);
    assert!(spent < ms(5000), "{spent:?}");
    assert!(matches!(results.recv_timeout(PATIENCE).unwrap(), barews::Error::Closed));
    reader.join().expect("the client was told");
}

/// However the server stops its own waiting for clients, it is not a client that failed.
#[test]
fn shutdown_is_no_error() {
    for _ in 0..30 {
        let (sender, errors) = channel();
        let mut server = TestServer::with_handler(
            move |server| {
                server.on_error(move |_, error| sender.send(error.to_string()).expect("alive"))
            },
            |_| Ok(()),
        );
        server.stop(PATIENCE);
        let errors: Vec<String> = errors.iter().collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

/// A shutdown before `run`, and a second one, are no different.
#[test]
fn shutdown_at_odd_times() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let handle = server.shutdown_handle();
    handle.shutdown(Duration::ZERO);
    let start = Instant::now();
    run(server, |_| Ok(())).unwrap();
    handle.shutdown(Duration::ZERO);
    assert!(awake(start) < ms(5000), "{:?}", start.elapsed());
}

/// The Close that everybody gets.
fn going_away() -> Frame {
    Frame::new(0x88, [&1001_u16.to_be_bytes()[..], b"the server is shutting down"].concat())
}

/// A server is emptied a few at a time, and goes on to accept; each is told once.
#[test]
fn some_are_closed() {
    let server = TestServer::start();
    assert_eq!(server.handle.close_some(usize::MAX), 0);
    let mut clients: Vec<_> = (0..3).map(|_| server.open()).collect();
    // In its handshake, which goes on.
    let mut opening = server.connect();
    opening.send(&r0().bytes()[..20]);
    for (most, left) in [(0, 3), (2, 1), (0, 1)] {
        assert_eq!(server.handle.close_some(most), left);
    }
    clients.push(server.open());
    opening.send(&r0().bytes()[20..]);
    opening.expect_upgrade();
    clients.push(opening);
    for left in [2, 1, 0, 0] {
        assert_eq!(server.handle.close_some(1), left);
    }
    for client in &mut clients {
        client.expect(&going_away());
        client.send(close(1001, ""));
        client.expect_eof();
    }
    let mut client = server.open();
    client.send(frame(TEXT, "as ever"));
    client.expect(&Frame::text("as ever"));
    client.finish();
}

/// A peer that takes nothing holds up nobody: it has its Close as soon as there is room, and one that
/// does not answer is cut, as at a shutdown.
#[test]
fn some_who_are_closed_take_nothing() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(300));
    let server = TestServer::with_handler(
        |server| server.config(config),
        |mut conn: Connection| {
            while conn.send("x".repeat(1 << 16).as_str()).is_ok() {}
            Ok(())
        },
    );
    let (full, mut silent) = (server.open(), server.open());
    // Its sender is blocked once it has been given all that fits.
    silent.read_frame().expect("a message");
    assert_eq!(server.handle.close_some(1), 1);
    let start = Instant::now();
    assert_eq!(server.handle.close_some(usize::MAX), 0);
    assert!(awake(start) < ms(1000), "{:?}", start.elapsed());
    for mut client in [full, silent] {
        let last = loop {
            server.handle.close_some(0);
            let frame = client.read_frame().expect("a Close at the end");
            if frame.opcode == 8 {
                break frame;
            }
        };
        assert_eq!(last, going_away());
        client.expect_eof();
    }
}
