//! A message that is being put together.
//!
//! Its memory follows what has arrived, and never what was announced: room for a first read, and
//! from then on for as much again as there is. What has arrived is charged to the budget of all
//! connections, and so is room that is new. Memory that is there from a message before is charged
//! while nothing comes, and until bytes have come for it. So a mere header costs nothing. A first
//! stretch is free.
//!
//! ```text
//!   begin ──▶ append, or room and add ──▶ finish ──▶ the caller has it ──▶ release ──▶ rest
//!   borrows the       charges what              it stays charged      gives    keeps memory for
//!   caller's buffer   arrives                                         back     the next, if it may
//! ```

use std::mem;
use std::sync::Arc;

use crate::session::budget::{Budget, Charge};
use crate::session::headroom::grow;

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

/// The budget or the memory is used up: the message is to be refused with 1013.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

/// See the top of the file.
#[derive(Debug)]
pub struct MessageAssembler {
    /// For `bytes`, or the buffer that a finished message was put into.
    charge: Charge,
    /// The message's bytes as far as `filled`; those behind are room, from messages before.
    bytes: Vec<u8>,
    filled: usize,
    /// How many of the message's bytes were taken out again.
    taken: usize,
    /// How long the message before was: the next one may be, too.
    last: usize,
}

impl MessageAssembler {
    /// One that holds nothing.
    pub fn new(budget: &Arc<Budget>) -> Self {
        Self { charge: Charge::new(budget), bytes: Vec::new(), filled: 0, taken: 0, last: 0 }
    }

    /// Whether nothing of a message is here.
    pub fn is_empty(&self) -> bool {
        self.filled == self.taken
    }

    /// Adds bytes that have come another way.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Overloaded> {
        let end = self.filled + bytes.len();
        self.charge(end)?;
        if !grow(&mut self.bytes, end, usize::MAX) {
            return Err(Overloaded);
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
    /// [`Overloaded`].
    pub fn room(&mut self, left: u64) -> Result<&mut [u8], Overloaded> {
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let there = self.bytes.len() - self.filled;
        let end = self.filled + there.max(self.filled).clamp(MIN_READ, MAX_READ).min(left);
        if end > self.bytes.len() && end > MAX_RETAINED_FREE {
            self.charge(end)?;
        }
        match grow(&mut self.bytes, end, self.filled.saturating_add(left)) {
            true => Ok(&mut self.bytes[self.filled..end]),
            false => Err(Overloaded),
        }
    }

    /// The first `len` bytes of [`room`](Self::room) are the message's.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn add(&mut self, len: usize) -> Result<(), Overloaded> {
        self.filled += len;
        self.charge(self.filled)
    }

    /// How long a message may be, in bytes, to go straight to `buf`, if it may.
    #[inline]
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
            self.bytes = Vec::new();
            self.charge.clear();
        }
    }

    /// The next message may be long in coming: memory beyond the free stretch is kept for it as far
    /// as the budget allows, and else given back.
    pub fn rest(&mut self, buf: &mut Vec<u8>) {
        if self.filled == 0 && !self.charge.retain(retained(buf.capacity() + self.capacity())) {
            *buf = Vec::new();
            self.bytes = Vec::new();
        }
    }

    /// The message is complete: puts it into `buf`. It stays charged: the one who handles it may
    /// be held up by a peer that does not read the answer.
    pub fn finish(&mut self, buf: &mut Vec<u8>) {
        self.last = self.filled;
        self.bytes.truncate(self.filled);
        self.bytes.drain(..self.taken);
        mem::swap(buf, &mut self.bytes);
        if buf.capacity() > self.filled.saturating_mul(4).max(MAX_RETAINED_FREE) {
            // Memory that has grown far beyond need is let go.
            buf.shrink_to_fit();
        }
        self.filled = 0;
        self.taken = 0;
    }

    /// Moves the first bytes of the message to `out`, as many as fit; how many.
    pub fn take(&mut self, out: &mut [u8]) -> usize {
        let left = &self.bytes[self.taken..self.filled];
        let len = left.len().min(out.len());
        out[..len].copy_from_slice(&left[..len]);
        self.taken += len;
        if self.is_empty() {
            // The rest of it may be long in coming.
            if self.capacity() > MAX_RETAINED_FREE {
                self.bytes = Vec::new();
            }
            self.restart();
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
        self.restart();
    }

    /// The message before has been handled.
    #[inline]
    pub fn release(&mut self) {
        if self.is_empty() {
            self.charge.clear();
        }
    }

    /// Nothing of the message is here any more.
    fn restart(&mut self) {
        self.filled = 0;
        self.taken = 0;
        self.charge.clear();
    }

    fn charge(&mut self, len: usize) -> Result<(), Overloaded> {
        let is_free = len <= MAX_UNCHARGED;
        let granted = is_free || self.charge.grow(len.next_multiple_of(CHARGE_STEP) as u64);
        granted.then_some(()).ok_or(Overloaded)
    }
}

/// What is charged for memory of this size while nothing comes, in bytes.
fn retained(capacity: usize) -> u64 {
    if capacity > MAX_RETAINED_FREE { capacity as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembler(budget: u64) -> MessageAssembler {
        MessageAssembler::new(&Arc::new(Budget::new(budget)))
    }

    /// Another one on the same budget.
    fn beside(one: &MessageAssembler) -> MessageAssembler {
        MessageAssembler { charge: one.charge.beside(), ..assembler(0) }
    }

    fn add(message: &mut MessageAssembler, bytes: &[u8]) {
        message.append(bytes).unwrap();
    }

    /// Reads as a stream would that always has so many bytes at hand, until `len` have come.
    fn read(one: &mut MessageAssembler, len: usize, at_hand: usize) -> Result<usize, Overloaded> {
        let mut reads = 0;
        while one.filled < len {
            let room = one.room((len - one.filled) as u64)?;
            let len = room.len().min(at_hand);
            room[..len].fill(7);
            one.add(len)?;
            reads += 1;
        }
        Ok(reads)
    }

    #[test]
    fn the_budget_is_charged_while_a_long_message_grows_and_given_back_at_its_end() {
        let mut one = assembler(128 << 10);
        let mut other = beside(&one);
        add(&mut one, &[1; 16 << 10]);
        assert_eq!(one.charged(), 0);
        add(&mut one, &[1; 1]);
        assert_eq!(one.charged(), 32 << 10);
        add(&mut other, &[2; 64 << 10]);
        assert!(matches!(one.append(&[1; 64 << 10]), Err(Overloaded)));
        let mut buf = Vec::new();
        other.finish(&mut buf);
        assert_eq!(buf, [2; 64 << 10]);
        assert!(matches!(one.append(&[1; 64 << 10]), Err(Overloaded)), "it is still in use");
        other.release();
        add(&mut one, &[1; 64 << 10]);
        assert!(matches!(other.append(&[2; 48 << 10]), Err(Overloaded)));
        drop(one);
        assert!(other.append(&[2; 128 << 10]).is_ok());
    }

    #[test]
    fn a_finished_message_is_what_was_added_and_memory_is_used_again() {
        let mut message = assembler(1 << 30);
        let mut buf = b"old and longer".to_vec();
        add(&mut message, b"new");
        message.finish(&mut buf);
        assert_eq!(buf, b"new");
        add(&mut message, b"");
        message.finish(&mut buf);
        assert_eq!(buf, b"");
        // One memory serves for all messages of its size, and is let go for much smaller ones.
        buf = vec![0; 1 << 20];
        let at = buf.as_ptr();
        for len in [1 << 20, 1 << 19] {
            message.begin(&mut buf, len as u64);
            add(&mut message, &vec![7; len]);
            message.finish(&mut buf);
            assert_eq!((buf.len(), buf.as_ptr()), (len, at));
        }
        message.begin(&mut buf, 5);
        add(&mut message, b"small");
        message.finish(&mut buf);
        assert_eq!(buf, b"small");
        assert!(buf.capacity() + message.capacity() < 1 << 10);
    }

    /// Else a peer could have memory of an old message held, or charged, by a mere header.
    #[test]
    fn edge_i_memory_that_is_borrowed_stays_kept_or_is_let_go() {
        let mut message = assembler(16 << 20);
        for (had, announced, kept) in [
            (16 << 10, 1, 16 << 10),
            (64 << 10, 1, 64 << 10),
            (128 << 10, 1, 0),
            (512 << 10, 128 << 10, 512 << 10),
            // More than a sixteenth of the budget.
            (2 << 20, u64::MAX, 0),
        ] {
            let mut buf = Vec::with_capacity(had);
            message.begin(&mut buf, announced);
            assert_eq!((message.capacity(), message.charged()), (kept, retained(kept)), "{had}");
            assert_eq!(buf.capacity(), 0);
            message.clear();
        }
        // One that another message of this size has needed is kept, until bytes have come for it.
        add(&mut message, &[1; 512 << 10]);
        let mut buf = Vec::new();
        message.finish(&mut buf);
        message.release();
        message.begin(&mut buf, 1 << 20);
        assert_eq!((message.capacity(), message.charged()), (512 << 10, 512 << 10));
        assert_eq!(read(&mut message, 496 << 10, usize::MAX).unwrap(), 2);
        assert_eq!(message.charged(), 512 << 10, "bytes come for what is charged already");
        read(&mut message, (512 << 10) + 1, 1).unwrap();
        assert!(message.charged() > 512 << 10);
    }

    /// Whatever is announced, wherever it stops, whatever was there before.
    #[test]
    fn edge_i_memory_and_charge_follow_what_arrives() {
        const LEN: usize = 16 << 20;
        for had in [0, 1, 64 << 10, 1 << 20] {
            for at_hand in [1000, 64 << 10, usize::MAX] {
                let mut message = assembler(1 << 30);
                let mut buf = vec![1; had];
                message.rest(&mut buf);
                message.begin(&mut buf, LEN as u64);
                let mut come = 0;
                loop {
                    let room = message.room((LEN - come) as u64).unwrap().len();
                    let (memory, charged) = (message.bytes.len(), message.charged() as usize);
                    assert!(
                        memory <= (2 * come).max(come + MIN_READ).max(had),
                        "{memory} for {come}"
                    );
                    let kept = retained(had) as usize;
                    assert!(charged <= (2 * come + CHARGE_STEP).max(kept), "{charged} for {come}");
                    assert!(come > MAX_UNCHARGED || charged == kept, "{charged} for {come}");
                    let free = MAX_RETAINED_FREE;
                    assert!(memory.max(come) <= charged.max(free), "{memory} but {charged}");
                    if come == LEN {
                        break;
                    }
                    let len = room.min(at_hand).min(LEN - come);
                    message.add(len).unwrap();
                    come += len;
                    assert!(come <= (message.charged() as usize).max(MAX_UNCHARGED));
                }
                assert_eq!(message.charged(), LEN as u64);
            }
        }
    }

    #[test]
    fn edge_i_a_mere_header_leaves_the_budget_to_others() {
        let mut idle: Vec<_> = vec![assembler(1 << 20)];
        for _ in 1..1024 {
            idle.push(beside(&idle[0]));
        }
        for one in &mut idle {
            one.begin(&mut Vec::with_capacity(64 << 10), 16 << 20);
            assert!(one.room(16 << 20).is_ok());
        }
        let mut other = beside(&idle[0]);
        add(&mut other, &[7; 1 << 20]);
        // What has come in vain is refused when it comes.
        idle[0].room(16 << 20).unwrap();
        assert!(matches!(read(&mut idle[0], 64 << 10, usize::MAX), Err(Overloaded)));
    }

    #[test]
    fn edge_i_reads_are_few_once_memory_is_there() {
        let mut message = assembler(1 << 30);
        let mut buf = Vec::new();
        for reads in [10, 4, 4] {
            message.begin(&mut buf, 1 << 20);
            assert_eq!(read(&mut message, 1 << 20, usize::MAX).unwrap(), reads);
            message.finish(&mut buf);
            message.release();
        }
    }

    #[test]
    fn edge_i_memory_goes_with_what_was_taken_out() {
        let mut message = assembler(1 << 30);
        add(&mut message, &[7; 1 << 20]);
        assert_eq!(message.take(&mut vec![0; 1 << 20]), 1 << 20);
        assert_eq!((message.capacity(), message.charged()), (0, 0));
    }

    #[test]
    fn memory_is_kept_while_nothing_comes_as_far_as_all_may() {
        let mut one = assembler(16 << 20);
        let mut other = beside(&one);
        let mut long = vec![7; 600 << 10];
        let at = long.as_ptr();
        for _ in 0..2 {
            one.rest(&mut long);
            assert_eq!((long.len(), long.as_ptr(), one.charged()), (600 << 10, at, 600 << 10));
        }
        // Together it would be more than 1 MiB; what is short costs nothing.
        let mut another = vec![8; 600 << 10];
        other.rest(&mut another);
        assert_eq!((another.capacity(), other.charged()), (0, 0));
        let mut short = vec![9; MAX_RETAINED_FREE];
        other.rest(&mut short);
        assert_eq!((short.len(), other.charged()), (MAX_RETAINED_FREE, 0));

        // It goes with its connection's silence, with its buffer, with its next message and its end.
        for give_back in [
            |one: &mut MessageAssembler| one.begin(&mut vec![7; 600 << 10], 1),
            |one: &mut MessageAssembler| one.clear(),
            |one: &mut MessageAssembler| one.rest(&mut Vec::new()),
            |one: &mut MessageAssembler| *one = beside(one),
        ] {
            give_back(&mut one);
            assert_eq!(one.charged(), 0);
            let mut another = vec![8; 600 << 10];
            other.rest(&mut another);
            assert_eq!((another.len(), other.charged()), (600 << 10, 600 << 10));
            other.rest(&mut Vec::new());
            one.rest(&mut long);
            assert_eq!(one.charged(), 600 << 10);
        }
        // What is under way has its charge already.
        add(&mut other, &[1; 1 << 20]);
        let mut another = vec![8; 2 << 20];
        other.rest(&mut another);
        assert_eq!((another.len(), other.charged()), (2 << 20, 1 << 20));
    }

    #[test]
    fn takes_out_what_fits() {
        let mut message = assembler(0);
        add(&mut message, b"abcdef");
        let mut out = [0; 4];
        assert_eq!((message.take(&mut out), &out), (4, b"abcd"));
        assert_eq!((message.take(&mut out), &out[..2]), (2, &b"ef"[..]));
        assert!(message.is_empty());
        // What is left, and what comes then, is still the message.
        add(&mut message, b"ghijk");
        message.take(&mut out);
        add(&mut message, b"l");
        let mut buf = Vec::new();
        message.finish(&mut buf);
        assert_eq!(buf, b"kl");
    }
}
