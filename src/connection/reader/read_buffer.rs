//! The read buffer.
//!
//! Its size follows what really arrives. An idle connection holds next to nothing; one that streams
//! gets room enough to make system calls rare.

use std::mem;
use std::ops::Range;

use crate::session::Charge;
use crate::session::assembler::MAX_RETAINED_FREE;
use crate::session::memory::{MAX_OFFSET, grow, read_offset};

/// The smallest read buffer, in bytes: enough for a message of a chat, next to nothing for an idle
/// connection.
const SMALLEST: usize = 256;

/// The largest, in bytes. More does not make reads faster.
const LARGEST: usize = 256 << 10;

/// What is charged for that, in bytes.
const CHARGED: u64 = (LARGEST + MAX_OFFSET) as u64;

/// The shortest rest of a payload that is worth a read of its own, in bytes. A shorter one costs
/// less to copy than a system call takes.
const MIN_DIRECT: u64 = 64 << 10;

/// Both over TLS: room for a record with all that belongs to it, so that of a large message only the
/// first passes through here, and the rest lands where the caller wants it. System calls are the
/// smaller part of the cost there: an echo of 64 KiB takes 64 µs, and with the sizes above 80.
#[cfg(feature = "tls")]
const OVER_TLS: (usize, u64) = (20 << 10, 16 << 10);

/// The smallest that begins where the kernel copies quickly to ([`read_offset`]), in bytes. The memory for
/// that is beside its size: of the largest it is charged, of others as free as they are.
const MIN_OFFSET_SIZE: usize = 4 << 10;

/// How many reads in a row must leave room in the buffer before its size is judged anew.
const CALM: u8 = 64;

/// A buffer between a stream and the protocol, refilled only when it is used up.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    /// What has been read and not yet used.
    unread: Range<usize>,
    /// How much the next read is to have room for at least, and how much memory that takes, in bytes.
    size: usize,
    whole: usize,
    /// Reads that filled it, since it was last judged.
    full: u8,
    /// Reads in a row that did not.
    calm: u8,
    /// The longest read since it was last judged, in bytes.
    longest: usize,
    /// Where room begins in it, in bytes: 0 to [`MAX_OFFSET`].
    start: usize,
    /// Whether the kernel copies here, and not TLS.
    pub(crate) from_kernel: bool,
    /// For a buffer that is larger than what is free.
    charge: Charge,
}

impl ReadBuffer {
    /// A buffer that holds `rest`.
    pub(crate) fn new(rest: Vec<u8>, charge: Charge) -> Self {
        let unread = 0..rest.len();
        let (size, whole, start, from_kernel) = (SMALLEST, SMALLEST, 0, true);
        let (full, calm, longest) = (0, 0, 0);
        Self { bytes: rest, unread, size, whole, full, calm, longest, start, from_kernel, charge }
    }

    /// What is read comes in records of TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn expect_records(&mut self) {
        self.from_kernel = false;
    }

    /// The largest size, and the shortest rest of a payload that is to be read elsewhere, in bytes.
    const fn most(&self) -> (usize, u64) {
        #[cfg(feature = "tls")]
        if !self.from_kernel {
            return OVER_TLS;
        }
        (LARGEST, MIN_DIRECT)
    }

    /// Whether such a rest of a payload is to be read elsewhere.
    #[inline]
    pub(crate) const fn is_long(&self, left: u64) -> bool {
        left >= self.most().1
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
        if self.full >= 2 { (self.size * 4).min(self.most().0) } else { self.size }
    }

    /// Room for the next read, as much as it would like if the budget allows; the buffer must be used
    /// up.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        debug_assert!(self.is_empty());
        let mut size = self.wanted();
        if size <= MAX_RETAINED_FREE {
            self.charge.clear();
        } else if !self.charge.retain(CHARGED) {
            size = MAX_RETAINED_FREE;
        }
        if self.full >= 2 || self.size != size {
            self.resize(size);
        }
        if self.bytes.len() != self.whole || self.bytes.capacity() > self.whole {
            self.reallocate();
        }
        // The read may fail, and the place where the last one ended may be no more.
        self.unread = self.start..self.start;
        &mut self.bytes[self.start..]
    }

    /// Gets memory for its size.
    #[cold]
    fn reallocate(&mut self) {
        if !grow(&mut self.bytes, self.whole, self.whole) {
            // What there is will do.
            self.resize(self.bytes.len().max(SMALLEST));
            self.whole = self.size;
        }
        self.bytes.resize(self.whole, 0);
        self.bytes.shrink_to(self.whole);
        let offset = read_offset(self.bytes.as_ptr().addr(), 0);
        self.start = offset.min(self.whole - self.size);
    }

    /// Takes note that the next read has put `len` bytes into [`room`](Self::room).
    pub(crate) fn filled(&mut self, len: usize) {
        self.unread.end += len;
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
        let has_offset = self.from_kernel && size >= MIN_OFFSET_SIZE;
        (self.size, self.whole) = (size, if has_offset { size + MAX_OFFSET } else { size });
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
        let budget = Arc::new(Budget::new(16 * CHARGED));
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
        assert!(buffer.excess() < 65_536 + MAX_OFFSET);
    }

    #[test]
    fn begins_where_the_kernel_copies_quickly_to_once_it_is_large() {
        for (from_kernel, most) in [(true, 6), (false, 4)] {
            let mut buffer = buffer(b"");
            buffer.from_kernel = from_kernel;
            for (size, least) in SIZES.into_iter().take(most).zip([0, 0, 3, 3, 3, 3]) {
                let beside = if from_kernel { least << 10 } else { 0 };
                for round in 0..3 {
                    let room = buffer.room();
                    assert!((size..=size + beside).contains(&room.len()));
                    assert!(beside == 0 || read_offset(room.as_ptr().addr(), 0) == 0, "{size}");
                    assert_eq!(buffer.bytes.capacity(), size + beside);
                    // Two that fill it have it grow.
                    let len = if round == 0 { size / 2 } else { size };
                    let last = &mut buffer.room()[len - 2..len];
                    last.copy_from_slice(&[round, 7]);
                    buffer.filled(len);
                    buffer.consume(len - 2);
                    assert_eq!(buffer.unread(), [round, 7]);
                    buffer.consume(2);
                    assert!(buffer.is_empty());
                }
            }
            buffer.room()[..3].copy_from_slice(b"abc");
            buffer.filled(3);
            buffer.consume(1);
            assert_eq!(buffer.take(), b"bc");
            assert_eq!((buffer.room().len(), buffer.bytes.capacity()), (SMALLEST, SMALLEST));
        }
    }

    const SIZES: [usize; 6] = [256, 1024, 4096, 16_384, 65_536, 262_144];

    /// Reads that fill it; the sizes that it takes.
    fn fill(buffer: &mut ReadBuffer, times: usize) -> Vec<usize> {
        let mut sizes = Vec::new();
        for _ in 0..times {
            let len = buffer.room().len();
            sizes.push(buffer.size);
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
