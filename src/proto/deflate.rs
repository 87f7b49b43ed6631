//! permessage-deflate (RFC 7692 §7.2): the payload of a message as a DEFLATE stream, and back.
//!
//! Every message is a run of DEFLATE blocks that ends on a byte's border, less the last four bytes
//! of its sync flush. It may refer back to what its sender said before, as far as the window that was
//! agreed on reaches. So what has to be kept between two messages is not the state of a codec, a hundred
//! thousand bytes and more, but the end of what was said: a [`History`]. A codec is told of it when a
//! message begins, and serves another connection when that has ended.
//!
//! ```text
//!            what a sync flush ends with, and no message has on the wire
//!            ┌────┴────┐
//!   ... 00 | 00 00 ff ff | 01 00 00 ff ff
//!        │                 └─ a final block, empty: the stream ends with its last byte, or the message
//!        │                    did not end where its last block does
//!        └─ the header of an empty stored block, padded: the last byte of a message. If it is one of a
//!           final block, the stream ends behind its length.
//! ```

use std::collections::VecDeque;
use std::fmt;

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush, Status};

use super::error::ProtocolError;

/// What a sync flush ends with, and a message does without (RFC 7692 §7.2.1).
pub const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The first bit of a frame that the payload of a message is compressed, in its first byte: RSV1
/// (RFC 7692 §6).
pub const RSV1: u8 = 0x40;

/// A whole message of no bytes (RFC 7692 §7.2.3.6), and what ends a message behind a sync flush.
pub const EMPTY: [u8; 1] = [0x00];

/// What an [`Inflater`] takes, in bytes.
pub const INFLATER_SIZE: u64 = 48 << 10;

/// How many symbols go into a block, 2^12, less than the 2^14 of zlib: it clears their memory twice a
/// message, 96 KB that most messages have no use for. A message of 64 KiB gets no longer by it.
const MEM_LEVEL: i32 = 6;

/// The end of what one side has said: what its next message may refer back to.
#[derive(Debug)]
pub struct History {
    bytes: VecDeque<u8>,
    limit: usize,
}

/// What a step of a codec has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes it has read.
    pub read: usize,
    /// How many bytes it has written. If that is all there was room for, there may be more to come.
    pub written: usize,
}

/// Inflates the messages of one connection or another, one after the other.
pub struct Inflater {
    zlib: Inflate,
    /// Whether the last step has come back: what has panicked is of no more use.
    is_sound: bool,
    /// Whether nothing was read since the message began, or since its last final block.
    at_start: bool,
}

/// Deflates the messages of one connection or another, one after the other.
pub struct Deflater {
    zlib: Deflate,
    window_bits: u8,
    /// Whether the last step has come back: what has panicked is of no more use.
    is_sound: bool,
    /// Whether all is out that has come of what it has read.
    is_flushed: bool,
}

impl History {
    /// One that remembers the last `limit` bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), limit }
    }

    /// How many bytes it remembers at the most.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Gets the memory for all of it, unless it is there; whether it is. In one piece, since one that
    /// grows as it is filled leaves holes of all sizes behind.
    #[must_use]
    pub fn reserve(&mut self) -> bool {
        let more = self.limit - self.bytes.len();
        self.is_reserved() || self.bytes.try_reserve_exact(more).is_ok()
    }

    /// Whether its memory is there.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.bytes.capacity() >= self.limit
    }

    /// Adds what was said, and forgets as much of what was said before as is needed.
    pub fn append(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len() - bytes.len().min(self.limit)..];
        let excess = (self.bytes.len() + bytes.len()).saturating_sub(self.limit);
        self.bytes.drain(..excess);
        self.bytes.extend(bytes);
    }

    /// Forgets all of it, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Its last `len` bytes, in two parts.
    fn last(&self, len: usize) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        let second_len = second.len().min(len);
        let first_len = first.len().min(len - second_len);
        [&first[first.len() - first_len..], &second[second.len() - second_len..]]
    }
}

impl Inflater {
    /// One for windows of any size.
    #[must_use]
    pub fn new() -> Self {
        Self { zlib: Inflate::new(false, 15), is_sound: true, at_start: true }
    }

    /// Whether it can be used again.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// A message begins, which may refer back to this.
    pub fn begin(&mut self, history: &History) {
        self.zlib.reset(false);
        for part in history.last(history.limit) {
            if !part.is_empty() {
                let told = self.zlib.set_dictionary(part);
                debug_assert!(told.is_ok(), "a raw stream takes a dictionary at any time");
            }
        }
        self.at_start = true;
    }

    /// Inflates as much of `input` as there is room for in `out`, and adds it to the history. Once all
    /// of the input is read and `out` is not full, there is no more to come of it.
    ///
    /// A final block ends the DEFLATE stream, but not the message (RFC 7692 §7.2.3.4): another stream
    /// follows, and may refer back like any block.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::NotDeflate`].
    pub fn inflate(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        history: &mut History,
    ) -> Result<Progress, ProtocolError> {
        let (mut read, mut written) = (0, 0);
        loop {
            let (status, step) = self.step(&input[read..], &mut out[written..])?;
            history.append(&out[written..written + step.written]);
            read += step.read;
            written += step.written;
            if status != Status::StreamEnd {
                return Ok(Progress { read, written });
            }
            self.begin(history);
            if read == input.len() {
                return Ok(Progress { read, written });
            }
        }
    }

    /// The message has ended: nothing more comes of it, and it must not lack anything.
    ///
    /// Two ends are accepted that lack the header of an empty block: a final block with nothing behind
    /// it, as what deflates without a flush makes it, and no byte at all. Neither leaves anything open.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::IncompleteDeflate`].
    pub fn finish(&mut self) -> Result<(), ProtocolError> {
        if self.at_start {
            return Ok(());
        }
        // What completes the last block, and a final one behind it.
        let end = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];
        match self.step(&end, &mut [0]) {
            Ok((Status::StreamEnd, Progress { read: 4 | 9, written: 0 })) => Ok(()),
            _ => Err(ProtocolError::IncompleteDeflate),
        }
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Result<(Status, Progress), ProtocolError> {
        let before = (self.zlib.total_in(), self.zlib.total_out());
        self.is_sound = false;
        let status = self.zlib.decompress(input, out, InflateFlush::NoFlush);
        self.is_sound = true;
        let read = (self.zlib.total_in() - before.0) as usize;
        let written = (self.zlib.total_out() - before.1) as usize;
        self.at_start &= read == 0;
        let status = status.map_err(|_| ProtocolError::NotDeflate)?;
        Ok((status, Progress { read, written }))
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Deflater {
    /// One for a window of 8 to 15 bits. With 8, it is one of 9 bits: none of these ever refers
    /// further back than 250 bytes, and so no peer can tell.
    #[must_use]
    pub fn new(window_bits: u8) -> Self {
        let window_bits = window_bits.max(9);
        let config = DeflateConfig {
            // Without a header.
            window_bits: -i32::from(window_bits),
            mem_level: MEM_LEVEL,
            ..DeflateConfig::default()
        };
        Self {
            zlib: Deflate::new_with_config(config),
            window_bits,
            is_sound: true,
            is_flushed: true,
        }
    }

    /// Whether it can be used again.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// Whether it is one for a window of so many bits.
    #[must_use]
    pub fn is_for(&self, window_bits: u8) -> bool {
        self.window_bits == window_bits.max(9)
    }

    /// What one for a window of so many bits takes, in bytes: twice the window and a chain for each
    /// place in it, the heads of the chains, symbols and what is to be written.
    #[must_use]
    pub fn size(window_bits: u8) -> u64 {
        (4 << window_bits.max(9)) + (160 << 10)
    }

    /// A message begins, which may refer back to this, and is deflated at a level from 1, the fastest,
    /// to 9, which makes the shortest.
    pub fn begin(&mut self, history: &History, level: u8) {
        if !self.is_flushed {
            self.flush();
        }
        self.zlib.reset();
        let set = self.zlib.set_level(level.into());
        debug_assert!(set.is_ok(), "nothing is to be written yet");
        for part in history.last(1 << self.window_bits) {
            if !part.is_empty() {
                let told = self.zlib.set_dictionary(part);
                debug_assert!(told.is_ok(), "a raw stream takes a dictionary between blocks");
            }
        }
    }

    /// Throws away what is left of a message that was given up half-way. A reset forgets neither that
    /// level 1 has a block open nor how far the buffer was emptied: the next message would come out
    /// wrong, or panic.
    #[cold]
    #[inline(never)]
    fn flush(&mut self) {
        while !self.is_flushed {
            self.deflate(&[], &mut [0; 256]);
        }
    }

    /// Deflates `input`, up to a sync flush, as far as there is room in `out`. Once all is read and
    /// `out` is not full, it is done, and the last bytes written are [`TAIL`].
    pub fn deflate(&mut self, input: &[u8], out: &mut [u8]) -> Progress {
        let before = (self.zlib.total_in(), self.zlib.total_out());
        self.is_sound = false;
        let done = self.zlib.compress(input, out, DeflateFlush::SyncFlush);
        self.is_sound = true;
        debug_assert!(done.is_ok(), "any bytes can be deflated");
        let read = (self.zlib.total_in() - before.0) as usize;
        let written = (self.zlib.total_out() - before.1) as usize;
        self.is_flushed = read == input.len() && written < out.len();
        Progress { read, written }
    }
}

impl fmt::Debug for Inflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inflater").field("at_start", &self.at_start).finish_non_exhaustive()
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").field("window_bits", &self.window_bits).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
