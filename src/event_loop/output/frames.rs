//! Frames of ours that wait: deflated, where compression was agreed on, at the moment when they are sent.

#[cfg(feature = "deflate")]
use crate::connection::Message;
use crate::connection::lifecycle::ConnectionShared;
#[cfg(feature = "deflate")]
use crate::proto::{Header, MAX_HEADER, MessageType, OpCode};

/// On a frame that waits: it is not to be compressed. Where RSV3 would be, which is never sent.
#[cfg(feature = "deflate")]
pub(super) const PLAIN: u8 = 0x10;

/// The frames as they are to be sent, and a last one's header and payload, if there is one. Whoever
/// calls this has the right to write.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables, clippy::ptr_arg))]
#[inline]
pub(super) fn to_send<'a>(
    shared: &ConnectionShared,
    frames: &'a mut [u8],
    deflated: &'a mut Vec<u8>,
    [header, payload]: [&'a [u8]; 2],
) -> [&'a [u8]; 3] {
    #[cfg(feature = "deflate")]
    if shared.compression().is_some() {
        return to_send_deflated(shared, frames, deflated, [header, payload]);
    }
    [frames, header, payload]
}

#[cfg(feature = "deflate")]
#[inline(never)]
fn to_send_deflated<'a>(
    shared: &ConnectionShared,
    frames: &'a mut [u8],
    deflated: &'a mut Vec<u8>,
    [header, payload]: [&'a [u8]; 2],
) -> [&'a [u8]; 3] {
    deflated.clear();
    let mut rest = frames;
    while !rest.is_empty() {
        let is_plain = rest[0] & PLAIN != 0;
        rest[0] &= !PLAIN;
        let Some((opcode, header_len, len)) = frame(rest) else { break };
        let (frame, behind) = rest.split_at_mut(header_len + len);
        rest = behind;
        if is_plain || !deflate(shared, opcode, &frame[header_len..], deflated) {
            deflated.extend_from_slice(frame);
        }
    }
    // It is worth no copy: for 16 MiB that is a tenth of the time.
    match frame(header) {
        Some((opcode, ..)) if deflate(shared, opcode, payload, deflated) => [deflated, &[], &[]],
        _ => [deflated, header, payload],
    }
}

/// Appends a message as a compressed frame; whether it is one, and shorter so.
#[cfg(feature = "deflate")]
fn deflate(
    shared: &ConnectionShared,
    opcode: OpCode,
    payload: &[u8],
    deflated: &mut Vec<u8>,
) -> bool {
    let kind = match opcode {
        OpCode::Text => MessageType::Text,
        OpCode::Binary => MessageType::Binary,
        _ => return false,
    };
    let Some((compression, buffers)) = shared.compression_of(payload.len()) else { return false };
    let compressed =
        compression.deflated(Message::new(kind, payload), buffers, |header, payload| {
            deflated.extend_from_slice(header.as_bytes());
            deflated.extend_from_slice(payload);
            Ok(())
        });
    compressed.is_some()
}

/// The first of some whole frames of ours, plain or not: opcode, length of the header, and of the payload.
#[cfg(feature = "deflate")]
pub(super) fn frame(frames: &[u8]) -> Option<(OpCode, usize, usize)> {
    let len = frames.len().min(MAX_HEADER);
    let mut head = [0; MAX_HEADER];
    head[..len].copy_from_slice(&frames[..len]);
    head[0] &= !PLAIN;
    let (header, header_len) = Header::decode(&head[..len]).ok()??;
    Some((header.opcode, header_len, usize::try_from(header.len).ok()?))
}
