//! Servers that speak without being asked: messages in a row, and Pings.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use barews::{CloseCode, Connection, Error, Message, Receiver, Sender};

use crate::headroom;
use crate::helper;
use crate::limits::{Budget, Charge};
use crate::metrics::Tally;
use crate::routes::echo::CROWDED;
use crate::session::{self as visit, End};

/// Sends `1` to `n`, then closes.
#[inline(never)]
pub(crate) fn count(conn: Connection, tally: &Arc<Tally>, n: u64) -> End {
    produce(conn, tally, move |sender, tally| {
        for number in 1..=n {
            let text = number.to_string();
            sender.send(&text)?;
            tally.count_sent(Message::from(&text));
        }
        visit::start_close(sender, tally, CloseCode::NORMAL, "");
        Ok(())
    })
}

/// Sends messages of `len` bytes until the peer closes.
#[inline(never)]
pub(crate) fn flood(mut conn: Connection, tally: &Arc<Tally>, budget: &Budget, len: usize) -> End {
    let Some(block) = block(len, budget) else {
        let result = visit::close(&mut conn, tally, CloseCode::TRY_AGAIN_LATER, CROWDED);
        return End::of(&conn, result);
    };
    produce(conn, tally, move |sender, tally| {
        let message = Message::from(&block.bytes[..len]);
        loop {
            sender.send(message)?;
            tally.count_sent(message);
        }
    })
}

/// What floods send, for as long as there are some.
struct Block {
    bytes: Vec<u8>,
    _charge: Charge,
}

/// At least `len` bytes, if they can be had. All floods share them, so that memory does not grow
/// with their number; lengths are powers of two, lest each length have its own.
fn block(len: usize, budget: &Budget) -> Option<Arc<Block>> {
    static BLOCK: Mutex<Weak<Block>> = Mutex::new(Weak::new());
    let mut shared = BLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(block) = shared.upgrade().filter(|block| block.bytes.len() >= len) {
        return Some(block);
    }
    let len = len.next_power_of_two();
    let charge = budget.charge(len)?;
    let mut bytes = Vec::new();
    if !headroom::is_left(len) || bytes.try_reserve_exact(len).is_err() {
        return None;
    }
    bytes.resize(len, 0xba);
    let block = Arc::new(Block { bytes, _charge: charge });
    *shared = Arc::downgrade(&block);
    Some(block)
}

/// Has a thread of its own do the sending, so that the peer's Close and Pings are seen meanwhile.
fn produce<F>(conn: Connection, tally: &Arc<Tally>, work: F) -> End
where
    F: FnOnce(&Sender, &Tally) -> Result<(), Error> + Send + 'static,
{
    let (mut receiver, sender) = conn.split();
    let spawned = helper::spawn("sender", {
        let (sender, tally) = (sender.clone(), Arc::clone(tally));
        // It fails when the connection ends, which the receiver sees too.
        move || drop(work(&sender, &tally))
    });
    if !spawned {
        let reason = "no thread to be had";
        visit::start_close(&sender, tally, CloseCode::TRY_AGAIN_LATER, reason);
    }
    let result = ignore(&mut receiver, tally);
    End { result, close: receiver.close_frame().cloned() }
}

/// Throws messages away until the closing handshake is done.
fn ignore(receiver: &mut Receiver, tally: &Tally) -> Result<(), Error> {
    let (mut sink, mut len) = ([0; 1024], 0);
    // For the log, if it tells of messages.
    let mut start = Vec::new();
    while let Some(chunk) = receiver.recv_chunk(&mut sink)? {
        len += chunk.len;
        if tally.trace.is_some() && start.len() < sink.len() {
            start.extend_from_slice(&sink[..chunk.len]);
        }
        if chunk.fin {
            tally.count_received_part(chunk.kind, len, &start);
            len = 0;
            start.clear();
        }
    }
    Ok(())
}

/// Sends a Ping every so often, and a JSON text for each Pong; echoes besides.
#[inline(never)]
pub(crate) fn ping(conn: Connection, tally: &Arc<Tally>, every: Duration) -> End {
    let (mut receiver, sender) = conn.split();
    let start = Instant::now();
    receiver.on_pong({
        let (sender, tally) = (sender.clone(), Arc::clone(tally));
        move |payload| report(&sender, &tally, payload, start.elapsed())
    });
    let (mut number, mut next) = (0u64, start);
    let mut buf = Vec::new();
    let result = loop {
        let now = Instant::now();
        if now >= next {
            number += 1;
            // What comes back says which Ping it answers and when that was sent.
            let nanos = start.elapsed().as_nanos() as u64;
            let payload = [number.to_be_bytes(), nanos.to_be_bytes()].concat();
            let _ = sender.ping(&payload);
            next = now + every;
        }
        receiver.set_recv_timeout(Some(next - now));
        match receiver.recv(&mut buf) {
            Ok(None) => break Ok(()),
            Ok(Some(message)) => {
                tally.count_received(message);
                if let Err(error) = reply(&sender, tally, message) {
                    break Err(error);
                }
            }
            Err(Error::RecvTimeout) => {}
            Err(error) => break Err(error),
        }
    };
    End { result, close: receiver.close_frame().cloned() }
}

/// Tells the peer how long its Pong took. Pongs that nobody asked for are none of ours.
fn report(sender: &Sender, tally: &Tally, payload: &[u8], now: Duration) {
    let Ok(payload) = <[u8; 16]>::try_from(payload) else { return };
    let [number, nanos] = [0, 8].map(|at| {
        let bytes: [u8; 8] = std::array::from_fn(|n| payload[at + n]);
        u64::from_be_bytes(bytes)
    });
    let Some(length) = now.checked_sub(Duration::from_nanos(nanos)) else { return };
    let millis = length.as_secs_f64() * 1e3;
    let json = format!("{{\"ping\":{number},\"rtt_ms\":{millis:.3}}}");
    // If this fails, so does the next call that receives.
    let _ = reply(sender, tally, Message::from(&json));
}

fn reply(sender: &Sender, tally: &Tally, message: Message<'_>) -> Result<(), Error> {
    match sender.send(message) {
        Ok(()) => tally.count_sent(message),
        // The closing handshake has begun: `recv` sees it through.
        Err(Error::Closed) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_share_their_bytes() {
        let budget = Budget::new();
        let block = |len| block(len, &budget);
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
