//! A Close that comes late, or one that is never answered, for clients that must not wait for ever
//! (§7.1.1).
//!
//! ```text
//!   echo ── after N messages, and the delay ──> our Close ──> theirs ──┬──> the end
//!     └──── their Close ── the delay ──> the answer ───────────────────┤
//!                           └── reply=none: silence, until they end ───┘
//! ```

use std::time::{Duration, Instant};

use barews::{CloseCode, CloseFrame, Connection, Error};

use super::peer::{Heard, Peer, PeerContext};
use crate::session::{self, End};

/// What the path asks for.
pub struct LateClose {
    pub code: CloseCode,
    pub reason: String,
    /// After so many echoes; `None` for at once, or where nothing is answered, never.
    pub after: Option<u64>,
    pub delay: Option<Duration>,
    /// Whether the client's Close is answered, or ours is followed by the end of the stream.
    pub reply: bool,
}

/// Echoes, and closes as asked for.
#[inline(never)]
pub fn close(conn: Connection, context: PeerContext<'_>, plan: &LateClose) -> End {
    let raw = match conn.into_stream() {
        Ok(raw) => raw,
        Err(error) => return End { result: Err(error), received: None },
    };
    let mut received = None;
    let result = run(&mut Peer::new(raw, context), plan, &mut received);
    End { result, received }
}

fn run(
    peer: &mut Peer<'_>,
    plan: &LateClose,
    received: &mut Option<CloseFrame>,
) -> Result<(), Error> {
    let delay = plan.delay.unwrap_or_default();
    let mut left = plan.after.unwrap_or(0);
    let is_asked_for = plan.reply || plan.after.is_some() || plan.delay.is_some();
    let mut due = (left == 0 && is_asked_for).then(|| Instant::now() + delay);
    loop {
        match peer.next(due)? {
            Heard::Frame { message } => {
                left -= u64::from(message && left > 0);
                if message && left == 0 && due.is_none() && is_asked_for {
                    due = Some(Instant::now() + delay);
                }
            }
            Heard::Due => {
                session::note_close(peer.context.counters, plan.code, &plan.reason);
                peer.say_close(plan.code, &plan.reason)?;
                if plan.reply {
                    *received = peer.wait_for_close()?;
                    return Ok(());
                }
                return hold(peer, received);
            }
            Heard::Close(frame) => {
                *received = Some(frame.clone());
                if !plan.reply {
                    peer.fall_silent();
                    return hold(peer, received);
                }
                wait(peer, Instant::now() + delay)?;
                peer.answer_close(&frame)?;
                peer.end();
                return Ok(());
            }
            heard => {
                *received = peer.conclude(heard)?;
                return Ok(());
            }
        }
    }
}

/// Throws away what comes behind a Close, until it is `due`, or the server is to stop. A client that
/// has ended its own side may still wait for the answer (§7.1.1).
fn wait(peer: &mut Peer<'_>, due: Instant) -> Result<(), Error> {
    loop {
        match peer.next(Some(due))? {
            Heard::Frame { .. } | Heard::Close(_) => {}
            Heard::Due | Heard::Stop => return Ok(()),
            Heard::End | Heard::Idle => {
                peer.rest(due);
                return Ok(());
            }
        }
    }
}

/// Leaves the stream open and says nothing, until the client ends it, or has been silent for the
/// idle timeout, or the server is to stop.
fn hold(peer: &mut Peer<'_>, received: &mut Option<CloseFrame>) -> Result<(), Error> {
    loop {
        match peer.next(None)? {
            Heard::Close(frame) => *received = Some(frame),
            Heard::Frame { .. } | Heard::Due => {}
            Heard::End | Heard::Idle | Heard::Stop => return Ok(()),
        }
    }
}
