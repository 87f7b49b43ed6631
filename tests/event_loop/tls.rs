use std::io::{Read, Write};
use std::net::TcpStream;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

#[cfg(target_os = "linux")]
use barews::rustls::StreamOwned;

use super::common::stream::Stream;
use super::common::tls::{CLIENT, SERVER, TlsClient, session};
use super::common::*;
use super::server::{Call, Hooks, LoopServer, Told, config, echo};
use super::server::{gated, while_held};

fn server(hooks: Hooks) -> LoopServer {
    LoopServer::with(|server| server.config(config(|_| ())).tls(Arc::clone(&SERVER)), hooks)
}

fn dial(server: &LoopServer) -> TcpStream {
    let tcp = TcpStream::connect(server.addr).expect("connect");
    tcp.set_nodelay(true).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    tcp
}

fn connect(server: &LoopServer) -> RawClient {
    RawClient::over(Stream::Tls(Box::new(TlsClient::connect(dial(server)))))
}

#[test]
fn an_echo() {
    let server = server(Hooks::echo());
    let mut client = connect(&server).opened();
    for len in [0, 1, 1000, 16 << 10, 100 << 10, 1 << 20, 300 << 10] {
        let payload: Vec<u8> = noise(1).take(len).collect();
        client.send(frame(BINARY, &payload));
        client.expect(&Frame::binary(&payload));
    }
    let many: Vec<u8> = (0..2000).flat_map(|at| frame(TEXT, at.to_string())).collect();
    client.send(many);
    for at in 0..2000 {
        client.expect(&Frame::text(at.to_string()));
    }
    client.finish();
    server.expect_clean_end(&client, 1000);
}

/// The handshake of TLS, the request and a message, a byte at a time; others are served meanwhile.
#[test]
fn a_byte_at_a_time() {
    let server = server(Hooks::echo());
    let (mut tcp, mut conn) = (dial(&server), session(&CLIENT));
    let mut other = connect(&server).opened();
    let mut step = |tcp: &mut TcpStream, bytes: &[u8]| {
        for byte in bytes.chunks(1) {
            tcp.write_all(byte).expect("it is read");
        }
        other.send(frame(TEXT, "meanwhile"));
        other.expect(&Frame::text("meanwhile"));
    };
    let mut sent = false;
    let mut received = Vec::new();
    loop {
        let mut bytes = Vec::new();
        while conn.wants_write() {
            conn.write_tls(&mut bytes).unwrap();
        }
        step(&mut tcp, &bytes);
        if !conn.is_handshaking() && !sent {
            let request = [r0().bytes(), frame(TEXT, "hello"), close(1000, "")].concat();
            conn.writer().write_all(&request).unwrap();
            sent = true;
            continue;
        }
        if conn.read_tls(&mut tcp).expect("ciphertext") == 0 {
            break;
        }
        conn.process_new_packets().expect("records");
        let mut piece = vec![0; 4096];
        while let Ok(len @ 1..) = conn.reader().read(&mut piece) {
            received.extend_from_slice(&piece[..len]);
        }
    }
    let wanted = [Frame::text("hello").encode(), Frame::close(1000, "").encode()].concat();
    assert!(received.ends_with(&wanted), "{}", received.escape_ascii());
}

/// wss over a Unix-domain socket: short, long, a Ping behind it, and a Close.
#[cfg(target_os = "linux")]
#[test]
fn over_a_unix_socket() {
    let name = format!("barews-test-{}-wss", std::process::id());
    let name = SocketAddr::from_abstract_name(name).expect("a name");
    let listener = UnixListener::bind_addr(&name).expect("bind");
    let _server = LoopServer::with(
        |server| {
            let server = server.config(config(|_| ())).tls(Arc::clone(&SERVER));
            server.with_listener(listener).expect("another listener")
        },
        Hooks::echo(),
    );
    let long: Vec<u8> = noise(2).take(1 << 20).collect();
    let unix = UnixStream::connect_addr(&name).expect("connect");
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    unix.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut tls = StreamOwned::new(session(&CLIENT), unix);
    tls.write_all(&[r0().bytes(), frame(TEXT, "hello")].concat()).expect("it is read");
    tls.write_all(&[frame(BINARY, &long), frame(PING, "and?")].concat()).expect("it is read");
    tls.write_all(&close(1000, "")).expect("it is read");
    let mut received = Vec::new();
    tls.read_to_end(&mut received).expect("close_notify, and the end");
    let wanted = [Frame::text("hello"), Frame::binary(&long), Frame::pong("and?")];
    let wanted: Vec<u8> = wanted.iter().flat_map(Frame::encode).collect();
    assert!(received.ends_with(&[wanted, Frame::close(1000, "").encode()].concat()));
}

/// A part of the client's first record is all there is when the stream is accepted.
#[test]
fn a_part_is_there() {
    let gate = Arc::new(Barrier::new(2));
    let server = server(gated(&gate));
    for part in [1, 5, 100, usize::MAX] {
        let mut conn = session(&CLIENT);
        let mut hello = Vec::new();
        conn.write_tls(&mut hello).unwrap();
        let len = part.min(hello.len() - 1);
        let mut tcp = while_held(&mut connect(&server).opened(), &gate, || {
            let mut tcp = dial(&server);
            tcp.write_all(&hello[..len]).unwrap();
            tcp
        });
        // It has been accepted by the time that another is served.
        connect(&server).opened().finish();
        tcp.write_all(&hello[len..]).unwrap();
        conn.complete_io(&mut tcp).expect("a handshake");
        let tls = TlsClient { tcp, conn };
        let mut client = RawClient::over(Stream::Tls(Box::new(tls))).opened();
        client.send(frame(TEXT, "hello"));
        client.expect(&Frame::text("hello"));
        client.finish();
    }
}

/// A shutdown waits for nobody who is yet to open, however far they are; each of them sees the end, and who
/// wants to know of errors hears of each once.
#[test]
fn a_shutdown_in_the_middle_of_a_handshake() {
    // What would bound it otherwise.
    let config = config(|config| {
        (config.timeouts.handshake, config.timeouts.close) = (PATIENCE, PATIENCE);
    });
    let set_up = |server: barews::Server| server.config(config).tls(Arc::clone(&SERVER));
    let server = LoopServer::with(set_up, Hooks::echo());
    let mut hello = Vec::new();
    session(&CLIENT).write_tls(&mut hello).unwrap();
    let mut clients: Vec<_> = [0, 1, 5, hello.len() / 2, hello.len()]
        .map(|len| {
            let mut tcp = dial(&server);
            tcp.write_all(&hello[..len]).unwrap();
            tcp
        })
        .into();
    // The last of them has been heard.
    clients[4].read_exact(&mut [0; 5]).expect("a ServerHello");
    let mut opening: Vec<_> = [0, 1, 60]
        .map(|len| {
            let mut client = connect(&server);
            client.send(&r0().bytes()[..len]);
            client
        })
        .into();
    let mut open = connect(&server).opened();
    let handle = server.running.shutdown_handle();
    assert_eq!(handle.connections(), 9);
    let start = Instant::now();
    handle.start();
    for client in &mut clients {
        // Alerts, perhaps, and not a byte of HTTP.
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("a good end");
        assert!(!rest.windows(4).any(|window| window == b"HTTP"));
    }
    for client in &mut opening {
        assert!(client.read_all().is_empty());
        assert!(matches!(server.next(client), Told::Error(_)));
    }
    for client in &clients {
        let addr = client.local_addr().unwrap();
        let told = server.next_within(addr, PATIENCE);
        assert!(matches!(told, Some(Told::Error(_))), "{told:?}");
        assert!(server.next_within(addr, ms(1)).is_none());
    }
    open.expect(&Frame::close(1001, "the server is shutting down"));
    open.send(close(1001, ""));
    open.expect_eof();
    drop(open);
    assert!(handle.wait(PATIENCE));
    server.running.join().expect("a good end");
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
}

/// Its own end is a close_notify, and the peer's is taken for the end.
#[test]
fn close_notify() {
    let server = server(Hooks::echo());
    let mut client = connect(&server).opened();
    client.send(close(1000, ""));
    client.expect(&Frame::close(1000, ""));
    let Stream::Tls(mut tls) = client.into_stream() else { panic!("it is TLS") };
    // Without a close_notify, there would be an error.
    assert_eq!(tls.conn.reader().read(&mut [0]).ok().unwrap_or(0), 0);
    loop {
        let state = tls.conn.process_new_packets().expect("records");
        if state.peer_has_closed() {
            break;
        }
        assert!(tls.conn.read_tls(&mut tls.tcp).expect("ciphertext") > 0, "cut without a word");
    }
    let mut client = connect(&server).opened();
    client.send(frame(TEXT, "last"));
    client.expect(&Frame::text("last"));
    client.send_eof();
    client.expect_eof();
    let (_, closed) = server.until_closed(&client);
    assert!(closed.error.is_some() && closed.code.is_none(), "{closed:?}");
}

/// More than any socket has room for, from the loop and from a thread at once, and a peer that reads late.
#[test]
fn both_directions_and_a_thread() {
    let (tell, senders) = channel();
    let hooks = Hooks::new(move |call, conn, out| {
        if let Call::Opened = call {
            tell.send(out.sender())?;
        }
        echo(call, conn, out)
    });
    let server = server(hooks);
    let mut client = connect(&server).opened();
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    let (tell, done) = channel();
    thread::scope(|scope| {
        let sender = &sender;
        scope.spawn(move || {
            for at in 0..20_u8 {
                sender.send(&vec![at; 512 << 10][..]).unwrap();
            }
            tell.send(()).unwrap();
        });
        // It is blocked in the middle; the echoes wait behind it.
        for at in 0..10 {
            client.send(frame(TEXT, at.to_string()));
        }
        assert!(done.recv_timeout(ms(100)).is_err());
        let (mut from_thread, mut echoes) = (0, 0);
        while from_thread < 20 || echoes < 10 {
            let frame = client.read_frame().expect("more to come");
            if frame.opcode == 1 {
                assert_eq!(frame, Frame::text(echoes.to_string()));
                echoes += 1;
            } else {
                assert!(frame.payload.len() == 512 << 10);
                assert!(frame.payload.iter().all(|byte| *byte == from_thread));
                from_thread += 1;
            }
        }
    });
    client.finish();
    server.expect_clean_end(&client, 1000);
}

/// What is no TLS at all is told of, and ends.
#[test]
fn plain_text() {
    let server = server(Hooks::echo());
    let mut client = server.connect();
    client.send(r0().bytes());
    client.read_rest();
    assert!(matches!(server.next(&client), Told::Error(_)));
    connect(&server).opened().finish();
}

/// A connection that is handed to a thread goes on in the middle of its session.
#[test]
fn a_connection_that_needs_a_thread() {
    let server = server(Hooks::echo().thread(|mut conn| {
        let mut buf = Vec::new();
        while let Some(message) = conn.recv(&mut buf)? {
            conn.send(message)?;
        }
        Ok(())
    }));
    let mut client = connect(&server);
    client.send([r0().target("/thread").bytes(), frame(TEXT, "behind")].concat());
    client.expect_upgrade();
    client.expect(&Frame::text("behind"));
    let payload: Vec<u8> = noise(5).take(1 << 20).collect();
    client.send(frame(BINARY, &payload));
    client.expect(&Frame::binary(&payload));
    client.finish();
}

/// A message in fragments pauses while the peer takes no Pong: what a Pong has begun to be comes before
/// the next fragment, whole.
#[test]
fn pongs_that_nobody_reads_between_fragments() {
    const PINGS: usize = 100_000;
    let (tell, senders) = channel();
    let hooks = Hooks::new(move |call, _, out| match call {
        Call::Opened => Ok(tell.send(out.sender())?),
        _ => Ok(()),
    });
    let server = LoopServer::with(
        |server| {
            let server = server.config(config(|_| ())).tls(Arc::clone(&SERVER));
            server.on_error(|_, _| ())
        },
        hooks,
    );
    let mut client = connect(&server).opened();
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    let mut writer = sender.writer(barews::MessageType::Binary);
    writer.write_all(b"first").unwrap();
    writer.flush().unwrap();
    let payload = [b'p'; 120];
    let pings: Vec<u8> = (0..100).flat_map(|_| frame(PING, payload)).collect();
    (0..PINGS / 100).for_each(|_| client.send(&pings));
    let mut message = Vec::new();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..100 {
                writer.write_all(&[b'x'; 1000]).unwrap();
                writer.flush().unwrap();
            }
            writer.finish().unwrap();
        });
        let mut is_whole = false;
        while !is_whole {
            let frame = client.read_frame().expect("more to come");
            is_whole = frame.opcode < 8 && frame.fin;
            match frame.opcode {
                10 => assert_eq!(frame.payload, payload),
                _ => message.extend(frame.payload),
            }
        }
    });
    assert!(message == [&b"first"[..], &[b'x'; 100_000]].concat(), "{}", message.len());
}
