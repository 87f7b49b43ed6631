//! Memory that ends: the real program under a limit of its address space, and under its own.
#![cfg(target_os = "linux")]

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{BINARY, Binary, Frame, PING, RawClient, frame, head, r0};

const TRY_AGAIN_LATER: u16 = 1013;
const MIB: usize = 1 << 20;

/// Serves with so much address space, in MiB.
fn serve_within(mib: usize) -> Binary {
    let script = format!("ulimit -v {}\nexec \"$0\" \"$@\"", mib << 10);
    Binary::serve_under(&["sh", "-c", &script], &["--close-timeout", "500ms"])
}

/// Opens a WebSocket, if the server has a place for it.
fn try_open(addr: SocketAddr, path: &str) -> Option<RawClient> {
    let mut client = RawClient::connect(addr);
    client.send(r0().target(path).bytes());
    // Refused without being read, the request may be answered with a reset.
    let reply = client.try_read_bytes(129)?;
    reply.starts_with(b"HTTP/1.1 101 ").then_some(client)
}

/// A client with an echo of this length, which the server grants as soon as others have gone.
fn echoes_again(server: &Binary, len: usize) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        let Some(mut client) = try_open(server.addr, "/") else { continue };
        let message = frame(BINARY, vec![7; len]);
        if client.try_send(message).is_ok()
            && let Some(echo) = client.try_read_frame()
            && echo == Frame::binary(vec![7; len])
        {
            return client.finish();
        }
    }
    panic!("it no longer echoes {len} bytes");
}

/// Row F17: each is refused with 1013 or held whole, and the process lives, every time.
#[test]
fn edge_b_f17_24_times() {
    for round in 0..24 {
        let server = serve_within(512);
        let whole = Barrier::new(32);
        let refused = thread::scope(|scope| {
            let clients: Vec<_> = (0..32)
                .map(|_| {
                    scope.spawn(|| {
                        let mut client = try_open(server.addr, "/").expect("a connection");
                        // All but the last byte: none can be let go of by an echo.
                        client.send(head(BINARY, 16 << 20));
                        let sent = client.try_send(vec![7; (16 << 20) - 1]);
                        // What is held says nothing.
                        let heard = client.heard_within(Duration::from_secs(1));
                        whole.wait();
                        if sent.is_ok() && !heard {
                            return 0;
                        }
                        // Unless a reset behind so much unread has overtaken it.
                        if let Some(close) = client.try_read_frame() {
                            assert_eq!(close.close_parts().0, TRY_AGAIN_LATER);
                        }
                        1
                    })
                })
                .collect();
            clients.into_iter().map(|client| client.join().expect("no panic")).sum::<usize>()
        });
        assert!((1..32).contains(&refused), "{refused} of 32 were refused in round {round}");
        echoes_again(&server, 16 << 20);
        assert_eq!(server.stop().iter().filter(|line| line.contains("panicked")).count(), 0);
    }
}

/// What each of many clients does, until it is cut or has sent enough.
fn burden(client: &mut RawClient, kind: usize) -> std::io::Result<()> {
    match kind % 6 {
        // Messages of which the end is missing.
        0 => client.try_send([head(BINARY, 256 << 10), vec![7; (256 << 10) - 1]].concat()),
        1 => client.try_send([head(BINARY, 60_000), vec![7; 59_999]].concat()),
        2 => client.try_send([head(BINARY, 4 << 20), vec![7; (4 << 20) - 1]].concat()),
        // Those whose answers are not read.
        3 => client.try_send(frame(BINARY, [7; 1000]).repeat(4000)),
        4 => client.try_send(frame(PING, [7; 125]).repeat(30_000)),
        _ => client.try_send(frame(BINARY, vec![7; 100_000]).repeat(40)),
    }
}

/// The same for all that grows with a message, a buffer or a connection.
#[test]
fn edge_b_little_memory_ends_no_process() {
    for (mib, clients) in [(512, 200), (192, 100), (96, 100)] {
        for path in ["/", "/broadcast/a", "/fragment/1000", "/flood/60000", "/headers"] {
            let server = serve_within(mib);
            thread::scope(|scope| {
                for kind in 0..clients {
                    let server = &server;
                    scope.spawn(move || {
                        let Some(mut client) = try_open(server.addr, path) else { return };
                        client.set_write_timeout(Duration::from_millis(500));
                        if let Err(error) = burden(&mut client, kind) {
                            let kinds = [
                                ErrorKind::WouldBlock,
                                ErrorKind::BrokenPipe,
                                ErrorKind::ConnectionReset,
                            ];
                            assert!(kinds.contains(&error.kind()), "{error}");
                        }
                        thread::sleep(Duration::from_millis(500));
                    });
                }
            });
            echoes_again(&server, 20_000);
            let lines = server.stop();
            assert!(!lines.iter().any(|line| line.contains("panicked")), "{lines:?}");
        }
    }
}

/// Each may come to need memory that cannot be refused, all at once.
#[test]
fn edge_b_long_heads_end_no_process() {
    let server = serve_within(256);
    let mut clients: Vec<_> = (0..1700).flat_map(|_| TcpStream::connect(server.addr)).collect();
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    for _ in 0..4 {
        head.extend(format!("X: {}\r\n", "x".repeat(7900)).into_bytes());
    }
    for client in &mut clients {
        // Some were sent away.
        let _ = client.write_all(&head);
    }
    for client in &mut clients {
        let _ = client.shutdown(Shutdown::Write);
        let _ = client.read(&mut [0; 1000]);
    }
    drop(clients);
    echoes_again(&server, MIB);
    server.stop();
}

/// 1,024 headers of 14 bytes, and a budget of 64 KiB for each.
#[test]
fn edge_i_1024_headers_refuse_nobody() {
    let server = Binary::serve(&["--max-assembling", "64M"]);
    let mut idle: Vec<_> =
        (0..1024).map(|_| try_open(server.addr, "/").expect("a connection")).collect();
    let before = server.peak_memory();
    for client in &mut idle {
        client.send([frame(PING, ""), head(BINARY, 16 << 20)].concat());
        client.expect(&Frame::pong(""));
    }
    let mut other = try_open(server.addr, "/").expect("a connection");
    for _ in 0..10 {
        other.send(frame(BINARY, vec![7; 20_000]));
        other.expect(&Frame::binary([7; 20_000]));
    }
    let grown = server.peak_memory() - before;
    assert!(grown < 16 << 20, "{grown} bytes for 1,024 headers");
}
