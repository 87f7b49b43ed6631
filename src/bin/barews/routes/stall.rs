//! A server that reads nothing.

use std::time::{Duration, Instant};

use barews::{CloseCode, Connection, Error, Timeouts};

use crate::metrics::Counters;
use crate::session::{self, End, SHUTDOWN, StopFlag};

/// The longest that it is not looked whether the peer is still there.
const MAX_PING_INTERVAL: Duration = Duration::from_secs(60);

/// The longest at all.
const MAX_STALL: Duration = Duration::from_secs(86_400);

/// Reads nothing, for as long as a silent peer would be waited for, and ends the stream then.
///
/// A peer that has gone is noticed all the same: its system answers our Ping with a reset, so the
/// next one cannot be sent. One that has only ended its own side still receives, and is there.
#[inline(never)]
pub fn stall(
    mut conn: Connection,
    counters: &Counters,
    stop: &StopFlag,
    timeouts: &Timeouts,
) -> End {
    let (start, idle) = (Instant::now(), timeouts.idle_timeout.min(MAX_STALL));
    loop {
        let left = idle.saturating_sub(start.elapsed());
        if stop.wait(left.min(timeouts.ping_interval).min(MAX_PING_INTERVAL)) {
            // Whoever shuts down says so too; one of the two is heard.
            let result = session::close(&mut conn, counters, CloseCode::GOING_AWAY, SHUTDOWN);
            return End::of(&conn, result);
        }
        if start.elapsed() >= idle {
            return End { result: conn.into_stream().map(drop), received: None };
        }
        if conn.ping(b"").is_err() {
            let result = read_to_end(&mut conn);
            return End::of(&conn, result);
        }
    }
}

/// Reads to the end of a connection that has ended.
fn read_to_end(conn: &mut Connection) -> Result<(), Error> {
    let mut buf = Vec::new();
    while conn.recv(&mut buf)?.is_some() {}
    Ok(())
}
