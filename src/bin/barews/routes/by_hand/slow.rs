//! An echo at so many bytes a second, for clients that must cope with a peer that is slower than they
//! are.
//!
//! No more is read than the rate allows, and the system is told to keep little of what comes: so a
//! client that sends faster finds its own buffers filling up, as it would with a slow link.

use std::time::{Duration, Instant};

use barews::{CloseFrame, Connection, Error};

use super::peer::{Heard, Peer, PeerContext};
use crate::os::socket::set_receive_buffer;
use crate::session::End;

/// How many times a second something is read, where the rate has as many bytes.
const STEPS: u64 = 20;

/// The most that is read in a step, in bytes: more steps are made then.
const MAX_STEP: u64 = 16 << 10;

/// The longest that it is not looked whether the client is still there.
const MAX_PING_INTERVAL: Duration = Duration::from_secs(60);

/// Bounds of what the system is asked to keep for us, in bytes; Linux keeps twice that. A window
/// smaller than a segment, which on loopback has 64 KiB, opens only when the sender probes for it:
/// with 16 KiB here, nothing came for 3 s at 20,000 bytes a second.
const MIN_BUFFER: u64 = 32 << 10;
const MAX_BUFFER: u64 = 256 << 10;

/// Takes and gives back so many bytes a second, those of frames and headers together.
#[inline(never)]
pub fn slow(conn: Connection, context: PeerContext<'_>, rate: u64) -> End {
    let raw = match conn.into_stream() {
        Ok(raw) => raw,
        Err(error) => return End { result: Err(error), received: None },
    };
    set_receive_buffer(&raw, rate.clamp(MIN_BUFFER, MAX_BUFFER) as i32);
    match echo(&mut Peer::new(raw, context), rate) {
        Ok(received) => End { result: Ok(()), received },
        Err(error) => End { result: Err(error), received: None },
    }
}

fn echo(peer: &mut Peer<'_>, rate: u64) -> Result<Option<CloseFrame>, Error> {
    let step = (rate / STEPS).clamp(1, MAX_STEP) as usize;
    let mut next = Instant::now();
    // What waits to be read hides the end of the stream behind it.
    let interval = peer.context.timeouts.ping_interval.min(MAX_PING_INTERVAL);
    let mut pinged = next;
    loop {
        if let Some(heard) = peer.read(None, step)? {
            return peer.conclude(heard);
        }
        let (read, written) = (peer.unread() as u64, peer.written);
        while peer.unread() > 0 {
            if let Some(heard @ Heard::Close(_)) = peer.decode()? {
                return peer.conclude(heard);
            }
        }
        // Time that was lost while nothing came is not made up for.
        let bytes = read.max(peer.written - written);
        next = next.max(Instant::now()) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        if let Some(heard) = peer.rest(next) {
            return peer.conclude(heard);
        }
        if pinged.elapsed() >= interval {
            peer.ping()?;
            pinged = Instant::now();
        }
    }
}
