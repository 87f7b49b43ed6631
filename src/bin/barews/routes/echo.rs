//! Echoes of all kinds, each a loop over one connection in its own thread.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::mem;
use std::time::{Duration, Instant};

use barews::{CloseCode, Connection, Error, Message, MessageType};

use crate::limits::{Budget, Held, Queue};
use crate::metrics::Tally;
use crate::session::{self as visit, End};

/// From how many messages on that wait to be echoed later no more may, and from how many bytes.
const WAITING: (usize, usize) = (1000, 1 << 20);

/// What is said where no more may wait.
pub(crate) const CROWDED: &str = "too many messages wait";

/// The most fragments that one message is cut into: as many as we would take.
const FRAGMENTS: usize = 131_072;

/// Hands each message to `each`, until the closing handshake is done.
fn for_each(
    conn: &mut Connection,
    tally: &Tally,
    mut each: impl FnMut(&mut Connection, Message<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut buf = Vec::new();
    while let Some(message) = conn.recv(&mut buf)? {
        tally.count_received(message);
        match each(conn, message) {
            // A shutdown has begun to close: `recv` sees that through.
            Ok(()) | Err(Error::Closed) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub(crate) fn reply(
    conn: &mut Connection,
    tally: &Tally,
    message: Message<'_>,
) -> Result<(), Error> {
    conn.write(message)?;
    tally.count_sent(message);
    Ok(())
}

/// Sends every message back.
#[inline(never)]
pub(crate) fn echo(mut conn: Connection, tally: &Tally) -> End {
    let result = for_each(&mut conn, tally, |conn, message| reply(conn, tally, message));
    End::of(&conn, result)
}

/// Sends a text, then every message back. The text is let go of before.
#[inline(never)]
pub(crate) fn greet(mut conn: Connection, tally: &Tally, budget: &Budget, text: String) -> End {
    let Some(held) = budget.hold(MessageType::Text, text.into_bytes()) else {
        let result = visit::close(&mut conn, tally, CloseCode::TRY_AGAIN_LATER, CROWDED);
        return End::of(&conn, result);
    };
    let result = reply(&mut conn, tally, held.message()).and_then(|()| conn.flush());
    drop(held);
    match result {
        Ok(()) | Err(Error::Closed) => echo(conn, tally),
        error => End::of(&conn, error),
    }
}

/// Sends so many messages back, then closes.
#[inline(never)]
pub(crate) fn close(
    mut conn: Connection,
    tally: &Tally,
    code: CloseCode,
    reason: &str,
    mut after: u64,
) -> End {
    let result = match after {
        0 => visit::close(&mut conn, tally, code, reason),
        _ => for_each(&mut conn, tally, |conn, message| {
            reply(conn, tally, message)?;
            after -= 1;
            if after == 0 { visit::close(conn, tally, code, reason) } else { Ok(()) }
        }),
    };
    End::of(&conn, result)
}

/// Sends every message back in fragments of `size` bytes.
#[inline(never)]
pub(crate) fn fragment(mut conn: Connection, tally: &Tally, size: usize) -> End {
    let result = for_each(&mut conn, tally, |conn, message| {
        if message.len().div_ceil(size) > FRAGMENTS {
            let reason = format!("that would be more than {FRAGMENTS} fragments");
            return visit::close(conn, tally, CloseCode::TOO_BIG, &reason);
        }
        let mut parts = message.as_bytes().chunks(size);
        let last = parts.next_back().unwrap_or_default();
        let mut writer = conn.writer(message.kind());
        for part in parts {
            // What goes wrong here is an error of ours in std's clothes.
            writer.write_all(part).map_err(|error| error.downcast().unwrap_or_else(Error::Io))?;
        }
        writer.finish_with(last)?;
        tally.count_sent(message);
        Ok(())
    });
    End::of(&conn, result)
}

/// A random time up to `most`.
pub(crate) fn random(most: Duration) -> Duration {
    // A hasher of random keys is all the randomness that std has.
    let random = RandomState::new().hash_one(0) as u32;
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

/// Sends every message back, each by `delay` after it came and in order.
#[inline(never)]
pub(crate) fn later(
    mut conn: Connection,
    tally: &Tally,
    budget: &Budget,
    delay: impl Fn() -> Duration,
) -> End {
    let mut waiting = Waiting { messages: Queue::new(budget), bytes: 0 };
    let mut buf = Vec::new();
    let result = loop {
        if let Err(error) = waiting.send_due(&mut conn, tally) {
            break Err(error);
        }
        let wait = waiting.next_due().map(|due| due.saturating_duration_since(Instant::now()));
        conn.set_recv_timeout(wait);
        match conn.recv(&mut buf) {
            Ok(None) => break Ok(()),
            Ok(Some(message)) => {
                tally.count_received(message);
                let kind = message.kind();
                // One may be of any size. To read no more until there is room would be to hear no
                // Ping nor Close either.
                let held = match waiting.is_full() {
                    true => None,
                    false => budget.hold(kind, mem::take(&mut buf)),
                };
                let due = Instant::now() + delay();
                if !held.is_some_and(|held| waiting.push(due, held)) {
                    break visit::close(&mut conn, tally, CloseCode::TRY_AGAIN_LATER, CROWDED);
                }
            }
            Err(Error::RecvTimeout) => {}
            Err(error) => break Err(error),
        }
    };
    End::of(&conn, result)
}

/// Messages in the order in which they came, each with the time at which it is due.
struct Waiting {
    messages: Queue<(Instant, Held)>,
    bytes: usize,
}

impl Waiting {
    /// Keeps a message, if there is memory for its place.
    fn push(&mut self, due: Instant, held: Held) -> bool {
        // Nobody overtakes.
        let due = self.messages.last().map_or(due, |(last, ..)| due.max(*last));
        self.bytes += held.len();
        self.messages.push((due, held))
    }

    fn next_due(&self) -> Option<Instant> {
        self.messages.first().map(|(due, ..)| *due)
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= WAITING.0 || self.bytes >= WAITING.1
    }

    fn send_due(&mut self, conn: &mut Connection, tally: &Tally) -> Result<(), Error> {
        while self.next_due().is_some_and(|due| due <= Instant::now())
            && let Some((_, held)) = self.messages.pop()
        {
            self.bytes -= held.len();
            match reply(conn, tally, held.message()) {
                Ok(()) | Err(Error::Closed) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
