//! §7.1.5: real resets of real sockets, wherever a connection may be. Each costs that connection and
//! leaves nothing behind: no thread, no place among the connections, none of the memory's budget.

use std::io::ErrorKind;
use std::sync::mpsc::channel;
use std::time::Instant;

use barews::{Config, Error, Limits};

use crate::common::{
    BINARY, CONT, Frame, PATIENCE, PING, PROMPT, RawClient, TEXT, TestServer, Unopened, awake,
    close, frame, head, hex, ms, r0, with_limits,
};

/// A name, and how a client that has just connected gets there.
type Point = (&'static str, fn(&mut RawClient));

/// Points before the server has said anything.
const OPENING: [Point; 4] = [
    ("before the head", |_| {}),
    ("after a byte", |client| client.send("G")),
    ("inside the head", |client| client.send(&r0().bytes()[..40])),
    ("ahead of its last byte", |client| client.send(&r0().bytes()[..r0().bytes().len() - 1])),
];

/// Points after the server has accepted.
const OPEN: [Point; 9] = [
    ("with the answer unread", |client| {
        client.send(r0().bytes());
        assert!(client.heard_within(PATIENCE));
    }),
    ("between messages", open),
    ("inside a header", |client| {
        open(client);
        client.send(hex("82 fe 01"));
    }),
    ("inside a payload", |client| {
        open(client);
        client.send([head(BINARY, 1000), vec![0; 500]].concat());
    }),
    ("inside a long message", |client| {
        open(client);
        half_a_message(client);
    }),
    ("with an echo unread", |client| {
        open(client);
        client.send(frame(TEXT, "echo"));
        assert!(client.heard_within(PATIENCE));
    }),
    ("while an echo is written", |client| {
        open(client);
        client.send(frame(BINARY, vec![0; 60_000]));
        // It has begun, and may still be under way.
        assert!(client.heard_within(PATIENCE));
    }),
    ("with a Pong unread", |client| {
        open(client);
        client.send([frame(0x01, "part"), frame(PING, "")].concat());
        assert!(client.heard_within(PATIENCE));
    }),
    ("with its own Close under way", |client| {
        open(client);
        client.send(close(1000, ""));
    }),
];

/// The first part of a message that takes all the budget of [`small`], which its Pong tells.
fn half_a_message(client: &mut RawClient) {
    client.send([frame(0x02, vec![7; 60_000]), frame(PING, "half")].concat());
    client.expect(&Frame::pong("half"));
}

/// Room for few connections, and for one message of 64 KiB.
fn small() -> Config {
    with_limits(|limits| {
        *limits = Limits { max_connections: 4, max_buffered_bytes: 64 << 10, ..limits.clone() }
    })
}

fn open(client: &mut RawClient) {
    client.send(r0().bytes());
    client.expect_upgrade();
}

#[test]
fn h70_a_reset_inside_the_head() {
    let (sender, errors) = channel();
    let server = TestServer::with_handler(
        |server| {
            server.config(small()).on_error(move |context, error| {
                let method = context.request().map(|request| request.method().to_owned());
                let error = error.downcast_ref().map(Unopened::new);
                sender.send((error, method)).expect("the test waits");
            })
        },
        |_| Ok(()),
    );
    // With few places, the later ones fail if the earlier ones have kept theirs.
    for (name, go) in OPENING.repeat(3) {
        // The server may not have read anything yet, or wait for more already.
        for pause in [ms(1), ms(20)] {
            let mut client = server.connect();
            go(&mut client);
            assert!(!client.heard_within(pause), "{name}");
            let start = Instant::now();
            client.reset();
            let (error, method) = errors.recv_timeout(PATIENCE).expect("it ends");
            let expected = match name {
                "before the head" => Unopened::NoRequest,
                _ => Unopened::Io(ErrorKind::ConnectionReset),
            };
            assert_eq!(error, Some(expected), "{name}");
            // What came of it is told, from the end of its first line on.
            let has_line = ["inside the head", "ahead of its last byte"].contains(&name);
            assert_eq!(method.as_deref(), has_line.then_some("GET"), "{name}");
            assert!(awake(start) < PROMPT, "{name}: {:?}", start.elapsed());
        }
    }
}

#[test]
fn f5_a_reset_at_every_point() {
    let server = TestServer::echo(small());
    for (name, go) in OPEN.repeat(2) {
        println!("{name}");
        let mut client = server.connect();
        let peer = client.addr;
        go(&mut client);
        let start = Instant::now();
        client.reset();
        let ended = server.ended(peer);
        assert!(awake(start) < PROMPT, "{:?}", start.elapsed());
        match (ended.result, ended.close_frame) {
            (Err(Error::Io(error)), None) => {
                assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe));
            }
            (Ok(()), Some(_)) => {}
            other => panic!("{other:?}"),
        }
        // What it held is there for another: a place, and the whole budget.
        let mut next = server.open();
        half_a_message(&mut next);
        next.send(frame(CONT, "7"));
        next.expect(&Frame::binary([&[7; 60_000][..], b"7"].concat()));
        next.finish();
    }
}

/// F16, in short: as many resets as one client can send, at every point.
#[cfg(target_os = "linux")]
#[test]
fn f16_a_storm_of_resets() {
    use crate::common::Binary;

    const RESETS: usize = 2_000;
    const PLACES: usize = 300;

    let binary = Binary::serve(&["--max-connections", &PLACES.to_string()]);
    binary.echoes();
    let before = binary.settle();
    for (_, go) in OPENING.iter().chain(&OPEN).cycle().take(RESETS) {
        let mut client = RawClient::connect(binary.addr);
        go(&mut client);
        client.reset();
    }
    // Behind all of them.
    binary.echoes();
    assert_eq!(binary.settle(), before, "descriptors");
    // All its places are there, and one more is not.
    let mut clients: Vec<RawClient> = (0..PLACES).map(|_| RawClient::open(binary.addr)).collect();
    RawClient::connect(binary.addr).expect_refusal(503);
    for client in &mut clients {
        client.send(frame(TEXT, "still here"));
        client.expect(&Frame::text("still here"));
    }
    drop(clients);
    assert_eq!(binary.settle(), before, "descriptors");
}
