//! Frames that are out in part, and nobody waits for the peer to take the rest.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::*;
use crate::proto::{CloseCode, encoder};
use crate::session::Deadline;

/// Takes as much as there is room for; whoever waits finds room.
#[derive(Default)]
struct Tape {
    taken: Mutex<Vec<u8>>,
    room: Mutex<usize>,
    /// How often its loop was told to look at it.
    told: AtomicU32,
}

impl Sink for Tape {
    fn write_all(&self, bufs: &mut [IoSlice<'_>], _: Duration) -> io::Result<()> {
        self.taken.lock().unwrap().extend(bufs.iter().flat_map(|buf| buf.iter()));
        Ok(())
    }

    fn try_write(&self, bufs: &mut [IoSlice<'_>]) -> io::Result<usize> {
        let room = mem::take(&mut *self.room.lock().unwrap());
        let bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let len = bytes.len().min(room);
        self.taken.lock().unwrap().extend(&bytes[..len]);
        Ok(len)
    }

    fn shutdown(&self, _: Shutdown) {}

    fn notify_loop(&self) {
        self.told.fetch_add(1, Ordering::Relaxed);
    }
}

fn opened() -> Writer<Tape> {
    opened_with(&Timeouts::default())
}

fn opened_with(timeouts: &Timeouts) -> Writer<Tape> {
    let writer = Writer::new(Tape::default(), timeouts);
    writer.open(b"").unwrap();
    writer
}

fn pong(payload: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    encoder::pong(payload.as_bytes(), &mut frame);
    frame
}

/// While a message in fragments is under way, a Pong goes out between them, and half of it may.
#[test]
fn nothing_comes_between_the_halves_of_a_pong() {
    for room in 0..=6 {
        for unit in [Unit::Fragment, Unit::Messages] {
            let writer = opened();
            writer.begin_message().unwrap();
            *writer.stream().room.lock().unwrap() = room;
            writer.try_push_control(&pong("half")).unwrap();
            if unit == Unit::Messages {
                writer.end_message();
                let denied = writer.try_acquire(Waiter::Queue, &mut false, true).err();
                assert_eq!(matches!(denied, Some(Denied::Busy)), room < 6);
                // It would come back.
                writer.lock.lock().line.remove(Waiter::Queue);
            }
            if unit == Unit::Fragment || room < 6 {
                let frame = &mut [IoSlice::new(b"frame")];
                writer.send_within(frame, unit, Duration::from_secs(1)).unwrap();
                let taken = writer.stream().taken.lock().unwrap();
                assert_eq!(*taken, [&pong("half")[..], b"frame"].concat(), "room for {room}");
            }
        }
    }
}

/// However many a peer asks for that takes none of them.
#[test]
fn pongs_behind_half_of_one_have_a_bound() {
    let writer = opened();
    writer.begin_message().unwrap();
    *writer.stream().room.lock().unwrap() = 1;
    let frame = pong(&"p".repeat(100));
    for _ in 0..1000 {
        writer.try_push_control(&frame).unwrap();
    }
    writer.send_within(&mut [IoSlice::new(b"frame")], Unit::Fragment, Duration::MAX).unwrap();
    let taken = writer.stream().taken.lock().unwrap();
    assert!(taken.ends_with(b"frame") && taken.len() < 3 * MAX_CONTROL_QUEUED, "{}", taken.len());
    let (frames, rest) = taken.as_chunks::<102>();
    assert!(rest == b"frame" && frames.iter().all(|taken| taken[..] == frame));
}

/// Nobody waits for a peer that takes half of one, or none of a Close, and it has the write timeout.
#[test]
fn what_nobody_is_at_has_its_time() {
    let write = Duration::from_millis(50);
    for (room, closes) in [(1, false), (0, false), (0, true)] {
        let writer = opened_with(&Timeouts { write, ..Timeouts::default() });
        *writer.stream().room.lock().unwrap() = room;
        match closes {
            true => writer.try_close(CloseAction::Abort(CloseCode::NORMAL, String::new())),
            false => writer.try_push_control(&pong("half")).unwrap(),
        }
        assert!(!writer.retry() && !writer.is_over());
        std::thread::sleep(write);
        // With a byte at a time it has no more.
        *writer.stream().room.lock().unwrap() = 1;
        writer.retry();
        assert!(writer.is_over());
        let cause = writer.cause_of(Error::Closed);
        assert!(matches!(cause, Error::DeadlineExceeded(Deadline::Write)), "{cause}");
    }
}

/// While others are at a Close it is not out, whatever is left to wait.
#[test]
fn a_close_that_others_are_at() {
    let writer = opened();
    *writer.stream().room.lock().unwrap() = 0;
    writer.try_close(CloseAction::Abort(CloseCode::NORMAL, String::new()));
    let taken = writer.lock.lock().outbox.take();
    assert!(!writer.retry());
    writer.lock.lock().outbox = taken;
    *writer.stream().room.lock().unwrap() = 100;
    assert!(writer.retry());
}

/// Whoever waits comes before those who come later, and in the order of the kinds, for as long as others are
/// back at once.
#[test]
fn who_waits_is_next() {
    let writer = opened();
    let send = |frame: &[u8]| writer.send(&mut [IoSlice::new(frame)]).unwrap();
    let waiting = |count| {
        while writer.lock.lock().senders != count {
            thread::yield_now();
        }
    };
    let guard = writer.acquire().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| send(b"1"));
        waiting(1);
        let mut in_line = false;
        assert!(matches!(writer.try_acquire(Waiter::Loop, &mut true, true), Err(Denied::Busy)));
        assert!(matches!(writer.try_acquire(Waiter::Queue, &mut in_line, true), Err(Denied::Busy)));
        assert!(in_line);
        scope.spawn(|| send(b"2"));
        waiting(2);
        writer.release(guard, Ok(())).unwrap();
        // One of the two comes first, the other behind the loop and the queue.
        let (mut is_told, mut guard) = (false, None);
        while guard.is_none() {
            guard = writer.try_acquire(Waiter::Loop, &mut true, true).ok();
            is_told |= writer.stream().told.swap(0, Ordering::Relaxed) > 0;
            thread::yield_now();
        }
        assert!(is_told && writer.stream().taken.lock().unwrap().len() == 1);
        scope.spawn(|| send(b"3"));
        waiting(2);
        assert!(matches!(writer.try_acquire(Waiter::Queue, &mut false, true), Err(Denied::Busy)));
        writer.release(guard.take().unwrap(), Ok(())).unwrap();
        // Nor does another queue, or the loop, come before the one that is in line.
        assert!(matches!(writer.try_acquire(Waiter::Queue, &mut false, true), Err(Denied::Busy)));
        assert!(matches!(writer.try_acquire(Waiter::Loop, &mut true, true), Err(Denied::Busy)));
        assert_eq!(writer.stream().taken.lock().unwrap().len(), 1);
        let Ok(guard) = writer.try_acquire(Waiter::Queue, &mut in_line, true) else {
            panic!("it is first")
        };
        assert!(!in_line);
        writer.release(guard, Ok(())).unwrap();
        while writer.stream().taken.lock().unwrap().len() < 2 {
            thread::yield_now();
        }
        // All have come but the loop, whose turn it is somewhere behind a thread, and one at the most.
        loop {
            if let Ok(guard) = writer.try_acquire(Waiter::Loop, &mut true, true) {
                break writer.release(guard, Ok(())).unwrap();
            }
            thread::yield_now();
        }
    });
    assert_eq!(writer.stream().taken.lock().unwrap().len(), 3);
    assert!(
        writer
            .try_acquire(Waiter::Queue, &mut false, true)
            .is_ok_and(|guard| writer.release(guard, Ok(())).is_ok())
    );
}

/// A loop that waits behind half a frame is told of it once, not whenever it has looked; and once more when
/// it is out.
#[test]
fn a_loop_that_waits_for_room_is_not_told_of_it_by_itself() {
    let writer = opened();
    let mut in_line = true;
    let mut comes = || writer.try_acquire(Waiter::Loop, &mut in_line, true);
    let told = || writer.stream().told.swap(0, Ordering::Relaxed);
    *writer.stream().room.lock().unwrap() = 3;
    writer.try_push_control(&pong("half")).unwrap();
    assert_eq!(told(), 1, "somebody has to come back for the rest");
    for _ in 0..3 {
        assert!(matches!(comes(), Err(Denied::Busy)));
    }
    assert_eq!(told(), 0);
    *writer.stream().room.lock().unwrap() = 100;
    assert!(writer.retry() && told() == 1);
    assert!(comes().is_ok_and(|guard| writer.release(guard, Ok(())).is_ok()));
    // Behind a Close nothing is begun, whoever is still in line.
    let guard = writer.acquire().unwrap();
    assert!(matches!(writer.try_acquire(Waiter::Loop, &mut true, true), Err(Denied::Busy)));
    writer.release(guard, Ok(())).unwrap();
    *writer.stream().room.lock().unwrap() = 0;
    writer.try_close(CloseAction::Abort(CloseCode::NORMAL, String::new()));
    told();
    assert!(matches!(writer.try_acquire(Waiter::Loop, &mut true, true), Err(Denied::Over)));
    assert!(!writer.retry() && told() == 0);
}

/// Whoever waits no longer is in nobody's way.
#[test]
fn who_has_waited_in_vain_is_not_waited_for() {
    let writer = opened();
    let guard = writer.acquire().unwrap();
    let error = writer.send_within(&mut [IoSlice::new(b"m")], Unit::Messages, Duration::ZERO);
    assert!(matches!(error, Err(Error::DeadlineExceeded(Deadline::Write))), "{error:?}");
    writer.release(guard, Ok(())).unwrap();
    assert!(!writer.is_busy());
}

/// However much room there is, others have their turn; nothing is lost or sent twice.
#[test]
fn a_write_has_a_bound() {
    for most in 1..=12 {
        let (writer, mut unsent) = (opened(), Unsent::new(Vec::new()));
        let Ok(guard) = writer.try_acquire(Waiter::Queue, &mut false, true) else {
            panic!("it is free")
        };
        *writer.stream().room.lock().unwrap() = 100;
        let frames: [&[u8]; 3] = [b"0123", b"", b"456789"];
        let progress = guard.send_now(&frames, most, &mut unsent, Duration::MAX).unwrap();
        assert_eq!(progress == Progress::Done, most >= 10, "{most}");
        assert_eq!(*writer.stream().taken.lock().unwrap(), b"0123456789"[..most.min(10)]);
        assert!(most >= 10 || progress == Progress::More { moved: true });
        if progress != Progress::Done {
            *writer.stream().room.lock().unwrap() = 100;
            let progress = writer.resume().proceed(&mut unsent, Duration::MAX).unwrap();
            assert_eq!(progress, Progress::Done);
        }
        assert_eq!(*writer.stream().taken.lock().unwrap(), b"0123456789");
    }
}
