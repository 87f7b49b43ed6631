//! Send buffers that connections share.
//!
//! What is queued for sending goes out before a thread waits, so only a few of many connections have
//! a queue at any moment. They take their buffers from this pool and put them back, the last one
//! first, so the same few stay in the processor's cache, and idle connections hold none. When more
//! are in use than the pool keeps, the rest stay with their connections until those are idle.

use std::mem;
use std::sync::Mutex;

/// How many buffers are kept.
const MAX_BUFFERS: usize = 16;

/// The largest buffer that is kept, in bytes.
const MAX_CAPACITY: usize = 128 << 10;

/// A pool of empty buffers, the last one used on top.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    buffers: Mutex<Vec<Vec<u8>>>,
}

impl BufferPool {
    /// Replaces `buffer`, if it has no memory, by the one that was used last, if there is one.
    pub(crate) fn get(&self, buffer: &mut Vec<u8>) {
        // Nobody waits for the lock: to allocate is no slower.
        if buffer.capacity() == 0
            && let Ok(mut buffers) = self.buffers.try_lock()
            && let Some(pooled) = buffers.pop()
        {
            *buffer = pooled;
        }
    }

    /// Empties `buffer`, and keeps its memory in the pool if there is room for it.
    pub(crate) fn put(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        if (1..=MAX_CAPACITY).contains(&buffer.capacity())
            && let Ok(mut buffers) = self.buffers.try_lock()
            && buffers.len() < MAX_BUFFERS
        {
            buffers.push(mem::take(buffer));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_buffer_is_reused_first() {
        let pool = BufferPool::default();
        let mut buffers = [10, 20].map(Vec::with_capacity);
        for buffer in &mut buffers {
            buffer.push(1);
            pool.put(buffer);
            assert_eq!(buffer.capacity(), 0);
        }
        for capacity in [20, 10, 0] {
            let mut buffer = Vec::new();
            pool.get(&mut buffer);
            assert_eq!((buffer.len(), buffer.capacity()), (0, capacity));
        }
    }

    #[test]
    fn few_are_kept_and_no_large_ones() {
        let pool = BufferPool::default();
        let mut large = Vec::with_capacity(MAX_CAPACITY + 1);
        pool.put(&mut large);
        assert!(large.capacity() > MAX_CAPACITY);
        for kept in (0..=MAX_BUFFERS).map(|i| i < MAX_BUFFERS) {
            let mut buffer = Vec::with_capacity(1);
            pool.put(&mut buffer);
            assert_eq!(buffer.capacity() == 0, kept);
        }
        let mut own = vec![1];
        pool.get(&mut own);
        assert_eq!(own, [1]);
    }
}
