//! Frames of ours that wait: deflated, where compression was agreed on, when they are sent.
//!
//! ```text
//!   held: │ short │ short │ long ......................... │ short │
//!         └── one turn ───┘└ a part a turn, with the right ┘
//!                            to write, then all in one frame
//! ```
//!
//! A long message takes many turns to deflate: 16 MiB of JSON a quarter of a second. Meanwhile others
//! have theirs, but nobody writes to its peer: what follows would refer to it.

use crate::connection::Message;
use crate::connection::lifecycle::ConnectionShared;
use crate::proto::encoder::FrameHeader;
use crate::proto::{Header, MAX_HEADER, MessageType, OpCode};
use crate::session::{Charge, deflation::DeflatedMessage};

/// On a frame that waits: it is not to be compressed. Where RSV3 would be, which is never sent.
pub(super) const PLAIN: u8 = 0x10;

/// How much of a message that is long is deflated at once, in bytes.
const PART: usize = 128 << 10;

/// What the shortest message takes as long as, in bytes.
const MIN_WORK: usize = 128;

/// A long message of which not all is deflated yet. The right to write is ours.
pub(super) struct Deflating {
    message: DeflatedMessage,
    /// How much of it is.
    read: usize,
    deflated: Vec<u8>,
    charge: Charge,
}

/// How much of these whole frames takes no more work than that to deflate, in bytes, and how much it takes.
pub(super) fn within(shared: &ConnectionShared, frames: &[u8], most: usize) -> (usize, usize) {
    if shared.compression().is_none() {
        return (frames.len(), 0);
    }
    let (mut len, mut work) = (0, 0);
    while let Some((opcode, header_len, payload_len)) = frame(&frames[len..]) {
        let is_plain = frames[len] & PLAIN != 0 || opcode.is_control();
        if !is_plain && shared.compression_of(payload_len).is_some() {
            work += payload_len.max(MIN_WORK);
        }
        if work > most {
            break;
        }
        len += header_len + payload_len;
    }
    (len, work)
}

/// These frames as they are to be sent, and one more of this header and payload: none, where they are
/// deflated. Whoever calls this has the right to write.
#[inline]
pub(super) fn to_send<'a>(
    shared: &ConnectionShared,
    frames: &'a mut [u8],
    deflated: &'a mut Vec<u8>,
    [header, payload]: [&'a [u8]; 2],
) -> [&'a [u8]; 3] {
    if shared.compression().is_none() {
        return [frames, header, payload];
    }
    debug_assert!(header.is_empty());
    deflate_all(shared, frames, deflated);
    [deflated, &[], &[]]
}

#[inline(never)]
fn deflate_all(shared: &ConnectionShared, mut frames: &mut [u8], deflated: &mut Vec<u8>) {
    deflated.clear();
    while let Some((opcode, header_len, payload_len)) = frame(frames) {
        let is_plain = frames[0] & PLAIN != 0;
        frames[0] &= !PLAIN;
        let (frame, behind) = frames.split_at_mut(header_len + payload_len);
        frames = behind;
        if is_plain || !deflate(shared, opcode, &frame[header_len..], deflated) {
            deflated.extend_from_slice(frame);
        }
    }
}

/// Appends a message as a compressed frame; whether it is one, and shorter so.
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

/// Deflates the next part of the message that is first of these frames, and long. How long its frame is
/// and how it is to be sent, once all of it is deflated.
pub(super) fn deflate_part<'a>(
    shared: &ConnectionShared,
    frames: &'a [u8],
    deflating: &'a mut Option<Deflating>,
    part: &'a mut Vec<u8>,
) -> Option<(usize, [&'a [u8]; 3])> {
    let (opcode, header_len, payload_len) = frame(frames)?;
    let len = header_len + payload_len;
    let (compression, payload) = (shared.compression()?, &frames[header_len..len]);
    if deflating.is_none() {
        *deflating = Deflating::begin(shared);
    }
    let step = deflating.as_mut().and_then(|message| Some((message.step(payload, part)?, message)));
    match step {
        Some((false, _)) => None,
        Some((true, Deflating { deflated, .. })) => {
            compression.sent(payload, deflated.len());
            let header = FrameHeader::new(true, opcode, deflated.len()).compressed();
            part.clear();
            part.extend_from_slice(header.as_bytes());
            Some((len, [part, deflated, &[]]))
        }
        // It is no shorter so, or there is no memory to find out.
        None => Some((len, [&frames[..len], &[], &[]])),
    }
}

impl Deflating {
    /// Of a message that is yet to begin, if there is memory for it.
    fn begin(shared: &ConnectionShared) -> Option<Self> {
        let message = shared.compression()?.begin()?;
        let charge = Charge::new(&shared.server.budget);
        Some(Self { message, read: 0, deflated: Vec::new(), charge })
    }

    /// Deflates the next part of this message, if it is shorter so and there is memory; whether it was
    /// the last one.
    fn step(&mut self, message: &[u8], part: &mut Vec<u8>) -> Option<bool> {
        let rest = &message[self.read..];
        let next = &rest[..rest.len().min(PART)];
        let fin = next.len() == rest.len();
        self.message.fragment(next, fin, part).ok()?;
        let len = self.deflated.len() + part.len();
        if len >= message.len() || !self.charge.grow(len as u64) {
            return None;
        }
        self.deflated.extend_from_slice(part);
        self.read += next.len();
        Some(fin)
    }
}

/// The first of some whole frames of ours, plain or not: opcode, length of the header, and of the payload.
fn frame(frames: &[u8]) -> Option<(OpCode, usize, usize)> {
    let len = frames.len().min(MAX_HEADER);
    let mut head = [0; MAX_HEADER];
    head[..len].copy_from_slice(&frames[..len]);
    head[0] &= !PLAIN;
    let (header, header_len) = Header::decode(&head[..len]).ok()??;
    Some((header.opcode, header_len, usize::try_from(header.len).ok()?))
}
