//! What `deflating` is in a build that compresses nothing.

use crate::connection::lifecycle::ConnectionShared;

/// No message is.
pub(super) enum Deflating {}

#[inline]
pub(super) fn within(_: &ConnectionShared, frames: &[u8], _: usize) -> (usize, usize) {
    (frames.len(), 0)
}

#[inline]
pub(super) fn to_send<'a>(
    _: &ConnectionShared,
    frames: &'a mut [u8],
    _: &mut Vec<u8>,
    [header, payload]: [&'a [u8]; 2],
) -> [&'a [u8]; 3] {
    [frames, header, payload]
}

pub(super) fn deflate_part<'a>(
    _: &ConnectionShared,
    _: &'a [u8],
    _: &'a mut Option<Deflating>,
    _: &'a mut Vec<u8>,
) -> Option<(usize, [&'a [u8]; 3])> {
    None
}
