//! Every order in which a few threads can take the writer's steps, tried by `loom`:
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib writer`.

use std::io;
use std::net::Shutdown;

use super::*;
use loom::sync::Arc;
use loom::thread;

/// Takes frames, and holds them to the rule that they never mix.
struct Tape {
    taken: Mutex<Vec<u8>>,
    writing: AtomicBool,
    ended: AtomicBool,
    /// How often it has no room, or fails.
    stalls: Mutex<u32>,
    fails: bool,
}

impl Tape {
    fn new() -> Self {
        Self {
            taken: Mutex::new(Vec::new()),
            writing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            stalls: Mutex::new(0),
            fails: false,
        }
    }

    fn take(&self, bytes: &[u8]) {
        assert!(!self.writing.swap(true, Ordering::SeqCst), "two write at once");
        assert!(!self.ended.load(Ordering::SeqCst), "written behind the end");
        self.taken.lock().unwrap().extend_from_slice(bytes);
        thread::yield_now();
        assert!(self.writing.swap(false, Ordering::SeqCst));
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.taken.lock().unwrap()).into_owned()
    }
}

impl Sink for Tape {
    fn write_all(&self, bufs: &mut [IoSlice<'_>], _: Duration) -> io::Result<()> {
        if self.fails {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        if !bytes.is_empty() {
            self.take(&bytes);
        }
        Ok(())
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut stalls = self.stalls.lock().unwrap();
        if *stalls > 0 {
            *stalls -= 1;
            return Ok(0);
        }
        drop(stalls);
        self.take(bytes);
        Ok(bytes.len())
    }

    fn shutdown(&self, _: Shutdown) {
        self.ended.store(true, Ordering::SeqCst);
    }
}

const LONG: Duration = Duration::from_secs(3600);

/// A connection that is open.
fn opened(tape: Tape) -> Arc<(Writer, Tape)> {
    let writer = Writer::new();
    writer.open(&tape, b"", LONG).unwrap();
    Arc::new((writer, tape))
}

fn send((writer, tape): &(Writer, Tape), unit: Unit, frame: &[u8]) -> Result<(), Error> {
    writer.send(tape, &mut [IoSlice::new(frame)], unit, LONG, LONG)
}

fn initiate((writer, tape): &(Writer, Tape)) {
    writer.close(tape, CloseAction::Initiate(CloseCode::NORMAL, String::new()), LONG);
}

/// Runs both beside each other, in all orders.
fn beside<A, B>(both: &Arc<(Writer, Tape)>, one: A, other: B)
where
    A: FnOnce(&(Writer, Tape)) + Send + 'static,
    B: FnOnce(&(Writer, Tape)),
{
    let shared = Arc::clone(both);
    let thread = thread::spawn(move || one(&shared));
    other(both);
    thread.join().unwrap();
}

/// The turn is free, and nothing waits.
fn is_at_rest((writer, _): &(Writer, Tape)) -> bool {
    let state = writer.lock();
    !state.turn && state.outbox.is_none() && state.waiting == 0
}

/// A Close with 1000.
const CLOSE: &str = "\u{fffd}\u{2}\u{3}\u{fffd}";

#[test]
fn what_is_posted_while_others_write_is_sent() {
    loom::model(|| {
        let both = opened(Tape::new());
        let third = Arc::clone(&both);
        let third = thread::spawn(move || third.0.push_control(&third.1, b"q", LONG));
        beside(
            &both,
            |both| both.0.push_control(&both.1, b"p", LONG),
            |both| send(both, Unit::Messages, b"m").unwrap(),
        );
        third.join().unwrap();
        let mut sent: Vec<_> = both.1.text().chars().collect();
        sent.sort_unstable();
        assert_eq!(sent, ['m', 'p', 'q']);
        assert!(is_at_rest(&both));
    });
}

#[test]
fn nothing_follows_a_close_and_one_is_sent() {
    loom::model(|| {
        let both = opened(Tape::new());
        beside(
            &both,
            |both| {
                assert!(both.0.finish());
                initiate(both);
            },
            |both| {
                let sent = send(both, Unit::Messages, b"m");
                assert!(matches!(sent, Ok(()) | Err(Error::Closed)));
                both.0.push_control(&both.1, b"p", LONG);
            },
        );
        let text = both.1.text();
        assert!(text.ends_with(CLOSE) && text.matches(CLOSE).count() == 1, "{text:?}");
        assert!(both.1.ended.load(Ordering::SeqCst), "our side ends behind it");
        assert!(both.0.is_closing() && is_at_rest(&both));
    });
}

#[test]
fn two_that_close_send_one_close() {
    loom::model(|| {
        let both = opened(Tape::new());
        beside(&both, initiate, initiate);
        assert_eq!(both.1.text(), CLOSE);
        assert!(is_at_rest(&both));
    });
}

#[test]
fn no_message_comes_between_the_fragments_of_another() {
    loom::model(|| {
        let both = opened(Tape::new());
        beside(
            &both,
            |both| {
                both.0.begin_message(LONG).unwrap();
                send(both, Unit::Fragment, b"a").unwrap();
                send(both, Unit::Fragment, b"b").unwrap();
                both.0.end_message();
            },
            |both| send(both, Unit::Messages, b"m").unwrap(),
        );
        let text = both.1.text();
        assert!(matches!(&*text, "abm" | "mab"), "{text:?}");
        assert!(is_at_rest(&both));
    });
}

#[test]
fn a_close_that_found_no_room_is_sent_later() {
    loom::model(|| {
        let tape = Tape::new();
        *tape.stalls.lock().unwrap() = 1;
        let both = opened(tape);
        beside(
            &both,
            |both| {
                let action = CloseAction::Initiate(CloseCode::NORMAL, String::new());
                both.0.try_close(&both.1, action);
            },
            |both| {
                both.0.push_control(&both.1, b"p", LONG);
                both.0.retry(&both.1);
            },
        );
        let shared = &both;
        while !shared.0.retry(&shared.1) {}
        let text = both.1.text();
        assert!(text.ends_with(CLOSE) && text.matches(CLOSE).count() == 1, "{text:?}");
        assert!(is_at_rest(&both));
    });
}

#[test]
fn a_failure_reaches_everyone_who_waits() {
    loom::model(|| {
        let tape = Tape { fails: true, ..Tape::new() };
        let writer = Writer::new();
        writer.lock().phase = Phase::Open(Closing::Open);
        let both = Arc::new((writer, tape));
        beside(
            &both,
            |both| assert!(send(both, Unit::Messages, b"a").is_err()),
            |both| {
                assert!(send(both, Unit::Messages, b"b").is_err());
                initiate(both);
            },
        );
        assert_eq!(both.0.failure(), Some(Failure::Write(ErrorKind::BrokenPipe)));
        assert!(is_at_rest(&both));
    });
}

#[test]
fn the_stream_is_read_by_one_at_a_time() {
    loom::model(|| {
        let both = opened(Tape::new());
        let reading = Arc::new(AtomicBool::new(true));
        let receiver = Arc::clone(&reading);
        beside(
            &both,
            move |both| {
                receiver.store(false, Ordering::SeqCst);
                both.0.stop_receiving();
            },
            |both| {
                assert!(both.0.finish());
                initiate(both);
                assert!(both.0.wait_for_receiver(Expiry::NEVER));
                assert!(!reading.load(Ordering::SeqCst), "it still reads");
            },
        );
        assert!(is_at_rest(&both));
    });
}

#[test]
fn a_stream_is_handed_over_when_nobody_writes() {
    loom::model(|| {
        let both = opened(Tape::new());
        beside(
            &both,
            |both| {
                let _ = send(both, Unit::Messages, b"m");
                initiate(both);
            },
            |both| {
                both.0.detach(LONG);
                let before = both.1.text();
                both.1.take(b"raw");
                assert!(both.1.text().starts_with(&format!("{before}raw")));
            },
        );
        assert!(both.1.text().ends_with("raw"), "{:?}", both.1.text());
        assert!(is_at_rest(&both));
    });
}
