//! Faults of the stream. None of them may change a byte of a conversation, until one ends it; and
//! that one ends it without a panic.
//!
//! Every conversation of the other files is had again here over a transport in memory.

use std::io::ErrorKind;

use barews::{Accept, Config, Error, Message, Upgrade};

use crate::common::{
    ACCEPT, Faults, Frame, Outcome, PING, Script, TEXT, Unopened, close, frame, noise, r0,
    run_script, unchanged,
};
use crate::{closing, framing, limits, opening, request, text};

/// The response that opens a connection, byte for byte.
fn opened() -> Vec<u8> {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
    .into_bytes()
}

fn encoded(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::encode).collect()
}

/// Has every conversation and every refusal with these faults.
fn unchanged_by(faults: Faults) {
    for (name, case) in [framing::all(), closing::all(), text::all()].concat() {
        let outcome = run_script([r0().bytes(), case.sent.clone()].concat(), faults);
        let expected = [opened(), encoded(&case.answers())].concat();
        assert!(outcome.output == expected, "{name}: {outcome:?}");
        case.check(&outcome.result.unwrap_or_else(|error| panic!("{name}: {error}")));
    }
    for (name, case) in [opening::all(), request::all(), limits::all()].concat() {
        let outcome = run_script(case.request.clone(), faults);
        let status = format!("HTTP/1.1 {} ", case.status);
        assert!(outcome.output.starts_with(status.as_bytes()), "{name}: {outcome:?}");
        let clean = run_script(case.request.clone(), Faults::default());
        assert_eq!(outcome.output, clean.output, "{name}");
        match outcome.result {
            Ok(_) => panic!("{name} opened"),
            Err(error) => case.check(&Unopened::new(&error)),
        }
    }
    for (name, input) in others() {
        unchanged(&name, &input, faults);
    }
}

/// What the other files do without a table, as far as it is a matter of bytes and not of time.
/// Requests that are accepted meet these faults where they are.
fn others() -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    let whole = conversation(100);
    for len in 0..whole.len() {
        // H69 and W52: the stream ends anywhere.
        inputs.push((format!("the first {len} bytes"), whole[..len].to_vec()));
    }
    for at in 0..r0().bytes().len() {
        let mut request = r0().bytes();
        request[at] = 0;
        inputs.push((format!("h39: a NUL at {at}"), request));
    }
    for seed in 1..=8 {
        inputs.push((format!("h63: noise {seed}"), noise(seed).take(64 << 10).collect()));
    }
    let mut add = |name: &str, parts: &[&[u8]]| inputs.push((name.to_owned(), parts.concat()));
    add("h47", &[b"GET / HTTP/1.1\r\nX: ", &[b'x'; 100_000]]);
    let extensions = format!("Sec-WebSocket-Extensions: a; b=\"{}\"", "\\c".repeat(4000));
    add("h64", &[&r0().add(extensions).bytes(), &close(1000, "")]);
    let request = r0().bytes();
    let fragments = frame(0x00, "x").repeat(131_072);
    add("w59", &[&request, &frame(0x01, ""), &fragments]);
    add("w60", &[&request, &frame(0x01, ""), &frame(0x00, "").repeat(131_072)]);
    add("w62", &[&request, &frame(0x83, ""), &[0xff; 100_000]]);
    inputs
}

#[test]
fn no_fault_at_all() {
    unchanged_by(Faults::default());
}

#[test]
fn f1_one_byte_reads() {
    unchanged_by(Faults::ONE_BYTE_READS);
}

#[test]
fn f2_one_byte_writes() {
    unchanged_by(Faults::ONE_BYTE_WRITES);
}

#[test]
fn f3_interrupted_at_every_call() {
    unchanged_by(Faults::INTERRUPTED);
    unchanged_by(Faults { read: 1, write: 1, ..Faults::INTERRUPTED });
}

#[test]
fn f4_would_block_at_any_call() {
    unchanged_by(Faults::WOULD_BLOCK);
    unchanged_by(Faults { read: 3, write: 2, ..Faults::WOULD_BLOCK });
}

/// A conversation that has a bit of everything, and a message in two fragments of this length.
fn conversation(len: usize) -> Vec<u8> {
    [
        r0().bytes(),
        frame(TEXT, "first"),
        frame(0x02, vec![1; len]),
        frame(PING, "ping"),
        frame(0x80, vec![2; len]),
        close(1000, "bye"),
    ]
    .concat()
}

/// Breaks the stream at every call in turn; from then on every call fails.
fn broken_at_every_call(kind: ErrorKind) {
    let small = Faults { read: 300, write: 100, ..Faults::default() };
    let clean = run_script(conversation(5000), small);
    assert!(clean.calls > 100 && clean.result.is_ok(), "{clean:?}");
    for at in 0..clean.calls {
        let broken = run_script(conversation(5000), Faults { broken: Some((at, kind)), ..small });
        // What was sent before is what is always sent.
        assert!(clean.output.starts_with(&broken.output), "call {at}: {broken:?}");
        match broken.result {
            Err(error) => assert_eq!(Unopened::new(&error), unopened(at, kind), "call {at}"),
            // `echo` has made sure that every later call gives `Closed`.
            Ok(ended) => match ended.result {
                Err(Error::Io(error)) => assert_eq!(error.kind(), kind, "call {at}"),
                // The peer's Close had come, and nothing more was needed of the stream.
                Ok(()) => assert!(ended.close_frame.is_some(), "call {at}: {ended:?}"),
                Err(error) => panic!("call {at}: {error}"),
            },
        }
    }
}

/// What comes of an opening whose calls fail from this one on. Before the first byte nobody has
/// asked for anything.
fn unopened(at: usize, kind: ErrorKind) -> Unopened {
    if at == 0 { Unopened::NoRequest } else { Unopened::Io(kind) }
}

#[test]
fn f5_reset_at_every_call() {
    broken_at_every_call(ErrorKind::ConnectionReset);
}

#[test]
fn f6_broken_pipe_at_every_call() {
    broken_at_every_call(ErrorKind::BrokenPipe);
}

#[test]
fn h70_reset_inside_the_head() {
    let small = Faults { read: 1, ..Faults::default() };
    for at in 0..r0().bytes().len() {
        let faults = Faults { broken: Some((at, ErrorKind::ConnectionReset)), ..small };
        let Outcome { output, result, calls, .. } = run_script(r0().bytes(), faults);
        assert!(output.is_empty(), "call {at}: {output:?}");
        assert_eq!(
            Unopened::new(&result.unwrap_err()),
            unopened(at, ErrorKind::ConnectionReset),
            "call {at}"
        );
        assert_eq!(calls, at + 1, "nothing more is tried");
    }
}

/// After our last frame all that still comes is read and thrown away, so that no write of the
/// peer's fails before it has read our Close; and after a refusal likewise.
#[test]
fn edge_ae_all_that_still_comes_is_thrown_away() {
    for garbage in [10_000, 64 << 10, (64 << 10) + 1, 1 << 20] {
        for bad in [frame(0x83, ""), close(1000, "")] {
            let sent = [r0().bytes(), bad, vec![0xff; garbage]].concat();
            let outcome = run_script(sent, Faults { read: 1000, ..Faults::default() });
            // What stood beside the bad frame in its read came before the end of our side.
            assert!(outcome.drained >= garbage - 1000, "{} of {garbage}", outcome.drained);
        }
    }
    // And before the opening is through.
    let sent = [b"\0".to_vec(), vec![b'a'; 1 << 20]].concat();
    let outcome = run_script(sent, Faults::default());
    assert!(outcome.drained >= (1 << 20) - 2048, "{}", outcome.drained);
}

/// Answers to messages that came in one piece go out in one piece, and a long one takes the
/// header and the payload in one.
#[test]
fn a_batch_is_answered_in_one_write() {
    let batch: Vec<u8> = (0..10).flat_map(|n| frame(TEXT, n.to_string())).collect();
    let outcome = run_script([r0().bytes(), batch].concat(), Faults::default());
    assert_eq!(outcome.writes[..], [opened().len(), 10 * 3]);

    let long = [r0().bytes(), frame(TEXT, "a"), frame(TEXT, "x".repeat(100_000))].concat();
    let outcome = run_script(long, Faults::default());
    assert_eq!(outcome.writes[1..].iter().sum::<usize>(), 3 + 10 + 100_000);
    assert_eq!(outcome.writes.last(), Some(&(10 + 100_000)));
}

/// `write` queues: nothing is sent until something calls for it, and then in order.
#[test]
fn a_queue_is_sent_when_it_is_due() {
    let script = Script::opened(&frame(TEXT, "unused"));
    let upgrade = Upgrade::handshake(script.clone(), &Config::default()).unwrap();
    let mut conn = upgrade.accept(&Accept::new()).unwrap();
    let response = script.output().len();
    let sent = || script.output()[response..].to_vec();

    // By `flush`, and not before.
    conn.write("a").unwrap();
    conn.write(b"b").unwrap();
    assert!(sent().is_empty());
    conn.flush().unwrap();
    let mut expected = encoded(&[Frame::text("a"), Frame::binary("b")]);
    assert_eq!(sent(), expected);
    conn.flush().unwrap();
    assert_eq!(sent(), expected, "nothing was left");

    // By the next call that sends, which comes behind it.
    conn.write("c").unwrap();
    conn.send("d").unwrap();
    conn.write("e").unwrap();
    conn.ping(b"f").unwrap();
    expected.extend(encoded(&[Frame::text("c"), Frame::text("d"), Frame::text("e")]));
    expected.extend(Frame::new(PING, "f").encode());
    assert_eq!(sent(), expected);

    // By a long message, and by its own length.
    conn.write("g").unwrap();
    conn.write(&vec![7; 20_000]).unwrap();
    expected.extend(encoded(&[Frame::text("g"), Frame::binary(vec![7; 20_000])]));
    assert_eq!(sent(), expected);
    let before = script.writes().len();
    for _ in 0..8 {
        conn.write(&vec![8; 10_000]).unwrap();
        expected.extend(Frame::binary(vec![8; 10_000]).encode());
    }
    assert_eq!(script.writes()[before..], [7 * 10_004], "once it holds 64 KiB");

    // By `recv`, though there is something to receive already; and by the end.
    let mut buf = Vec::new();
    conn.write("h").unwrap();
    expected.extend(Frame::text("h").encode());
    assert_eq!(conn.recv(&mut buf).unwrap(), Some(Message::from("unused")));
    assert!(matches!(conn.recv(&mut buf), Err(Error::Io(_))), "the stream has ended");
    assert_eq!(sent(), expected);
}

/// A writer's fragments come behind what is queued.
#[test]
fn a_writer_comes_behind_the_queue() {
    let script = Script::opened(b"");
    let upgrade = Upgrade::handshake(script.clone(), &Config::default()).unwrap();
    let mut conn = upgrade.accept(&Accept::new()).unwrap();
    let response = script.output().len();
    conn.write("queued").unwrap();
    conn.writer(barews::MessageType::Binary).finish().unwrap();
    let expected = encoded(&[Frame::text("queued"), Frame::binary("")]);
    assert_eq!(script.output()[response..], expected);
}

/// F11: a panic inside a write, where half a frame may be out: nothing more is sent, and neither
/// half hangs or panics in its turn.
#[cfg(unix)]
#[test]
fn f11_a_panic_under_the_lock_of_the_writer() {
    use std::io::{self, IoSlice};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use barews::{Accept, Config, Error, Transport, Upgrade};

    struct Panics(UnixStream);

    impl Transport for Panics {
        fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
            Transport::read(&self.0, buf)
        }
        fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            assert!(!bufs.iter().any(|buf| buf.ends_with(b"panic")), "as it was told");
            Transport::write_vectored(&self.0, bufs)
        }
        fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
            self.0.set_read_timeout(timeout)
        }
        fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
            self.0.set_write_timeout(timeout)
        }
        fn shutdown(&self, how: Shutdown) -> io::Result<()> {
            self.0.shutdown(how)
        }
    }

    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    io::Write::write_all(&mut theirs, &r0().bytes()).expect("send");
    let upgrade = Upgrade::handshake(Panics(ours), &Config::default()).expect("a request");
    let (mut receiver, sender) = upgrade.accept(&Accept::new()).expect("a stream").split();
    let other = sender.clone();
    assert!(std::thread::spawn(move || other.send("panic")).join().is_err());
    assert!(matches!(sender.send("after"), Err(Error::Closed)));
    io::Write::write_all(&mut theirs, &close(1000, "")).expect("send");
    drop(theirs.shutdown(Shutdown::Write));
    assert!(matches!(receiver.recv(&mut Vec::new()), Ok(None)));
    drop((receiver, sender));
    let mut sent = Vec::new();
    io::Read::read_to_end(&mut theirs, &mut sent).expect("the end");
    assert!(sent.ends_with(b"\r\n\r\n"), "the 101, and no more: {}", sent.escape_ascii());
}
