//! The receiving side of a compressed connection: parts of messages are inflated into where they belong.
//!
//! What bounds a message bounds what is inflated, at the slice that it is inflated into: no byte more
//! than one above the limit is ever made. Text is checked as it comes out (§8.1).
//!
//! ```text
//!   feed, for each compressed part ──▶ the same part again while output or input is left ──▶ its end
//!    └ the first one borrows an inflater                                 └ the last one gives it back
//!       └ all are lent to messages that wait: a short one waits without, as it came, and is inflated
//!         in one go
//! ```

use std::mem;
use std::sync::Arc;

use crate::proto::utf8::Utf8;
use crate::proto::{MessageType, ProtocolError};
use crate::session::assembler::{Overloaded, Target};
use crate::session::codecs::{Codecs, Lent, LentInflater, Past};

/// See the [module](self).
#[derive(Debug)]
pub struct Inflation {
    codecs: Arc<Codecs>,
    /// What came before.
    past: Past,
    /// How many bytes a message may have.
    max_message_size: u64,
    message: Option<InflatedMessage>,
    /// What has come of a message for which there was no inflater, as far as it is yet to be inflated.
    deferred: Vec<u8>,
}

/// How much may come of a message for which there is no inflater, in bytes. A plain one of this length
/// is not charged either.
const MAX_DEFERRED: usize = 16 << 10;

/// The message under way.
#[derive(Debug)]
struct InflatedMessage {
    lent: Lent<LentInflater>,
    /// Where the text stands; `None` for binary.
    utf8: Option<Utf8>,
    /// Bytes that have come.
    received: u64,
    /// Bytes that were made of them.
    len: u64,
}

/// What has become of a part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inflated {
    /// How many of its bytes were used.
    pub used: usize,
    /// How many bytes were put into the target.
    pub len: usize,
    /// Whether there is nothing more to come of it.
    pub done: bool,
}

/// Why a part of a message could not be inflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InflateError {
    /// The peer's fault.
    Protocol(ProtocolError),
    /// There is no memory for it.
    Overloaded,
}

impl Inflation {
    pub(super) fn new(codecs: &Arc<Codecs>, past: Past, max_message_size: u64) -> Self {
        Self {
            codecs: Arc::clone(codecs),
            past,
            max_message_size,
            message: None,
            deferred: Vec::new(),
        }
    }

    /// Inflates the next part of a message, its last one with `fin`, as far as there is room in the
    /// target. Call again with the rest of the input until it is done.
    ///
    /// # Errors
    ///
    /// [`InflateError`]. Nothing more can be inflated then.
    // What zlib needs of the stack would be held by connections that never compress.
    #[inline(never)]
    pub fn feed(
        &mut self,
        kind: MessageType,
        input: &[u8],
        fin: bool,
        target: &mut Target<'_>,
    ) -> Result<Inflated, InflateError> {
        if !self.deferred.is_empty() || (self.message.is_none() && !self.begin(kind, fin)?) {
            return self.feed_deferred(kind, input, fin, target);
        }
        self.inflate(input, fin, target)
    }

    /// The same where there was no inflater: until there is, or the last part has come.
    #[cold]
    fn feed_deferred(
        &mut self,
        kind: MessageType,
        input: &[u8],
        fin: bool,
        target: &mut Target<'_>,
    ) -> Result<Inflated, InflateError> {
        if self.message.is_none() && !self.begin(kind, fin)? {
            if self.deferred.len() + input.len() > MAX_DEFERRED {
                return Err(InflateError::Overloaded);
            }
            self.deferred.extend_from_slice(input);
            return Ok(Inflated { used: input.len(), len: 0, done: true });
        }
        let mut deferred = mem::take(&mut self.deferred);
        deferred.extend_from_slice(input);
        let inflated = self.inflate(&deferred, fin, target)?;
        if !inflated.done {
            deferred.drain(..inflated.used);
            self.deferred = deferred;
        }
        Ok(Inflated { used: input.len(), ..inflated })
    }

    /// Inflates a part of the message that has begun.
    fn inflate(
        &mut self,
        input: &[u8],
        fin: bool,
        target: &mut Target<'_>,
    ) -> Result<Inflated, InflateError> {
        let Some(mut message) = self.message.take() else {
            unreachable!("a message has begun");
        };
        let LentInflater { inflater, history: own } = message.lent.get();
        let history = self.past.history.as_mut().unwrap_or(own);
        // One byte more shows that it is too long.
        let left = (self.max_message_size - message.len).saturating_add(1);
        let room = target.room_to_inflate(input.len(), left)?;
        let room_len = room.len();
        let progress = inflater.inflate(input, room, history)?;
        message.received += progress.read as u64;
        message.len += progress.written as u64;
        // Ahead of the limit, as it would be if the bytes had come one by one.
        if let Some(utf8) = &mut message.utf8 {
            // §8.1: the first byte that no UTF-8 text could have here ends the connection.
            utf8.feed(&room[..progress.written]).map_err(|_| ProtocolError::TextNotUtf8)?;
        }
        if message.len > self.max_message_size {
            return Err(ProtocolError::MessageTooBig(self.max_message_size).into());
        }
        target.add(progress.written)?;
        let done = progress.read == input.len() && progress.written < room_len;
        if done && fin {
            message.lent.get().inflater.finish()?;
            if message.utf8.as_ref().is_some_and(|utf8| !utf8.is_complete()) {
                return Err(ProtocolError::TextNotUtf8.into());
            }
            self.codecs.counters.count_received(message.received, message.len);
        } else {
            self.message = Some(message);
        }
        Ok(Inflated { used: progress.read, len: progress.written, done })
    }

    /// A message begins, of which all is there if `is_whole`; whether there is an inflater for it.
    fn begin(&mut self, kind: MessageType, is_whole: bool) -> Result<bool, InflateError> {
        if !self.past.reserve() {
            return Err(InflateError::Overloaded);
        }
        let lent = self.codecs.inflater(self.past.history.is_some(), is_whole);
        let Some(mut lent) = lent else { return Ok(false) };
        let LentInflater { inflater, history: own } = lent.get();
        inflater.begin(self.past.history.as_ref().unwrap_or(own));
        let utf8 = (kind == MessageType::Text).then(Utf8::new);
        self.message = Some(InflatedMessage { lent, utf8, received: 0, len: 0 });
        Ok(true)
    }
}

impl From<ProtocolError> for InflateError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<Overloaded> for InflateError {
    fn from(_: Overloaded) -> Self {
        Self::Overloaded
    }
}

#[cfg(test)]
mod tests;
