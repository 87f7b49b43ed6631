//! What all connections of a server share for compression (RFC 7692): settings, codecs at rest, and
//! how much memory may be taken.
//!
//! A connection keeps histories, and no codec. One is lent to it for the length of a message, told of
//! the history, and given back. So there are as many as messages are under way at one moment, and
//! not as many as connections.
//!
//! ```text
//!   a connection: Past, what was said before ◀── charged to one half of the memory
//!        │ begins a message: gets a codec, tells it
//!        ▼
//!   Lent ◀── Idle, one for all servers: at most MAX_IDLE   ◀── charged to the other half, while it
//!     └────────▲ dropped at the message's end                  is lent
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Deflate;
use crate::proto::deflate::{Deflater, History, INFLATER_SIZE, Inflater};
use crate::session::budget::{Budget, Charge};
use crate::session::memory::headroom;

/// How many codecs of a kind are kept at rest.
const MAX_IDLE: usize = 8;

/// The longest window, in bytes: the history of an inflater's own, where there is no other.
const MAX_WINDOW: usize = 32 << 10;

/// What all connections of a server share.
#[derive(Debug)]
pub struct Codecs {
    settings: Deflate,
    histories: Arc<Budget>,
    /// For what is lent.
    codecs: Arc<Budget>,
    inflaters: &'static Idle<LentInflater>,
    deflaters: &'static Idle<Deflater>,
    pub(super) counters: Counters,
}

/// What compression has done for all connections of a server, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeflateStats {
    /// Of compressed messages, as they came.
    pub received_compressed: u64,
    /// Of the same, once they were inflated.
    pub received: u64,
    /// Of messages that were compressed, before.
    pub sent: u64,
    /// Of the same, as they were sent.
    pub sent_compressed: u64,
    /// Held or promised for what was said before.
    pub histories: u64,
    /// Held for messages that are under way.
    pub codecs: u64,
}

/// What [`DeflateStats`] are read from.
#[derive(Debug, Default)]
pub(super) struct Counters {
    received_compressed: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    sent_compressed: AtomicU64,
}

/// What one side of a connection has said, as far as it counts.
#[derive(Debug)]
pub(super) struct Past {
    /// `None` if each message is by itself.
    pub(super) history: Option<History>,
    _charge: Charge,
}

/// An inflater, and a history for connections that have none of their own.
#[derive(Debug)]
pub(super) struct LentInflater {
    pub(super) inflater: Inflater,
    pub(super) history: History,
}

/// Codecs at rest, in boxes: one that is not there should take no room where it would be.
#[derive(Debug)]
struct Idle<T>(Mutex<Vec<Box<T>>>);

/// What can be lent.
pub(super) trait Codec {
    /// Whether it can be used again.
    fn is_sound(&self) -> bool;
}

/// A codec from those at rest, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lent<T: Codec + 'static> {
    /// `None` once it is given back.
    codec: Option<Box<T>>,
    idle: &'static Idle<T>,
    /// Given back with it.
    _charge: Charge,
}

/// Whoever serves a connection without a server has settings of its own, and should not have
/// codecs of its own for that.
static INFLATERS: Idle<LentInflater> = Idle(Mutex::new(Vec::new()));
static DEFLATERS: Idle<Deflater> = Idle(Mutex::new(Vec::new()));

impl Codecs {
    /// Those of a server with these settings.
    pub fn new(settings: Deflate) -> Self {
        let half = settings.max_memory / 2;
        Self {
            settings,
            histories: Arc::new(Budget::new(half)),
            codecs: Arc::new(Budget::new(half)),
            inflaters: &INFLATERS,
            deflaters: &DEFLATERS,
            counters: Counters::default(),
        }
    }

    pub(super) fn settings(&self) -> &Deflate {
        &self.settings
    }

    /// A past of which the last `len` bytes count, if the memory for them can be promised.
    pub(super) fn past(&self, len: usize) -> Option<Past> {
        let mut charge = Charge::new(&self.histories);
        let history = Some(History::new(len));
        charge.grow(len as u64).then_some(Past { history, _charge: charge })
    }

    /// A past that does not count.
    pub(super) fn no_past(&self) -> Past {
        Past { history: None, _charge: Charge::new(&self.histories) }
    }

    /// What has been done so far.
    pub fn stats(&self) -> DeflateStats {
        let counters = &self.counters;
        let [received_compressed, received, sent, sent_compressed] = [
            &counters.received_compressed,
            &counters.received,
            &counters.sent,
            &counters.sent_compressed,
        ]
        .map(|count| count.load(Ordering::Relaxed));
        let (histories, codecs) = (self.histories.charged(), self.codecs.charged());
        DeflateStats { received_compressed, received, sent, sent_compressed, histories, codecs }
    }

    /// How long a message must be to be compressed, where it can refer to those before it or not.
    pub(super) fn threshold(&self, has_history: bool) -> usize {
        match has_history {
            true => self.settings.threshold,
            false => self.settings.threshold_no_context,
        }
    }

    /// An inflater for one message, if there is memory for it. One that is there as a whole waits for
    /// nobody, and so does not go without: those who hold theirs for long must not shut others out.
    pub(super) fn inflater(&self, has_history: bool, is_whole: bool) -> Option<Lent<LentInflater>> {
        let own = if has_history { 0 } else { MAX_WINDOW };
        let new = || LentInflater { inflater: Inflater::new(), history: History::new(MAX_WINDOW) };
        let charge = self.charge(INFLATER_SIZE + own as u64);
        let charge = charge.or_else(|| is_whole.then(|| self.no_charge()))?;
        let mut lent = self.inflaters.get(charge, INFLATER_SIZE, |_| true, new)?;
        let history = &mut lent.get().history;
        history.clear();
        (has_history || reserve(history)).then_some(lent)
    }

    /// A deflater for one message, if there is memory for it.
    pub(super) fn deflater(&self, window_bits: u8) -> Option<Lent<Deflater>> {
        let size = Deflater::size(window_bits);
        let charge = self.charge(size)?;
        let fits = |deflater: &Deflater| deflater.is_for(window_bits);
        self.deflaters.get(charge, size, fits, || Deflater::new(window_bits))
    }

    /// For what a codec makes, beside itself.
    pub(super) fn no_charge(&self) -> Charge {
        Charge::new(&self.codecs)
    }

    fn charge(&self, size: u64) -> Option<Charge> {
        let mut charge = self.no_charge();
        charge.grow(size).then_some(charge)
    }
}

impl Past {
    /// Gets the memory that was promised, unless it is there; whether it is.
    pub(super) fn reserve(&mut self) -> bool {
        self.history.as_mut().is_none_or(reserve)
    }
}

impl Codec for LentInflater {
    fn is_sound(&self) -> bool {
        self.inflater.is_sound()
    }
}

impl Codec for Deflater {
    fn is_sound(&self) -> bool {
        self.is_sound()
    }
}

impl Counters {
    pub(super) fn count_received(&self, compressed: u64, inflated: u64) {
        self.received_compressed.fetch_add(compressed, Ordering::Relaxed);
        self.received.fetch_add(inflated, Ordering::Relaxed);
    }

    pub(super) fn count_sent(&self, plain: u64, compressed: u64) {
        self.sent.fetch_add(plain, Ordering::Relaxed);
        self.sent_compressed.fetch_add(compressed, Ordering::Relaxed);
    }
}

impl<T: Codec> Idle<T> {
    /// One that fits, or else a new one that takes so many bytes.
    fn get(
        &'static self,
        charge: Charge,
        size: u64,
        fits: impl Fn(&T) -> bool,
        new: impl FnOnce() -> T,
    ) -> Option<Lent<T>> {
        // The one that was used last is still in the processor's cache.
        let mut idle = self.lock();
        let there = idle.iter().rposition(|codec| fits(codec)).map(|at| idle.remove(at));
        drop(idle);
        let codec = match there {
            Some(codec) => codec,
            None => allocate(size, new)?,
        };
        Some(Lent { codec: Some(codec), idle: self, _charge: charge })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Box<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Codec> Lent<T> {
    pub(super) fn get(&mut self) -> &mut T {
        self.codec.as_mut().expect("it is given back only when it is dropped")
    }
}

impl<T: Codec> Drop for Lent<T> {
    fn drop(&mut self) {
        let Some(codec) = self.codec.take().filter(|codec| codec.is_sound()) else { return };
        let mut idle = self.idle.lock();
        // The one that was not used for longest makes room: it may be for a window that nobody has any
        // more. It is freed outside the lock.
        let oldest = (idle.len() == MAX_IDLE).then(|| idle.remove(0));
        idle.push(codec);
        drop(idle);
        drop(oldest);
    }
}

/// A new codec that takes so many bytes. It is made on the stack, 6 KB of it, which should not be that of
/// everybody who has one lent.
#[cold]
#[inline(never)]
fn allocate<T>(size: u64, new: impl FnOnce() -> T) -> Option<Box<T>> {
    headroom::allocate(usize::try_from(size).ok()?, || Box::new(new()))
}

/// Gets the memory for a history, unless it is there; whether it is.
fn reserve(history: &mut History) -> bool {
    let len = history.limit();
    history.is_reserved() || headroom::allocate(len, || history.reserve()) == Some(true)
}

#[cfg(test)]
mod tests;
