//! Memory for what is received: the read buffer, and room for a message.
//!
//! Both follow what really arrives and never what a header announces. An idle connection holds
//! next to nothing; one that streams gets room enough to make system calls rare.

use std::ops::{Index, Range};

/// The smallest read buffer, in bytes: enough for a message of a chat, next to nothing for an idle
/// connection.
const SMALLEST: usize = 256;

/// The largest, in bytes. More does not make reads faster.
const LARGEST: usize = 256 << 10;

/// How many reads in a row may leave the buffer almost empty before it shrinks.
const SPARSE: u8 = 64;

/// From this size on, in bytes, room for a message is granted only if [`HEADROOM`] is left.
const BIG: usize = 256 << 10;

/// Memory that must stay free, in bytes, for small allocations that cannot be refused.
const HEADROOM: usize = 16 << 20;

/// A buffer between a stream and the protocol, refilled only when it is used up.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    bytes: Vec<u8>,
    /// What has been read and not yet used.
    unread: Range<usize>,
    /// How large the buffer is to be at the next read.
    size: usize,
    /// Whether the last read filled it: more was waiting.
    full: bool,
    /// Reads in a row that left it almost empty.
    sparse: u8,
}

impl ReadBuffer {
    /// A buffer that holds `rest`.
    pub(crate) fn new(rest: Vec<u8>) -> Self {
        let unread = 0..rest.len();
        Self { bytes: rest, unread, size: SMALLEST, full: false, sparse: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// What has been read and not yet used.
    pub(crate) fn unread(&mut self) -> &mut [u8] {
        &mut self.bytes[self.unread.clone()]
    }

    /// Marks the first `len` unread bytes as used, and tells where they lie.
    pub(crate) fn consume(&mut self, len: usize) -> Range<usize> {
        let start = self.unread.start;
        self.unread.start += len;
        start..start + len
    }

    /// Room for the next read; the buffer must be used up.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        debug_assert!(self.is_empty());
        if self.full {
            self.size = (self.size * 4).min(LARGEST);
            self.full = false;
        }
        if self.bytes.len() != self.size {
            self.bytes.resize(self.size, 0);
            self.bytes.shrink_to(self.size);
        }
        &mut self.bytes
    }

    /// Takes note that the next read has put `len` bytes into [`room`](Self::room).
    pub(crate) fn filled(&mut self, len: usize) {
        self.unread = 0..len;
        self.full = len == self.size;
        self.sparse = if len < self.size / 16 { self.sparse + 1 } else { 0 };
        if self.sparse == SPARSE {
            self.size = (self.size / 4).max(SMALLEST);
            self.sparse = 0;
        }
    }

    /// Takes note that what comes next is read elsewhere, so that a larger buffer is no help.
    pub(crate) fn bypassed(&mut self) {
        self.full = false;
    }

    /// How much memory a [`reset`](Self::reset) would give back, in bytes.
    pub(crate) fn excess(&self) -> usize {
        self.bytes.capacity().saturating_sub(SMALLEST)
    }

    /// Back to the smallest; the buffer must be used up.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(Vec::new());
    }
}

impl Index<Range<usize>> for ReadBuffer {
    type Output = [u8];

    fn index(&self, at: Range<usize>) -> &[u8] {
        &self.bytes[at]
    }
}

/// Makes `message` at least `len` bytes long, what is new being zero, if there is memory for it.
#[must_use]
pub(crate) fn grow(message: &mut Vec<u8>, len: usize) -> bool {
    if message.len() >= len {
        return true;
    }
    if message.capacity() < len {
        let mut headroom = Vec::<u8>::new();
        if len >= BIG && headroom.try_reserve_exact(HEADROOM).is_err() {
            return false;
        }
        if message.try_reserve(len - message.len()).is_err() {
            return false;
        }
    }
    message.resize(len, 0);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_while_reads_fill_it_and_shrinks_when_they_stop() {
        let mut buffer = ReadBuffer::new(Vec::new());
        let mut sizes = Vec::new();
        for _ in 0..7 {
            let len = buffer.room().len();
            sizes.push(len);
            buffer.filled(len);
            buffer.consume(len);
        }
        assert_eq!(sizes, [256, 1024, 4096, 16_384, 65_536, 262_144, 262_144]);
        for _ in 0..10 * usize::from(SPARSE) {
            buffer.room();
            buffer.filled(1);
            buffer.consume(1);
        }
        assert_eq!(buffer.room().len(), SMALLEST);
        assert!(buffer.excess() < SMALLEST);
    }

    #[test]
    fn hands_out_what_it_was_given_first() {
        let mut buffer = ReadBuffer::new(b"abcdef".to_vec());
        assert_eq!(buffer.unread(), b"abcdef");
        let at = buffer.consume(2);
        assert_eq!(&buffer[at], b"ab");
        assert_eq!(buffer.unread(), b"cdef");
        buffer.consume(4);
        assert!(buffer.is_empty());
        assert_eq!(buffer.room().len(), SMALLEST);
    }

    #[test]
    fn a_message_that_does_not_fit_memory_is_refused() {
        let mut message = vec![1; 10];
        assert!(!grow(&mut message, usize::MAX / 2));
        assert_eq!(message, [1; 10]);
        assert!(grow(&mut message, 12));
        assert_eq!(message.len(), 12);
    }
}
