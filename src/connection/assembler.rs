//! A message that is being put together.
//!
//! Its memory follows what has arrived, and never what was announced: room for a first read, and
//! from then on for as much again as there is. What has arrived is charged to a budget that all
//! connections share, and so is room that is new. Memory that is there from a message before is
//! charged to another, much smaller one, while nothing comes and until bytes have come for it. So a
//! mere header costs nothing. A first stretch is free in both.

use std::mem;
use std::sync::Arc;

use crate::connection::read_buffer::grow;
use crate::connection::shared::ServerShared;
use crate::error::Error;

/// A message up to this length is not charged, in bytes.
const UNCHARGED: usize = 16 << 10;

/// The steps in which longer ones are charged, in bytes.
const GRAIN: usize = 16 << 10;

/// Memory up to this size is not charged before bytes have come for it, and is kept for the next
/// message, however short, in bytes.
const SPARE: usize = 64 << 10;

/// The least that is read straight into a message at once, in bytes, and so all that a header gets.
const FIRST: usize = 4 << 10;

/// The most that is read straight into a message at once, in bytes: what is unmasked next should
/// still be in the processor's cache.
const STRIDE: usize = 256 << 10;

/// See the top of the file.
pub(crate) struct MessageAssembler {
    context: Arc<ServerShared>,
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

impl MessageAssembler {
    pub(crate) fn new(context: Arc<ServerShared>) -> Self {
        Self { context, bytes: Vec::new(), filled: 0, taken: 0, last: 0, charged: 0, kept: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == self.taken
    }

    /// Adds bytes that have come another way.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] if the budget or the memory is used up.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let end = self.filled + bytes.len();
        if !self.charge(end) || !grow(&mut self.bytes, end, usize::MAX) {
            return Err(Error::Overloaded);
        }
        self.bytes[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
        Ok(())
    }

    /// Room to read into, of `left` bytes that are to come before any others: what is there, or as
    /// much as has arrived.
    ///
    /// # Errors
    ///
    /// As for [`append`](Self::append).
    pub(crate) fn room(&mut self, left: u64) -> Result<&mut [u8], Error> {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let there = self.bytes.len() - self.filled;
        let end = self.filled + there.max(self.filled).clamp(FIRST, STRIDE).min(left);
        let is_new = end > self.bytes.len();
        if is_new && end > SPARE && !self.charge(end) {
            return Err(Error::Overloaded);
        }
        match grow(&mut self.bytes, end, self.filled.saturating_add(left)) {
            true => Ok(&mut self.bytes[self.filled..end]),
            false => Err(Error::Overloaded),
        }
    }

    /// Takes note that the first `len` bytes of [`room`](Self::room) are the message's.
    ///
    /// # Errors
    ///
    /// [`Error::Overloaded`] if the budget is used up.
    pub(crate) fn add(&mut self, len: usize) -> Result<(), Error> {
        self.filled += len;
        self.charge(self.filled).then_some(()).ok_or(Error::Overloaded)
    }

    /// How long a message may be, in bytes, to go straight to `buf`, if it may.
    pub(crate) fn bypass(&self, buf: &Vec<u8>) -> Option<usize> {
        (self.filled == 0 && buf.capacity() <= SPARE).then_some(UNCHARGED)
    }

    /// A message begins, of which `len` bytes are announced: borrows the memory of `buf`, so that
    /// one is enough for both. Memory beyond the spare stays kept until bytes have come for it, as
    /// far as all connections together may; else, or if it is far beyond need, it is let go.
    pub(crate) fn begin(&mut self, buf: &mut Vec<u8>, len: u64) {
        if self.filled > 0 {
            return;
        }
        if buf.capacity() > self.bytes.capacity() {
            mem::swap(buf, &mut self.bytes);
        }
        let capacity = self.bytes.capacity();
        let most = len.max(self.last as u64).saturating_mul(4).max(SPARE as u64);
        let held = if capacity > SPARE { capacity as u64 } else { 0 };
        if held > most || !self.keep(held) {
            self.bytes = Vec::new();
            self.keep(0);
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
        if !self.keep(held) {
            *buf = Vec::new();
            self.bytes = Vec::new();
        }
    }

    /// The message is complete: puts it into `buf`. It stays charged: the one who handles it may
    /// be held up by a peer that does not read the answer.
    pub(crate) fn finish(&mut self, buf: &mut Vec<u8>) {
        self.last = self.filled;
        self.bytes.truncate(self.filled);
        self.bytes.drain(..self.taken);
        mem::swap(buf, &mut self.bytes);
        if buf.capacity() > self.filled.saturating_mul(4).max(SPARE) {
            // Memory that has grown far beyond need is let go.
            buf.shrink_to_fit();
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

    /// Whether the budget has room for `len` bytes of the message.
    fn charge(&mut self, len: usize) -> bool {
        if len <= UNCHARGED || len as u64 <= self.charged {
            return true;
        }
        let more = len.next_multiple_of(GRAIN) as u64 - self.charged;
        let granted = self.context.assembling.take(more);
        if granted {
            self.charged += more;
            if self.charged >= self.kept {
                self.keep(0);
            }
        }
        granted
    }

    /// Nothing of the message is here any more.
    fn restart(&mut self) {
        self.filled = 0;
        self.taken = 0;
        if self.bytes.capacity() > SPARE {
            // It may be long in coming to its end.
            self.bytes = Vec::new();
        }
        self.uncharge();
    }

    fn uncharge(&mut self) {
        self.context.assembling.give_back(mem::take(&mut self.charged));
    }

    /// Whether `len` bytes, in place of those before, may be kept while nothing comes.
    fn keep(&mut self, len: u64) -> bool {
        if len == self.kept {
            return true;
        }
        self.context.keeping.give_back(mem::take(&mut self.kept));
        let granted = self.context.keeping.take(len);
        if granted {
            self.kept = len;
        }
        granted
    }
}

impl Drop for MessageAssembler {
    fn drop(&mut self) {
        self.uncharge();
        self.keep(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Limits};

    fn partial(max_buffered_bytes: u64) -> MessageAssembler {
        let limits = Limits { max_buffered_bytes, ..Limits::default() };
        MessageAssembler::new(Arc::new(ServerShared::new(Config { limits, ..Config::default() })))
    }

    fn add(partial: &mut MessageAssembler, bytes: &[u8]) {
        partial.append(bytes).unwrap();
    }

    /// Reads as a stream would that always has so many bytes at hand, until so many have come.
    fn read(
        partial: &mut MessageAssembler,
        message: usize,
        at_hand: usize,
    ) -> Result<usize, Error> {
        let mut reads = 0;
        while partial.filled < message {
            let room = partial.room((message - partial.filled) as u64)?;
            let len = room.len().min(at_hand);
            room[..len].fill(7);
            partial.add(len)?;
            reads += 1;
        }
        Ok(reads)
    }

    #[test]
    fn the_budget_is_charged_while_a_long_message_grows_and_given_back_at_its_end() {
        let mut one = partial(128 << 10);
        let mut other = MessageAssembler::new(Arc::clone(&one.context));
        add(&mut one, &[1; 16 << 10]);
        assert_eq!(one.charged, 0);
        add(&mut one, &[1; 1]);
        assert_eq!(one.charged, 32 << 10);
        add(&mut other, &[2; 64 << 10]);
        assert!(matches!(one.append(&[1; 64 << 10]), Err(Error::Overloaded)));
        let mut buf = Vec::new();
        other.finish(&mut buf);
        assert_eq!(buf, [2; 64 << 10]);
        assert!(matches!(one.append(&[1; 64 << 10]), Err(Error::Overloaded)), "it is still in use");
        other.uncharge_if_empty();
        add(&mut one, &[1; 64 << 10]);
        assert!(matches!(other.append(&[2; 48 << 10]), Err(Error::Overloaded)));
        drop(one);
        assert!(other.append(&[2; 128 << 10]).is_ok());
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

    /// Else a peer could have memory of an old message held, or charged, by a mere header.
    #[test]
    fn edge_i_memory_that_is_borrowed_stays_kept_or_is_let_go() {
        let mut partial = partial(16 << 20);
        for (spare, announced, kept) in [
            (16 << 10, 1, 16 << 10),
            (64 << 10, 1, 64 << 10),
            (128 << 10, 1, 0),
            (512 << 10, 128 << 10, 512 << 10),
            // More than all may keep.
            (2 << 20, u64::MAX, 0),
        ] {
            let mut buf = Vec::with_capacity(spare);
            partial.begin(&mut buf, announced);
            assert_eq!((partial.capacity(), partial.charged), (kept, 0), "{spare}");
            assert_eq!(partial.kept, if kept > SPARE { kept as u64 } else { 0 });
            assert_eq!(buf.capacity(), 0);
            partial.clear();
        }
        // One that another message of this size has needed is kept, until bytes have come for it.
        add(&mut partial, &[1; 512 << 10]);
        let mut buf = Vec::new();
        partial.finish(&mut buf);
        partial.uncharge_if_empty();
        partial.begin(&mut buf, 1 << 20);
        assert_eq!((partial.capacity(), partial.kept), (512 << 10, 512 << 10));
        assert_eq!(read(&mut partial, 496 << 10, usize::MAX).unwrap(), 2);
        assert_eq!((partial.charged, partial.kept), (496 << 10, 512 << 10));
        read(&mut partial, (496 << 10) + 1, 1).unwrap();
        assert_eq!((partial.charged, partial.kept), (512 << 10, 0));
    }

    /// Whatever is announced, wherever it stops, whatever was there before.
    #[test]
    fn edge_i_memory_and_charge_follow_what_arrives() {
        const LEN: usize = 16 << 20;
        for had in [0, 1, 64 << 10, 1 << 20] {
            for at_hand in [1000, 64 << 10, usize::MAX] {
                let mut partial = partial(1 << 30);
                let mut buf = vec![1; had];
                partial.rest(&mut buf);
                partial.begin(&mut buf, LEN as u64);
                let mut come = 0;
                loop {
                    let room = partial.room((LEN - come) as u64).unwrap().len();
                    let (memory, charged) = (partial.bytes.len(), partial.charged as usize);
                    assert!(memory <= (2 * come).max(come + FIRST).max(had), "{memory} for {come}");
                    assert!(charged <= 2 * come + GRAIN, "{charged} for {come}");
                    assert!(come > UNCHARGED || charged == 0, "{charged} for {come}");
                    // What is beyond the spare is charged to one budget or the other.
                    let held = charged.max(partial.kept as usize);
                    assert!(memory.max(come) <= held.max(SPARE), "{memory} but {held}");
                    if come == LEN {
                        break;
                    }
                    let len = room.min(at_hand).min(LEN - come);
                    partial.add(len).unwrap();
                    come += len;
                    assert!(come <= (partial.charged as usize).max(UNCHARGED));
                }
                assert_eq!((partial.charged, partial.kept), (LEN as u64, 0));
            }
        }
    }

    #[test]
    fn edge_i_a_mere_header_leaves_the_budget_to_others() {
        let mut idle: Vec<_> = vec![partial(1 << 20)];
        for _ in 1..1024 {
            idle.push(MessageAssembler::new(Arc::clone(&idle[0].context)));
        }
        for one in &mut idle {
            one.begin(&mut Vec::with_capacity(64 << 10), 16 << 20);
            assert!(one.room(16 << 20).is_ok());
        }
        let mut other = MessageAssembler::new(Arc::clone(&idle[0].context));
        add(&mut other, &[7; 1 << 20]);
        // What has come in vain is refused when it comes.
        idle[0].room(16 << 20).unwrap();
        assert!(matches!(read(&mut idle[0], 64 << 10, usize::MAX), Err(Error::Overloaded)));
    }

    #[test]
    fn edge_i_reads_are_few_once_memory_is_there() {
        let mut partial = partial(1 << 30);
        let mut buf = Vec::new();
        for reads in [10, 4, 4] {
            partial.begin(&mut buf, 1 << 20);
            assert_eq!(read(&mut partial, 1 << 20, usize::MAX).unwrap(), reads);
            partial.finish(&mut buf);
            partial.uncharge_if_empty();
        }
    }

    #[test]
    fn edge_i_memory_goes_with_what_was_taken_out() {
        let mut partial = partial(1 << 30);
        add(&mut partial, &[7; 1 << 20]);
        assert_eq!(partial.take(&mut vec![0; 1 << 20]), 1 << 20);
        assert_eq!((partial.capacity(), partial.charged, partial.kept), (0, 0, 0));
    }

    #[test]
    fn memory_is_kept_while_nothing_comes_as_far_as_all_may() {
        let mut one = partial(16 << 20);
        let mut other = MessageAssembler::new(Arc::clone(&one.context));
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
            |one: &mut MessageAssembler| one.begin(&mut vec![7; 600 << 10], 1),
            |one: &mut MessageAssembler| one.clear(),
            |one: &mut MessageAssembler| one.rest(&mut Vec::new()),
            |one: &mut MessageAssembler| *one = MessageAssembler::new(Arc::clone(&one.context)),
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
