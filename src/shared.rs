//! What the two halves of a connection share, and the server from accept on: the stream, and the
//! right to write to it.
//!
//! One lock guards writing and is held for whole frames, so frames never mix. A thread that has
//! a control frame to send must not wait behind another that is blocked in a long write: it puts
//! the frame into the outbox and tries the lock; if that is taken, whoever holds it empties the
//! outbox after its own frame. Nothing is missed: the holder looks into the outbox after it has
//! let go of the lock, and the one who posts tries the lock after posting.

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use crate::budget::Budget;
use crate::config::Config;
use crate::deadline::{Deadline, allowance};
use crate::error::{Error, Wait};
use crate::proto::{CloseCode, CloseFrame, Closing, Event};
use crate::spare::Spare;
use crate::transport::Wire;

/// How much is read after a failure or a Close before the stream is cut, in bytes.
pub(crate) const DRAIN: usize = 64 << 10;

/// How much of Pongs waits for a blocked writer before the older ones are dropped, in bytes.
const OUTBOX: usize = 4 << 10;

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) config: Config,
    /// For long messages that are being received or handled.
    pub(crate) assembling: Budget,
    /// For memory that connections keep while they wait, to read into or for the next message: a
    /// sixteenth.
    pub(crate) keeping: Budget,
    /// For the queues.
    pub(crate) spare: Spare,
}

/// See the top of the file.
pub(crate) struct Shared {
    pub(crate) wire: Wire,
    pub(crate) context: Arc<Context>,
    writer: Mutex<Writer>,
    /// `None` unless something waits.
    outbox: Mutex<Option<Box<Outbox>>>,
    /// Held for a whole message while it is sent in fragments (§5.4).
    pub(crate) message: Mutex<()>,
    /// Set once our Close is sent: when to stop waiting for the peer's.
    close_deadline: OnceLock<Deadline>,
    finished: AtomicBool,
}

struct Writer {
    /// `None` until the 101 is out, and again once the stream is somebody else's: no frame may
    /// come then.
    closing: Option<Closing>,
    /// A write failed, perhaps part of the way: nothing can follow.
    broken: Option<Broken>,
}

#[derive(Clone, Copy)]
enum Broken {
    /// By the write deadline, and nobody has been told yet.
    Expired,
    /// Somebody has been told, or will see for themselves.
    Lost,
}

/// Control frames that wait for whoever holds the writer.
#[derive(Default)]
struct Outbox {
    /// Whole Ping and Pong frames.
    frames: Vec<u8>,
    /// In the order of posting.
    words: Vec<LastWord>,
}

/// A Close frame to send.
pub(crate) enum LastWord {
    /// The answer to the peer's.
    Answer(CloseFrame),
    /// The start of the closing handshake.
    Start(CloseCode, String),
    /// The end of a connection that has failed.
    Fail(CloseCode, String),
}

impl Context {
    pub(crate) fn new(config: Config) -> Self {
        let assembling = Budget::new(config.limits.assembling);
        let keeping = Budget::new(config.limits.assembling / 16);
        Self { config, assembling, keeping, spare: Spare::default() }
    }
}

impl Shared {
    /// Of a stream that has been accepted; no frame may be sent on it yet.
    pub(crate) fn new(wire: Wire, context: Arc<Context>) -> Self {
        Self {
            wire,
            context,
            writer: Mutex::new(Writer { closing: None, broken: None }),
            outbox: Mutex::default(),
            message: Mutex::new(()),
            close_deadline: OnceLock::new(),
            finished: AtomicBool::new(false),
        }
    }

    /// Writes the answer that opens the connection, and lets frames follow it.
    ///
    /// # Errors
    ///
    /// What a failed write gives.
    pub(crate) fn open(&self, reply: &[u8]) -> Result<(), Error> {
        let mut writer = self.lock();
        writer.put(&self.wire, &mut [IoSlice::new(reply)], self.time_to_write(0))?;
        writer.closing = Some(Closing::Open);
        drop(writer);
        self.settle();
        Ok(())
    }

    /// Writes whole frames of data, waiting for the lock.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once a Close has passed, and what a failed write gives.
    #[inline(always)]
    pub(crate) fn transmit(&self, frames: &mut [IoSlice<'_>]) -> Result<(), Error> {
        let len: usize = frames.iter().map(|frame| frame.len()).sum();
        self.transmit_within(frames, self.time_to_write(len as u64))
    }

    /// The same, within a time of the caller's.
    ///
    /// # Errors
    ///
    /// As for [`transmit`](Self::transmit).
    #[inline(always)]
    pub(crate) fn transmit_within(
        &self,
        frames: &mut [IoSlice<'_>],
        within: Duration,
    ) -> Result<(), Error> {
        let (mut writer, mut within) = self.lock_within(within);
        if self.has_post() {
            // It is older, and if it is a Close nothing may follow it.
            let deadline = Deadline::after(within);
            self.empty_outbox(&mut writer, deadline);
            within = deadline.left().unwrap_or_default();
        }
        let result = writer.write(&self.wire, frames, within);
        drop(writer);
        self.settle();
        result
    }

    /// Sends whole control frames, without waiting for a writer that is blocked.
    pub(crate) fn post(&self, frames: &[u8]) {
        let mut guard = lock(&self.outbox);
        let outbox = guard.get_or_insert_default();
        // §5.5.3: only the latest Ping needs an answer, so older ones may go.
        if outbox.frames.len() + frames.len() > OUTBOX {
            outbox.frames.clear();
        }
        outbox.frames.extend_from_slice(frames);
        drop(guard);
        self.settle();
    }

    /// Sends a Close, unless one has passed, without waiting for a writer that is blocked.
    pub(crate) fn close(&self, word: LastWord, within: Duration) {
        lock(&self.outbox).get_or_insert_default().words.push(word);
        self.settle_by(Deadline::after(within));
    }

    /// Whether answers may still be sent, as far as can be told without the lock.
    pub(crate) fn closing(&self) -> Closing {
        if self.is_closing() { Closing::Closed } else { Closing::Open }
    }

    /// Whether a Close of ours has been sent, or the connection has ended without.
    pub(crate) fn is_closing(&self) -> bool {
        self.close_deadline.get().is_some() || self.finished.load(Ordering::Relaxed)
    }

    /// Until when the peer's Close is awaited, once ours is sent.
    pub(crate) fn close_deadline(&self) -> Option<Deadline> {
        self.close_deadline.get().copied()
    }

    /// Ends the connection (§7.1.1): the last word, if none has passed; the end of our side of
    /// the stream; a short wait for the end of theirs; the end of both, which also ends a write
    /// that is still blocked.
    pub(crate) fn finish(&self, word: LastWord) {
        if self.finished.swap(true, Ordering::Relaxed) {
            return;
        }
        let within = self.context.config.timeouts.close;
        let deadline = Deadline::after(within);
        // Whoever writes the word ends our side behind it.
        self.close(word, within);
        self.wire.drain(DRAIN, deadline);
        self.wire.shutdown(Shutdown::Both);
    }

    /// Ends the connection without a word: the stream is of no more use.
    pub(crate) fn abandon(&self) {
        // First, since a blocked writer holds the lock until this ends its write.
        self.wire.shutdown(Shutdown::Both);
        self.retire();
    }

    /// Hands the stream over to somebody who will speak for themselves.
    pub(crate) fn retire(&self) {
        self.finished.store(true, Ordering::Relaxed);
        let mut writer = self.lock();
        writer.broken.get_or_insert(Broken::Lost);
        // Not even the Close of a server that shuts down may come.
        writer.closing = None;
    }

    fn settle(&self) {
        if self.has_post() {
            self.settle_by(Deadline::after(self.time_to_write(0)));
        }
    }

    /// Sends what waits in the outbox, unless somebody else has the lock, or has yet to open the
    /// connection, and so will. The deadline holds for all of it, however often a peer's Pings
    /// fill the outbox again.
    fn settle_by(&self, deadline: Deadline) {
        let mut again = false;
        while self.has_post() {
            let mut writer = match self.writer.try_lock() {
                Ok(writer) => writer,
                Err(TryLockError::WouldBlock) => return,
                Err(TryLockError::Poisoned(poisoned)) => Self::broken(poisoned),
            };
            if writer.closing.is_none() {
                return;
            }
            if again && writer.closing == Some(Closing::Open) && deadline.left().is_none() {
                // Nobody but an attacker has so many Pings, and this thread has its own to do.
                writer.broken = Some(Broken::Expired);
                self.wire.shutdown(Shutdown::Both);
            }
            self.empty_outbox(&mut writer, deadline);
            again = true;
        }
    }

    fn has_post(&self) -> bool {
        lock(&self.outbox).is_some()
    }

    /// Sends what waits in the outbox.
    #[cold]
    fn empty_outbox(&self, writer: &mut Writer, deadline: Deadline) {
        let Some(closing) = &mut writer.closing else { return };
        let Some(outbox) = lock(&self.outbox).take() else { return };
        let mut frames = outbox.frames;
        if !closing.may_send() {
            frames.clear();
        }
        for word in outbox.words {
            closing.say(word, &mut frames);
        }
        let over = !closing.may_send();
        let within = deadline.left().unwrap_or_default();
        if let Err(Error::Expired(_)) = writer.put(&self.wire, &mut [IoSlice::new(&frames)], within)
        {
            // It was no caller's own write: the next one will hear of it.
            writer.broken = Some(Broken::Expired);
        }
        if over {
            let wait = self.context.config.timeouts.close;
            self.close_deadline.get_or_init(|| Deadline::after(wait));
            if self.finished.load(Ordering::Relaxed) {
                self.wire.shutdown(Shutdown::Write);
            }
        }
    }

    /// How long a write of `len` bytes may take.
    fn time_to_write(&self, len: u64) -> Duration {
        allowance(self.context.config.timeouts.write, len)
    }

    /// Whether a write has passed its deadline and nobody has been told; now somebody is.
    pub(crate) fn hear_of_expiry(&self) -> bool {
        let broken = self.lock().broken.replace(Broken::Lost);
        matches!(broken, Some(Broken::Expired))
    }

    /// The lock, and what is left of the time then.
    #[inline(always)]
    fn lock_within(&self, within: Duration) -> (MutexGuard<'_, Writer>, Duration) {
        if let Ok(writer) = self.writer.try_lock() {
            return (writer, within);
        }
        let deadline = Deadline::after(within);
        (self.lock(), deadline.left().unwrap_or_default())
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(Self::broken)
    }

    /// The writer of a thread that panicked: it may have left half a frame behind.
    fn broken<'a>(poisoned: PoisonError<MutexGuard<'a, Writer>>) -> MutexGuard<'a, Writer> {
        let mut writer = poisoned.into_inner();
        writer.broken.get_or_insert(Broken::Lost);
        writer
    }
}

impl Writer {
    /// Writes frames, unless a Close has passed.
    #[inline]
    fn write(
        &mut self,
        wire: &Wire,
        frames: &mut [IoSlice<'_>],
        within: Duration,
    ) -> Result<(), Error> {
        match self.closing {
            Some(Closing::Open) => self.put(wire, frames, within),
            _ => Err(Error::Closed),
        }
    }

    /// Writes bytes whatever the closing handshake says.
    #[inline]
    fn put(
        &mut self,
        wire: &Wire,
        bytes: &mut [IoSlice<'_>],
        within: Duration,
    ) -> Result<(), Error> {
        match self.broken {
            Some(Broken::Expired) => {
                self.broken = Some(Broken::Lost);
                return Err(Error::Expired(Wait::Write));
            }
            Some(Broken::Lost) => return Err(Error::Closed),
            None => {}
        }
        wire.write_all(bytes, within).map_err(|error| self.fail(wire, error))
    }

    /// Part of a frame may be out, so no other can follow it; the reader is woken.
    #[cold]
    fn fail(&mut self, wire: &Wire, error: io::Error) -> Error {
        self.broken = Some(Broken::Lost);
        wire.shutdown(Shutdown::Both);
        match error.kind() {
            ErrorKind::TimedOut => Error::Expired(Wait::Write),
            _ => Error::Io(error),
        }
    }
}

impl Closing {
    fn say(&mut self, word: LastWord, out: &mut Vec<u8>) {
        match word {
            LastWord::Answer(theirs) => self.answer(&Event::Close(theirs), &[], out),
            LastWord::Start(code, reason) => self.start(code, &reason, out),
            LastWord::Fail(code, reason) => self.fail(code, &reason, out),
        }
    }
}

/// A lock whose data stays whole whatever panics: nothing that can panic runs under it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
