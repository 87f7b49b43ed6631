//! Once a connection is warm, a message allocates nothing, whatever its size; and what a long one has
//! needed on a loop is not kept for all the others.

#![cfg(unix)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use barews::{Accept, Config, Upgrade};

thread_local! {
    /// Calls of this thread that ask for memory.
    static CALLS: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has asked for, but for those that it has given back.
    static HELD: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with a count.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        HELD.set(HELD.get() + layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        HELD.set(HELD.get() - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        HELD.set(HELD.get() + size as isize - layout.size() as isize);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

/// A client, and what the echo tells of each message: the calls so far.
fn server() -> (UnixStream, Receiver<u64>) {
    let (client, theirs) = UnixStream::pair().expect("a pair");
    let (sender, calls) = sync_channel(10_000);
    thread::spawn(move || {
        let upgrade = Upgrade::handshake(theirs, &Config::default()).expect("a valid request");
        let mut conn = upgrade.accept(&Accept::new()).expect("a valid answer");
        let mut buf = Vec::new();
        while let Ok(Some(message)) = conn.recv(&mut buf) {
            conn.write(message).expect("a client that reads");
            sender.send(CALLS.get()).expect("a test that waits");
        }
    });
    let mut client = client;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    client.write_all(request.as_bytes()).expect("send");
    let mut head = [0; 129];
    client.read_exact(&mut head).expect("the answer");
    assert!(head.ends_with(b"\r\n\r\n"));
    (client, calls)
}

/// Sends `batch` messages at once, again and again, and counts calls once all is warm.
fn calls_for(first: u8, payload: &[u8], batch: usize) -> u64 {
    let mut frame = vec![first];
    let len = payload.len() as u64;
    match len {
        0..126 => frame.push(0x80 | len as u8),
        126..65_536 => frame.extend([&[0xfe][..], &(len as u16).to_be_bytes()].concat()),
        _ => frame.extend([&[0xff][..], &len.to_be_bytes()].concat()),
    }
    let head = frame.len();
    let expected = [&[first], &frame[1..]].concat();
    frame.extend([0x12, 0x34, 0x56, 0x78]);
    frame.extend(payload.iter().zip([0x12, 0x34, 0x56, 0x78].iter().cycle()).map(|(a, b)| a ^ b));

    let (client, calls) = server();
    let mut reader = client.try_clone().expect("another handle");
    let mut echo = vec![0; head + payload.len()];
    let frames = frame.repeat(batch);
    let mut counts = Vec::new();
    // Until every buffer has its size, and as often again.
    let warm = if payload.len() < 1 << 20 { 40 } else { 5 };
    for _ in 0..2 * warm {
        let frames = &frames;
        let mut client = &client;
        thread::scope(|scope| {
            // A long one is read while it is still being sent.
            scope.spawn(move || client.write_all(frames).expect("send"));
            for _ in 0..batch {
                reader.read_exact(&mut echo).expect("the echo");
                assert_eq!(echo[1] | 0x80, expected[1]);
                assert_eq!(echo[head..], *payload);
            }
        });
        counts.extend((0..batch).map(|_| calls.recv().expect("a count")));
    }
    counts[counts.len() - 1] - counts[warm * batch]
}

#[test]
fn a_message_allocates_nothing() {
    let text = "語".repeat((1 << 20) / 3);
    for (name, first, payload, batch) in [
        ("20 B", 0x82, &[7; 20][..], 1),
        ("20 B, 64 at once", 0x82, &[7; 20], 64),
        ("empty", 0x81, &[], 1),
        ("1 KiB", 0x81, &[b'a'; 1 << 10], 1),
        ("16 KiB, 4 at once", 0x82, &[7; 16 << 10], 4),
        ("1 MiB", 0x82, &vec![7; 1 << 20], 1),
        ("1 MiB of text", 0x81, text.as_bytes(), 1),
    ] {
        assert_eq!(calls_for(first, payload, batch), 0, "{name}");
    }
}

/// The count counts: a buffer that is new for every message shows.
#[test]
fn what_allocates_is_counted() {
    let before = CALLS.get();
    let mut memory = vec![1; 10];
    memory.reserve(1000);
    assert_eq!(CALLS.get() - before, 2);
}

/// One connection sends much that is compressed; what was gathered for that is given back.
#[cfg(all(feature = "event-loop", feature = "deflate"))]
#[test]
fn a_loop_keeps_no_more_than_most_messages_need() {
    use barews::{
        BoxError, Deflate, EventHandler, Message, Outbox, Reject, Request, Sender, Server,
    };

    /// Answers each message with a long one, or with how much memory is held.
    struct Long;

    impl EventHandler for Long {
        type State = u32;

        fn open(&self, _: &Request, _: Sender) -> Result<u32, Reject> {
            Ok(1)
        }

        fn message(
            &self,
            seed: &mut u32,
            message: Message<'_>,
            out: &mut Outbox<'_>,
        ) -> Result<(), BoxError> {
            if message.as_bytes() == b"held" {
                return Ok(out.send_uncompressed(HELD.get().to_string().as_str())?);
            }
            let noise = std::iter::repeat_with(|| {
                *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (*seed >> 24) as u8
            });
            Ok(out.send(&noise.take(8 << 20).collect::<Vec<_>>()[..])?)
        }
    }

    let compression = Some(Deflate::default());
    let config = Config { event_loops: Some(1), compression, ..Config::default() };
    let server = Server::bind("127.0.0.1:0").expect("bind").config(config);
    let server = server.spawn_event_loop(Long).expect("a server");
    let mut client = std::net::TcpStream::connect(server.addr()).expect("connect");
    let request = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    client.write_all(request.as_bytes()).expect("send");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).expect("the answer");
        head.extend(byte);
    }
    let mut held = Vec::new();
    for message in ["held", "long", "held"] {
        let mask = [0; 4];
        client.write_all(&[&[0x81, 0x84][..], &mask, message.as_bytes()].concat()).expect("send");
        let mut start = [0; 2];
        client.read_exact(&mut start).expect("a frame");
        let len = match start[1] {
            127 => {
                let mut len = [0; 8];
                client.read_exact(&mut len).expect("a length");
                u64::from_be_bytes(len)
            }
            len => len.into(),
        };
        let mut payload = vec![0; len as usize];
        client.read_exact(&mut payload).expect("a payload");
        if message == "held" {
            let text = String::from_utf8(payload).expect("text");
            held.push(text.parse::<isize>().expect("a number"));
        }
    }
    println!("{held:?} bytes");
    assert!(held[1] - held[0] < 2 << 20, "{held:?} bytes");
}
