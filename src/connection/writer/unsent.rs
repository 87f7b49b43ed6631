//! Writes that do not wait for the peer.
//!
//! ```text
//!   try_acquire ── Busy, Over
//!       │ Acquired
//!       ▼                  More: the right is kept
//!   proceed ◀──── resume ◀─────────────────────┐
//!       ├─ the peer has no room for all ───────┘
//!       └─ all is written, and the outbox too: Done, the right is given up
//! ```
//!
//! Nobody else may write behind half a frame, so whoever has begun keeps the right until the rest is
//! out, as a thread does that is blocked in a long write: others wait, and what is posted goes to the
//! outbox. In place of a thread there is an [`Unsent`], which somebody has to come back with.

use std::io::{self, ErrorKind, IoSlice};
use std::mem;
use std::time::Duration;

use crate::connection::owned_message::OwnedMessage;
use crate::connection::writer::write_lock::{FlushLimit, Outbox, WriteGuard};
use crate::error::Error;
use crate::io::expiry::Expiry;
use crate::io::stream::Sink;
use crate::session::Closing;

/// The most of a payload that is written to one peer before others have their turn, in bytes.
const MAX_TURN: usize = 1 << 20;

/// The same of what an event loop has copied, whose turns are longer.
const MAX_COPIED: usize = 8 << 20;

/// What is being written without waiting: whole frames, of which the first may be out in part.
#[derive(Debug)]
pub(crate) struct Unsent {
    pub(crate) bytes: Vec<u8>,
    /// What follows them, if it is too long to be copied.
    pub(crate) payload: Option<OwnedMessage>,
    /// How much of all that is written.
    written: usize,
    /// When the peer must have taken it.
    expiry: Expiry,
    /// Whether it is from the outbox.
    is_posted: bool,
}

/// How far a write has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All is written, and the right given up.
    Done,
    /// There is more to write, and the right is kept. Whether any was written this time.
    More { moved: bool },
}

impl<S: Sink> WriteGuard<'_, S> {
    /// Writes whole frames, in three slices at the most, as far as the peer has room for them, and no
    /// more than `most` bytes; what is left is in `unsent` then, and has this time. For one who goes on
    /// to do other things.
    ///
    /// # Errors
    ///
    /// As for [`proceed`](Self::proceed).
    #[cfg(feature = "event-loop")]
    pub(crate) fn send_now(
        self,
        frames: &[&[u8]],
        most: usize,
        unsent: &mut Unsent,
        timeout: Duration,
    ) -> Result<Progress, Error> {
        debug_assert_eq!(unsent.left(), 0);
        debug_assert!(most > 0);
        // What is written moves the slices on, and what is left is counted from the start of the frames.
        let mut slices = [IoSlice::new(&[]); 3];
        for (slice, frame) in slices.iter_mut().zip(frames) {
            *slice = IoSlice::new(frame);
        }
        let len: usize = frames.iter().map(|frame| frame.len()).sum();
        if len > most {
            shorten(&mut slices, frames, most);
        }
        match self.0.stream.try_write(&mut slices[..frames.len()]) {
            Ok(written) if written == len => unsent.is_posted = false,
            Ok(written) => {
                unsent.keep(frames, written, timeout);
                if written == most {
                    self.keep();
                    return Ok(Progress::More { moved: true });
                }
            }
            Err(error) => return self.fail_unsent(error),
        }
        self.proceed(unsent, timeout)
    }

    /// Writes what the peer has room for, and what waits in the outbox behind it, which has this time.
    ///
    /// # Errors
    ///
    /// As for [`release`](Self::release): the right is given up then, and nothing more can be sent.
    pub(crate) fn proceed(self, unsent: &mut Unsent, timeout: Duration) -> Result<Progress, Error> {
        let lock = self.0;
        let (mut moved, mut posted) = (false, false);
        loop {
            let mut state = lock.lock();
            match state.closing {
                // What others have ended needs no rest of a frame.
                Closing::Failed(failure) => {
                    self.end(&mut state);
                    return Err(failure.error());
                }
                Closing::Detached => {
                    self.end(&mut state);
                    return Err(Error::Closed);
                }
                Closing::Open | Closing::Initiated { .. } | Closing::Closed { .. } => {}
            }
            if unsent.left() == 0 {
                let Some(outbox) = state.outbox.take() else {
                    if unsent.is_posted {
                        lock.outbox_written(&mut state);
                    }
                    self.end(&mut state);
                    return Ok(Progress::Done);
                };
                if !state.closing.may_send() {
                    lock.set_closed();
                }
                unsent.replace(*outbox, || Expiry::after(timeout));
                if mem::replace(&mut posted, true) {
                    // However often a peer's Pings fill it, others have their turn.
                    drop(state);
                    self.keep();
                    return Ok(Progress::More { moved });
                }
            }
            drop(state);
            let mut slices = unsent.slices();
            let count = if slices[1].is_empty() { 1 } else { 2 };
            let len = match lock.stream.try_write(&mut slices[..count]) {
                Ok(len) => len,
                Err(error) => return self.fail_unsent(error),
            };
            unsent.written += len;
            moved |= len > 0;
            if unsent.left() > 0 {
                if unsent.expiry.left().is_none() {
                    return self.fail_unsent(ErrorKind::TimedOut.into());
                }
                self.keep();
                return Ok(Progress::More { moved });
            }
        }
    }

    /// The write has failed, perhaps part of the way.
    fn fail_unsent(self, error: io::Error) -> Result<Progress, Error> {
        self.release(Err(error), FlushLimit::NonBlocking(Duration::MAX)).map(|()| Progress::Done)
    }
}

/// The first so many bytes of these frames.
#[cfg(feature = "event-loop")]
#[cold]
fn shorten<'a>(slices: &mut [IoSlice<'a>], frames: &[&'a [u8]], mut most: usize) {
    for (slice, frame) in slices.iter_mut().zip(frames) {
        let part = &frame[..frame.len().min(most)];
        most -= part.len();
        *slice = IoSlice::new(part);
    }
}

impl Unsent {
    /// Nothing yet, in this memory.
    pub(crate) fn new(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, payload: None, written: 0, expiry: Expiry::NEVER, is_posted: false }
    }

    /// All of it is there, and must be written by then.
    pub(crate) fn set_expiry(&mut self, expiry: Expiry) {
        self.expiry = expiry;
    }

    /// These frames are to be written, and so many of their bytes are.
    #[cfg(feature = "event-loop")]
    fn keep(&mut self, frames: &[&[u8]], mut written: usize, timeout: Duration) {
        (self.payload, self.written, self.is_posted) = (None, 0, false);
        self.bytes.clear();
        for frame in frames {
            let skipped = written.min(frame.len());
            written -= skipped;
            self.bytes.extend_from_slice(&frame[skipped..]);
        }
        self.expiry = Expiry::after(timeout);
    }

    /// When all of it must be written.
    #[cfg(feature = "event-loop")]
    pub(crate) fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// Of all that there is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.payload.as_ref().map_or(0, OwnedMessage::len)
    }

    /// Of those that are not written, in bytes.
    pub(crate) fn left(&self) -> usize {
        self.len() - self.written
    }

    /// The next bytes to write.
    fn slices(&self) -> [IoSlice<'_>; 2] {
        let payload = self.payload.as_ref().map_or(&[][..], OwnedMessage::as_bytes);
        let from = self.written.min(self.bytes.len());
        let bytes = &self.bytes[from..];
        let bytes = &bytes[..bytes.len().min(MAX_COPIED)];
        let payload = &payload[self.written - from..];
        // Nothing of it before all of those.
        let most = if from + bytes.len() == self.bytes.len() { MAX_TURN } else { 0 };
        let payload = &payload[..payload.len().min(most)];
        [bytes, payload].map(IoSlice::new)
    }

    /// All is written, and what waited in the outbox follows. However often it is filled again, all
    /// of that together has the time of one write.
    fn replace(&mut self, outbox: Outbox, expiry: impl FnOnce() -> Expiry) {
        if !self.is_posted {
            self.expiry = expiry();
        }
        self.bytes.clear();
        for part in [&outbox.unsent, &outbox.control, &outbox.close] {
            self.bytes.extend_from_slice(part);
        }
        (self.payload, self.written, self.is_posted) = (None, 0, true);
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "event-loop")]
    use super::*;

    /// Wherever a write stops, the rest is what it has not taken.
    #[cfg(feature = "event-loop")]
    #[test]
    fn the_rest_of_a_write() {
        let parts: [&[u8]; 3] = [b"frames", b"head", b"payload"];
        let all = parts.concat();
        for written in 0..=all.len() {
            let mut unsent = Unsent::new(Vec::new());
            unsent.keep(&parts, written, Duration::MAX);
            assert_eq!(unsent.bytes, all[written..], "{written} were written");
        }
    }
}
