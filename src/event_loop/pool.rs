//! Memory of a loop that its connections use one after the other, or while a message is under way.

use std::sync::Arc;
use std::time::Instant;

use crate::event_loop::conn::Parts;
use crate::session::timers::MEMORY_KEEPALIVE;
use crate::session::{Budget, MessageAssembler};

/// How much is read at once, in bytes.
const READ_SIZE: usize = 256 << 10;

/// How far into a page the read buffer begins, in bytes. On some processors the kernel's copy to it is
/// slow, if it lies a little ahead of the source modulo the size of a page, and that is mostly at the
/// start of one.
const READ_OFFSET: usize = 2048;

/// How many messages have memory kept for them.
const MAX_POOLED: usize = 16;

/// Memory to read into.
#[derive(Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    start: usize,
}

impl ReadBuffer {
    pub(super) fn new() -> Self {
        const PAGE: usize = 4096;
        let bytes = vec![0; READ_SIZE + PAGE];
        let start = (PAGE + READ_OFFSET - bytes.as_ptr() as usize % PAGE) % PAGE;
        Self { bytes, start }
    }

    pub(super) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + READ_SIZE]
    }
}

/// Memory for messages in parts: what was used last is used first, while it is still in the cache.
#[derive(Default)]
pub(super) struct Pool {
    parts: Vec<Box<Parts>>,
    /// Since when nothing has happened.
    quiet: Option<Instant>,
}

impl Pool {
    #[inline]
    pub(super) fn get(&mut self, budget: &Arc<Budget>) -> Box<Parts> {
        self.parts.pop().unwrap_or_else(|| {
            let assembler = MessageAssembler::new(budget);
            Box::new(Parts { assembler, buf: Vec::new(), direct: false })
        })
    }

    /// What was in it is of no more use.
    #[inline]
    pub(super) fn put(&mut self, mut parts: Box<Parts>) {
        if self.parts.len() == MAX_POOLED {
            return;
        }
        parts.direct = false;
        if parts.buf.capacity() + parts.assembler.capacity() > 0 {
            if !parts.assembler.is_empty() {
                parts.assembler.clear();
            }
            parts.assembler.release();
            parts.assembler.rest(&mut parts.buf);
        }
        self.parts.push(parts);
    }

    /// Gives memory back, once nothing has happened for a while.
    pub(super) fn trim(&mut self, now: Instant, is_idle: bool) {
        if !is_idle || self.parts.is_empty() {
            self.quiet = None;
            return;
        }
        let since = *self.quiet.get_or_insert(now);
        if now.saturating_duration_since(since) >= MEMORY_KEEPALIVE {
            self.parts = Vec::new();
        }
    }
}
