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

/// Sends frames, and one more behind them, if we may write: no more than so many bytes.
#[inline(always)]
pub(super) fn attempt(
    shared: &ConnectionShared,
    claims: bool,
    (frames, deflated): (&mut [u8], &mut Vec<u8>),
    [header, payload]: [&[u8]; 2],
    most: usize,
    unsent: &mut Unsent,
) -> Attempt {
    let guard = match shared.writer.try_acquire(claims) {
        TryAcquire::Acquired(guard) => guard,
        TryAcquire::Busy => return Attempt::Busy,
        TryAcquire::Over => return Attempt::Over,
    };
    let bufs = to_send(shared, frames, deflated, [header, payload]);
    let len: usize = bufs.iter().map(|buf| buf.len()).sum();
    // One buffer is quicker to write than one and two that are empty.
    let count = if bufs[2].is_empty() { 1 } else { 3 };
    let timeout = shared.writer.timeout(len as u64);
    Attempt::Sent(guard.send_now(&bufs[..count], most, unsent, timeout))
}

/// Goes on with what was begun, and counts what is written down from `most`.
pub(super) fn proceed(
    shared: &ConnectionShared,
    unsent: &mut Unsent,
    most: &mut usize,
) -> Result<Progress, Error> {
    let (writer, before) = (&shared.writer, unsent.left());
    let progress = writer.resume().proceed(unsent, writer.timeout(0));
    *most = most.saturating_sub(before.saturating_sub(unsent.left()));
    progress
}
