//! What the two halves of a connection share, and the server from accept on.
//!
//! A connection ends in four steps (§7.1.1): our Close; the end of our side of the stream; a wait
//! for the end of the peer's, in which all that still comes is thrown away; the end of both. The
//! wait is what lets a peer that is busy sending read our Close: the stream of one that is cut while
//! it writes is reset, and a reset takes with it what the peer has not read yet.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::config::{Config, Timeouts};
use crate::connection::buffer_pool::BufferPool;
#[cfg(feature = "deflate")]
use crate::connection::compression::Compression;
use crate::connection::request::Request;
use crate::connection::writer::{Failure, Writer};
use crate::connection_limits::OpenLimits;
use crate::error::Error;
#[cfg(all(feature = "deflate", feature = "event-loop"))]
use crate::http::DeflateParams;
use crate::io::expiry::Expiry;
use crate::io::stream::{Sink, TimedStream};
use crate::proto::encoder;
use crate::session::assembler::MAX_RETAINED_FREE;
#[cfg(feature = "deflate")]
use crate::session::codecs::Codecs;
#[cfg(all(feature = "deflate", feature = "event-loop"))]
use crate::session::deflation::Deflation;
use crate::session::timers::{MEMORY_KEEPALIVE, Next};
use crate::session::{Budget, CloseAction, Deadline, Pending, ReadTimers};

mod call_expiry;
mod queues;

pub(crate) use call_expiry::CallExpiry;
pub(crate) use queues::Queue;
use queues::Queues;

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct ServerShared {
    pub(crate) config: Config,
    /// What peers are held to, but for those whose request was accepted with limits of its own.
    pub(crate) limits: Arc<OpenLimits>,
    /// For the memory of messages, and of buffers that are larger than most.
    pub(crate) budget: Arc<Budget>,
    /// For what is queued for sending.
    pub(crate) buffers: BufferPool,
    /// For compression, if it is to be had.
    #[cfg(feature = "deflate")]
    pub(crate) codecs: Option<Arc<Codecs>>,
}

/// See the [module](self).
pub(crate) struct ConnectionShared {
    /// Where a server counts the connection for as long as its descriptor is open. Before the
    /// stream, so that who sees the end of it and comes again finds the place free.
    place: OnceLock<Box<dyn Place>>,
    pub(crate) writer: Writer<TimedStream>,
    pub(crate) server: Arc<ServerShared>,
    /// [`NOT_READING`], [`READING`] or [`READING_TO_CLOSE`].
    reading: AtomicU8,
    /// Set when it opens.
    request: OnceLock<Arc<Request>>,
    /// Those of its queues that somebody has, or in which something waits.
    queues: OnceLock<Box<Queues>>,
    /// What was agreed on.
    #[cfg(feature = "deflate")]
    compression: OnceLock<Box<Compression>>,
}

/// What bounds a read beside the connection's timers.
#[derive(Clone, Copy)]
pub(crate) struct ReadBounds {
    /// Payload bytes that have come of an unfinished message, which has a timer.
    pub(crate) message: Option<u64>,
    /// The longest to wait before looking up: others may have changed what bounds us, or memory
    /// may be due to be given back.
    pub(crate) tick: Duration,
}

/// A place among a server's connections, given back when it is dropped.
pub(crate) trait Place: Send + Sync {
    /// Has somebody look whether a Close of ours is answered in time.
    fn watch(&self, shared: &Arc<ConnectionShared>);
}

/// How often at the most a read ends to see whether a sender has started to close.
const CLOSE_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Nobody is in a read.
const NOT_READING: u8 = 0;
/// Somebody is, and may not know that our Close is sent.
const READING: u8 = 1;
/// Somebody is, for no longer than the close deadline leaves.
const READING_TO_CLOSE: u8 = 2;

impl ServerShared {
    pub(crate) fn new(config: Config) -> Self {
        let budget = Arc::new(Budget::new(config.limits.max_buffered_bytes));
        Self {
            #[cfg(feature = "deflate")]
            codecs: config.compression.clone().map(|settings| Arc::new(Codecs::new(settings))),
            limits: Arc::new(OpenLimits::of(&config)),
            config,
            budget,
            buffers: BufferPool::default(),
        }
    }
}

impl ConnectionShared {
    /// Of a stream that has been accepted; no frame may be sent on it yet.
    pub(crate) fn new(stream: TimedStream, server: Arc<ServerShared>) -> Self {
        let writer = Writer::new(stream, &server.config.timeouts);
        let (reading, place) = (AtomicU8::new(NOT_READING), OnceLock::new());
        Self {
            place,
            writer,
            server,
            reading,
            request: OnceLock::new(),
            queues: OnceLock::new(),
            #[cfg(feature = "deflate")]
            compression: OnceLock::new(),
        }
    }

    pub(crate) fn stream(&self) -> &TimedStream {
        self.writer.stream()
    }

    /// What was agreed on about compression, if it was.
    #[cfg(feature = "deflate")]
    pub(crate) fn compression(&self) -> Option<&Compression> {
        self.compression.get().map(|compression| &**compression)
    }

    /// What to compress a message of `len` bytes with, if it is to be, and where to.
    #[cfg(feature = "deflate")]
    pub(crate) fn compression_of(&self, len: usize) -> Option<(&Compression, &BufferPool)> {
        let compression = self.compression().filter(|compression| compression.is_worth(len))?;
        Some((compression, &self.server.buffers))
    }

    #[cfg(feature = "deflate")]
    pub(crate) fn set_compression(&self, compression: Compression) {
        // It is agreed on once.
        let _ = self.compression.set(Box::new(compression));
    }

    /// The same out of what was agreed on.
    #[cfg(all(feature = "deflate", feature = "event-loop"))]
    pub(crate) fn agree(&self, params: DeflateParams, deflation: Box<Deflation>) {
        self.set_compression(Compression::new(params, deflation));
    }

    /// The request that opened the connection.
    pub(crate) fn request(&self) -> &Request {
        self.request.get().expect("it is set before anybody has a connection")
    }

    pub(crate) fn set_request(&self, request: Arc<Request>) {
        // It opens once.
        let _ = self.request.set(request);
    }

    /// Has a server count the connection until it is dropped.
    pub(crate) fn count_at(&self, place: Box<dyn Place>) {
        // Nobody else counts it.
        let _ = self.place.set(place);
    }

    /// Whether a server looks after close deadlines that pass while a thread is in a read.
    fn is_watched(&self) -> bool {
        self.place.get().is_some()
    }

    /// Has a queue closed when the connection ends.
    pub(crate) fn add_queue(&self, queue: &Arc<dyn Queue>) {
        self.queues.get_or_init(Box::default).add(queue);
        // It may have ended before.
        if !self.writer.may_send() {
            queue.shut();
        }
    }

    /// Has what is queued go out, so long at the most. Nothing more can be queued.
    #[inline(never)]
    pub(crate) fn drain_queues(&self, within: Duration) {
        if let Some(queues) = self.queues.get() {
            queues.drain(Expiry::after(within));
        }
    }

    /// What is queued is of no more use.
    pub(crate) fn shut_queues(&self) {
        if let Some(queues) = self.queues.get() {
            queues.shut();
        }
    }

    /// Sends whole control frames, without waiting for a thread that is blocked.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once our Close is due.
    pub(crate) fn push_control(&self, frames: &[u8]) -> Result<(), Error> {
        #[cfg(feature = "event-loop")]
        if self.stream().is_on_loop() {
            return self.writer.try_push_control(frames);
        }
        self.writer.push_control(frames)
    }

    /// Sends a Close, unless one has passed, without waiting for a writer that is blocked.
    pub(crate) fn close(self: &Arc<Self>, action: CloseAction, within: Duration) {
        #[cfg(feature = "event-loop")]
        if self.stream().is_on_loop() {
            return self.try_close(action);
        }
        self.shut_queues();
        self.writer.close(action, within);
        self.watch();
    }

    /// The same for one who writes, and sends it before giving that up.
    pub(crate) fn post_close(self: &Arc<Self>, action: CloseAction) {
        self.writer.try_close(action);
        // Not before: whoever waits for a queue to end may have a Close of their own.
        self.shut_queues();
        self.watch();
    }

    /// The same, without waiting for the peer either.
    pub(crate) fn try_close(self: &Arc<Self>, action: CloseAction) {
        self.shut_queues();
        self.writer.try_close(action);
        self.watch();
    }

    /// Reads once into `buf`, within all timers and bounds: so many bytes, zero at the end of the
    /// stream, or `None` if nothing came.
    ///
    /// # Errors
    ///
    /// [`Error::DeadlineExceeded`] and [`Error::RecvTimeout`] for what has run out, and
    /// [`Error::Io`].
    pub(crate) fn read(
        &self,
        timers: &mut ReadTimers,
        timeouts: &Timeouts,
        buf: &mut [u8],
        bounds: ReadBounds,
        call: &mut CallExpiry,
    ) -> Result<Option<usize>, Error> {
        let ReadBounds { message, tick } = bounds;
        let pending = Pending { message, closing: self.begin_read() };
        let read = self.wait_time(timers, timeouts, pending).and_then(|(now, wait)| {
            let wait = wait.min(call.left()?).min(tick);
            let received = self.stream().read(buf, wait)?;
            timers.read_done(received, pending, tick < Duration::MAX, || now.elapsed());
            Ok(received)
        });
        self.reading.store(NOT_READING, Ordering::Relaxed);
        read
    }

    /// The longest that a read may take while so much memory is held that could be given back.
    /// `split` says that senders of their own may start to close at any time.
    #[inline]
    pub(crate) fn tick(&self, split: bool, held: usize) -> Duration {
        let mut tick = Duration::MAX;
        if split && !self.is_watched() {
            // Nothing wakes a blocked read but the end of the stream, and no server is there to end
            // it, so look up now and then whether a sender has started to close.
            tick = self.server.config.timeouts.close.max(CLOSE_POLL_INTERVAL);
        }
        if held > MAX_RETAINED_FREE {
            tick = tick.min(MEMORY_KEEPALIVE);
        }
        tick
    }

    /// The time, and how long the next read may take; sends the Ping that is due.
    // A chunk of 20 bytes: 966 instructions, 981 without it.
    #[inline(always)]
    fn wait_time(
        &self,
        timers: &mut ReadTimers,
        timeouts: &Timeouts,
        pending: Pending,
    ) -> Result<(Instant, Duration), Error> {
        loop {
            let now = Instant::now();
            match timers.next(timeouts, pending, now, || self.writer.is_writing())? {
                Next::Wait(wait) => return Ok((now, wait)),
                Next::Ping => {
                    let mut frame = Vec::new();
                    encoder::ping(b"", &mut frame);
                    // Once our Close is due, its answer is waited for, and no other.
                    let _ = self.writer.push_control(&frame);
                }
            }
        }
    }

    /// A thread is about to read; whether our Close has been sent, so that it has to mind the close
    /// deadline.
    // Nobody asks for the mark until seconds later, so no order with other memory is needed.
    fn begin_read(&self) -> bool {
        if !self.writer.is_closed() {
            self.reading.store(READING, Ordering::Relaxed);
        }
        // Again, since it may have been sent before the mark was set.
        let closing = self.writer.is_closed();
        if closing {
            self.reading.store(READING_TO_CLOSE, Ordering::Relaxed);
        }
        closing
    }

    /// The close deadline has passed since our Close: cuts the connection if its reader is in a read
    /// that began before. One that is busy elsewhere comes back to what has arrived meanwhile, and
    /// minds the deadline itself.
    pub(crate) fn expire_close(&self) {
        if self.reading.load(Ordering::Relaxed) == READING {
            self.abort();
        }
    }

    /// Ends the stream in the middle of whatever is going on.
    pub(crate) fn abort(&self) {
        self.fail(Failure::Deadline(Deadline::Close));
    }

    /// The same, because somebody wants no more of it.
    pub(crate) fn disconnect(&self) {
        self.fail(Failure::Write(ErrorKind::ConnectionAborted));
    }

    /// Ends the connection without a word: the stream is of no more use.
    pub(crate) fn abandon(&self) {
        self.writer.begin_end();
        self.fail(Failure::Write(ErrorKind::NotConnected));
    }

    /// Ends the connection: all the four steps at the top of this file. If the receiving half is
    /// somebody else's and still reads, the third is theirs.
    pub(crate) fn finish(self: &Arc<Self>, action: CloseAction) {
        if !self.writer.begin_end() {
            return;
        }
        self.shut_queues();
        let within = self.server.config.timeouts.close;
        let expiry = Expiry::after(within);
        // Whoever writes the Close ends our side behind it.
        self.writer.close(action, within);
        match self.writer.wait_for_reader(expiry) {
            true => {
                self.stream().drain(expiry);
                // Whoever writes has our Close, and a peer that has ended its side may still read.
                self.writer.wait_for_writer(expiry);
            }
            false => self.writer.fail(Failure::Deadline(Deadline::Close)),
        }
        self.stream().shutdown(Shutdown::Both);
    }

    /// Begins to end the connection, and waits for nobody: what the peer has no room for is sent by a
    /// later [`retry`](Writer::retry). For one who sees to the other steps.
    #[cfg(feature = "event-loop")]
    pub(crate) fn begin_finish(&self, action: CloseAction) {
        self.writer.begin_end();
        self.shut_queues();
        self.writer.try_close(action);
    }

    fn fail(&self, failure: Failure) {
        self.shut_queues();
        self.writer.fail(failure);
        self.stream().shutdown(Shutdown::Both);
    }

    /// Has the loop or the server, if there is one, see that our Close is answered in time.
    fn watch(self: &Arc<Self>) {
        #[cfg(feature = "event-loop")]
        if self.stream().notify(false) {
            return;
        }
        if let Some(place) = self.place.get() {
            place.watch(self);
        }
    }
}
