//! A queue before a connection: who sends never waits for the peer.

use std::fmt;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::message::Message;
use crate::connection::owned_message::OwnedMessage;
use crate::connection::sender::backlog::Backlog;
use crate::connection::sender::try_send_error::TrySendError;
use crate::error::Error;
use crate::proto::CloseCode;

/// Messages that wait to be sent on a connection, from [`Sender::queued`](crate::Sender::queued): sending to it never waits
/// for the peer.
///
/// What one call after another queues goes out together, up to 64 KiB in one system call, in its order.
/// A few threads that all queues of the process share do this, no more than the machine has cores; a
/// peer that does not read keeps none of them. It has the write timeout for what was begun, as it has
/// for [`Sender::send`](crate::Sender::send), and then the connection ends with [`Error::DeadlineExceeded`].
///
/// Clones are the same queue. Other senders may use the connection beside it, also another queue:
/// each keeps its own order. Dropping all clones drops nothing that is queued.
///
/// # Memory
///
/// A queue holds at most `max_bytes`. Each message counts with its payload, or what memory the `String` or
/// `Vec` that it was made of has for that, and 128 bytes, from
/// [`try_send`](Self::try_send) until it is written, and where compression was agreed on with twice its
/// payload. A payload that is queued for many is in memory once, but counts for each of them. Beside
/// that a connection takes up to 80 KiB for what is being written.
///
/// # The end
///
/// When a [`Server`](crate::Server)'s handler returns `Ok`, and in
/// [`Connection::close`](crate::Connection::close), what is queued goes out before the Close, within the
/// close timeout. Any other end drops it: an error, a panic, the peer's own Close, a shutdown,
/// [`Sender::close`](crate::Sender::close). From then on the queue is closed. It keeps no descriptor of a connection that has
/// ended.
///
/// ```
/// # fn feed(conn: barews::Connection) -> Result<(), barews::BoxError> {
/// use barews::{CloseCode, OwnedMessage, TrySendError};
///
/// let (mut receiver, sender) = conn.split();
/// let queue = sender.queued(1 << 20)?;
/// match queue.try_send(&OwnedMessage::from("news")) {
///     Ok(()) | Err(TrySendError::Closed) => {}
///     // Somebody who cannot follow.
///     Err(TrySendError::Full) => queue.close_now(CloseCode::TRY_AGAIN_LATER, "too slow")?,
/// }
/// # let mut buf = Vec::new();
/// # while receiver.recv(&mut buf)?.is_some() {}
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SendQueue(pub(super) Arc<Backlog>);

/// What came of a [`broadcast`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Broadcast<'q> {
    /// How many queues have taken what was sent.
    pub queued: usize,
    /// How many were closed.
    pub closed: usize,
    /// Those that had no room for it.
    pub full: Vec<&'q SendQueue>,
}

/// Queues a message for many, whose payload they share.
///
/// ```
/// # fn tell_all(members: &[barews::SendQueue]) -> Result<(), barews::Error> {
/// let told = barews::broadcast(members, &"to all of you".into());
/// for slow in told.full {
///     slow.close_now(barews::CloseCode::TRY_AGAIN_LATER, "too slow")?;
/// }
/// # Ok(())
/// # }
/// ```
pub fn broadcast<'q>(
    to: impl IntoIterator<Item = &'q SendQueue>,
    message: &OwnedMessage,
) -> Broadcast<'q> {
    broadcast_all(to, slice::from_ref(message))
}

/// The same for several messages in a row, which cost less together: what a moment has brought, say. A
/// queue takes all of them, or none.
pub fn broadcast_all<'q>(
    to: impl IntoIterator<Item = &'q SendQueue>,
    messages: &[OwnedMessage],
) -> Broadcast<'q> {
    let mut told = Broadcast::default();
    for queue in to {
        match queue.try_send_all(messages) {
            Ok(()) => told.queued += 1,
            Err(TrySendError::Full) => told.full.push(queue),
            Err(TrySendError::Closed) => told.closed += 1,
        }
    }
    told
}

impl SendQueue {
    /// Queues a message, and returns at once.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]; nothing was queued.
    pub fn try_send(&self, message: &OwnedMessage) -> Result<(), TrySendError> {
        self.0.push(slice::from_ref(message))
    }

    /// Queues these messages, and returns at once: they cost less together than one after the other.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]; none of them was queued.
    pub fn try_send_all(&self, messages: &[OwnedMessage]) -> Result<(), TrySendError> {
        self.0.push(messages)
    }

    /// Queues a message once there is room for it, and waits for that so long at the most. Of several that
    /// wait, who wants much has its turn among those who want little.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]; nothing was queued. A message that is larger than `max_bytes` never is.
    pub fn send(&self, message: &OwnedMessage, within: Duration) -> Result<(), TrySendError> {
        self.0.push_within(message, within)
    }

    /// Waits until no more than `most` bytes are queued, so long at the most; whether that is so. Also
    /// once the connection has ended or a Close of ours is out, for then nothing is.
    pub fn wait_for_room(&self, most: usize, within: Duration) -> bool {
        self.0.wait_for_room(most, within)
    }

    /// Waits until all that was queued before is written, so long at the most; whether it is.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the connection has ended before that.
    pub fn flush(&self, within: Duration) -> Result<bool, Error> {
        self.0.flush(within)
    }

    /// Starts the closing handshake behind what is queued (§7.1.2), and returns; the queue takes
    /// nothing more. The [`Receiver`](crate::Receiver) sees it through. Does nothing if the queue is
    /// closed, or a Close was queued before. A reason longer than 123 bytes is cut at a character.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCloseCode`] if §7.4 keeps the code off the wire. Nothing was queued.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if !code.is_sendable() {
            return Err(Error::InvalidCloseCode(code));
        }
        self.0.close(code, reason);
        Ok(())
    }

    /// The same without what is queued, but for what is being written: for one who is too slow for the
    /// rest of it. Also behind a Close that was queued before, which is the one that goes out then.
    ///
    /// # Errors
    ///
    /// As for [`close`](Self::close).
    pub fn close_now(&self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if !code.is_sendable() {
            return Err(Error::InvalidCloseCode(code));
        }
        self.0.drop_messages();
        self.0.close(code, reason);
        Ok(())
    }

    /// Calls `f` with each message once it is written, and counts no more, in their order, in place of an
    /// earlier one that was to be called. It is called from a thread that many queues share, so it should be quick, and
    /// wait for nobody: a [`Sender::send`](crate::Sender::send) in there may wait for a message that this very thread
    /// is to write, until the write timeout has passed. [`try_send`](Self::try_send) does not wait. A panic ends the
    /// connection. Messages that are queued already may not be told. [`sent_messages`](Self::sent_messages) counts
    /// those that are written together once all of them are told.
    pub fn on_sent(&self, f: impl Fn(Message<'_>) + Send + Sync + 'static) {
        self.0.on_sent(Arc::new(f));
    }

    /// Whether both are the same queue, which clones are.
    #[must_use]
    pub fn same_queue(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether nothing can be queued any more. It may be so a moment later.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// How many messages are queued or being written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is queued or being written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How much is queued or being written, in bytes as `max_bytes` counts them.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.0.charged()
    }

    /// The most that may be queued, in bytes.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.0.max_bytes()
    }

    /// How many messages were written so far.
    #[must_use]
    pub fn sent_messages(&self) -> u64 {
        self.0.sent().0
    }

    /// How many bytes of payload were written so far, before compression.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.0.sent().1
    }
}

impl fmt::Debug for SendQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendQueue")
            .field("len", &self.len())
            .field("queued_bytes", &self.queued_bytes())
            .field("max_bytes", &self.max_bytes())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
