//! Streams that wait to be accepted while their loop is busy, so that much of them has come by then.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use super::common::*;
use super::server::{Call, LoopServer, config, echo, fill, gated, gated_or, read_fill, while_held};

fn server() -> (LoopServer, Arc<Barrier>) {
    let gate = Arc::new(Barrier::new(2));
    (LoopServer::start(config(|_| ()), gated(&gate)), gate)
}

/// More than are accepted at once, with all that they will ever say.
#[test]
fn all_is_there() {
    let (server, gate) = server();
    let mut clients = while_held(&mut server.open(), &gate, || {
        let mut clients: Vec<_> = (0..40).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send([r0().bytes(), frame(TEXT, "hello"), close(1000, "")].concat());
        }
        clients
    });
    for client in &mut clients {
        client.expect_upgrade();
        client.expect(&Frame::text("hello"));
        client.expect_close(1000);
        server.expect_calls(client, &["opened", "message hello"]);
        server.expect_clean_end(client, 1000);
    }
}

/// Wherever a request is cut, and whenever its rest comes.
#[test]
fn a_part_is_there() {
    let (server, gate) = server();
    let sent = [r0().bytes(), frame(TEXT, "hello")].concat();
    let mut clients = while_held(&mut server.open(), &gate, || {
        let mut clients: Vec<_> = (0..sent.len().min(100)).map(|_| server.connect()).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            client.send(&sent[..at]);
        }
        clients
    });
    for (at, client) in clients.iter_mut().enumerate() {
        client.send(&sent[at..]);
        client.expect_upgrade();
        client.expect(&Frame::text("hello"));
        client.finish();
    }
    // While it is accepted, too.
    for at in 0..300 {
        let mut client = server.connect();
        let (first, second) = sent.split_at(at % sent.len());
        client.send(first);
        client.send(second);
        client.expect_upgrade();
        client.expect(&Frame::text("hello"));
        client.finish();
    }
}

/// Those that are one too many have their answer, and their requests do not reset it.
#[test]
fn too_many_are_there() {
    let gate = Arc::new(Barrier::new(2));
    let config = config(|config| config.limits.max_connections = 3);
    let server = LoopServer::start(config, gated(&gate));
    let mut first = server.open();
    let mut clients = while_held(&mut first, &gate, || {
        let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send([r0().bytes(), frame(TEXT, "hello")].concat());
        }
        clients
    });
    for client in &mut clients[..2] {
        client.expect_upgrade();
        client.expect(&Frame::text("hello"));
    }
    for client in &mut clients[2..] {
        client.expect_turned_away();
        assert!(server.error(client).contains("too many"));
    }
    for client in &mut clients[..2] {
        client.finish();
    }
}

/// They take nothing with them, and leave nothing behind.
#[test]
fn some_have_left_again() {
    let (server, gate) = server();
    let request = r0().bytes();
    while_held(&mut server.open(), &gate, || {
        for at in 0..30 {
            let mut client = server.connect();
            client.send(&request[..[0, 50, request.len()][at % 3]]);
            match at % 2 {
                0 => client.reset(),
                _ => client.send_eof(),
            }
        }
    });
    let mut client = server.open();
    client.send(frame(TEXT, "hello"));
    client.expect(&Frame::text("hello"));
    client.finish();
    drop(client);
    let start = Instant::now();
    while server.running.shutdown_handle().connections() > 0 {
        assert!(awake(start) < PROMPT, "somebody is left");
        thread::sleep(ms(5));
    }
}

/// What a connection is sent before the loop waits for its socket is more than that has room for.
#[test]
fn no_room_from_the_start() {
    let gate = Arc::new(Barrier::new(2));
    let hooks = gated_or(&gate, |call, conn, out| match call {
        Call::Message(message) if message.as_bytes() == b"fill" => fill(out),
        _ => echo(call, conn, out),
    });
    let hooks = hooks.open(|request, sender| {
        if request.target() == "/thread-sends" {
            thread::spawn(move || sender.send(&vec![0; 8 << 20][..]));
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = while_held(&mut server.open(), &gate, || {
        let mut client = server.connect();
        client.send([r0().bytes(), frame(TEXT, "fill")].concat());
        client
    });
    client.expect_upgrade();
    client.send(frame(TEXT, "hello"));
    assert_eq!(read_fill(&mut client), Some(Frame::text("hello")));
    client.finish();
    // A thread of the application's may be the first to find none.
    for _ in 0..20 {
        let mut client = server.connect();
        client.send(r0().target("/thread-sends").bytes());
        client.expect_upgrade();
        let frame = client.read_frame().expect("what the thread sends");
        assert_eq!(frame.payload.len(), 8 << 20);
        client.finish();
    }
}

/// The loop has never waited for its socket.
#[test]
fn one_for_a_thread_is_there() {
    let gate = Arc::new(Barrier::new(2));
    let hooks = gated(&gate).thread(|mut conn| {
        let mut buf = Vec::new();
        while let Some(message) = conn.recv(&mut buf)? {
            conn.send(message)?;
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = while_held(&mut server.open(), &gate, || {
        let mut client = server.connect();
        client.send([r0().target("/thread").bytes(), frame(TEXT, "hello")].concat());
        client
    });
    client.expect_upgrade();
    client.expect(&Frame::text("hello"));
    client.send(frame(TEXT, "again"));
    client.expect(&Frame::text("again"));
    client.finish();
}
