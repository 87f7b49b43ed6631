//! What the two halves of a connection share, and the server from accept on: the stream, the right
//! to write to it, and how it ends.
//!
//! A connection ends in four steps (§7.1.1): our Close; the end of our side of the stream; a wait
//! for the end of the peer's, in which all that still comes is thrown away; the end of both. The
//! wait is what lets a peer that is busy sending read our Close: the stream of one that is cut while
//! it writes is reset, and a reset takes with it what the peer has not read yet.

use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::connection::buffer_pool::BufferPool;
use crate::connection::writer::{CloseAction, Failure, Unit, Writer};
use crate::error::Error;
use crate::io::deadline::{Expiry, allowance};
use crate::io::stream::Sink;
use crate::io::stream::TimedStream;
use crate::session::Closing;
use crate::session::budget::Budget;

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct ServerShared {
    pub(crate) config: Config,
    /// For long messages that are being received or handled.
    pub(crate) assembling: Budget,
    /// For memory that connections keep while they wait, to read into or for the next message: a
    /// sixteenth.
    pub(crate) keeping: Budget,
    /// For the queues.
    pub(crate) buffers: BufferPool,
}

/// See the top of the file.
pub(crate) struct ConnectionShared {
    /// Where a server counts the connection for as long as its descriptor is open. Before the
    /// stream, so that who sees the end of it and comes again finds the place free.
    place: OnceLock<Box<dyn Place>>,
    pub(crate) stream: TimedStream,
    pub(crate) context: Arc<ServerShared>,
    writer: Writer,
    /// One of the constants below.
    reading: AtomicU8,
}

/// A place among a server's connections, given back when it is dropped.
pub(crate) trait Place: Send + Sync {
    /// Has somebody look whether a Close of ours is answered in time.
    fn watch(&self, shared: &Arc<ConnectionShared>);
}

/// Nobody is in a read.
const NOT_READING: u8 = 0;
/// Somebody is, and may not know that our Close is sent.
const READING: u8 = 1;
/// Somebody is, for no longer than the close deadline leaves.
const READING_TO_CLOSE: u8 = 2;

impl ServerShared {
    pub(crate) fn new(config: Config) -> Self {
        let assembling = Budget::new(config.limits.max_buffered_bytes);
        let keeping = Budget::new(config.limits.max_buffered_bytes / 16);
        Self { config, assembling, keeping, buffers: BufferPool::default() }
    }
}

impl ConnectionShared {
    /// Of a stream that has been accepted; no frame may be sent on it yet.
    pub(crate) fn new(stream: TimedStream, context: Arc<ServerShared>) -> Self {
        let (reading, place) = (AtomicU8::new(NOT_READING), OnceLock::new());
        Self { place, stream, context, writer: Writer::new(), reading }
    }

    /// Has a server count the connection until it is dropped.
    pub(crate) fn count_at(&self, place: Box<dyn Place>) {
        // Nobody else counts it.
        let _ = self.place.set(place);
    }

    /// Whether a server looks after close deadlines that pass while a thread is in a read.
    pub(crate) fn is_watched(&self) -> bool {
        self.place.get().is_some()
    }

    /// Writes the answer that opens the connection, and lets frames follow it.
    ///
    /// # Errors
    ///
    /// What a failed write gives.
    pub(crate) fn open(&self, reply: &[u8]) -> Result<(), Error> {
        self.writer.open(&self.stream, reply, self.time_to_write(0))
    }

    /// Writes whole frames of messages, waiting for whoever else writes.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once a Close has passed, and what a failed write gives.
    #[inline(always)]
    pub(crate) fn transmit(&self, frames: &mut [IoSlice<'_>]) -> Result<(), Error> {
        let len: usize = frames.iter().map(|frame| frame.len()).sum();
        self.transmit_within(frames, Unit::Messages, self.time_to_write(len as u64))
    }

    /// The same for one unit or the other, within a time of the caller's.
    ///
    /// # Errors
    ///
    /// As for [`transmit`](Self::transmit).
    #[inline(always)]
    pub(crate) fn transmit_within(
        &self,
        frames: &mut [IoSlice<'_>],
        unit: Unit,
        within: Duration,
    ) -> Result<(), Error> {
        self.writer.send(&self.stream, frames, unit, within, self.time_to_write(0))
    }

    /// Begins a message in fragments; others wait for [`end_message`](Self::end_message).
    ///
    /// # Errors
    ///
    /// As for [`transmit`](Self::transmit).
    pub(crate) fn begin_message(&self) -> Result<(), Error> {
        self.writer.begin_message(self.time_to_write(0))
    }

    /// The message in fragments is over, or never will be.
    pub(crate) fn end_message(&self) {
        self.writer.end_message();
    }

    /// Sends whole control frames, without waiting for a writer that is blocked.
    pub(crate) fn push_control(&self, frames: &[u8]) {
        self.writer.push_control(&self.stream, frames, self.time_to_write(0));
    }

    /// Sends a Close, unless one has passed, without waiting for a writer that is blocked.
    pub(crate) fn close(self: &Arc<Self>, action: CloseAction, within: Duration) {
        self.writer.close(&self.stream, action, within);
        self.watch();
    }

    /// The same, without waiting for the peer either. What it has no room for is sent by a later
    /// [`retry`](Self::retry).
    pub(crate) fn try_close(self: &Arc<Self>, action: CloseAction) {
        self.writer.try_close(&self.stream, action);
        self.watch();
    }

    /// When our Close was sent, if it is.
    pub(crate) fn closed_at(&self) -> Option<Instant> {
        self.writer.closed_at()
    }

    /// Whether somebody is writing.
    pub(crate) fn is_writing(&self) -> bool {
        self.writer.is_writing()
    }

    /// Sends what still waits; whether nothing is left.
    pub(crate) fn retry(&self) -> bool {
        self.writer.retry(&self.stream)
    }

    /// Whether answers may still be sent, as far as can be told without the lock.
    pub(crate) fn closing(&self) -> Closing {
        if self.is_closing() { Closing::Closed } else { Closing::Open }
    }

    /// Whether a Close of ours has been sent, or the connection has ended without.
    #[inline]
    pub(crate) fn is_closing(&self) -> bool {
        self.writer.is_closing()
    }

    /// A thread is about to read; whether our Close has been sent, so that it has to mind the close
    /// deadline.
    // Nobody asks for the mark until seconds later, so no order with other memory is needed.
    #[inline]
    pub(crate) fn begin_read(&self) -> bool {
        if !self.is_closing() {
            self.reading.store(READING, Ordering::Relaxed);
        }
        // Again, since it may have been sent before the mark was set.
        let closing = self.is_closing();
        if closing {
            self.reading.store(READING_TO_CLOSE, Ordering::Relaxed);
        }
        closing
    }

    #[inline]
    pub(crate) fn end_read(&self) {
        self.reading.store(NOT_READING, Ordering::Relaxed);
    }

    /// The close deadline has passed since our Close: cuts the connection if its reader is in a read
    /// that began before. One that is busy elsewhere comes back to what has arrived meanwhile, and
    /// minds the deadline itself.
    pub(crate) fn expire_close(&self) {
        if self.reading.load(Ordering::Relaxed) == READING {
            self.cut();
        }
    }

    /// Ends the stream in the middle of whatever is going on.
    pub(crate) fn cut(&self) {
        self.writer.fail(Failure::CloseTimeout);
        self.stream.shutdown(Shutdown::Both);
    }

    /// Ends the connection: all the four steps at the top of this file. If the receiving half is
    /// somebody else's and still reads, the third is theirs.
    pub(crate) fn finish(self: &Arc<Self>, action: CloseAction) {
        if !self.writer.finish() {
            return;
        }
        let within = self.context.config.timeouts.close;
        let deadline = Expiry::after(within);
        // Whoever writes the Close ends our side behind it.
        self.writer.close(&self.stream, action, within);
        match self.writer.wait_for_receiver(deadline) {
            true => self.stream.drain(deadline),
            false => self.writer.fail(Failure::CloseTimeout),
        }
        self.stream.shutdown(Shutdown::Both);
    }

    /// The receiving half reads no more: what still comes is [`finish`](Self::finish)'s.
    pub(crate) fn stop_receiving(&self) {
        self.writer.stop_receiving();
    }

    /// Ends the connection without a word: the stream is of no more use.
    pub(crate) fn abandon(&self) {
        self.writer.finish();
        self.writer.fail(Failure::Write(ErrorKind::NotConnected));
        self.stream.shutdown(Shutdown::Both);
    }

    /// Hands the stream over to somebody who will speak for themselves.
    pub(crate) fn detach(&self) {
        self.writer.detach(self.time_to_write(0));
    }

    /// What to tell of a stream that failed or ended: the reason why we ended it, if we did.
    pub(crate) fn cause_of(&self, error: Error) -> Error {
        match self.writer.failure() {
            Some(failure) => failure.error(),
            None => error,
        }
    }

    /// How long a write of `len` bytes may take.
    pub(crate) fn time_to_write(&self, len: u64) -> Duration {
        allowance(self.context.config.timeouts.write, len)
    }

    fn watch(self: &Arc<Self>) {
        if let Some(place) = self.place.get() {
            place.watch(self);
        }
    }
}
