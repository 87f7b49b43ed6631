//! Frames of ours that wait: deflated, where compression was agreed on, at the moment when they are sent.

#[cfg(feature = "deflate")]
use crate::connection::Message;
use crate::connection::lifecycle::ConnectionShared;
#[cfg(feature = "deflate")]
use crate::proto::{Header, MessageType, OpCode};

/// On a frame that waits: it is not to be compressed. Where RSV3 would be, which is never sent.
#[cfg(feature = "deflate")]
pub(super) const PLAIN: u8 = 0x10;

/// The frames as they are to be sent. Whoever calls this has the right to write.
#[cfg(not(feature = "deflate"))]
pub(super) fn to_send<'a>(
    _: &ConnectionShared,
    frames: &'a mut [u8],
    _: &'a mut Vec<u8>,
) -> &'a [u8] {
    frames
}

#[cfg(feature = "deflate")]
pub(super) fn to_send<'a>(
    shared: &ConnectionShared,
    frames: &'a mut [u8],
    deflated: &'a mut Vec<u8>,
) -> &'a [u8] {
    if shared.compression().is_none() {
        return frames;
    }
    deflated.clear();
    let mut rest = frames;
    while !rest.is_empty() {
        let is_plain = rest[0] & PLAIN != 0;
        rest[0] &= !PLAIN;
        let Some((opcode, header_len, len)) = frame(rest) else { break };
        let (frame, behind) = rest.split_at_mut(header_len + len);
        rest = behind;
        let kind = match opcode {
            OpCode::Text => Some(MessageType::Text),
            OpCode::Binary => Some(MessageType::Binary),
            _ => None,
        };
        let compressed = kind.filter(|_| !is_plain).and_then(|kind| {
            let (compression, buffers) = shared.compression_of(len)?;
            let message = Message::new(kind, &frame[header_len..]);
            compression.deflated(message, buffers, |header, payload| {
                deflated.extend_from_slice(header.as_bytes());
                deflated.extend_from_slice(payload);
                Ok(())
            })
        });
        if compressed.is_none() {
            deflated.extend_from_slice(frame);
        }
    }
    deflated
}

/// The first of some whole frames of ours: opcode, length of the header, and of the payload.
#[cfg(feature = "deflate")]
fn frame(frames: &[u8]) -> Option<(OpCode, usize, usize)> {
    let (header, header_len) = Header::decode(frames).ok()??;
    Some((header.opcode, header_len, usize::try_from(header.len).ok()?))
}
