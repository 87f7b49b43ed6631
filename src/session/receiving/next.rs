//! What comes of bytes where messages are received whole.

use std::ops::Range;

use crate::proto::{CloseFrame, Event, MessageType};

/// What bytes have led to where messages are received whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// All the input was used, and there is no whole message.
    NeedMore,
    /// So much was made of the input that it is time for others. More comes of it without any other: call
    /// again with the rest.
    Yield,
    /// A message, and where it lies.
    Message(MessageType, Place),
    /// A Ping, its payload in [`Receiving::control`](super::Receiving::control); a Pong with the same is due (§5.5.3).
    Ping,
    /// A Pong, its payload in [`Receiving::control`](super::Receiving::control).
    Pong,
    /// A Close; nothing that follows counts (§5.5.1).
    Close(CloseFrame),
}

/// Where a message lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Whole, in the input.
    Input(Range<usize>),
    /// In the buffer, from here on: it came in parts.
    Buffer(usize),
}

impl Next {
    pub(super) fn of(event: Event) -> Self {
        match event {
            Event::Ping => Self::Ping,
            Event::Pong => Self::Pong,
            Event::Close(frame) => Self::Close(frame),
            _ => Self::NeedMore,
        }
    }
}
