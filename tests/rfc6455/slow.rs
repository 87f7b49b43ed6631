//! §10.4: a peer that takes what is sent as slowly as it may. No single write of these takes too
//! long, and still nobody is held for longer than a deadline.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::ops::Range;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use barews::{Accept, Config, Connection, Deadline, Error, Transport, Upgrade};

use crate::common::{Frame, PATIENCE, PING, frame, ms, r0, with_timeouts};

/// The deadline of all tests here, and when it may pass.
const DEADLINE: Duration = ms(300);
const IN_TIME: Range<Duration> = ms(280)..ms(3000);

/// How long such a peer takes for each write: well within the deadline.
const TAKES: Duration = ms(30);

/// A stream from a peer that says the same again and again.
#[derive(Clone)]
struct Slow(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    /// What it says first, and what then, for ever.
    first: Vec<u8>,
    then: Vec<u8>,
    /// Whether it says it only during a write of another thread than the one that reads.
    only_to_writers: bool,
    /// The thread that reads.
    reader: Option<ThreadId>,
    /// Whether another thread is in a write, and has met no answer of the reader's yet.
    writing: bool,
    /// How often the reader was given something, and came for more.
    reads: usize,
    output: Vec<u8>,
    cut: bool,
}

impl Slow {
    fn opened(then: Vec<u8>, only_to_writers: bool, config: &Config) -> (Self, Connection) {
        let state = State { first: r0().bytes(), then, only_to_writers, ..State::default() };
        let slow = Self(Arc::new((Mutex::new(state), Condvar::new())));
        let upgrade = Upgrade::handshake(slow.clone(), config).expect("a request");
        let conn = upgrade.accept(&Accept::new()).expect("a stream");
        (slow, conn)
    }

    /// The end of what was sent.
    fn ends_with(&self, frame: &Frame) -> bool {
        self.state().output.ends_with(&frame.encode())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("no test panics under this lock")
    }

    /// Waits until something is so, or the stream is cut.
    fn until(&self, is_so: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waiting = |state: &mut State| !state.cut && !is_so(state);
        let waited = self.0.1.wait_timeout_while(self.state(), PATIENCE, waiting);
        let (state, result) = waited.expect("no test panics under this lock");
        assert!(!result.timed_out(), "nothing happens");
        state
    }
}

impl Transport for Slow {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.first.is_empty() && state.only_to_writers {
            state.reader = Some(thread::current().id());
            state.reads += 1;
            self.0.1.notify_all();
            drop(state);
            state = self.until(|state| state.writing);
            state.writing = false;
        }
        if state.cut {
            return Ok(0);
        }
        let mut bytes = std::mem::take(&mut state.first);
        if bytes.is_empty() {
            bytes = state.then.clone();
        }
        // At the end, when all is thrown away, there may be less room.
        let len = bytes.len().min(buf.len());
        buf[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state();
        if state.reader.is_some_and(|reader| reader != thread::current().id()) {
            // The reader is to have answered one frame before this returns.
            let reads = state.reads;
            state.writing = true;
            self.0.1.notify_all();
            drop(state);
            state = self.until(|state| state.reads > reads);
        }
        drop(state);
        thread::sleep(TAKES);
        let mut state = self.state();
        if state.cut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        bufs.iter().for_each(|buf| state.output.extend_from_slice(buf));
        Ok(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.state().cut |= how == Shutdown::Both;
        self.0.1.notify_all();
        Ok(())
    }
}

/// While a sender writes, a Ping comes; the sender writes the Pong, and meanwhile the next Ping
/// comes, and so for ever: each write is in time, all together are not.
#[test]
fn a_sender_is_not_held_by_pings() {
    let config = with_timeouts(|timeouts| timeouts.write = DEADLINE);
    let (slow, conn) = Slow::opened(frame(PING, "again"), true, &config);
    let (mut receiver, sender) = conn.split();
    let receiving = thread::spawn(move || receiver.recv(&mut Vec::new()).map(drop));
    drop(slow.until(|state| state.reader.is_some()));
    let (done, results) = channel();
    thread::spawn(move || {
        let start = Instant::now();
        let sent = sender.send("message");
        let _ = done.send((sent, start.elapsed(), sender.send("late")));
    });
    let (sent, spent, late) = results.recv_timeout(IN_TIME.end).expect("it is let go of");
    // The message itself was taken before the first Ping.
    assert!(matches!(sent, Ok(())), "{sent:?}");
    assert!(IN_TIME.contains(&spent), "{spent:?}");
    let received = receiving.join().expect("no panic");
    // Whoever asks first is told.
    let expired = |result: &Result<(), Error>| {
        matches!(result, Err(Error::DeadlineExceeded(Deadline::Write)))
    };
    assert!(received.is_err() && late.is_err(), "{received:?}, {late:?}");
    assert!(expired(&received) || expired(&late), "{received:?}, {late:?}");
}

/// A message in fragments without end, a Ping behind each: the time goes by not in reads but in
/// writing the Pongs, and counts all the same.
fn a_message_between_pings(receive: impl FnOnce(Connection) -> Result<(), Error> + Send + 'static) {
    // The stream never ends by itself.
    let config = with_timeouts(|timeouts| {
        timeouts.message = DEADLINE;
        timeouts.close = ms(30);
    });
    let fragment = [frame(0x00, "x"), frame(PING, "")].concat();
    let (slow, conn) = Slow::opened(fragment, false, &config);
    slow.state().first = frame(0x01, "x");
    let (done, results) = channel();
    thread::spawn(move || {
        let start = Instant::now();
        let result = receive(conn);
        let _ = done.send((result, start.elapsed()));
    });
    let (result, spent) = results.recv_timeout(IN_TIME.end).expect("the message expires");
    assert!(matches!(result, Err(Error::DeadlineExceeded(Deadline::Message))), "{result:?}");
    assert!(IN_TIME.contains(&spent), "{spent:?}");
    assert!(slow.ends_with(&Frame::close(1008, "the message took too long")));
}

#[test]
fn a_message_expires_though_the_peer_is_slow_to_take_pongs() {
    a_message_between_pings(|mut conn| conn.recv(&mut Vec::new()).map(drop));
}

#[test]
fn chunks_expire_though_the_peer_is_slow_to_take_pongs() {
    a_message_between_pings(|mut conn| {
        while conn.recv_chunk(&mut [0; 100])?.is_some() {}
        Ok(())
    });
}

#[test]
fn a_message_to_a_receiver_expires_though_the_peer_is_slow_to_take_pongs() {
    a_message_between_pings(|conn| {
        let (mut receiver, _sender) = conn.split();
        receiver.recv(&mut Vec::new()).map(drop)
    });
}
