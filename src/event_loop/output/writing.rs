//! Writes that wait for nobody.

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::writer::{Progress, Unsent, WriteGuard};
use crate::error::Error;
use crate::io::stream::TimedStream;

/// Sends whole frames: no more than so many bytes.
#[inline(always)]
pub(super) fn send(
    guard: WriteGuard<'_, TimedStream>,
    shared: &ConnectionShared,
    bufs: [&[u8]; 3],
    most: usize,
    unsent: &mut Unsent,
) -> Result<Progress, Error> {
    let len: usize = bufs.iter().map(|buf| buf.len()).sum();
    // One buffer is quicker to write than one and two that are empty.
    let count = if bufs[1].is_empty() { 1 } else { 3 };
    guard.send_now(&bufs[..count], most, unsent, shared.writer.timeout(len as u64))
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
