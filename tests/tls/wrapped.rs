//! Streams that an application wraps. They may block, so event loops refuse them.

use std::io::{self, ErrorKind, Read};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use barews::{Config, Connection, Listener, Server, TlsStream, UpgradeError};

use crate::common::tls::SERVER;
use crate::common::{BINARY, Frame, PATIENCE, RawClient, awake, frame, ms, with_timeouts};
use crate::{connect, dial};

/// An echo server on this listener, and what `on_error` was told; it ends with the closure.
fn serve(
    listener: Listener,
    config: Config,
    test: impl FnOnce(std::net::SocketAddr, &std::sync::mpsc::Receiver<String>),
) {
    let (sender, errors) = channel();
    let server = Server::from_listener(listener).unwrap().config(config);
    let server = server.on_error(move |_, error| {
        let kind = match error.downcast_ref::<UpgradeError>() {
            Some(UpgradeError::Io(error)) => format!("{:?}: {error}", error.kind()),
            Some(error) => format!("{error:?}"),
            None => error.to_string(),
        };
        let _ = sender.send(kind);
    });
    let (addr, handle) = (server.local_addr().unwrap(), server.shutdown_handle());
    let thread = thread::spawn(move || {
        server.run(|mut conn: Connection| {
            crate::common::echo(&mut conn);
            Ok(())
        })
    });
    test(addr, &errors);
    let start = Instant::now();
    handle.shutdown(ms(500));
    thread.join().unwrap().unwrap();
    assert!(awake(start) < ms(3000), "{:?}", start.elapsed());
}

fn echoes(mut client: RawClient) {
    client.send(frame(BINARY, [9; 5000]));
    client.expect(&Frame::binary([9; 5000]));
    client.finish();
}

#[test]
fn tls_of_the_applications_own() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = Listener::wrapped(tcp, |stream| TlsStream::new(stream, SERVER.clone()));
    serve(listener, Config::default(), |addr, errors| {
        echoes(connect(addr).opened());
        // One that says nothing, and one that speaks plain HTTP.
        drop(dial(addr));
        assert_eq!(errors.recv_timeout(PATIENCE).unwrap(), "NoRequest");
        let mut client = RawClient::connect(addr);
        client.send("GET / HTTP/1.1\r\n\r\n");
        client.expect_refusal(400);
        assert_eq!(errors.recv_timeout(PATIENCE).unwrap(), "Refused(Head(PlainHttp))");
    });
}

/// What fails or panics costs its own stream.
#[test]
fn wraps_that_fail() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let count = AtomicUsize::new(0);
    let listener =
        Listener::wrapped(tcp, move |stream| match count.fetch_add(1, Ordering::SeqCst) {
            0 => Err(io::Error::other("not today")),
            1 => panic!("as it was told"),
            2 => Err(ErrorKind::ConnectionReset.into()),
            _ => Ok(stream),
        });
    serve(listener, Config::default(), |addr, errors| {
        for said in ["not today", "as it was told", "ConnectionReset"] {
            let mut tcp = dial(addr);
            assert_eq!(tcp.read(&mut [0]).unwrap_or(0), 0, "{said}");
            let error = errors.recv_timeout(PATIENCE).unwrap();
            assert!(error.contains(said), "{error}");
        }
        echoes(RawClient::open(addr));
    });
}

/// A wrap that waits for its peer holds up nobody but that: the deadline ends it, or a shutdown.
#[test]
fn wraps_that_wait() {
    for handshake in [ms(300), PATIENCE] {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Listener::wrapped(tcp, |mut stream| {
            stream.read_exact(&mut [0; 4])?;
            Ok(stream)
        });
        let config = with_timeouts(|timeouts| timeouts.handshake = handshake);
        serve(listener, config, |addr, errors| {
            let waiting: Vec<_> = (0..20).map(|_| dial(addr)).collect();
            let mut client = RawClient::connect(addr);
            client.send("wrap");
            echoes(client.opened());
            if handshake < PATIENCE {
                for _ in &waiting {
                    assert_eq!(errors.recv_timeout(PATIENCE).unwrap(), "TimedOut");
                }
            } else {
                // They are in there when the server is shut down.
                std::mem::forget(waiting);
            }
        });
    }
}

/// The caps hold before a stream is wrapped.
#[test]
fn a_wrap_is_for_those_who_are_counted() {
    static WRAPPED: AtomicUsize = AtomicUsize::new(0);
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = Listener::wrapped(tcp, |stream| {
        WRAPPED.fetch_add(1, Ordering::SeqCst);
        Ok(stream)
    });
    let config = crate::common::with_limits(|limits| limits.max_connections = 1);
    serve(listener, config, |addr, errors| {
        let first = RawClient::open(addr);
        let mut second = dial(addr);
        assert_eq!(second.read(&mut [0]).unwrap_or(0), 0);
        assert_eq!(errors.recv_timeout(PATIENCE).unwrap(), "TooManyConnections");
        assert_eq!(WRAPPED.load(Ordering::SeqCst), 1);
        echoes(first);
    });
}
