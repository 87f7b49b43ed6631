//! What receiving goes through: parts of messages, and ends.

use crate::connection::message::Chunk;

/// What the application wants to be called with: the payload of each Ping, and of each Pong.
#[derive(Default)]
pub(crate) struct ControlCallbacks {
    pub(crate) on_ping: Option<Box<OnControl>>,
    pub(crate) on_pong: Option<Box<OnControl>>,
}

type OnControl = dyn FnMut(&[u8]) + Send;

/// How receiving has ended, if it has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// The closing handshake is done.
    Closed,
    Failed,
}

impl ControlCallbacks {
    pub(super) fn call(&mut self, is_pong: bool, payload: &[u8]) {
        if let Some(f) = if is_pong { &mut self.on_pong } else { &mut self.on_ping } {
            f(payload);
        }
    }
}

/// What [`FrameReader::next_part`](super::FrameReader::next_part) found.
pub(crate) enum Part {
    /// So much of a message was put into the target.
    Data(Chunk),
    /// Nothing, but the buffer has been filled, perhaps with a whole message.
    Refilled,
    /// No more messages: the closing handshake is done.
    End,
}
