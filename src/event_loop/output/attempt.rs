//! An attempt to send, which waits for nobody.

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::writer::{Denied, Progress, Unsent, WriteGuard};
use crate::error::Error;
use crate::event_loop::output::frames::to_send;
use crate::io::stream::TimedStream;

/// Whose the right to write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    Wanted,
    /// No other message is to begin before ours.
    Claimed,
    /// Ours, since an earlier attempt.
    Kept,
}

/// How far an attempt to send has come, or why it has not begun.
pub(super) type Attempt = Result<Result<Progress, Error>, Denied>;

/// Sends frames, and one more behind them, if we may write: no more than so many bytes.
#[inline(always)]
pub(super) fn attempt(
    shared: &ConnectionShared,
    right: Right,
    (frames, deflated): (&mut [u8], &mut Vec<u8>),
    [header, payload]: [&[u8]; 2],
    most: usize,
    unsent: &mut Unsent,
) -> Attempt {
    let guard = acquire(shared, right)?;
    let bufs = to_send(shared, frames, deflated, [header, payload]);
    let len: usize = bufs.iter().map(|buf| buf.len()).sum();
    // One buffer is quicker to write than one and two that are empty.
    let count = if bufs[2].is_empty() { 1 } else { 3 };
    let timeout = shared.writer.timeout(len as u64);
    Ok(guard.send_now(&bufs[..count], most, unsent, timeout))
}

/// Gets the right to write, without waiting for it.
///
/// # Errors
///
/// Why not.
#[inline(always)]
pub(super) fn acquire(
    shared: &ConnectionShared,
    right: Right,
) -> Result<WriteGuard<'_, TimedStream>, Denied> {
    match right {
        Right::Kept => Ok(shared.writer.resume()),
        Right::Wanted => shared.writer.try_acquire(false),
        Right::Claimed => shared.writer.try_acquire(true),
    }
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
