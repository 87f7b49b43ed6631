//! What was held up goes out a turn's work at a time, where it is deflated on its way.
//!
//! ```text
//!   held: │ short │ short │ long ......................... │ short │
//!         └── one turn ───┘└ a part a turn, with the right ┘
//!                            to write, then all in one frame
//! ```
//!
//! A long message takes many turns to deflate: 16 MiB of JSON a quarter of a second. Meanwhile others
//! have theirs, but nobody writes to its peer: what follows would refer to it.

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::writer::Unsent;
#[cfg(feature = "deflate")]
use crate::event_loop::output::attempt::acquire;
use crate::event_loop::output::attempt::{Attempt, Right, attempt};
#[cfg(feature = "deflate")]
use crate::event_loop::output::frames::{PLAIN, frame};
#[cfg(feature = "deflate")]
use crate::event_loop::output::scratch::MAX_DEFLATED;
#[cfg(feature = "deflate")]
use crate::proto::{OpCode, encoder::FrameHeader};
#[cfg(feature = "deflate")]
use crate::session::{Charge, deflation::DeflatedMessage};

/// How much of a message that is longer, in bytes.
#[cfg(feature = "deflate")]
const PART: usize = 128 << 10;

/// A long message of which not all is deflated yet. The right to write is ours.
#[cfg(not(feature = "deflate"))]
pub(super) enum Deflating {}

/// The same.
#[cfg(feature = "deflate")]
pub(super) struct Deflating {
    message: DeflatedMessage,
    /// How much of it is.
    read: usize,
    deflated: Vec<u8>,
    charge: Charge,
}

/// What has become of a message.
#[cfg(feature = "deflate")]
enum Step {
    /// Not all of it is deflated.
    More,
    Done,
    /// It is no shorter so, or there is no memory to find out.
    Plain,
}

/// What it takes to deflate these frames, and one more of this length, in bytes.
#[cfg(feature = "deflate")]
pub(super) fn work(shared: &ConnectionShared, mut frames: &[u8], last: usize) -> usize {
    if shared.compression().is_none() {
        return 0;
    }
    let mut work = shared.compression_of(last).map_or(0, |_| last);
    while let Some((opcode, header_len, len)) = frame(frames) {
        work += work_of(shared, frames[0], opcode, len);
        frames = &frames[header_len + len..];
    }
    work
}

#[cfg(not(feature = "deflate"))]
#[inline]
pub(super) fn work(_: &ConnectionShared, _: &[u8], _: usize) -> usize {
    0
}

/// The same for a frame that begins so. The shortest message takes as long as some bytes more.
#[cfg(feature = "deflate")]
fn work_of(shared: &ConnectionShared, first: u8, opcode: OpCode, len: usize) -> usize {
    const MESSAGE: usize = 128;
    let is_plain = first & PLAIN != 0 || opcode.is_control();
    if is_plain || shared.compression_of(len).is_none() { 0 } else { MESSAGE + len }
}

/// Sends what is held, if we may write, as far as it can be in one turn. How much of it that is, in bytes,
/// and what came of it; `None` if the first message is not deflated yet.
#[cfg_attr(not(feature = "deflate"), expect(unused_variables))]
pub(super) fn attempt_held(
    shared: &ConnectionShared,
    right: Right,
    (held, deflated): (&mut [u8], &mut Vec<u8>),
    deflating: &mut Option<Deflating>,
    most: usize,
    unsent: &mut Unsent,
) -> Option<(usize, Attempt)> {
    #[cfg(not(feature = "deflate"))]
    let len = held.len();
    #[cfg(feature = "deflate")]
    let len = match of_one_turn(shared, held) {
        (len, None) => len,
        (len, Some(long)) => {
            let held = (&held[..len], deflated);
            return attempt_long(shared, right, held, long, deflating, most, unsent);
        }
    };
    let frames = (&mut held[..len], deflated);
    Some((len, attempt(shared, right, frames, [&[]; 2], most, unsent)))
}

/// The same for a long message, of this opcode and with a header of this length.
#[cfg(feature = "deflate")]
fn attempt_long(
    shared: &ConnectionShared,
    right: Right,
    (held, part): (&[u8], &mut Vec<u8>),
    (opcode, header_len): (OpCode, usize),
    deflating: &mut Option<Deflating>,
    most: usize,
    unsent: &mut Unsent,
) -> Option<(usize, Attempt)> {
    let guard = match acquire(shared, right) {
        Ok(guard) => guard,
        Err(denied) => return Some((0, Err(denied))),
    };
    let payload = &held[header_len..];
    if deflating.is_none() {
        *deflating = Deflating::begin(shared);
    }
    let step = deflating.as_mut().map_or(Step::Plain, |message| message.step(payload, part));
    if let Step::More = step {
        guard.keep();
        return None;
    }
    let header;
    let frame: [&[u8]; 2] = match (step, &*deflating, shared.compression()) {
        (Step::Done, Some(Deflating { deflated, .. }), Some(compression)) => {
            compression.sent(payload, deflated.len());
            header = FrameHeader::new(true, opcode, deflated.len()).compressed();
            [header.as_bytes(), deflated]
        }
        _ => [held, &[]],
    };
    let count = if frame[1].is_empty() { 1 } else { 2 };
    let timeout = shared.writer.timeout((frame[0].len() + frame[1].len()) as u64);
    let sent = guard.send_now(&frame[..count], most, unsent, timeout);
    *deflating = None;
    Some((held.len(), Ok(sent)))
}

/// How much of what is held goes out together, in bytes, of whole frames; and the opcode and the length
/// of the header, if that is a long message by itself.
#[cfg(feature = "deflate")]
fn of_one_turn(shared: &ConnectionShared, held: &[u8]) -> (usize, Option<(OpCode, usize)>) {
    let (mut len, mut work) = (0, 0);
    if shared.compression().is_none() {
        return (held.len(), None);
    }
    while let Some((opcode, header_len, payload_len)) = frame(&held[len..]) {
        work += work_of(shared, held[len], opcode, payload_len);
        if work > MAX_DEFLATED {
            return match len {
                0 => (header_len + payload_len, Some((opcode, header_len))),
                _ => (len, None),
            };
        }
        len += header_len + payload_len;
    }
    (len, None)
}

#[cfg(feature = "deflate")]
impl Deflating {
    /// Of a message that is yet to begin, if there is memory for it.
    fn begin(shared: &ConnectionShared) -> Option<Self> {
        let message = shared.compression()?.begin()?;
        let charge = Charge::new(&shared.server.budget);
        Some(Self { message, read: 0, deflated: Vec::new(), charge })
    }

    /// Deflates the next part of this message.
    fn step(&mut self, message: &[u8], part: &mut Vec<u8>) -> Step {
        let rest = &message[self.read..];
        let next = &rest[..rest.len().min(PART)];
        let fin = next.len() == rest.len();
        if self.message.fragment(next, fin, part).is_err() {
            return Step::Plain;
        }
        let len = self.deflated.len() + part.len();
        if len >= message.len() || !self.charge.grow(len as u64) {
            return Step::Plain;
        }
        self.deflated.extend_from_slice(part);
        self.read += next.len();
        match fin {
            true => Step::Done,
            false => Step::More,
        }
    }
}
