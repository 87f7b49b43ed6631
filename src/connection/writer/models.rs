//! Every order in which a few threads can take the writer's steps, tried by `loom`:
//! `RUSTFLAGS="--cfg loom" cargo test --release --lib writer`.

use std::io::{self, ErrorKind};

use super::*;
use crate::proto::CloseCode;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Mutex, Notify};
use loom::thread;

/// Takes frames, and holds them to the rule that they never mix.
struct Tape {
    taken: Mutex<Vec<u8>>,
    writing: AtomicBool,
    ended: AtomicBool,
    /// How often it has no room, or fails.
    stalls: Mutex<u32>,
    fails: AtomicBool,
    told: Notify,
}

impl Tape {
    fn new() -> Self {
        Self {
            taken: Mutex::new(Vec::new()),
            writing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            stalls: Mutex::new(0),
            fails: AtomicBool::new(false),
            told: Notify::new(),
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
        if self.fails.load(Ordering::SeqCst) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        if !bytes.is_empty() {
            self.take(&bytes);
        }
        Ok(())
    }

    fn try_write(&self, bufs: &mut [IoSlice<'_>]) -> io::Result<usize> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let mut stalls = self.stalls.lock().unwrap();
        // There is room for a byte of it.
        let len = if *stalls > 0 { bytes.len().min(1) } else { bytes.len() };
        *stalls = stalls.saturating_sub(1);
        drop(stalls);
        if len > 0 {
            self.take(&bytes[..len]);
        }
        Ok(len)
    }

    fn shutdown(&self, _: Shutdown) {
        self.ended.store(true, Ordering::SeqCst);
    }

    fn notify_loop(&self) {
        self.told.notify();
    }
}

const LONG: Duration = Duration::from_secs(3600);

/// A connection that is open.
fn opened(tape: Tape) -> Arc<Writer<Tape>> {
    let writer = Writer::new(tape, &Timeouts { write: LONG, ..Timeouts::default() });
    writer.open(b"").unwrap();
    Arc::new(writer)
}

fn send(writer: &Writer<Tape>, unit: Unit, frame: &[u8]) -> Result<(), Error> {
    writer.send_within(&mut [IoSlice::new(frame)], unit, LONG)
}

fn initiate(writer: &Writer<Tape>) {
    writer.close(CloseAction::Initiate(CloseCode::NORMAL, String::new()), LONG);
}

fn abort(writer: &Writer<Tape>) {
    writer.close(CloseAction::Abort(CloseCode::NORMAL, String::new()), LONG);
}

/// Runs both beside each other, in all orders.
fn beside<A, B>(writer: &Arc<Writer<Tape>>, one: A, other: B)
where
    A: FnOnce(&Writer<Tape>) + Send + 'static,
    B: FnOnce(&Writer<Tape>),
{
    let shared = Arc::clone(writer);
    let thread = thread::spawn(move || one(&shared));
    other(writer);
    thread.join().unwrap();
}

/// Nobody writes, and nothing waits.
fn is_at_rest(writer: &Writer<Tape>) -> bool {
    writer.lock.lock().is_at_rest()
}

/// A Close with 1000.
const CLOSE: &str = "\u{fffd}\u{2}\u{3}\u{fffd}";

#[test]
fn what_is_posted_while_others_write_is_sent() {
    loom::model(|| {
        let writer = opened(Tape::new());
        let third = Arc::clone(&writer);
        let third = thread::spawn(move || third.push_control(b"q").unwrap());
        beside(
            &writer,
            |writer| writer.push_control(b"p").unwrap(),
            |writer| send(writer, Unit::Messages, b"m").unwrap(),
        );
        third.join().unwrap();
        let mut sent: Vec<_> = writer.stream().text().chars().collect();
        sent.sort_unstable();
        assert_eq!(sent, ['m', 'p', 'q']);
        assert!(is_at_rest(&writer));
    });
}

#[test]
fn nothing_follows_a_close_and_one_is_sent() {
    loom::model(|| {
        let writer = opened(Tape::new());
        beside(&writer, abort, |writer| {
            let sent = send(writer, Unit::Messages, b"m");
            assert!(matches!(sent, Ok(()) | Err(Error::Closed)));
            let pushed = writer.push_control(b"p");
            assert!(matches!(pushed, Ok(()) | Err(Error::Closed)));
        });
        let text = writer.stream().text();
        assert!(text.ends_with(CLOSE) && text.matches(CLOSE).count() == 1, "{text:?}");
        assert!(writer.stream().ended.load(Ordering::SeqCst), "our side ends behind it");
        assert!(writer.is_closed() && is_at_rest(&writer));
    });
}

#[test]
fn two_that_close_send_one_close() {
    loom::model(|| {
        let writer = opened(Tape::new());
        beside(&writer, initiate, initiate);
        assert_eq!(writer.stream().text(), CLOSE);
        assert!(is_at_rest(&writer));
    });
}

#[test]
fn no_message_comes_between_the_fragments_of_another() {
    loom::model(|| {
        let writer = opened(Tape::new());
        beside(
            &writer,
            |writer| {
                writer.begin_message().unwrap();
                send(writer, Unit::Fragment, b"a").unwrap();
                send(writer, Unit::Fragment, b"b").unwrap();
                writer.end_message();
            },
            |writer| send(writer, Unit::Messages, b"m").unwrap(),
        );
        let text = writer.stream().text();
        assert!(matches!(&*text, "abm" | "mab"), "{text:?}");
        assert!(is_at_rest(&writer));
    });
}

#[test]
fn a_close_that_found_no_room_is_sent_later() {
    loom::model(|| {
        let tape = Tape::new();
        *tape.stalls.lock().unwrap() = 1;
        let writer = opened(tape);
        beside(
            &writer,
            |writer| {
                let action = CloseAction::Initiate(CloseCode::NORMAL, String::new());
                writer.try_close(action);
            },
            |writer| {
                let _ = writer.push_control(b"p");
                writer.retry();
            },
        );
        while !writer.retry() {}
        let text = writer.stream().text();
        assert!(text.ends_with(CLOSE) && text.matches(CLOSE).count() == 1, "{text:?}");
        assert!(is_at_rest(&writer));
    });
}

#[test]
fn a_failure_reaches_everyone_who_waits() {
    loom::model(|| {
        let writer = opened(Tape::new());
        writer.stream().fails.store(true, Ordering::SeqCst);
        beside(
            &writer,
            |writer| assert!(send(writer, Unit::Messages, b"a").is_err()),
            |writer| {
                assert!(send(writer, Unit::Messages, b"b").is_err());
                initiate(writer);
            },
        );
        let failure = Failure::Write(ErrorKind::BrokenPipe);
        assert_eq!(writer.lock.lock().closing, Closing::Failed(failure));
        assert!(is_at_rest(&writer));
    });
}

#[test]
fn the_stream_is_read_by_one_at_a_time() {
    loom::model(|| {
        let writer = opened(Tape::new());
        let reading = Arc::new(AtomicBool::new(true));
        let receiver = Arc::clone(&reading);
        beside(
            &writer,
            move |writer| {
                receiver.store(false, Ordering::SeqCst);
                writer.release_reader();
            },
            |writer| {
                abort(writer);
                assert!(writer.wait_for_reader(Expiry::NEVER));
                assert!(!reading.load(Ordering::SeqCst), "it still reads");
            },
        );
        assert!(is_at_rest(&writer));
    });
}

#[test]
fn whoever_ends_it_waits_for_whoever_writes() {
    loom::model(|| {
        let writer = opened(Tape::new());
        beside(
            &writer,
            |writer| drop(send(writer, Unit::Messages, b"a")),
            |writer| {
                abort(writer);
                writer.wait_for_writer(Expiry::NEVER);
                assert!(writer.stream().text().ends_with(CLOSE), "it is not out");
                assert!(writer.retry());
            },
        );
        assert!(is_at_rest(&writer));
    });
}

#[test]
fn one_of_those_who_end_it_drains_it() {
    loom::model(|| {
        let writer = opened(Tape::new());
        writer.release_reader();
        let drains = Arc::new(Mutex::new(0));
        let other = Arc::clone(&drains);
        let end = |writer: &Writer<Tape>, drains: &Mutex<i32>| {
            if writer.begin_end() {
                abort(writer);
                assert!(writer.wait_for_reader(Expiry::NEVER));
                *drains.lock().unwrap() += 1;
            }
        };
        beside(&writer, move |writer| end(writer, &other), |writer| end(writer, &drains));
        assert_eq!(*drains.lock().unwrap(), 1);
        assert_eq!(writer.stream().text(), CLOSE);
    });
}

#[test]
fn a_stream_is_handed_over_when_nobody_writes() {
    loom::model(|| {
        let writer = opened(Tape::new());
        beside(
            &writer,
            |writer| {
                let _ = send(writer, Unit::Messages, b"m");
                initiate(writer);
            },
            |writer| {
                writer.detach();
                let before = writer.stream().text();
                writer.stream().take(b"raw");
                assert!(writer.stream().text().starts_with(&format!("{before}raw")));
            },
        );
        assert!(writer.stream().text().ends_with("raw"), "{:?}", writer.stream().text());
        assert!(is_at_rest(&writer));
    });
}

/// Writes as a flusher or a loop does, which comes back until all is out; whether it was.
fn flush(writer: &Writer<Tape>, waiter: Waiter, frames: &[u8]) -> bool {
    let mut unsent = Unsent::new(Vec::new());
    unsent.bytes.extend_from_slice(frames);
    unsent.set_expiry(Expiry::after(LONG));
    let mut in_line = false;
    let mut guard = loop {
        match (writer.try_acquire(waiter, &mut in_line, true), waiter) {
            (Ok(guard), _) => break guard,
            (Err(Denied::Over), _) => return false,
            (Err(Denied::Busy), Waiter::Loop) => writer.stream().told.wait(),
            (Err(Denied::Busy), _) => thread::yield_now(),
        }
    };
    loop {
        match guard.proceed(&mut unsent, LONG) {
            Ok(Progress::Done) => return true,
            Ok(Progress::More { .. }) => {
                thread::yield_now();
                guard = writer.resume();
            }
            Err(_) => return false,
        }
    }
}

#[test]
fn nothing_comes_into_the_middle_of_what_is_flushed() {
    for waiter in [Waiter::Queue, Waiter::Loop] {
        loom::model(move || {
            let tape = Tape::new();
            *tape.stalls.lock().unwrap() = 1;
            let writer = opened(tape);
            beside(
                &writer,
                move |writer| assert!(flush(writer, waiter, b"abc")),
                |writer| {
                    send(writer, Unit::Messages, b"m").unwrap();
                    writer.push_control(b"p").unwrap();
                },
            );
            assert!(["abcmp", "mabcp", "mpabc"].contains(&&*writer.stream().text()));
            assert!(is_at_rest(&writer));
        });
    }
}

#[test]
fn what_is_posted_while_a_flusher_waits_is_sent() {
    loom::model(|| {
        let tape = Tape::new();
        *tape.stalls.lock().unwrap() = 2;
        let writer = opened(tape);
        beside(
            &writer,
            |writer| {
                flush(writer, Waiter::Queue, b"abc");
            },
            |writer| {
                let _ = writer.push_control(b"p");
                abort(writer);
            },
        );
        let text = writer.stream().text();
        assert!(text.ends_with(CLOSE) && text.matches(CLOSE).count() == 1, "{text:?}");
        assert!(text.replacen("abc", "", 1).trim_end_matches(CLOSE).len() <= 1, "{text:?}");
        assert!(writer.stream().ended.load(Ordering::SeqCst), "our side ends behind it");
        assert!(writer.is_closed() && is_at_rest(&writer));
    });
}

#[test]
fn a_flusher_that_fails_wakes_those_who_wait() {
    loom::model(|| {
        let writer = opened(Tape::new());
        writer.stream().fails.store(true, Ordering::SeqCst);
        beside(
            &writer,
            |writer| assert!(!flush(writer, Waiter::Queue, b"abc")),
            |writer| assert!(send(writer, Unit::Messages, b"m").is_err()),
        );
        assert!(is_at_rest(&writer) && writer.is_closed());
    });
}
