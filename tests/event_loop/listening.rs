use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use barews::{Config, Listener, Server};

use super::common::*;
use super::server::{Hooks, LoopServer, config, gated, while_held};

/// What wraps a stream may block, and is said to before anybody is served.
#[test]
fn wrapped_streams_are_refused() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = tcp.local_addr().expect("local_addr");
    let server = Server::from_listener(Listener::wrapped(tcp, Ok)).expect("a server");
    let error = server.run_event_loop(Hooks::echo()).expect_err("it cannot");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("threads"), "{error}");
    assert!(is_unheard(addr));
}

#[test]
fn no_loop_is_refused() {
    let config = Config { event_loops: Some(0), ..Config::default() };
    let server = Server::bind("127.0.0.1:0").expect("bind").config(config);
    let error = server.spawn_event_loop(Hooks::echo()).expect_err("nobody would be served");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("event_loops"), "{error}");
}

/// All are served, wherever they come in, and whichever loop takes them.
#[test]
fn two_listeners_and_several_loops() {
    for loops in [1, 2, 4] {
        let other = TcpListener::bind("127.0.0.1:0").expect("bind");
        let other_addr = other.local_addr().expect("local_addr");
        let server = LoopServer::with(
            |server| {
                let config = config(|config| config.event_loops = Some(loops));
                server.config(config).with_listener(other).expect("another listener")
            },
            Hooks::echo(),
        );
        let addrs = [server.addr, other_addr];
        thread::scope(|scope| {
            for at in 0..50 {
                scope.spawn(move || {
                    let mut client = RawClient::open(addrs[at % 2]);
                    for at in 0..20 {
                        let text = format!("{at}");
                        client.send(frame(TEXT, &text));
                        client.expect(&Frame::text(&text));
                    }
                    client.finish();
                });
            }
        });
        server.running.shutdown(ms(1000));
        server.running.join().expect("a good end");
        assert!(addrs.into_iter().all(is_unheard), "{loops} loops");
    }
}

/// Whether an accept blocks is one setting for all owners of a listener, and each may change it: an older
/// process that has it, too, does as it ends. It holds up no loop: neither with more streams than one turn
/// takes, nor with none.
#[test]
fn another_owner_has_accepts_block() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = listener.local_addr().expect("local_addr");
    let owner = listener.try_clone().expect("a descriptor");
    let gate = Arc::new(Barrier::new(2));
    let server = LoopServer::with(
        |server| server.config(config(|_| ())).with_listener(listener).expect("another listener"),
        gated(&gate),
    );
    let mut client = RawClient::open(addr);
    owner.set_nonblocking(false).expect("a flag");
    let mut clients: Vec<_> =
        while_held(&mut client, &gate, || (0..100).map(|_| RawClient::connect(addr)).collect());
    client.send(frame(TEXT, "still here"));
    client.expect(&Frame::text("still here"));
    for client in &mut clients {
        client.send(r0().bytes());
        client.expect_upgrade();
        client.finish();
    }
    client.finish();
    drop((client, clients));
    let start = Instant::now();
    server.running.shutdown(PATIENCE);
    server.running.join().expect("a good end");
    assert!(awake(start) < PROMPT, "{:?}", start.elapsed());
}

#[cfg(unix)]
mod paths {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// The bytes behind the 101.
    fn open(path: &std::path::Path, target: &str) -> UnixStream {
        let mut client = UnixStream::connect(path).expect("a server");
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(&r0().target(target).bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).expect("a response");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "));
        client
    }

    /// On a loop, and on a thread that the loop has handed it to.
    #[test]
    fn a_socket_with_a_path() {
        let path = std::env::temp_dir().join(format!("barews-loop-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a path");
        let hooks = Hooks::echo().thread(|mut conn| {
            assert_eq!(conn.peer_addr(), None);
            let mut buf = Vec::new();
            while let Some(message) = conn.recv(&mut buf)? {
                conn.send(message)?;
            }
            Ok(())
        });
        let server = Server::from_listener(listener).expect("a server");
        let running = server.config(config(|_| ())).spawn_event_loop(hooks).expect("a server");
        assert_eq!(running.local_addr(), None);
        for target in ["/", "/thread"] {
            let mut client = open(&path, target);
            let payload: Vec<u8> = noise(3).take(3 << 20).collect();
            let sent = [frame(BINARY, &payload), frame(PING, "?"), close(1000, "")].concat();
            let mut writer = client.try_clone().unwrap();
            thread::scope(|scope| {
                scope.spawn(move || writer.write_all(&sent).unwrap());
                let mut frames = Vec::new();
                while let Some(frame) = Frame::read(&mut client).expect("a frame") {
                    frames.push(frame);
                }
                let [echo, pong, close] = &frames[..] else { panic!("{frames:?}") };
                assert!(*echo == Frame::binary(&payload), "{target}");
                assert_eq!([pong, close], [&Frame::pong("?"), &Frame::close(1000, "")]);
            });
        }
        running.shutdown(ms(1000));
        running.join().expect("a good end");
        let _ = std::fs::remove_file(&path);
    }
}
