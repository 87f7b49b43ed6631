//! A message that is being put together.
//!
//! Its memory grows with what has arrived, never with what was announced, and beyond a first
//! stretch it is charged to a budget that all connections share. What is kept for the next message
//! while nothing comes is charged to another, much smaller one.

use std::mem;
use std::sync::Arc;

use crate::buffer::grow;
use crate::error::Error;
use crate::shared::Context;

/// A message up to this length is not charged, in bytes.
const UNCHARGED: usize = 16 << 10;

/// The steps in which longer ones are charged and grow, in bytes.
const GRAIN: usize = 64 << 10;

/// Memory up to this size is kept for the next message, however short, in bytes.
const SPARE: usize = GRAIN;

/// The most that is read straight into a message at once, in bytes: what is unmasked next should
/// still be in the processor's cache.
const STRIDE: usize = 256 << 10;

/// See the top of the file.
pub(crate) struct Partial {
    context: Arc<Context>,
    /// The message's bytes as far as `filled`; those behind are room, from messages before.
    bytes: Vec<u8>,
    filled: usize,
    /// How many of the message's bytes were taken out again.
    taken: usize,
    /// How long the message before was: the next one may be, too.
    last: usize,
    /// Bytes charged to the budget for messages that are received or handled.
    charged: u64,
    /// And to the one for memory that is kept.
    kept: u64,
}

impl Partial {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context, bytes: Vec::new(), filled: 0, taken: 0, last: 0, charged: 0, kept: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == self.taken
    }

    /// Room for `len` more bytes, of `left` that are to come as far as is known.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] if the budget or the memory is used up.
    pub(crate) fn room(&mut self, len: usize, left: u64) -> Result<&mut [u8], Error> {
        let need = self.filled + len;
        if !self.charge(need) {
            return Err(Error::Overloaded);
        }
        let most =
            usize::try_from(left).map_or(usize::MAX, |left| self.filled.saturating_add(left));
        match grow(&mut self.bytes, need, most) {
            true => Ok(&mut self.bytes[self.filled..need]),
            false => Err(Error::Overloaded),
        }
    }

    /// Takes note that the first `len` bytes of [`room`](Self::room) are the message's.
    pub(crate) fn add(&mut self, len: usize) {
        self.filled += len;
    }

    /// How much to read at once of `left` that is to come.
    pub(crate) fn stride(&self, left: u64) -> usize {
        let stride = (self.bytes.len() - self.filled).clamp(GRAIN, STRIDE);
        usize::try_from(left).map_or(stride, |left| left.min(stride))
    }

    /// How long a message may be, in bytes, to go straight to `buf`, if it may.
    pub(crate) fn bypass(&self, buf: &Vec<u8>) -> Option<usize> {
        (self.filled == 0 && buf.capacity() <= SPARE).then_some(UNCHARGED)
    }

    /// A message begins, of which `len` bytes are announced: borrows the memory of `buf`, so that
    /// one is enough for both. Memory that cannot be charged, or is far beyond need, is let go: a
    /// message may take its time.
    pub(crate) fn begin(&mut self, buf: &mut Vec<u8>, len: u64) {
        if self.filled > 0 {
            return;
        }
        self.keep(0);
        if buf.capacity() > self.bytes.capacity() {
            mem::swap(buf, &mut self.bytes);
        }
        let capacity = self.bytes.capacity();
        let spare = len.max(self.last as u64).saturating_mul(4).max(SPARE as u64);
        if capacity as u64 > spare || !self.charge(capacity) {
            self.bytes = Vec::new();
        }
    }

    /// The next message may be long in coming: memory beyond the spare is kept for it as far as all
    /// connections together may, and else given back.
    pub(crate) fn rest(&mut self, buf: &mut Vec<u8>) {
        if self.filled > 0 {
            return;
        }
        let held = buf.capacity() + self.bytes.capacity();
        let held = if held > SPARE { held as u64 } else { 0 };
        if held == self.kept {
            return;
        }
        if !self.keep(held) {
            *buf = Vec::new();
            self.bytes = Vec::new();
        }
    }

    /// The message is complete: puts it into `buf`. It stays charged: the one who handles it may
    /// be held up by a peer that does not read the answer.
    pub(crate) fn finish(&mut self, buf: &mut Vec<u8>) {
        self.last = self.filled;
        if self.bytes.capacity() > self.filled.saturating_mul(4).max(SPARE) {
            // Memory that has grown far beyond need is let go.
            *buf = self.bytes[self.taken..self.filled].to_vec();
            self.bytes = Vec::new();
        } else {
            self.bytes.truncate(self.filled);
            self.bytes.drain(..self.taken);
            mem::swap(buf, &mut self.bytes);
        }
        self.filled = 0;
        self.taken = 0;
    }

    /// Moves the first bytes of the message to `out`, as many as fit.
    pub(crate) fn take(&mut self, out: &mut [u8]) -> usize {
        let left = &self.bytes[self.taken..self.filled];
        let len = left.len().min(out.len());
        out[..len].copy_from_slice(&left[..len]);
        self.taken += len;
        if self.is_empty() {
            self.restart();
        }
        len
    }

    /// How much memory is held, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives all memory back, and with it what has come of the message.
    pub(crate) fn clear(&mut self) {
        self.bytes = Vec::new();
        self.restart();
        self.keep(0);
    }

    /// The message before has been handled.
    pub(crate) fn uncharge_if_empty(&mut self) {
        if self.is_empty() {
            self.uncharge();
        }
    }

    /// Whether the budget has room for a message of `len` bytes.
    fn charge(&mut self, len: usize) -> bool {
        if len <= UNCHARGED || len as u64 <= self.charged {
            return true;
        }
        let more = len.next_multiple_of(GRAIN) as u64 - self.charged;
        let granted = self.context.assembling.take(more);
        if granted {
            self.charged += more;
        }
        granted
    }

    fn restart(&mut self) {
        self.filled = 0;
        self.taken = 0;
        self.uncharge();
    }

    fn uncharge(&mut self) {
        self.context.assembling.give_back(mem::take(&mut self.charged));
    }

    /// Whether `len` bytes, in place of those before, may be kept while nothing comes.
    fn keep(&mut self, len: u64) -> bool {
        self.context.keeping.give_back(mem::take(&mut self.kept));
        let granted = self.context.keeping.take(len);
        if granted {
            self.kept = len;
        }
        granted
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.uncharge();
        self.keep(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Limits};

    fn partial(assembling: u64) -> Partial {
        let limits = Limits { assembling, ..Limits::default() };
        Partial::new(Arc::new(Context::new(Config { limits, ..Config::default() })))
    }

    fn add(partial: &mut Partial, bytes: &[u8]) {
        partial.room(bytes.len(), u64::MAX).unwrap().copy_from_slice(bytes);
        partial.add(bytes.len());
    }

    #[test]
    fn the_budget_is_charged_while_a_long_message_grows_and_given_back_at_its_end() {
        let mut one = partial(128 << 10);
        let mut other = Partial::new(Arc::clone(&one.context));
        add(&mut one, &[1; 16 << 10]);
        assert_eq!(one.charged, 0);
        add(&mut one, &[1; 1]);
        assert_eq!(one.charged, 64 << 10);
        add(&mut other, &[2; 64 << 10]);
        assert!(matches!(one.room(64 << 10, u64::MAX), Err(Error::Overloaded)));
        let mut buf = Vec::new();
        other.finish(&mut buf);
        assert_eq!(buf, [2; 64 << 10]);
        assert!(
            matches!(one.room(64 << 10, u64::MAX), Err(Error::Overloaded)),
            "it is still in use"
        );
        other.uncharge_if_empty();
        add(&mut one, &[1; 64 << 10]);
        assert!(matches!(other.room(20 << 10, u64::MAX), Err(Error::Overloaded)));
        drop(one);
        assert!(other.room(128 << 10, u64::MAX).is_ok());
    }

    #[test]
    fn a_finished_message_is_what_was_added_and_memory_is_used_again() {
        let mut partial = partial(1 << 30);
        let mut buf = b"old and longer".to_vec();
        add(&mut partial, b"new");
        partial.finish(&mut buf);
        assert_eq!(buf, b"new");
        add(&mut partial, b"");
        partial.finish(&mut buf);
        assert_eq!(buf, b"");
        // One memory serves for all messages of its size, and is let go for much smaller ones.
        buf = vec![0; 1 << 20];
        let at = buf.as_ptr();
        for len in [1 << 20, 1 << 19] {
            partial.begin(&mut buf, len as u64);
            add(&mut partial, &vec![7; len]);
            partial.finish(&mut buf);
            assert_eq!((buf.len(), buf.as_ptr()), (len, at));
        }
        partial.begin(&mut buf, 5);
        add(&mut partial, b"small");
        partial.finish(&mut buf);
        assert_eq!(buf, b"small");
        assert!(buf.capacity() + partial.capacity() < 1 << 10);
    }

    /// Else a peer could have memory of an old message held by the first byte of a new one.
    #[test]
    fn memory_that_is_borrowed_is_charged_or_let_go() {
        let mut partial = partial(1 << 20);
        for (spare, announced, kept, charged) in [
            (16 << 10, 1, 16 << 10, 0),
            (64 << 10, 1, 64 << 10, 64 << 10),
            (128 << 10, 1, 0, 0),
            (512 << 10, 128 << 10, 512 << 10, 512 << 10),
            (2 << 20, u64::MAX, 0, 0),
        ] {
            let mut buf = Vec::with_capacity(spare);
            partial.begin(&mut buf, announced);
            assert_eq!((partial.capacity(), partial.charged), (kept, charged), "{spare}");
            assert_eq!(buf.capacity(), 0);
            partial.clear();
        }
        // One that another message of this size has needed is kept.
        add(&mut partial, &[1; 512 << 10]);
        let mut buf = Vec::new();
        partial.finish(&mut buf);
        partial.begin(&mut buf, 1);
        assert_eq!((partial.capacity(), partial.charged), (512 << 10, 512 << 10));
    }

    #[test]
    fn memory_is_kept_while_nothing_comes_as_far_as_all_may() {
        let mut one = partial(16 << 20);
        let mut other = Partial::new(Arc::clone(&one.context));
        let mut long = vec![7; 600 << 10];
        let at = long.as_ptr();
        for _ in 0..2 {
            one.rest(&mut long);
            assert_eq!((long.len(), long.as_ptr(), one.kept), (600 << 10, at, 600 << 10));
        }
        // Together it would be more than 1 MiB; what is short costs nothing.
        let mut another = vec![8; 600 << 10];
        other.rest(&mut another);
        assert_eq!((another.capacity(), other.kept), (0, 0));
        let mut short = vec![9; SPARE];
        other.rest(&mut short);
        assert_eq!((short.len(), other.kept), (SPARE, 0));

        // It goes with its connection's silence, with its buffer, with its next message and its end.
        for give_back in [
            |one: &mut Partial| one.begin(&mut vec![7; 600 << 10], 1),
            |one: &mut Partial| one.clear(),
            |one: &mut Partial| one.rest(&mut Vec::new()),
            |one: &mut Partial| *one = Partial::new(Arc::clone(&one.context)),
        ] {
            give_back(&mut one);
            assert_eq!(one.kept, 0);
            let mut another = vec![8; 600 << 10];
            other.rest(&mut another);
            assert_eq!((another.len(), other.kept), (600 << 10, 600 << 10));
            other.rest(&mut Vec::new());
            one.rest(&mut long);
            assert_eq!(one.kept, 600 << 10);
        }
        // What is under way is charged to the other budget.
        add(&mut other, &[1; 1 << 20]);
        let mut another = vec![8; 2 << 20];
        other.rest(&mut another);
        assert_eq!((another.len(), other.charged, other.kept), (2 << 20, 1 << 20, 0));
    }

    #[test]
    fn takes_out_what_fits() {
        let mut partial = partial(0);
        add(&mut partial, b"abcdef");
        let mut out = [0; 4];
        assert_eq!((partial.take(&mut out), &out), (4, b"abcd"));
        assert_eq!((partial.take(&mut out), &out[..2]), (2, &b"ef"[..]));
        assert!(partial.is_empty());
        // What is left, and what comes then, is still the message.
        add(&mut partial, b"ghijk");
        partial.take(&mut out);
        add(&mut partial, b"l");
        let mut buf = Vec::new();
        partial.finish(&mut buf);
        assert_eq!(buf, b"kl");
    }
}
