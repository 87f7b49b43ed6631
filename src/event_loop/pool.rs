//! What the connections of a loop use one after the other: memory to read into, and what receives. An
//! idle connection has neither.

use std::sync::Arc;
use std::time::Instant;

use crate::event_loop::conn::Receiver;
use crate::proto::DecoderLimits;
use crate::session::timers::MEMORY_KEEPALIVE;
use crate::session::{Budget, MessageAssembler, Receiving};

/// How much is read at once, in bytes, of a peer that has not just filled it with long messages.
pub(super) const FIRST_READ_SIZE: usize = 8 << 10;

/// How much is read at once, in bytes.
const READ_SIZE: usize = 128 << 10;

/// How far into a page the read buffer begins, in bytes. On some processors the kernel's copy to it is
/// slow, if it lies a little ahead of the source modulo the size of a page, and that is mostly at the
/// start of one.
const READ_OFFSET: usize = 2048;

/// How far into its memory a long message begins, in bytes. The kernel copies an echo of it to memory of its own
/// that is filled from the start of a page on, mostly: behind a header, or those of a few messages. Messages of
/// 1 MiB that began a large allocation were slow to copy every other time. This is near neither, and
/// not near half a page, where what was read may be copied from.
const WRITE_OFFSET: usize = 1536;

/// How many are kept at the most.
const MAX_POOLED: usize = 16;

/// Memory to read into.
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

/// What receives, for the connection whose turn it is: the one that was used last is used first, while
/// it is still in the cache.
#[derive(Default)]
pub(super) struct Pool {
    #[expect(clippy::vec_box, reason = "it moves to a connection and back, and stays where it is")]
    receivers: Vec<Box<Receiver>>,
    /// Since when nothing has happened.
    idle_since: Option<Instant>,
}

impl Pool {
    /// For a connection that is held to these limits.
    #[inline]
    pub(super) fn get(&mut self, budget: &Arc<Budget>, limits: DecoderLimits) -> Box<Receiver> {
        match self.receivers.pop() {
            Some(mut receiver) => {
                receiver.receiving.set_limits(limits);
                receiver
            }
            None => Receiver::new(budget, Receiving::new(limits)),
        }
    }

    /// Takes one back that is vacant.
    #[inline]
    pub(super) fn put(&mut self, mut receiver: Box<Receiver>) {
        if self.receivers.len() == MAX_POOLED {
            return;
        }
        receiver.direct = false;
        if receiver.held() > 0 && !receiver.assembler.is_empty() {
            receiver.assembler.clear();
        }
        receiver.rest();
        self.receivers.push(receiver);
    }

    /// Gives memory back, once nothing has happened for a while; whether that is so.
    pub(super) fn trim(&mut self, now: Instant, is_idle: bool) -> bool {
        if !is_idle {
            self.idle_since = None;
            return false;
        }
        let since = *self.idle_since.get_or_insert(now);
        let is_due = now.saturating_duration_since(since) >= MEMORY_KEEPALIVE;
        if is_due {
            self.receivers = Vec::new();
        }
        is_due
    }
}

impl Receiver {
    pub(super) fn new(budget: &Arc<Budget>, receiving: Receiving) -> Box<Self> {
        let assembler = MessageAssembler::new(budget, WRITE_OFFSET);
        Box::new(Self { receiving, assembler, buf: Vec::new(), direct: false })
    }

    /// More may be long in coming: memory between messages is kept as far as the budget allows.
    #[inline]
    pub(super) fn rest(&mut self) {
        if self.held() > 0 {
            self.assembler.release();
            self.assembler.rest(&mut self.buf);
        }
    }

    /// How much memory is held, in bytes.
    fn held(&self) -> usize {
        self.buf.capacity() + self.assembler.capacity()
    }
}
