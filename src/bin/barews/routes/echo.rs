//! Echoes without delay, each a loop over one connection in its own thread.

use std::io::Write;

use barews::{CloseCode, Connection, Error, Message, MessageType};

use crate::limits::MEMORY;
use crate::metrics::Counters;
use crate::session;

/// The reason where no more may wait.
pub const TOO_MANY_WAIT: &str = "too many messages wait";

/// The most fragments that one message is cut into: as many as we would take.
const MAX_FRAGMENTS: usize = 131_072;

/// Hands each message to `each`, until the closing handshake is done.
fn for_each(
    conn: &mut Connection,
    counters: &Counters,
    mut each: impl FnMut(&mut Connection, Message<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut buf = Vec::new();
    while let Some(message) = conn.recv(&mut buf)? {
        counters.count_received(message);
        ignore_closed(each(conn, message))?;
    }
    Ok(())
}

/// Lets pass that a closing handshake has begun, by a shutdown for one: `recv` sees it through.
pub fn ignore_closed(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(Error::Closed) => Ok(()),
        result => result,
    }
}

/// Queues a message, which goes out before the next one is waited for.
pub fn reply(
    conn: &mut Connection,
    counters: &Counters,
    message: Message<'_>,
) -> Result<(), Error> {
    conn.write(message)?;
    counters.count_sent(message);
    Ok(())
}

/// Closes with 1013, for want of memory.
pub fn close_overloaded(conn: &mut Connection, counters: &Counters) -> Result<(), Error> {
    session::close(conn, counters, CloseCode::TRY_AGAIN_LATER, TOO_MANY_WAIT)
}

/// Sends every message back.
#[inline(never)]
pub fn echo(conn: &mut Connection, counters: &Counters) -> Result<(), Error> {
    for_each(conn, counters, |conn, message| reply(conn, counters, message))
}

/// Sends a text, then every message back. The text is freed before.
#[inline(never)]
pub fn send_then_echo(
    conn: &mut Connection,
    counters: &Counters,
    text: String,
) -> Result<(), Error> {
    let Some(stored) = MEMORY.store(MessageType::Text, text.into_bytes()) else {
        return close_overloaded(conn, counters);
    };
    ignore_closed(reply(conn, counters, stored.message()).and_then(|()| conn.flush()))?;
    drop(stored);
    echo(conn, counters)
}

/// Sends so many messages back, then closes.
#[inline(never)]
pub fn close(
    conn: &mut Connection,
    counters: &Counters,
    code: CloseCode,
    reason: &str,
    mut after: u64,
) -> Result<(), Error> {
    if after == 0 {
        return session::close(conn, counters, code, reason);
    }
    for_each(conn, counters, |conn, message| {
        reply(conn, counters, message)?;
        after -= 1;
        if after == 0 { session::close(conn, counters, code, reason) } else { Ok(()) }
    })
}

/// Sends every message back in fragments of `size` bytes.
#[inline(never)]
pub fn fragment(conn: &mut Connection, counters: &Counters, size: usize) -> Result<(), Error> {
    for_each(conn, counters, |conn, message| {
        if message.len().div_ceil(size) > MAX_FRAGMENTS {
            let reason = format!("that would be more than {MAX_FRAGMENTS} fragments");
            return session::close(conn, counters, CloseCode::TOO_BIG, &reason);
        }
        let mut parts = message.as_bytes().chunks(size);
        let last = parts.next_back().unwrap_or_default();
        let mut writer = conn.writer(message.kind());
        for part in parts {
            // What goes wrong here is an error of ours in std's clothes.
            writer.write_all(part).map_err(|error| error.downcast().unwrap_or_else(Error::Io))?;
        }
        writer.finish_with(last)?;
        counters.count_sent(message);
        Ok(())
    })
}
