//! What is written together.

use std::sync::Arc;

use crate::connection::message::Message;
use crate::connection::owned_message::OwnedMessage;
use crate::proto::CloseCode;

/// Called with each message that is written.
pub(super) type OnSent = dyn Fn(Message<'_>) + Send + Sync;

/// Messages that are written together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) messages: Vec<OwnedMessage>,
    /// What they count in the queue, in bytes.
    pub(super) charged: usize,
    /// Their payload, in bytes.
    pub(super) len: usize,
    pub(super) count: usize,
    /// Who is told of them, if they are kept for that.
    pub(super) on_sent: Option<Arc<OnSent>>,
    /// The Close behind them all.
    pub(super) close: Option<(CloseCode, String)>,
}

impl Batch {
    /// An empty one in this memory.
    pub(super) fn new(messages: Vec<OwnedMessage>) -> Self {
        Self { messages, ..Self::default() }
    }
}
