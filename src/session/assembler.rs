//! A message that is being put together.
//!
//! Its memory follows what has arrived, and never what was announced: room for a first read, and
//! from then on for as much again as there is. What has arrived is charged to the budget of all
//! connections, and so is room that is new. Memory that is there from a message before is charged
//! while nothing comes, and until bytes have come for it. So a mere header costs nothing. A first
//! stretch is free.
//!
//! What the kernel copies here may lie behind a gap at first, since not every place is quick to copy to.
//! A gap is room like any other, and charged as such; a message that may have no more does without.
//!
//! ```text
//!   begin ──▶ append, or room and add ──▶ finish ──▶ the caller has it ──▶ release ──▶ rest
//!   borrows the       charges what              it stays charged      gives    keeps memory for
//!   caller's buffer   arrives                                         back     the next, if it may
//! ```

use std::mem;
use std::sync::Arc;

use crate::proto::frame::MAX_HEADER;
use crate::session::budget::{Budget, Charge};
use crate::session::memory::{MAX_OFFSET, grow, read_offset};

/// A message up to this length is not charged, in bytes.
const MAX_UNCHARGED: usize = 16 << 10;

/// The steps in which longer ones are charged, in bytes.
const CHARGE_STEP: usize = 16 << 10;

/// Memory up to this size is not charged before bytes have come for it, and is kept for the next
/// message, however short, in bytes.
pub const MAX_RETAINED_FREE: usize = 64 << 10;

/// The least that is read straight into a message at once, in bytes, and so all that a header gets.
const MIN_READ: usize = 4 << 10;

/// The most that is read straight into a message at once, in bytes: what is unmasked next should
/// still be in the processor's cache.
const MAX_READ: usize = 256 << 10;

/// The least room that is worth a gap ([`read_offset`]), in bytes.
const MIN_BEHIND: usize = 16 << 10;

/// The budget or the memory is used up: the message is to be refused with 1013.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

/// See the [module](self).
#[derive(Debug)]
pub struct MessageAssembler {
    /// For `bytes`, or the buffer that a finished message was put into.
    charge: Charge,
    /// The message's bytes as far as `filled`; those behind are room, from messages before.
    bytes: Vec<u8>,
    filled: usize,
    /// Where the message begins in `bytes`: behind what was taken out again, or behind the offset.
    start: usize,
    /// How long the message before was: the next one may be, too.
    last: usize,
    /// Where what is long begins, uncharged: one message may need all there is.
    offset: usize,
}

impl MessageAssembler {
    /// One that holds nothing. Its long messages begin at this offset in the buffer that they are
    /// [finished](Self::finish) to: the kernel is not quick to copy them to a peer from everywhere.
    pub fn new(budget: &Arc<Budget>, offset: usize) -> Self {
        let charge = Charge::new(budget);
        Self { charge, bytes: Vec::new(), filled: 0, start: 0, last: 0, offset }
    }

    /// Whether nothing of a message is here.
    pub fn is_empty(&self) -> bool {
        self.filled == self.start
    }

    /// Adds bytes that have come another way.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Overloaded> {
        let end = self.filled + bytes.len();
        self.charge(end)?;
        grow(&mut self.bytes, end, usize::MAX).then_some(()).ok_or(Overloaded)?;
        self.bytes[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
        Ok(())
    }

    /// Room to read into, of `left` bytes that are to come before any others: what is there, or as
    /// much as has arrived. And behind how many bytes of it to read: none, unless the kernel copies.
    /// What is read is to be moved to the start.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn room_behind(
        &mut self,
        left: u64,
        from_kernel: bool,
    ) -> Result<(&mut [u8], usize), Overloaded> {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let (had, filled) = (self.bytes.len(), self.filled);
        let mut room = (had - filled).max(filled - self.ahead()).clamp(MIN_READ, MAX_READ);
        let mut most = left;
        while self.charge_room(filled + room.min(left)).is_err() {
            if room == MIN_READ {
                return Err(Overloaded);
            }
            room = (room / 2).max(MIN_READ);
            most = room.min(left);
        }
        let mut end = filled + room.min(left);
        let most = filled.saturating_add(most);
        // With a gap beside, a message that is just free would no longer be.
        let beside = if from_kernel && most > MAX_RETAINED_FREE { MAX_OFFSET } else { 0 };
        grow(&mut self.bytes, end, most.saturating_add(beside)).then_some(()).ok_or(Overloaded)?;
        let mut gap = 0;
        if from_kernel && end - self.filled >= MIN_BEHIND {
            // A message in fragments has had more headers than this: few bytes, or a place left to chance.
            gap = read_offset(self.bytes[self.ahead()..].as_ptr().addr(), MAX_HEADER);
            // Where all that is there is too little for the rest, a gap beyond would follow on each read.
            if end != had || end - self.filled == left {
                end = self.extend(end, gap);
            }
        }
        Ok((&mut self.bytes[self.filled..end], gap))
    }

    /// The first `len` bytes of [`room_behind`](Self::room_behind) are the message's.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn add(&mut self, len: usize) -> Result<(), Overloaded> {
        self.filled += len;
        self.charge(self.filled)
    }

    /// How long a message may be, in bytes, to go straight to `buf`, if it may; or as long as the memory that
    /// `buf` has, which is as free.
    pub fn bypass(&self, buf: &Vec<u8>) -> Option<usize> {
        (self.filled == 0 && buf.capacity() <= MAX_RETAINED_FREE).then_some(MAX_UNCHARGED)
    }

    /// A message begins, of which `len` bytes are announced: borrows the memory of `buf`, so that
    /// one is enough for both. What it has beyond the free stretch stays charged until bytes have
    /// come for it; if the budget has too little for that, or it is far beyond need, it is let go.
    pub fn begin(&mut self, buf: &mut Vec<u8>, len: u64) {
        if self.filled > 0 {
            return;
        }
        if buf.capacity() > self.bytes.capacity() {
            mem::swap(buf, &mut self.bytes);
        }
        let most = len.max(self.last as u64).saturating_mul(4).max(MAX_RETAINED_FREE as u64);
        let capacity = self.bytes.capacity();
        if capacity as u64 > most || !self.charge.retain(retained(capacity)) {
            self.clear();
        }
        let is_long = len > MAX_RETAINED_FREE as u64;
        if is_long && grow(&mut self.bytes, self.offset, usize::MAX) {
            (self.start, self.filled) = (self.offset, self.offset);
        }
    }

    /// The next message may be long in coming: memory beyond the free stretch is kept for it as far
    /// as the budget allows, and else given back.
    pub fn rest(&mut self, buf: &mut Vec<u8>) {
        if self.is_empty() && !self.charge.retain(retained(buf.capacity() + self.capacity())) {
            *buf = Vec::new();
            self.clear();
        }
    }

    /// The message is complete: puts it into `buf`, from the offset on that is returned. It stays
    /// charged: the one who handles it may be held up by a peer that does not read the answer.
    pub fn finish(&mut self, buf: &mut Vec<u8>) -> usize {
        self.bytes.truncate(self.filled);
        self.last = mem::take(&mut self.filled);
        let start = self.ahead();
        self.bytes.drain(start..mem::take(&mut self.start));
        mem::swap(buf, &mut self.bytes);
        if buf.capacity() > self.last.saturating_mul(4).max(MAX_RETAINED_FREE) {
            // Memory that has grown far beyond need is let go.
            buf.shrink_to_fit();
        }
        start
    }

    /// Moves the first bytes of the message to `out`, as many as fit; how many.
    pub fn take(&mut self, out: &mut [u8]) -> usize {
        let left = &self.bytes[self.start..self.filled];
        let len = left.len().min(out.len());
        out[..len].copy_from_slice(&left[..len]);
        self.start += len;
        if self.is_empty() {
            let bytes = mem::take(&mut self.bytes);
            self.clear();
            // Of more, the rest may be long in coming.
            if bytes.capacity() <= MAX_RETAINED_FREE {
                self.bytes = bytes;
            }
        }
        len
    }

    /// How much memory is held, in bytes.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// How much is charged for it, in bytes.
    pub fn charged(&self) -> u64 {
        self.charge.bytes()
    }

    /// Gives all memory back, and with it what has come of the message.
    pub fn clear(&mut self) {
        self.bytes = Vec::new();
        (self.filled, self.start) = (0, 0);
        self.charge.clear();
    }

    /// The message before has been handled.
    pub fn release(&mut self) {
        if self.charge.bytes() > 0 && self.is_empty() {
            self.release_charge();
        }
    }

    /// Goes up to `more` bytes beyond `end`, as far as there is memory that may be charged; how far.
    fn extend(&mut self, end: usize, more: usize) -> usize {
        let wanted = self.bytes.capacity().min(end + more);
        if wanted > self.bytes.len() {
            if wanted > MAX_RETAINED_FREE && self.charge(wanted).is_err() {
                return end;
            }
            self.bytes.resize(wanted, 0);
        }
        wanted
    }

    // 20 bytes in a batch of 64: 316 instructions a message, 323 with it inlined.
    #[cold]
    fn release_charge(&mut self) {
        if !self.charge.retain(retained(self.capacity())) {
            self.clear();
        }
    }

    /// Charges room that is new, beyond the free stretch.
    fn charge_room(&mut self, end: usize) -> Result<(), Overloaded> {
        let is_new = end > self.bytes.len().max(MAX_RETAINED_FREE + self.ahead());
        if is_new { self.charge(end) } else { Ok(()) }
    }

    fn charge(&mut self, end: usize) -> Result<(), Overloaded> {
        let len = end - self.ahead();
        let steps = len.next_multiple_of(CHARGE_STEP) as u64;
        (len <= MAX_UNCHARGED || self.charge.grow(steps)).then_some(()).ok_or(Overloaded)
    }

    /// What lies ahead of the message and is not charged, in bytes.
    fn ahead(&self) -> usize {
        self.start.min(self.offset)
    }
}

/// Where parts of messages go.
#[derive(Debug)]
pub enum Target<'a> {
    /// A message in one piece, which is put together for the caller's buffer.
    Message(&'a mut MessageAssembler, &'a mut Vec<u8>),
    /// The caller's slice, whatever comes of the message. The assembler is empty.
    Slice(&'a mut MessageAssembler, &'a mut [u8]),
}

impl Target<'_> {
    /// Takes as many of these bytes as there is room for, of a message of which `left` more come
    /// before any others; how many.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn put(&mut self, bytes: &[u8], left: u64) -> Result<usize, Overloaded> {
        match self {
            Self::Message(assembler, buf) => {
                assembler.begin(buf, bytes.len() as u64 + left);
                assembler.append(bytes).map(|()| bytes.len())
            }
            Self::Slice(_, out) => {
                let len = bytes.len().min(out.len());
                out[..len].copy_from_slice(&bytes[..len]);
                Ok(len)
            }
        }
    }

    /// A wait comes next, for `left` bytes of payload and no others, or zero for anything: what is
    /// held may be held for long.
    pub fn before_wait(&mut self, left: u64) {
        match (self, left) {
            (Self::Message(assembler, buf), 0) => assembler.rest(buf),
            (Self::Message(assembler, buf), left) => assembler.begin(buf, left),
            (Self::Slice(..), _) => {}
        }
    }

    /// Room to read some of the `left` bytes of payload into that come next, and behind how many bytes of
    /// it to read: none, unless it is for a message and the kernel copies. What is read is to be moved to
    /// the start.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn room_behind(
        &mut self,
        left: u64,
        from_kernel: bool,
    ) -> Result<(&mut [u8], usize), Overloaded> {
        match self {
            Self::Message(assembler, _) => assembler.room_behind(left, from_kernel),
            Self::Slice(_, out) => {
                let len = usize::try_from(left).map_or(out.len(), |left| left.min(out.len()));
                Ok((&mut out[..len], 0))
            }
        }
    }

    /// Room to inflate into, where `len` bytes are there to be inflated, and the message may have
    /// `left` more: several times as much, or as much as there is of it, if any are.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    #[cfg(feature = "deflate")]
    pub fn room_to_inflate(&mut self, len: usize, left: u64) -> Result<&mut [u8], Overloaded> {
        let guess = match (len, &self) {
            // Little can be left inside the inflater, and often there is nothing.
            (0, _) => MIN_READ as u64,
            (len, Self::Message(assembler, _)) => {
                (8 * len as u64 + 64).max(assembler.filled as u64)
            }
            (_, Self::Slice(..)) => left,
        };
        let left = guess.min(left);
        if let Self::Message(assembler, buf) = self {
            assembler.begin(buf, left);
        }
        self.room_behind(left, false).map(|(room, _)| room)
    }

    /// The first `len` bytes of that room are filled.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn add(&mut self, len: usize) -> Result<(), Overloaded> {
        match self {
            Self::Message(assembler, _) => assembler.add(len),
            Self::Slice(..) => Ok(()),
        }
    }

    /// How much memory could be [given back](Self::give_back), in bytes.
    pub fn held(&self) -> usize {
        match self {
            Self::Message(assembler, buf) => assembler.capacity() + buf.capacity(),
            Self::Slice(assembler, _) => assembler.capacity(),
        }
    }

    /// No message has come for a while: gives memory back, but for what has come of one.
    pub fn give_back(&mut self) {
        let (Self::Message(assembler, _) | Self::Slice(assembler, _)) = self;
        if assembler.is_empty() {
            assembler.clear();
        }
        if let Self::Message(_, buf) = self {
            **buf = Vec::new();
        }
    }
}

/// What is charged for memory of this size while nothing comes, in bytes.
fn retained(capacity: usize) -> u64 {
    if capacity > MAX_RETAINED_FREE { capacity as u64 } else { 0 }
}

#[cfg(test)]
mod tests;
