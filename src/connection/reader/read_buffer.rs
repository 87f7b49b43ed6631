//! The read buffer.
//!
//! Its size follows what really arrives. An idle connection holds next to nothing; one that streams
//! gets room enough to make system calls rare.

use std::mem;
use std::ops::Range;

use crate::session::Charge;
use crate::session::assembler::MAX_RETAINED_FREE;
use crate::session::memory::grow;

/// The smallest read buffer, in bytes: enough for a message of a chat, next to nothing for an idle
/// connection.
const SMALLEST: usize = 256;

/// The largest, in bytes. More does not make reads faster.
const LARGEST: usize = 256 << 10;

/// The shortest rest of a payload that is worth a read of its own, in bytes. A shorter one costs
/// less to copy than a system call takes.
const MIN_DIRECT: u64 = 64 << 10;

/// Both over TLS: room for a record with all that belongs to it, so that of a large message only the
/// first passes through here, and the rest lands where the caller wants it. System calls are the
/// smaller part of the cost there: an echo of 64 KiB takes 64 µs, and with the sizes above 80.
#[cfg(feature = "tls")]
const OVER_TLS: (usize, u64) = (20 << 10, 16 << 10);

/// How many reads in a row must leave room in the buffer before its size is judged anew.
const CALM: u8 = 64;

/// A buffer between a stream and the protocol, refilled only when it is used up.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    /// What has been read and not yet used.
    unread: Range<usize>,
    /// How large the buffer is to be at the next read, and may ever be.
    size: usize,
    largest: usize,
    /// The shortest rest of a payload that is to be read elsewhere, in bytes.
    pub(crate) min_direct: u64,
    /// Reads that filled it, since it was last judged.
    full: u8,
    /// Reads in a row that did not.
    calm: u8,
    /// The longest read since it was last judged, in bytes.
    longest: usize,
    /// For a buffer that is larger than what is free.
    charge: Charge,
}

impl ReadBuffer {
    /// A buffer that holds `rest`.
    pub(crate) fn new(rest: Vec<u8>, charge: Charge) -> Self {
        let unread = 0..rest.len();
        let (size, largest, min_direct) = (SMALLEST, LARGEST, MIN_DIRECT);
        let (full, calm, longest) = (0, 0, 0);
        Self { bytes: rest, unread, size, largest, min_direct, full, calm, longest, charge }
    }

    /// What is read comes in records of TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn expect_records(&mut self) {
        (self.largest, self.min_direct) = OVER_TLS;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// What has been read and not yet used.
    pub(crate) fn unread(&mut self) -> &mut [u8] {
        &mut self.bytes[self.unread.clone()]
    }

    /// Marks the first `len` unread bytes as used.
    pub(crate) fn consume(&mut self, len: usize) {
        self.unread.start += len;
    }

    /// Gives up what has been read and not yet used.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut bytes = mem::take(&mut self.bytes);
        bytes.truncate(self.unread.end);
        bytes.drain(..self.unread.start);
        self.reset();
        bytes
    }

    /// How large the next read would like it to be, in bytes.
    fn wanted(&self) -> usize {
        // A read may fill it because we were late, and then a larger one would be held for nothing;
        // two are a stream.
        if self.full >= 2 { (self.size * 4).min(self.largest) } else { self.size }
    }

    /// Room for the next read, as much as it would like if the budget allows; the buffer must be used
    /// up.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        debug_assert!(self.is_empty());
        // The read may fail, and the place where the last one ended may soon be no more.
        self.unread = 0..0;
        let mut size = self.wanted();
        if size <= MAX_RETAINED_FREE {
            self.charge.clear();
        } else if !self.charge.retain(LARGEST as u64) {
            size = MAX_RETAINED_FREE;
        }
        if self.full >= 2 || self.size != size {
            self.resize(size);
        }
        if self.bytes.len() != self.size || self.bytes.capacity() > self.size {
            if !grow(&mut self.bytes, self.size, self.size) {
                // What there is will do.
                self.resize(self.bytes.len().max(SMALLEST));
            }
            self.bytes.resize(self.size, 0);
            self.bytes.shrink_to(self.size);
        }
        &mut self.bytes
    }

    /// Takes note that the next read has put `len` bytes into [`room`](Self::room).
    pub(crate) fn filled(&mut self, len: usize) {
        self.unread = 0..len;
        self.longest = self.longest.max(len);
        // Nearly will do: TLS takes a part of each read for itself.
        if len >= self.size - self.size / 32 {
            self.full += 1;
            self.calm = 0;
            return;
        }
        self.calm += 1;
        if self.calm == CALM {
            let fits = self.longest < self.size / 4;
            self.resize(if fits { (self.size / 4).max(SMALLEST) } else { self.size });
        }
    }

    /// Takes note that what comes next is read elsewhere, so that a larger buffer is no help.
    pub(crate) fn bypassed(&mut self) {
        self.full = self.full.saturating_sub(1);
    }

    /// How much memory a [`reset`](Self::reset) would give back, in bytes.
    pub(crate) fn excess(&self) -> usize {
        self.bytes.capacity().saturating_sub(SMALLEST)
    }

    /// Takes another size from the next read on, to be judged anew.
    fn resize(&mut self, size: usize) {
        self.size = size;
        (self.full, self.calm, self.longest) = (0, 0, 0);
    }

    /// Back to the smallest; the buffer must be used up.
    pub(crate) fn reset(&mut self) {
        self.bytes = Vec::new();
        self.unread = 0..0;
        self.resize(SMALLEST);
        self.charge.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::session::Budget;

    /// One whose budget lets it be as large as it likes, and nobody beside it.
    fn buffer(rest: &[u8]) -> ReadBuffer {
        let budget = Arc::new(Budget::new(16 * LARGEST as u64));
        ReadBuffer::new(rest.to_vec(), Charge::new(&budget))
    }

    #[test]
    fn grows_while_reads_fill_it_and_shrinks_when_they_stop() {
        let mut buffer = buffer(b"");
        assert_eq!(fill(&mut buffer, 14), SIZES);
        read(&mut buffer, 10 * usize::from(CALM), 1);
        assert_eq!(buffer.room().len(), SMALLEST);
        assert!(buffer.excess() < SMALLEST);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn grows_no_further_than_a_record() {
        let mut buffer = buffer(b"");
        buffer.expect_records();
        assert_eq!(fill(&mut buffer, 20), [&SIZES[..4], &[OVER_TLS.0]].concat());
    }

    #[test]
    fn grows_no_further_than_it_may() {
        let mut buffer = buffer(b"");
        let mut other = buffer.charge.beside();
        assert!(other.retain(1));
        assert_eq!(fill(&mut buffer, 20), SIZES[..5]);
        other.clear();
        assert_eq!(fill(&mut buffer, 4).last(), Some(&LARGEST));
        // And what it has is taken away.
        buffer.charge.clear();
        assert!(other.retain(1));
        assert_eq!(fill(&mut buffer, 4), SIZES[4..5]);
        assert!(buffer.excess() < 65_536);
    }

    const SIZES: [usize; 6] = [256, 1024, 4096, 16_384, 65_536, 262_144];

    /// Reads that fill it; the sizes that it takes.
    fn fill(buffer: &mut ReadBuffer, times: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        for _ in 0..times {
            let len = buffer.room().len();
            sizes.push(len);
            buffer.filled(len);
            buffer.consume(len);
        }
        sizes.dedup();
        sizes
    }

    fn read(buffer: &mut ReadBuffer, times: usize, len: usize) {
        for _ in 0..times {
            let room = buffer.room().len();
            buffer.filled(len.min(room));
            buffer.consume(len.min(room));
        }
    }

    /// Now and then a thread is late, and several small messages have come.
    #[test]
    fn stays_small_if_a_read_fills_it_now_and_then() {
        let mut buffer = buffer(b"");
        for _ in 0..10 {
            read(&mut buffer, 1, 1000);
            read(&mut buffer, usize::from(CALM), 100);
        }
        assert_eq!(buffer.room().len(), SMALLEST);
        // Those that never fit it are something else, and one that has grown for them stays.
        read(&mut buffer, 4, 700);
        read(&mut buffer, 10 * usize::from(CALM), 300);
        assert_eq!(buffer.room().len(), 1024);
    }

    #[test]
    fn hands_out_what_it_was_given_first() {
        let mut buffer = buffer(b"abcdef");
        assert_eq!(buffer.unread(), b"abcdef");
        buffer.consume(2);
        assert_eq!(buffer.unread(), b"cdef");
        buffer.consume(4);
        assert!(buffer.is_empty());
        assert_eq!(buffer.room().len(), SMALLEST);
    }

    #[test]
    fn is_empty_after_a_read_that_brought_nothing() {
        let mut buffer = buffer(&[0; 2 * SMALLEST]);
        buffer.consume(2 * SMALLEST);
        buffer.room();
        assert!(buffer.unread().is_empty());
    }
}
