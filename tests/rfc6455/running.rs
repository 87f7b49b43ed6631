//! A server on a thread of its own, and a shutdown step by step.

use std::io::ErrorKind;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use barews::{Accept, Config, Connection, Reject, Request, RunningServer, Server};

use crate::common::{
    Frame, PATIENCE, RawClient, TEXT, TestServer, awake, close, echo, frame, is_unheard, ms, r0,
    spawn, spawn_echo, with_timeouts,
};

fn spawned() -> RunningServer {
    spawn_echo(Server::bind("127.0.0.1:0").unwrap(), |_, _| ()).unwrap()
}

/// It is served when `spawn` returns, and its end is that of `run`.
#[test]
fn a_server_in_the_background() {
    let server = spawned();
    let addr = server.addr();
    assert_eq!(server.local_addr(), Some(addr));
    let mut client = RawClient::open(addr);
    client.send(frame(TEXT, "a"));
    client.expect(&Frame::text("a"));
    assert!(format!("{server:?}").contains(&addr.to_string()));
    let stopper = server.shutdown_handle();
    assert_eq!(stopper.connections(), 1);
    let waits = thread::spawn(move || server.join());
    // From several threads at once.
    let stops = [(); 3].map(|()| {
        let stopper = stopper.clone();
        thread::spawn(move || stopper.shutdown(PATIENCE))
    });
    client.expect(&Frame::close(1001, "the server is shutting down"));
    client.send(close(1001, ""));
    client.expect_eof();
    drop(client);
    stops.into_iter().for_each(|stop| stop.join().unwrap());
    waits.join().unwrap().unwrap();
    assert!(is_unheard(addr));
    assert_eq!(stopper.connections(), 0);
}

/// A configuration that contradicts itself is told at once.
#[test]
fn a_wrong_configuration_is_no_server() {
    let mut config = Config::default();
    config.limits.max_connections = 0;
    let server = Server::bind("127.0.0.1:0").unwrap().config(config);
    let error = spawn(server, |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// Dropped, it stops, has its clients told, and does not wait for longer than the close timeout,
/// whatever they do.
#[test]
fn a_server_that_is_dropped() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(300));
    let server = Server::bind("127.0.0.1:0").unwrap().config(config);
    let server = spawn_echo(server, |_, _| ()).unwrap();
    let addr = server.local_addr().unwrap();
    let mut silent = RawClient::open(addr);
    let start = Instant::now();
    drop(server);
    assert!(awake(start) < ms(3_000), "{:?}", start.elapsed());
    silent.expect(&Frame::close(1001, "the server is shutting down"));
    silent.expect_eof();
}

/// In a handler of its own, it waits for nobody.
#[test]
fn a_server_that_is_dropped_in_its_handler() {
    let slot = Arc::new(Mutex::new(None::<RunningServer>));
    let (told, spent) = channel();
    let server = Server::bind("127.0.0.1:0").unwrap();
    let handler = {
        let slot = Arc::clone(&slot);
        move |mut conn: Connection| {
            let server = slot.lock().unwrap().take();
            if let Some(server) = server {
                let start = Instant::now();
                drop(server);
                told.send(awake(start))?;
            }
            Ok(echo(&mut conn).result?)
        }
    };
    // The handler looks for it when somebody connects.
    let mut held = slot.lock().unwrap();
    let server = spawn(server, handler).unwrap();
    let addr = server.local_addr().unwrap();
    let stopper = server.shutdown_handle();
    *held = Some(server);
    drop(held);
    let mut client = RawClient::open(addr);
    assert!(spent.recv_timeout(PATIENCE).expect("the handler goes on") < ms(1_000));
    client.expect(&Frame::close(1001, "the server is shutting down"));
    client.send(close(1001, ""));
    client.expect_eof();
    drop(client);
    assert!(stopper.wait(PATIENCE));
}

/// In a handler of its own, joining it would wait for the handler itself.
#[test]
fn a_server_that_is_joined_in_its_handler() {
    let slot = Arc::new(Mutex::new(None::<RunningServer>));
    let (told, result) = channel();
    let handler = {
        let slot = Arc::clone(&slot);
        move |mut conn: Connection| {
            let server = slot.lock().unwrap().take();
            if let Some(server) = server {
                told.send(server.join())?;
            }
            Ok(echo(&mut conn).result?)
        }
    };
    // The handler looks for it when somebody connects.
    let mut held = slot.lock().unwrap();
    let server = spawn(Server::bind("127.0.0.1:0").unwrap(), handler).unwrap();
    let addr = server.addr();
    *held = Some(server);
    drop(held);
    let mut client = RawClient::open(addr);
    let joined = result.recv_timeout(PATIENCE).expect("the handler goes on");
    assert_eq!(joined.unwrap_err().kind(), ErrorKind::Deadlock);
    client.expect(&Frame::close(1001, "the server is shutting down"));
    client.send(close(1001, ""));
    client.expect_eof();
}

/// And in a callback of its own, before there is a connection.
#[test]
fn a_server_that_is_joined_in_its_callback() {
    let slot = Arc::new(Mutex::new(None::<RunningServer>));
    let (told, result) = channel();
    let callback = {
        let slot = Arc::clone(&slot);
        move |_: &Request| -> Result<Accept, Reject> {
            if let Some(server) = slot.lock().unwrap().take() {
                told.send(server.join()).unwrap();
            }
            Ok(Accept::new())
        }
    };
    let mut held = slot.lock().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().on_upgrade(callback);
    let server = spawn(server, |_| Ok(())).unwrap();
    let (addr, stopper) = (server.addr(), server.shutdown_handle());
    *held = Some(server);
    drop(held);
    let mut client = RawClient::connect(addr);
    client.send(r0().bytes());
    let joined = result.recv_timeout(PATIENCE).expect("the callback goes on");
    assert_eq!(joined.unwrap_err().kind(), ErrorKind::Deadlock);
    assert!(stopper.wait(PATIENCE));
}

/// Started and waited for, each by itself: a client that answers is gone, one that does not is cut
/// at the close timeout, though nobody waits but `run`.
#[test]
fn a_shutdown_step_by_step() {
    let config = with_timeouts(|timeouts| timeouts.close = ms(400));
    let server = TestServer::echo(config);
    assert!(server.handle.wait(Duration::ZERO), "nobody is here");
    let (mut good, mut bad) = (server.open(), server.open());
    for client in [&mut good, &mut bad] {
        client.send(frame(TEXT, "a"));
        client.expect(&Frame::text("a"));
    }
    assert_eq!(server.handle.connections(), 2);
    assert!(!server.handle.wait(ms(10)), "it is not started");
    let start = Instant::now();
    server.handle.start();
    server.handle.start();
    for client in [&mut good, &mut bad] {
        client.expect(&Frame::close(1001, "the server is shutting down"));
    }
    assert!(!server.handle.wait(ms(10)), "nobody has answered");
    good.send(close(1001, ""));
    good.expect_eof();
    drop(good);
    // Nobody waits meanwhile.
    bad.expect_eof();
    assert!((ms(380)..ms(5_000)).contains(&start.elapsed()), "{:?}", start.elapsed());
    drop(bad);
    assert!(server.handle.wait(PATIENCE));
    assert_eq!(server.handle.connections(), 0);
}

/// A Close that a peer has no room for goes out as soon as it has, though nobody waits.
#[test]
fn a_started_shutdown_reaches_who_reads_late() {
    let (told, blocked) = channel();
    let server = TestServer::with_handler(
        |server| server.config(with_timeouts(|timeouts| timeouts.close = PATIENCE)),
        move |conn| {
            let (mut receiver, sender) = conn.split();
            let blocked = thread::spawn(move || sender.send(&vec![1; 8 << 20]));
            told.send(())?;
            let _ = receiver.recv(&mut Vec::new());
            let _ = blocked.join();
            Ok(())
        },
    );
    let mut client = server.open();
    blocked.recv_timeout(PATIENCE).unwrap();
    assert!(client.heard_within(PATIENCE));
    server.handle.start();
    client.expect(&Frame::binary(vec![1; 8 << 20]));
    client.expect(&Frame::close(1001, "the server is shutting down"));
    client.send(close(1001, ""));
    client.expect_eof();
    drop(client);
    assert!(server.handle.wait(PATIENCE));
}

/// Shut down before it runs, it ends at once.
#[test]
fn a_server_that_was_stopped_before() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    server.shutdown_handle().start();
    spawn(server, |_| Ok(())).unwrap().join().unwrap();
}

/// A Unix-domain socket has all of this too.
#[cfg(unix)]
#[test]
fn a_unix_server_in_the_background() {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use barews::Accept;

    use crate::common::r0;

    let path = std::env::temp_dir().join(format!("barews-running-{}.sock", std::process::id()));
    let server = Server::from_listener(UnixListener::bind(&path).unwrap()).unwrap();
    let server = server.on_upgrade(|_| Ok(Accept::new().attach(7_u8)));
    let server = spawn(server, |mut conn| {
        let sender = conn.sender();
        assert_eq!((conn.attached(), sender.attached()), (Some(&7_u8), Some(&7_u8)));
        assert_eq!(sender.peer_addr(), None);
        sender.send("beside")?;
        while conn.serve_control(ms(10))? {}
        Ok(())
    });
    let server = server.unwrap();
    assert_eq!(server.local_addr(), None);
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&[r0().bytes(), frame(0x89, "p"), close(1000, "")].concat()).unwrap();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    // Behind the 101.
    assert!(bytes.ends_with(b"\r\n\r\n\x81\x06beside\x8a\x01p\x88\x02\x03\xe8"), "{bytes:x?}");
    drop(client);
    drop(server);
    std::fs::remove_file(&path).unwrap();
}
