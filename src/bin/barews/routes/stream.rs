//! Servers that speak without being asked: messages in a row, and Pings.
//!
//! A second thread sends ([`produce`]), so that the peer's Close and Pings are seen
//! meanwhile: a blocked sender holds up nobody who receives.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use barews::{CloseCode, Connection, Error, Message, Receiver, Sender};

use super::echo;
use crate::limits::{self, MEMORY, Share};
use crate::metrics::Counters;
use crate::session::{self, End, StopFlag};

/// The reason where there is no thread to send.
pub const NO_THREAD: &str = "no thread to be had";

/// Sends `1` to `n`, each so much later than the one before, then closes.
#[inline(never)]
pub fn count(conn: Connection, counters: &Arc<Counters>, n: u64, every: Duration) -> End {
    produce(conn, counters, move |sender, counters, over| {
        if send_numbers(sender, counters, n, every, over).is_ok() {
            session::start_close(sender, counters, CloseCode::NORMAL, "");
        }
    })
}

/// Sends `1`, `2` and so on, each so much later than the one before, until the peer closes.
#[inline(never)]
pub fn tick(conn: Connection, counters: &Arc<Counters>, every: Duration) -> End {
    produce(conn, counters, move |sender, counters, over| {
        let _ = send_numbers(sender, counters, u64::MAX, every, over);
    })
}

/// Sends `1` to `n`. A peer that does not read holds them up, and what it has missed so is not made
/// up for: the next one comes at once, and those behind it from there on.
fn send_numbers(
    sender: &Sender,
    counters: &Counters,
    n: u64,
    every: Duration,
    over: &StopFlag,
) -> Result<(), Error> {
    let mut due = Instant::now();
    for number in 1..=n {
        send(sender, counters, Message::from(&number.to_string()))?;
        if number < n && !every.is_zero() {
            due = (due + every).max(Instant::now());
            if over.wait(due.saturating_duration_since(Instant::now())) {
                return Err(Error::Closed);
            }
        }
    }
    Ok(())
}

/// Sends messages of `len` bytes until the peer closes.
#[inline(never)]
pub fn flood(mut conn: Connection, counters: &Arc<Counters>, len: usize) -> End {
    let Some(block) = block(len) else {
        let result = echo::close_overloaded(&mut conn, counters);
        return End::of(&conn, result);
    };
    produce(conn, counters, move |sender, counters, _| {
        let message = Message::from(&block.bytes[..len]);
        while send(sender, counters, message).is_ok() {}
    })
}

/// What floods send, for as long as there are some.
struct Block {
    bytes: Vec<u8>,
    _share: Share,
}

/// At least `len` bytes, if they can be had. All floods share them, so that memory does not grow
/// with their number; lengths are powers of two, so that not each length has its own.
fn block(len: usize) -> Option<Arc<Block>> {
    static BLOCK: Mutex<Weak<Block>> = Mutex::new(Weak::new());
    let mut shared = BLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(block) = shared.upgrade().filter(|block| block.bytes.len() >= len) {
        return Some(block);
    }
    let len = len.next_power_of_two();
    let share = MEMORY.take(len)?;
    let mut bytes = Vec::new();
    if !limits::is_memory_left(len) || bytes.try_reserve_exact(len).is_err() {
        return None;
    }
    bytes.resize(len, 0xba);
    let block = Arc::new(Block { bytes, _share: share });
    *shared = Arc::downgrade(&block);
    Some(block)
}

/// Has a second thread do the sending until the connection ends, which a flag tells it, and throws
/// away what comes. If there is no such thread, the connection is closed with 1013.
fn produce<S>(conn: Connection, counters: &Arc<Counters>, send: S) -> End
where
    S: FnOnce(&Sender, &Counters, &StopFlag) + Send + 'static,
{
    let (mut receiver, sender) = conn.split();
    let over = Arc::<StopFlag>::default();
    let spawned = limits::spawn({
        let (sender, counters, over) = (sender.clone(), Arc::clone(counters), Arc::clone(&over));
        move || send(&sender, &counters, &over)
    });
    if !spawned {
        session::start_close(&sender, counters, CloseCode::TRY_AGAIN_LATER, NO_THREAD);
    }
    let result = discard(&mut receiver, counters);
    over.set();
    End::of_half(&receiver, result)
}

/// Throws messages away until the closing handshake is done.
pub fn discard(receiver: &mut Receiver, counters: &Counters) -> Result<(), Error> {
    let (mut sink, mut len) = ([0; 1024], 0);
    // For the log, if it has each message.
    let mut start = Vec::new();
    while let Some(chunk) = receiver.recv_chunk(&mut sink)? {
        len += chunk.len;
        if counters.log.is_some() && start.len() < sink.len() {
            start.extend_from_slice(&sink[..chunk.len]);
        }
        if chunk.fin {
            counters.count_received_part(chunk.kind, len, &start);
            len = 0;
            start.clear();
        }
    }
    Ok(())
}

/// Sends a Ping every so often, and a JSON text for each Pong; echoes besides.
#[inline(never)]
pub fn ping(conn: Connection, counters: &Arc<Counters>, interval: Duration) -> End {
    let (mut receiver, sender) = conn.split();
    let start = Instant::now();
    receiver.on_pong({
        let (sender, counters) = (sender.clone(), Arc::clone(counters));
        move |payload| report_pong(&sender, &counters, payload, start.elapsed())
    });
    let result = ping_and_echo(&mut receiver, &sender, counters, start, interval);
    End::of_half(&receiver, result)
}

fn ping_and_echo(
    receiver: &mut Receiver,
    sender: &Sender,
    counters: &Counters,
    start: Instant,
    interval: Duration,
) -> Result<(), Error> {
    let (mut number, mut next) = (0u64, start);
    let mut buf = Vec::new();
    loop {
        let now = Instant::now();
        if now >= next {
            number += 1;
            // What comes back says which Ping it answers and when that was sent.
            let nanos = start.elapsed().as_nanos() as u64;
            let payload = [number.to_be_bytes(), nanos.to_be_bytes()].concat();
            let _ = sender.ping(&payload);
            next = now + interval;
        }
        receiver.set_recv_timeout(Some(next - now));
        match receiver.recv(&mut buf) {
            Ok(None) => return Ok(()),
            Ok(Some(message)) => {
                counters.count_received(message);
                echo::ignore_closed(send(sender, counters, message))?;
            }
            Err(Error::RecvTimeout) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sends the peer how long its Pong took. Pongs that nobody asked for are none of ours.
fn report_pong(sender: &Sender, counters: &Counters, payload: &[u8], now: Duration) {
    let Some((number, nanos)) = payload.split_first_chunk() else { return };
    let Ok(nanos) = nanos.try_into() else { return };
    let [number, nanos] = [*number, nanos].map(u64::from_be_bytes);
    let Some(rtt) = now.checked_sub(Duration::from_nanos(nanos)) else { return };
    let json = format!("{{\"ping\":{number},\"rtt_ms\":{:.3}}}", rtt.as_secs_f64() * 1e3);
    // If this fails, so does the next call that receives.
    let _ = send(sender, counters, Message::from(&json));
}

/// Sends a message, and counts it if it went out.
pub fn send(sender: &Sender, counters: &Counters, message: Message<'_>) -> Result<(), Error> {
    sender.send(message)?;
    counters.count_sent(message);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_share_their_bytes() {
        let long = block(3000).expect("memory");
        assert_eq!(long.bytes.len(), 4096);
        for len in [0, 1, 4096] {
            assert!(Arc::ptr_eq(&long, &block(len).expect("memory")), "{len}");
        }
        let longer = block(4097).expect("memory");
        assert_eq!(longer.bytes.len(), 8192);
        assert!(Arc::ptr_eq(&longer, &block(3000).expect("memory")));
        assert!(block(usize::MAX / 2).is_none(), "no memory is an answer too");
        // Letter M: nothing is kept of floods that are over.
        let over = Arc::downgrade(&longer);
        drop((long, longer));
        assert!(over.upgrade().is_none());
        assert_eq!(block(1).expect("memory").bytes.len(), 1);
    }
}
