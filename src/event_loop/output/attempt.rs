//! An attempt to send, which waits for nobody.

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::writer::{Progress, TryAcquire, Unsent};
use crate::error::Error;
use crate::event_loop::output::frames::to_send;

/// What came of an attempt to send.
pub(super) enum Attempt {
    Sent(Result<Progress, Error>),
    /// Others write.
    Busy,
    /// §5.5.1: nothing follows a Close.
    Over,
}

/// Sends frames, and one more behind them, if we may write.
#[inline(always)]
pub(super) fn attempt(
    shared: &ConnectionShared,
    claims: bool,
    (frames, deflated): (&mut [u8], &mut Vec<u8>),
    [header, payload]: [&[u8]; 2],
    unsent: &mut Unsent,
) -> Attempt {
    let guard = match shared.writer.try_acquire(claims) {
        TryAcquire::Acquired(guard) => guard,
        TryAcquire::Busy => return Attempt::Busy,
        TryAcquire::Over => return Attempt::Over,
    };
    let frames = to_send(shared, frames, deflated);
    let bufs = [frames, header, payload];
    let len: usize = bufs.iter().map(|buf| buf.len()).sum();
    // One buffer is quicker to write than one and two that are empty.
    let count = if payload.is_empty() { 1 } else { 3 };
    let timeout = shared.writer.timeout(len as u64);
    Attempt::Sent(guard.send_now(&bufs[..count], unsent, timeout))
}
