//! The sending side of a compressed connection: messages are deflated before they are sent.
//!
//! A message enters the history once it is sent, or queued where nothing can come before it, since the
//! peer's history has what it has received. So whoever sends holds on to the order: what is deflated
//! after another message goes out after it.
//!
//! ```text
//!   deflate ──▶ shorter? ──▶ the frame goes out, RSV1 set ──▶ sent: it is part of the history
//!                  └ no ───▶ as it is, and no part of it
//!   begin ──▶ fragment, for each write: up to a sync flush ──▶ the last one, without its end
//! ```

use std::sync::Arc;

use crate::proto::deflate::{Deflater, EMPTY, History, Progress, TAIL};
use crate::session::assembler::Overloaded;
use crate::session::budget::Charge;
use crate::session::codecs::{Codecs, Lent, Past};
use crate::session::memory::grow;

/// The least room that is given to a deflater, in bytes: an end of a flush must not be cut.
const MIN_ROOM: usize = 64;

/// The most that it is given before it has filled it, in bytes. More is charged: a peer that does not
/// read keeps it there.
const MAX_UNCHARGED: usize = 64 << 10;

/// Up to this length messages are deflated at level 1, in bytes. That codes symbols as RFC 1951 §3.2.6
/// fixes it. Codes of a message's own would have to be sent with it, which gains little yet: 64 bytes of
/// JSON take 23 bytes either way and 192 bytes 66 in place of 64, in half the time.
const MAX_FIXED_CODES: usize = 192;

/// The window for messages that need no larger one, in bits: with what they may refer to, they fit it. A
/// deflater for it takes half of what one for 15 bits takes, of the processor's cache too.
const SMALL_WINDOW_BITS: u8 = 12;

/// How far back a message may refer with that: a window of zlib's reaches by 262 bytes less.
const MAX_SMALL: usize = (1 << SMALL_WINDOW_BITS) - 262;

/// See the [module](self).
#[derive(Debug)]
pub struct Deflation {
    codecs: Arc<Codecs>,
    /// What was sent before.
    past: Past,
    window_bits: u8,
}

/// A message that is deflated fragment by fragment.
#[derive(Debug)]
pub struct DeflatedMessage(Lent<Deflater>);

impl Deflation {
    pub(super) fn new(codecs: &Arc<Codecs>, past: Past, window_bits: u8) -> Self {
        Self { codecs: Arc::clone(codecs), past, window_bits }
    }

    /// How long a message must be to be worth the trouble, in bytes.
    pub fn threshold(&self) -> usize {
        self.codecs.threshold(self.past.history.is_some())
    }

    /// The same for one that is deflated by itself.
    pub fn threshold_alone(&self) -> usize {
        self.codecs.threshold(false)
    }

    /// Deflates a whole message into `out`, whose contents it replaces: the charge for these, to be
    /// held as long as they are. `None` if it is not shorter then, or there was no memory to find out.
    /// Once it is sent, tell [`sent`](Self::sent).
    pub fn deflate(&mut self, message: &[u8], out: &mut Vec<u8>) -> Option<Charge> {
        let mut lent = self.deflater(message.len())?;
        let mut charge = self.codecs.no_charge();
        deflate_shorter(lent.get(), message, out, &mut charge).then_some(charge)
    }

    /// Deflates a message by itself, for all connections with the same window; `None` as above.
    pub fn deflate_alone(&self, message: &[u8]) -> Option<Box<[u8]>> {
        let mut lent = self.codecs.deflater(self.window_bits)?;
        lent.get().begin(&History::new(0), self.level(message.len()));
        let mut out = Vec::new();
        // It is kept with the message, and so is its owner's to count.
        let charge = &mut self.codecs.no_charge();
        deflate_shorter(lent.get(), message, &mut out, charge).then(|| out.into_boxed_slice())
    }

    /// The window, in bits.
    pub fn window_bits(&self) -> u8 {
        self.window_bits
    }

    /// A message was sent, or a part of one, that was deflated to `len` bytes: what follows it may
    /// refer to it.
    pub fn sent(&mut self, message: &[u8], len: usize) {
        self.codecs.counters.count_sent(message.len() as u64, len as u64);
        let is_there = self.past.reserve();
        if let Some(history) = &mut self.past.history {
            match is_there {
                true => history.append(message),
                // Without this message, what was said before it is further back than it seems.
                false => history.clear(),
            }
        }
    }

    /// Begins a message in fragments, if there is memory for it.
    pub fn begin(&mut self) -> Option<DeflatedMessage> {
        self.deflater(usize::MAX).map(DeflatedMessage)
    }

    /// How hard to try for a message of `len` bytes.
    fn level(&self, len: usize) -> u8 {
        if len <= MAX_FIXED_CODES { 1 } else { self.codecs.settings().level }
    }

    /// A deflater for a message of `len` bytes that has been told what was sent before.
    fn deflater(&mut self, len: usize) -> Option<Lent<Deflater>> {
        if !self.past.reserve() {
            return None;
        }
        let level = self.level(len);
        let history = self.past.history.as_ref().unwrap_or(const { &History::new(0) });
        let is_small = len.saturating_add(history.limit()) <= MAX_SMALL;
        let most = if is_small { SMALL_WINDOW_BITS } else { self.window_bits };
        let mut lent = self.codecs.deflater(self.window_bits.min(most))?;
        lent.get().begin(history, level);
        Some(lent)
    }
}

impl DeflatedMessage {
    /// Deflates a fragment into `out`, whose contents it replaces: all that can be inflated of it is
    /// in there. With `fin` it is the last one.
    ///
    /// # Errors
    ///
    /// [`Overloaded`].
    pub fn fragment(
        &mut self,
        fragment: &[u8],
        fin: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Overloaded> {
        if fragment.is_empty() {
            // The one before has ended with its flush, whole, or there was none.
            out.clear();
            out.extend_from_slice(&EMPTY);
        } else {
            // Of what the caller has at hand, and holds meanwhile.
            let granted = |_| true;
            if !deflate(self.0.get(), fragment, out, usize::MAX, granted) {
                return Err(Overloaded);
            }
            if fin {
                out.truncate(out.len() - TAIL.len());
            }
        }
        Ok(())
    }
}

/// Deflates a message into `out`, whose contents it replaces; whether it is shorter then.
fn deflate_shorter(
    deflater: &mut Deflater,
    message: &[u8],
    out: &mut Vec<u8>,
    charge: &mut Charge,
) -> bool {
    let most = (message.len() + TAIL.len()).saturating_sub(1);
    let grant = |len| len <= MAX_UNCHARGED || charge.grow(len as u64);
    let is_shorter = deflate(deflater, message, out, most, grant);
    if is_shorter {
        out.truncate(out.len() - TAIL.len());
    }
    is_shorter
}

/// Deflates `input` into `out`, whose contents it replaces; whether at most `most` bytes have come of
/// it, and the memory for them was granted and there.
fn deflate(
    deflater: &mut Deflater,
    mut input: &[u8],
    out: &mut Vec<u8>,
    most: usize,
    mut grant: impl FnMut(usize) -> bool,
) -> bool {
    out.clear();
    let first = (input.len() / 4 + MIN_ROOM).min(MAX_UNCHARGED);
    let (mut filled, mut room) = (0, first.min(most));
    loop {
        if !grant(room) || !grow(out, room, most) {
            return false;
        }
        let Progress { read, written } = deflater.deflate(input, &mut out[filled..]);
        input = &input[read..];
        filled += written;
        if input.is_empty() && filled < out.len() {
            out.truncate(filled);
            return true;
        }
        if room == most {
            return false;
        }
        room = (2 * room).max(filled + MIN_ROOM).min(most);
    }
}

#[cfg(test)]
mod tests;
