//! A server that reads nothing.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use barews::{CloseCode, Connection, Error};

use crate::metrics::Tally;
use crate::session::{self as visit, End};

/// The longest that it is not looked whether the peer is still there.
const LOOK: Duration = Duration::from_secs(60);

/// The longest at all.
const DAY: Duration = Duration::from_secs(86_400);

/// What a peer is told when the server shuts down: the same as the library says.
pub(crate) const SHUTDOWN: &str = "the server is shutting down";

/// Whether the server is to stop.
#[derive(Default)]
pub(crate) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(crate) fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until it is set; whether it is.
    fn wait(&self, most: Duration) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(set, most, |set| !*set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Reads nothing, for as long as a silent peer would be waited for, and cuts the stream then.
///
/// A peer that has gone is noticed all the same: its system answers our Ping with a reset, so the
/// next one cannot be sent. One that has only ended its own side still receives, and is there.
#[inline(never)]
pub(crate) fn stall(
    mut conn: Connection,
    tally: &Tally,
    stop: &Stop,
    idle: Duration,
    ping: Duration,
) -> End {
    let (start, idle) = (Instant::now(), idle.min(DAY));
    loop {
        let left = idle.saturating_sub(start.elapsed());
        if stop.wait(left.min(ping).min(LOOK)) {
            // Whoever shuts down says so too; one of the two is heard.
            let result = visit::close(&mut conn, tally, CloseCode::GOING_AWAY, SHUTDOWN);
            return End::of(&conn, result);
        }
        if start.elapsed() >= idle {
            return End { result: conn.into_stream().map(drop), close: None };
        }
        if conn.ping(b"").is_err() {
            let result = rest(&mut conn);
            return End::of(&conn, result);
        }
    }
}

/// Reads to the end of a connection that has ended.
fn rest(conn: &mut Connection) -> Result<(), Error> {
    let mut buf = Vec::new();
    while conn.recv(&mut buf)?.is_some() {}
    Ok(())
}
