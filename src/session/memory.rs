//! Growth of a buffer that may be refused.
//!
//! What a peer makes long, a message, a read buffer or a queue, grows here: a step of [`SMALL`] or
//! more asks the [`headroom`] first. A refusal is an answer, not the end of the process.

use super::headroom::{self, SMALL};

/// Makes `message` at least `len` bytes long, what is new being zero, if there is memory for it.
/// It will not be longer than `most`, as far as anybody knows.
#[must_use]
pub(crate) fn grow(message: &mut Vec<u8>, len: usize, most: usize) -> bool {
    if message.len() >= len {
        return true;
    }
    if message.capacity() < len {
        // Twice as much each time, but for the last: what is beyond the end is never used.
        let capacity = most.min(message.capacity().saturating_mul(2)).max(len);
        if !allocate(message, capacity) {
            return false;
        }
    }
    message.resize(len, 0);
    true
}

/// Makes room for `more` bytes behind those of `block`, if there is memory for it.
#[inline]
#[must_use]
pub(crate) fn reserve(block: &mut Vec<u8>, more: usize) -> bool {
    block.capacity() - block.len() >= more || {
        let len = block.len().saturating_add(more);
        let capacity = len.max(block.capacity().saturating_mul(2));
        allocate(block, capacity)
    }
}

/// Gives `block` a capacity that it does not have yet, in bytes, if there is memory for it.
#[inline(never)]
fn allocate(block: &mut Vec<u8>, capacity: usize) -> bool {
    let more = capacity - block.len();
    let mut allocate = || block.try_reserve_exact(more).is_ok();
    if capacity < SMALL { allocate() } else { headroom::allocate(capacity, allocate) == Some(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_does_not_fit_memory_is_refused() {
        let mut message = vec![1; 10];
        assert!(!grow(&mut message, usize::MAX / 2, usize::MAX));
        assert_eq!(message, [1; 10]);
        assert!(grow(&mut message, 12, 12));
        assert_eq!(message.len(), 12);
    }

    #[test]
    fn a_long_message_grows_by_doubling_to_its_end() {
        let mut message = Vec::new();
        let mut capacities = Vec::new();
        for len in 1..=20 {
            assert!(grow(&mut message, len << 18, 20 << 18));
            capacities.push(message.capacity() >> 18);
        }
        capacities.dedup();
        assert_eq!(capacities, [1, 2, 4, 8, 16, 20]);
        assert!(message.iter().all(|byte| *byte == 0));
    }
}
