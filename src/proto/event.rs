//! What bytes from the client mean.

#[cfg(doc)]
use super::Decoder;
use super::close::CloseFrame;

/// The type of a message (§5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// What a run of bytes meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// All the input was used, and says nothing yet.
    NeedMore,
    /// The last `len` bytes that were used are, now unmasked, the next part of a message.
    Data {
        /// The type of the message.
        kind: MessageType,
        /// How many bytes; zero only at an end.
        len: usize,
        /// Whether the message ends here.
        fin: bool,
    },
    /// The same of a message that is compressed (RFC 7692 §6): unmasked, and yet to be inflated. The
    /// length is zero also where a compressed message of no bytes ends.
    #[cfg(feature = "deflate")]
    Compressed {
        /// The type of the message.
        kind: MessageType,
        /// How many bytes.
        len: usize,
        /// Whether the message ends here.
        fin: bool,
    },
    /// A Ping, its payload in [`Decoder::control`]; a Pong with the same is due (§5.5.3).
    Ping,
    /// A Pong, its payload in [`Decoder::control`].
    Pong,
    /// A Close, its payload in [`Decoder::control`]. Whatever follows it is thrown away.
    Close(CloseFrame),
}
