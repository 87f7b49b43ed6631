//! Memory that few connections need at a time, lent to those that do.
//!
//! What is queued for sending goes out before a thread waits, and a message has been handled by
//! then, so of many connections a few need memory for either at any moment. They take turns with
//! the same few blocks, which so stay in the processor's cache; one block for each connection would
//! not, and idle ones would hold it. Where more are in use than are kept, the rest stay with their
//! connections until those are quiet.

use std::mem;
use std::sync::Mutex;

/// See the top of the file.
#[derive(Debug)]
pub(crate) struct Spare {
    /// How many blocks are kept.
    most: usize,
    /// The largest that is kept, in bytes.
    largest: usize,
    blocks: Mutex<Vec<Vec<u8>>>,
}

impl Spare {
    /// None yet, and never more than `most` blocks, each of at most `largest` bytes.
    pub(crate) fn new(most: usize, largest: usize) -> Self {
        Self { most, largest, blocks: Mutex::default() }
    }

    /// The block of at most `size` bytes that was used last, with what is in it, if there is one.
    #[inline]
    pub(crate) fn lend(&self, size: usize) -> Option<Vec<u8>> {
        // Nobody waits: to allocate is no slower.
        let mut blocks = self.blocks.try_lock().ok()?;
        let at = blocks.iter().rposition(|block| block.capacity() <= size)?;
        Some(blocks.remove(at))
    }

    /// Takes the memory of `block` back, if there is room for it.
    pub(crate) fn take_back(&self, block: &mut Vec<u8>) {
        if (1..=self.largest).contains(&block.capacity())
            && let Ok(mut blocks) = self.blocks.try_lock()
            && blocks.len() < self.most
        {
            blocks.push(mem::take(block));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_is_lent_first() {
        let spare = Spare::new(4, 100);
        for capacity in [30, 10, 20] {
            let mut block = Vec::with_capacity(capacity);
            spare.take_back(&mut block);
            assert_eq!(block.capacity(), 0);
        }
        let lent = [25, 9, 100, 100, 100].map(|size| Some(spare.lend(size)?.capacity()));
        assert_eq!(lent, [Some(20), None, Some(10), Some(30), None]);
    }

    #[test]
    fn few_are_kept_and_no_large_ones() {
        let spare = Spare::new(2, 100);
        for (capacity, kept) in [(101, false), (100, true), (1, true), (1, false)] {
            let mut block = Vec::with_capacity(capacity);
            spare.take_back(&mut block);
            assert_eq!(block.capacity() == 0, kept, "{capacity}");
        }
    }
}
