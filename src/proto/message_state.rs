//! The message under way, as far as it has come, and how far it may go.

use super::error::ProtocolError;
use super::event::{Event, MessageType};
use super::utf8::Utf8;

/// How much a peer may ask of us (§10.4).
#[derive(Debug, Clone, Copy)]
pub struct DecoderLimits {
    /// The longest message, in bytes, all fragments together, inclusive; 2^63 - 1 at the most (§5.2).
    pub max_message_size: u64,
    /// The most fragments of one message, empty ones counted, inclusive.
    pub max_fragments: u32,
}

/// The message under way.
#[derive(Debug)]
pub(super) struct MessageState {
    /// `None` unless its first header has come, and its last byte has not.
    pub(super) kind: Option<MessageType>,
    /// Bytes in all frames whose headers have come.
    len: u64,
    /// Frames whose headers have come.
    fragments: u32,
    /// Where the text stands (§8.1); untouched for binary, and for what is compressed.
    pub(super) utf8: Utf8,
    /// Whether RSV1 was set on its first frame (RFC 7692 §6).
    #[cfg(feature = "deflate")]
    pub(super) is_compressed: bool,
}

impl DecoderLimits {
    /// The same, with lengths to which that of one more frame can be added.
    pub(super) const fn in_bounds(mut self) -> Self {
        if self.max_message_size > i64::MAX as u64 {
            self.max_message_size = i64::MAX as u64;
        }
        self
    }
}

impl MessageState {
    /// No message is under way.
    pub(super) const NONE: Self = Self {
        kind: None,
        len: 0,
        fragments: 0,
        utf8: Utf8::new(),
        #[cfg(feature = "deflate")]
        is_compressed: false,
    };

    /// A message of this type begins.
    #[inline]
    pub(super) const fn begin(kind: MessageType) -> Self {
        Self { kind: Some(kind), ..Self::NONE }
    }

    /// Counts one more frame of `len` bytes into it, if the limits allow it (§10.4).
    #[inline]
    pub(super) fn add_fragment(
        &mut self,
        len: u64,
        limits: &DecoderLimits,
    ) -> Result<(), ProtocolError> {
        self.len += len;
        if self.len > self.max_len(limits) {
            return Err(ProtocolError::MessageTooBig(limits.max_message_size));
        }
        if self.fragments >= limits.max_fragments {
            return Err(ProtocolError::TooManyFragments(limits.max_fragments));
        }
        self.fragments += 1;
        Ok(())
    }

    /// What it means that its next `len` bytes are there.
    #[inline]
    pub(super) const fn event(&self, kind: MessageType, len: usize, fin: bool) -> Event {
        #[cfg(feature = "deflate")]
        if self.is_compressed {
            return Event::Compressed { kind, len, fin };
        }
        Event::Data { kind, len, fin }
    }

    #[inline]
    pub(super) const fn is_compressed(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.is_compressed;
        #[cfg(not(feature = "deflate"))]
        false
    }

    /// How many bytes it may have on the wire. Those of a compressed one count once they are
    /// inflated; what cannot be compressed grows by a little, but blocks that hold nothing must not go
    /// on for ever.
    #[inline]
    const fn max_len(&self, limits: &DecoderLimits) -> u64 {
        let most = limits.max_message_size;
        match self.is_compressed() {
            true => most.saturating_add(most / 8 + 1024),
            false => most,
        }
    }
}
