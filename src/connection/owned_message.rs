//! A message for many connections.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::connection::message::Message;
use crate::proto::MessageType;

/// A message that owns its payload: one for many connections. Clones share it, and cost next to nothing.
///
/// Each connection makes its own frame header, a few bytes before a payload that is the same for all.
/// Where compression was agreed on, [`send_owned`](crate::Sender::send_owned) compresses it once for all
/// connections, but for those that have a smaller window than the first one, and keeps the result.
///
/// ```
/// # fn tell_all(members: &[barews::Sender]) {
/// let news = barews::OwnedMessage::from("to all of you");
/// for member in members {
///     // Who is gone is told so by its own thread.
///     let _ = member.send_owned(&news);
/// }
/// # }
/// ```
#[doc(alias = "broadcast")]
#[derive(Clone)]
pub struct OwnedMessage(Arc<Inner>);

struct Inner {
    kind: MessageType,
    payload: Vec<u8>,
    #[cfg(feature = "deflate")]
    deflated: OnceLock<Deflated>,
    /// Dropped with the last clone.
    guard: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// A payload as the first connection that compresses sends it.
#[cfg(feature = "deflate")]
struct Deflated {
    /// The bits of its window. It is right for all that are as large.
    window_bits: u8,
    /// `None` if it did not get shorter.
    payload: Option<Box<[u8]>>,
}

impl OwnedMessage {
    /// `payload` must be valid UTF-8 if it is text.
    fn new(kind: MessageType, payload: Vec<u8>) -> Self {
        Self(Arc::new(Inner {
            kind,
            payload,
            #[cfg(feature = "deflate")]
            deflated: OnceLock::new(),
            guard: OnceLock::new(),
        }))
    }

    /// Has the message keep `guard` until its last clone is dropped, also those in queues: a share of what
    /// memory messages may take, say. It keeps the first one that it is given, and drops others at once.
    /// Its `Drop` may run on a thread that writes for many, so it should be quick.
    #[must_use]
    pub fn with_guard(self, guard: impl Any + Send + Sync) -> Self {
        let _ = self.0.guard.set(Box::new(guard));
        self
    }

    /// The message, to be read or sent.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        Message::new(self.0.kind, &self.0.payload)
    }

    /// The type of the message.
    #[must_use]
    pub fn kind(&self) -> MessageType {
        self.0.kind
    }

    /// The payload's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0.payload
    }

    /// Length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.payload.len()
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.payload.is_empty()
    }

    /// How much memory the payload takes, in bytes.
    pub(super) fn capacity(&self) -> usize {
        self.0.payload.capacity()
    }

    /// The payload as `deflate` makes it the first time, or `None` inside if that is no shorter. `None`
    /// if it was made for a larger window than this one.
    #[cfg(feature = "deflate")]
    pub(super) fn deflated(
        &self,
        window_bits: u8,
        deflate: impl FnOnce(&[u8]) -> Option<Box<[u8]>>,
    ) -> Option<Option<&[u8]>> {
        let deflate = || Deflated { window_bits, payload: deflate(&self.0.payload) };
        let deflated = self.0.deflated.get_or_init(deflate);
        (deflated.window_bits <= window_bits).then_some(deflated.payload.as_deref())
    }
}

impl Message<'_> {
    /// A copy that owns its payload, to be kept or to go to many.
    #[must_use]
    pub fn to_owned(&self) -> OwnedMessage {
        OwnedMessage::from(*self)
    }
}

impl fmt::Debug for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

impl PartialEq for OwnedMessage {
    fn eq(&self, other: &Self) -> bool {
        self.message() == other.message()
    }
}

impl Eq for OwnedMessage {}

impl From<Message<'_>> for OwnedMessage {
    fn from(message: Message<'_>) -> Self {
        Self::new(message.kind(), message.as_bytes().to_vec())
    }
}

impl From<String> for OwnedMessage {
    fn from(text: String) -> Self {
        Self::new(MessageType::Text, text.into_bytes())
    }
}

impl From<&str> for OwnedMessage {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<Vec<u8>> for OwnedMessage {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(MessageType::Binary, bytes)
    }
}

impl From<&[u8]> for OwnedMessage {
    fn from(bytes: &[u8]) -> Self {
        bytes.to_vec().into()
    }
}

impl<'a> From<&'a OwnedMessage> for Message<'a> {
    fn from(message: &'a OwnedMessage) -> Self {
        message.message()
    }
}
