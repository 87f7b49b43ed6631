//! Faults of the stream, at every operation of a conversation, one at a time.
//!
//! The conversation is scripted: a transport in memory gives out the client's bytes and keeps the
//! server's. One run without a fault tells how many operations there are and what the server
//! sends; then each is made to fail in turn. What a stream may do at any time must change nothing
//! (rows F1 to F4); what ends a stream must end the connection, and nothing else (F5, F6).

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barews::{Accept, CloseCode, Config, Connection, Error, Kind, Transport, Upgrade};

/// What the stream does, beside what it should.
#[derive(Clone, Copy, Default)]
struct Fault {
    /// The most bytes that one read gives out.
    read: Option<usize>,
    /// The most bytes that one write takes.
    write: Option<usize>,
    /// Fails operation number `.0`, counted from 0.
    once: Option<(usize, ErrorKind)>,
    /// Fails about half of all reads and writes.
    often: Option<ErrorKind>,
}

#[derive(Default)]
struct Tape {
    input: Vec<u8>,
    /// How much of the input was given out.
    at: usize,
    output: Vec<u8>,
    operations: usize,
    /// Operations after the one that failed for good, other than `shutdown`.
    after: usize,
    failed: bool,
    random: u32,
}

/// A stream in memory.
struct Stream {
    fault: Fault,
    tape: Arc<Mutex<Tape>>,
}

impl Stream {
    /// Counts an operation, and fails it if it is its turn; only reads and writes pause.
    fn operate(&self, may_pause: bool) -> io::Result<std::sync::MutexGuard<'_, Tape>> {
        let mut tape = self.tape.lock().unwrap();
        let number = tape.operations;
        tape.operations += 1;
        assert!(number < 100_000, "it never ends");
        tape.after += usize::from(tape.failed);
        if let Some((turn, kind)) = self.fault.once
            && number == turn
            && (may_pause || !is_pause(kind))
        {
            tape.failed = !is_pause(kind);
            return Err(kind.into());
        }
        if let Some(kind) = self.fault.often
            && may_pause
        {
            tape.random = tape.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if tape.random >> 31 == 0 {
                return Err(kind.into());
            }
        }
        Ok(tape)
    }
}

impl Transport for Stream {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut tape = self.operate(true)?;
        let left = &tape.input[tape.at..];
        let len = buf.len().min(left.len()).min(self.fault.read.unwrap_or(usize::MAX));
        buf[..len].copy_from_slice(&left[..len]);
        tape.at += len;
        Ok(len)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut tape = self.operate(true)?;
        let before = tape.output.len();
        let most = self.fault.write.unwrap_or(usize::MAX);
        tape.output.extend(bufs.iter().flat_map(|buf| buf.iter()).take(most));
        Ok(tape.output.len() - before)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        assert_ne!(timeout, Some(Duration::ZERO));
        self.operate(false).map(drop)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        assert_ne!(timeout, Some(Duration::ZERO));
        self.operate(false).map(drop)
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

fn is_pause(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len => {
            bytes.push(0xfe);
            bytes.extend((len as u16).to_be_bytes());
        }
    }
    bytes.extend(key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// A bit of everything: text, fragments with a Ping between them, more than a buffer, a Close.
fn conversation() -> Vec<u8> {
    let long: Vec<u8> = (0..20_000u32).map(|i| (i * 7) as u8).collect();
    [
        REQUEST.to_vec(),
        frame(0x81, b"Hello"),
        frame(0x01, "frag\u{2603}".as_bytes()),
        frame(0x89, b"ping"),
        frame(0x80, b"ment"),
        frame(0x82, &long),
        frame(0x8a, b"pong"),
        frame(0x81, b""),
        frame(0x88, b"\x03\xe8bye"),
    ]
    .concat()
}

/// Serves the stream as an application would: an echo by `send`, `write` and `writer` in turn.
fn serve(stream: Stream) -> Result<(), Box<dyn std::error::Error>> {
    let upgrade = Upgrade::read(stream, &Config::default())?;
    let mut conn = upgrade.accept(&Accept::new())?;
    let mut buf = Vec::new();
    for turn in 0.. {
        let Some(message) = conn.recv(&mut buf)? else { break };
        match turn % 3 {
            0 => conn.send(message)?,
            1 => conn.write(message)?,
            _ => {
                let mut writer = conn.writer(message.kind());
                io::Write::write_all(&mut writer, message.as_bytes())?;
                writer.finish()?;
            }
        }
    }
    assert_eq!(conn.close_frame().unwrap().code, CloseCode::NORMAL);
    Ok(())
}

/// Runs the conversation over a stream with this fault: how it ended, and the tape.
fn run(fault: Fault) -> (Result<(), String>, Tape) {
    let tape = Arc::new(Mutex::new(Tape { input: conversation(), ..Tape::default() }));
    let stream = Stream { fault, tape: Arc::clone(&tape) };
    let result = serve(stream).map_err(|error| error.to_string());
    let tape = Arc::into_inner(tape).expect("the stream is dropped when the connection is over");
    (result, tape.into_inner().unwrap())
}

/// The conversation over a stream without fault.
fn faultless() -> Tape {
    let (result, tape) = run(Fault::default());
    assert_eq!(result, Ok(()));
    assert!(tape.output.ends_with(b"\x88\x05\x03\xe8bye"));
    assert!(tape.output.windows(6).any(|bytes| bytes == b"\x8a\x04ping"));
    tape
}

#[track_caller]
fn changes_nothing(fault: Fault) {
    let (result, tape) = run(fault);
    assert_eq!(result, Ok(()));
    let expected = faultless();
    assert!(tape.output == expected.output, "other bytes were sent");
    assert_eq!(tape.at, expected.at);
}

#[test]
fn f1_one_byte_reads() {
    changes_nothing(Fault { read: Some(1), ..Fault::default() });
}

#[test]
fn f2_one_byte_writes() {
    changes_nothing(Fault { write: Some(1), ..Fault::default() });
    changes_nothing(Fault { read: Some(1), write: Some(1), ..Fault::default() });
}

#[test]
fn f3_interrupted_at_every_read_and_write() {
    let expected = faultless();
    assert!(expected.operations > 10);
    for turn in 0..expected.operations {
        let once = Some((turn, ErrorKind::Interrupted));
        let (result, tape) = run(Fault { once, ..Fault::default() });
        assert_eq!(result, Ok(()), "at {turn}");
        assert!(tape.output == expected.output, "at {turn}");
    }
    let often = Some(ErrorKind::Interrupted);
    changes_nothing(Fault { read: Some(7), write: Some(3), often, ..Fault::default() });
}

#[test]
fn f4_would_block_at_random() {
    for kind in [ErrorKind::WouldBlock, ErrorKind::TimedOut] {
        changes_nothing(Fault { often: Some(kind), ..Fault::default() });
        let often = Some(kind);
        changes_nothing(Fault { read: Some(1), write: Some(1), often, ..Fault::default() });
    }
}

/// Fails each operation in turn: no panic, nothing sent that would not have been, the stream let
/// go, and no more tries than a failed write's Close and the drain behind it.
fn ends_at_every_operation(kind: ErrorKind) {
    let expected = faultless();
    for read in [None, Some(500)] {
        let fault = Fault { read, ..Fault::default() };
        let operations = run(fault).1.operations;
        for turn in 0..operations {
            let (_, tape) = run(Fault { once: Some((turn, kind)), ..fault });
            assert!(tape.after <= 4, "{} operations after the one at {turn}", tape.after);
            let len = tape.output.len().min(expected.output.len());
            let common = (0..len).take_while(|&i| tape.output[i] == expected.output[i]).count();
            // A fault may be told to the peer by a Close in place of what was to come.
            let rest = &tape.output[common..];
            assert!(rest.is_empty() || rest[0] == 0x88, "at {turn}: {rest:x?}");
        }
    }
}

#[test]
fn f5_connection_reset_at_every_operation() {
    ends_at_every_operation(ErrorKind::ConnectionReset);
}

#[test]
fn f6_broken_pipe_at_every_operation() {
    ends_at_every_operation(ErrorKind::BrokenPipe);
}

#[test]
fn a_stream_that_ends_anywhere_ends_the_connection() {
    let whole = conversation();
    for cut in 0..whole.len() {
        if (600..whole.len() - 600).contains(&cut) && cut % 97 != 0 {
            continue;
        }
        let input = whole[..cut].to_vec();
        let tape = Arc::new(Mutex::new(Tape { input, ..Tape::default() }));
        let result = serve(Stream { fault: Fault::default(), tape: Arc::clone(&tape) });
        let error = result.expect_err("the Close has not come").to_string();
        assert_eq!(error, "unexpected end of file", "at {cut}");
        assert!(Arc::into_inner(tape).is_some(), "the stream is let go");
    }
}

/// A panic while the stream is written: the lock is not poisoned for the rest of the connection.
#[test]
fn f11_a_panic_inside_a_write_costs_no_more_than_the_connection() {
    struct Panics(Stream);
    impl Transport for Panics {
        fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
        fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            assert!(!bufs.iter().any(|buf| buf.ends_with(b"panic")), "as it was told");
            self.0.write_vectored(bufs)
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

    let tape = Arc::new(Mutex::new(Tape { input: conversation(), ..Tape::default() }));
    let stream = Stream { fault: Fault::default(), tape: Arc::clone(&tape) };
    let upgrade = Upgrade::read(Panics(stream), &Config::default()).unwrap();
    let conn: Connection = upgrade.accept(&Accept::new()).unwrap();
    let (mut receiver, sender) = conn.split();
    let other = sender.clone();
    let panicked = std::thread::spawn(move || other.send("panic")).join();
    assert!(panicked.is_err());
    // Half a frame may be out: nothing more can be sent, but nothing hangs or panics either.
    assert!(matches!(sender.send("after"), Err(Error::Closed)));
    let mut buf = Vec::new();
    while let Ok(Some(message)) = receiver.recv(&mut buf) {
        assert!(matches!(message.kind(), Kind::Text | Kind::Binary));
    }
    drop((receiver, sender));
    let tape = Arc::into_inner(tape).expect("the stream is let go").into_inner().unwrap();
    assert!(tape.output.ends_with(b"\r\n\r\n"), "only the answer to the request was sent");
}
