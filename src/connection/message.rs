//! What is received and sent: messages, whole or in part.

use std::fmt;
use std::str::Utf8Error;

use crate::proto::MessageType;

/// A whole message (§5.6), borrowed from the buffer it was received into or is sent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// UTF-8 text.
    Text(Text<'a>),
    /// Any bytes.
    Binary(&'a [u8]),
}

/// UTF-8 text as its bytes.
///
/// Received text was checked while it arrived (§8.1), so passing it on needs no second look:
/// [`as_bytes`](Self::as_bytes) is free. [`as_str`](Self::as_str) pays for one, since only
/// `unsafe` code could vouch for the first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(&'a [u8]);

/// A part of a message, as [`recv_chunk`](crate::Connection::recv_chunk) delivers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The type of the message.
    pub kind: MessageType,
    /// How many bytes were put into the caller's slice. Text may be cut inside a character.
    pub len: usize,
    /// Whether the message ends with them.
    pub fin: bool,
}

impl<'a> Message<'a> {
    /// `payload` must be valid UTF-8 if it is text.
    pub(crate) fn new(kind: MessageType, payload: &'a [u8]) -> Self {
        match kind {
            MessageType::Text => Self::Text(Text(payload)),
            MessageType::Binary => Self::Binary(payload),
        }
    }

    /// The type of the message.
    #[must_use]
    pub fn kind(&self) -> MessageType {
        match self {
            Self::Text(_) => MessageType::Text,
            Self::Binary(_) => MessageType::Binary,
        }
    }

    /// The payload's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.0,
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text, at the cost of one pass over it, if it is one.
    ///
    /// ```
    /// # fn answer(conn: &mut barews::Connection, buf: &mut Vec<u8>) -> Result<(), barews::Error> {
    /// match conn.recv(buf)?.and_then(|message| message.as_text()) {
    ///     Some("ping") => conn.send("pong"),
    ///     _ => conn.close(barews::CloseCode::UNSUPPORTED_DATA, "ping is all I know"),
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn as_text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Binary(_) => None,
        }
    }

    /// Whether it is text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.kind() == MessageType::Text
    }

    /// Whether it is binary.
    #[must_use]
    pub fn is_binary(&self) -> bool {
        self.kind() == MessageType::Binary
    }

    /// Length of the payload in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

impl<'a> Text<'a> {
    /// The bytes, at no cost.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The text, at the cost of one pass over it.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        let text: Result<&str, Utf8Error> = std::str::from_utf8(self.0);
        text.expect("text is checked before it is wrapped")
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl AsRef<str> for Text<'_> {
    /// As [`as_str`](Text::as_str), at the same cost.
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl<'a> From<Text<'a>> for Message<'a> {
    fn from(text: Text<'a>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Text(text.as_bytes()))
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::from(text.as_str())
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}
