//! Servers that speak without being asked: messages in a row, and Pings.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use barews::{CloseCode, Connection, Error, Message, Receiver, Sender};

use crate::helper;
use crate::metrics::Tally;
use crate::visit::{self, End};

/// Sends `1` to `n`, then closes.
#[inline(never)]
pub(crate) fn count(conn: Connection, tally: &Arc<Tally>, n: u64) -> End {
    produce(conn, tally, move |sender, tally| {
        for number in 1..=n {
            let text = number.to_string();
            sender.send(&text)?;
            tally.sent.count(text.len());
        }
        visit::start_close(sender, tally, CloseCode::NORMAL, "");
        Ok(())
    })
}

/// Sends messages of `len` bytes until the peer closes.
#[inline(never)]
pub(crate) fn flood(mut conn: Connection, tally: &Arc<Tally>, len: usize) -> End {
    let Some(block) = block(len) else {
        let reason = "no memory to be had";
        let result = visit::close(&mut conn, tally, CloseCode::TRY_AGAIN_LATER, reason);
        return End::of(&conn, result);
    };
    produce(conn, tally, move |sender, tally| {
        loop {
            sender.send(&block[..len])?;
            tally.sent.count(len);
        }
    })
}

/// What floods send: at least `len` bytes, if they can be had. All share them, so that memory does
/// not grow with the number of floods; lengths are powers of two, lest each length have its own.
fn block(len: usize) -> Option<Arc<Vec<u8>>> {
    static BLOCK: Mutex<Option<Arc<Vec<u8>>>> = Mutex::new(None);
    let mut block = BLOCK.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(block) = block.as_ref().filter(|block| block.len() >= len) {
        return Some(Arc::clone(block));
    }
    let len = len.next_power_of_two();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0xba);
    Some(Arc::clone(block.insert(Arc::new(bytes))))
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
    while let Some(chunk) = receiver.recv_chunk(&mut sink)? {
        len += chunk.len;
        if chunk.end {
            tally.received.count(len);
            len = 0;
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
                tally.received.count(message.len());
                if let Err(error) = reply(&sender, tally, message) {
                    break Err(error);
                }
            }
            Err(Error::TimedOut) => {}
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
        Ok(()) => tally.sent.count(message.len()),
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
        let long = block(3000).expect("memory");
        assert_eq!(long.len(), 4096);
        for len in [0, 1, 4096] {
            assert!(Arc::ptr_eq(&long, &block(len).expect("memory")), "{len}");
        }
        let longer = block(4097).expect("memory");
        assert_eq!(longer.len(), 8192);
        assert!(Arc::ptr_eq(&longer, &block(3000).expect("memory")));
        assert!(block(usize::MAX / 2).is_none(), "no memory is an answer too");
    }
}
