//! What an undivided connection has queued, to be sent before it reads.
//!
//! Beside it there may be senders for other threads. What is queued takes its turn among theirs, and
//! stays queued where they leave it none within the write timeout: nothing of it was sent then.

use std::io::IoSlice;

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::writer::Unit;
use crate::error::Error;
use crate::proto::encoder;
use crate::session::Deadline;
use crate::session::memory::reserve;

/// Sends a Pong without waiting for a sender that is blocked.
pub(super) fn push_pong(shared: &ConnectionShared, payload: &[u8]) {
    let buffers = &shared.server.buffers;
    let mut frame = Vec::new();
    buffers.get(&mut frame);
    encoder::pong(payload, &mut frame);
    // Once our Close is due, nothing is answered any more.
    let _ = shared.writer.push_control(&frame);
    buffers.put(&mut frame);
}

/// See the [module](self).
#[derive(Default)]
pub(crate) struct WriteQueue {
    /// Whole frames.
    pub(crate) frames: Vec<u8>,
    /// Whether senders of their own exist, which may also start to close at any time.
    pub(crate) beside_senders: bool,
}

impl WriteQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Has room for `len` bytes more; whether there is memory for them.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, shared: &ConnectionShared, len: usize) -> bool {
        shared.server.buffers.get(&mut self.frames);
        reserve(&mut self.frames, len)
    }

    /// Sends what is queued, and behind it a frame of a header and a payload.
    ///
    /// # Errors
    ///
    /// As for [`Writer::send`](crate::connection::writer::Writer::send).
    #[inline(always)]
    pub(crate) fn transmit(
        &mut self,
        shared: &ConnectionShared,
        [header, payload]: [&[u8]; 2],
    ) -> Result<(), Error> {
        let mut frames = [&self.frames, header, payload].map(IoSlice::new);
        let result = shared.writer.send(&mut frames);
        self.sent(shared, result)
    }

    /// Sends what is queued.
    ///
    /// # Errors
    ///
    /// As for [`transmit`](Self::transmit).
    // An echo of 20 bytes: 1,343 instructions, 1,361 without it.
    #[inline(always)]
    pub(crate) fn flush(&mut self, shared: &ConnectionShared) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let result = shared.writer.send(&mut [IoSlice::new(&self.frames)]);
        self.sent(shared, result)
    }

    /// The same for the last time, since the connection ends: within the close timeout.
    #[inline(never)]
    pub(crate) fn flush_last(&mut self, shared: &ConnectionShared) {
        if !self.is_empty() {
            let within = shared.server.config.timeouts.close;
            let frames = &mut [IoSlice::new(&self.frames)];
            let _ = shared.writer.send_within(frames, Unit::Messages, within);
        }
    }

    /// Whether this error means that others have sent for all of the time there was, and nothing else
    /// is wrong.
    pub(crate) fn is_held_up(&self, shared: &ConnectionShared, error: &Error) -> bool {
        self.beside_senders
            && matches!(error, Error::DeadlineExceeded(Deadline::Write))
            && !shared.writer.is_over()
    }

    #[inline(always)]
    fn sent(&mut self, shared: &ConnectionShared, result: Result<(), Error>) -> Result<(), Error> {
        if let Err(error) = &result
            && self.is_held_up(shared, error)
        {
            return result;
        }
        shared.server.buffers.put(&mut self.frames);
        result
    }
}
