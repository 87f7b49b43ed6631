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

/// The numbers of `/count` and `/tick`, and their times. A peer that does not read holds them up, and
/// what it has missed so is not made up for: the next one comes at once, and those behind it from there
/// on.
pub struct Numbers {
    /// The one to be sent; `None` behind the last.
    next: Option<u64>,
    last: u64,
    every: Duration,
    due: Instant,
}

impl Numbers {
    pub fn new(last: u64, every: Duration) -> Self {
        let next = Some(1).filter(|first| *first <= last);
        Self { next, last, every, due: Instant::now() }
    }

    /// The one to be sent, if there is one left.
    pub fn number(&self) -> Option<u64> {
        self.next
    }

    /// How long until it is due.
    pub fn wait(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// It was sent.
    pub fn sent(&mut self) {
        self.next = self.next.filter(|number| *number < self.last).map(|number| number + 1);
        if !self.every.is_zero() {
            self.due = (self.due + self.every).max(Instant::now());
        }
    }
}

/// Sends `1` to `n`.
fn send_numbers(
    sender: &Sender,
    counters: &Counters,
    n: u64,
    every: Duration,
    over: &StopFlag,
) -> Result<(), Error> {
    let mut numbers = Numbers::new(n, every);
    while let Some(number) = numbers.number() {
        let wait = numbers.wait();
        if !wait.is_zero() && over.wait(wait) {
            return Err(Error::Closed);
        }
        send(sender, counters, Message::from(&number.to_string()))?;
        numbers.sent();
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
        let message = block.message(len);
        while send(sender, counters, message).is_ok() {}
    })
}

/// What floods send, for as long as there are some.
pub struct Block {
    bytes: Vec<u8>,
    _share: Share,
}

impl Block {
    pub fn message(&self, len: usize) -> Message<'_> {
        Message::from(&self.bytes[..len])
    }
}

/// At least `len` bytes, if they can be had. All floods share them, so that memory does not grow
/// with their number; lengths are powers of two, so that not each length has its own.
pub fn block(len: usize) -> Option<Arc<Block>> {
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
        move |payload| {
            if let Some(json) = pong_report(payload, start.elapsed()) {
                // If this fails, so does the next call that receives.
                let _ = send(&sender, &counters, Message::from(&json));
            }
        }
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
            let _ = sender.ping(&ping_payload(number, start.elapsed()));
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

/// What comes back says which Ping it answers and when that was sent.
pub fn ping_payload(number: u64, now: Duration) -> [u8; 16] {
    let nanos = now.as_nanos() as u64;
    (u128::from(number) << 64 | u128::from(nanos)).to_be_bytes()
}

/// How long a Pong took, for the peer. Pongs that nobody asked for are none of ours.
pub fn pong_report(payload: &[u8], now: Duration) -> Option<String> {
    let (number, nanos) = payload.split_first_chunk()?;
    let [number, nanos] = [*number, nanos.try_into().ok()?].map(u64::from_be_bytes);
    let rtt = now.checked_sub(Duration::from_nanos(nanos))?;
    Some(format!("{{\"ping\":{number},\"rtt_ms\":{:.3}}}", rtt.as_secs_f64() * 1e3))
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
