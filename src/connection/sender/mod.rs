//! The sending half of a connection.

mod pace;
mod sized;
mod message_writer;
mod try_send_error;
mod batch;
mod quietly;
mod backlog;
mod gathered;
mod turn;
mod flusher;
mod queue;

pub use message_writer::MessageWriter;
pub use queue::{Broadcast, SendQueue, broadcast, broadcast_all};
pub use try_send_error::TrySendError;

use std::io::{self, IoSlice, Read};
use std::sync::Arc;

use crate::connection::lifecycle::{ConnectionShared, Queue};
use crate::connection::message::Message;
use crate::connection::owned_message::OwnedMessage;
use crate::connection::sender::backlog::Backlog;
use crate::connection::sender::flusher::Assignment;
use crate::error::Error;
use crate::proto::encoder::FrameHeader;
use crate::proto::frame::MAX_CONTROL;
use crate::proto::{CloseCode, MessageType, encoder};
use crate::session::CloseAction;

/// The sending half of a connection, from [`Connection::split`](crate::Connection::split).
///
/// It is thread-safe, and cheap to clone: clones send on the same connection, from any thread and at
/// the same time. Each message goes out whole, and frames never mix. Backpressure is that a call
/// blocks while the peer does not read, until the write deadline ends the connection. Dropping a
/// `Sender` closes nothing. One that is kept does not keep the connection open, but when that has ended it still keeps
/// its descriptor, and its request: let it go then. A [`SendQueue`] keeps neither.
#[derive(Clone)]
pub struct Sender {
    pub(crate) shared: Arc<ConnectionShared>,
}

impl Sender {
    /// Sends a message in one frame (§5.6).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once the closing handshake has begun; [`Error::DeadlineExceeded`] or
    /// [`Error::Io`] if the stream failed, and the connection is over. [`Error::DeadlineExceeded`] too if
    /// others send for all of the write timeout, such as a [writer](Self::writer) of the same
    /// thread: nothing was sent then, and the connection goes on.
    pub fn send<'a>(&self, message: impl Into<Message<'a>>) -> Result<(), Error> {
        let message = message.into();
        #[cfg(feature = "deflate")]
        if let Some((compression, buffers)) = self.shared.compression_of(message.len()) {
            return compression.send(message, buffers, &self.shared.writer);
        }
        self.send_plain(message)
    }

    /// Sends a message that goes to many, as [`send`](Self::send) does. Where it is compressed, that
    /// is done once for all, see [`OwnedMessage`], and by itself: it refers to nothing that was sent
    /// before, unless it is shorter than `Deflate::threshold_no_context`.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_owned(&self, message: &OwnedMessage) -> Result<(), Error> {
        #[cfg(feature = "deflate")]
        if let Some((compression, buffers)) = self.shared.compression_of(message.len()) {
            return compression.send_owned(message, buffers, &self.shared.writer);
        }
        self.send_plain(message.message())
    }

    /// Sends a message as [`send`](Self::send) does, but never compressed (RFC 7692 §5): for one that
    /// has a secret in it beside what an attacker may choose, see [`Deflate`](crate::Deflate#security).
    /// Later messages do not refer to it.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub fn send_uncompressed<'a>(&self, message: impl Into<Message<'a>>) -> Result<(), Error> {
        self.send_plain(message.into())
    }

    fn send_plain(&self, message: Message<'_>) -> Result<(), Error> {
        let head = FrameHeader::new(true, message.kind().opcode(), message.len());
        let mut frame = [IoSlice::new(head.as_bytes()), IoSlice::new(message.as_bytes())];
        self.shared.writer.send(&mut frame)
    }

    /// Sends messages in their order, up to 64 KiB of them in one system call. Those of other senders
    /// may come in between.
    ///
    /// ```
    /// # fn list(sender: &barews::Sender, lines: &[String]) -> Result<(), barews::Error> {
    /// sender.send_all(lines)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); some of them may have been sent. Where compression was agreed on, the
    /// connection is over in any case.
    pub fn send_all<'a, M: Into<Message<'a>>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Result<(), Error> {
        // First, so that nothing of the caller's runs while others wait for us.
        let messages: Vec<Message<'a>> = messages.into_iter().map(Into::into).collect();
        gathered::send(&self.shared, &messages)
    }

    /// Sends a message of `len` bytes, which are read from `source`, in one frame: any length in constant
    /// memory. It is not compressed, and later messages do not refer to it. What `source` has beyond
    /// `len` is not read.
    ///
    /// From its second 64 KiB on all others wait for it, Pongs and a Close too, since a frame cannot
    /// be interrupted: so `source` should be quick. A [`writer`](Self::writer) is for those that are not.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send). [`Error::Source`] if `source` fails or ends early (`UnexpectedEof`), or
    /// has no UTF-8 for text (`InvalidData`): in the first 64 KiB nothing was sent then; later it ends
    /// the connection, with no Close frame, which the peer would take for more of the payload.
    /// `InvalidInput` for more than 2^63 - 1 bytes (§5.2).
    pub fn send_sized(
        &self,
        kind: MessageType,
        len: u64,
        mut source: impl Read,
    ) -> Result<(), Error> {
        sized::send(&self.shared, kind, len, &mut source)
    }

    /// A fragmented message, sent as it is written (§5.4): for one whose length is not known yet, or
    /// that is not in memory. Other messages wait until it is finished, for the write
    /// timeout at the most, and so does this one for those before it; if that is too long, the
    /// writer's first call fails with [`Error::DeadlineExceeded`]. Control frames do not wait.
    pub fn writer(&self, kind: MessageType) -> MessageWriter<'_> {
        MessageWriter::begin(&self.shared, kind)
    }

    /// A queue for this connection that holds at most so many bytes, see [`SendQueue`]. It is closed if
    /// the connection is.
    ///
    /// # Errors
    ///
    /// If no queue of the process has a thread to write with yet, and there is none to be had.
    pub fn queued(&self, max_bytes: usize) -> io::Result<SendQueue> {
        let flusher = Box::new(Assignment::new()?);
        let backlog = Arc::new(Backlog::new(&self.shared, max_bytes, flusher));
        self.shared.add_queue(&(Arc::clone(&backlog) as Arc<dyn Queue>));
        Ok(SendQueue(backlog))
    }

    /// Sends a Ping (§5.5.2), in between the fragments of a message if need be. While another
    /// thread is blocked in a write it waits, and is dropped if 4 KiB more of Pings and Pongs come
    /// to wait behind it.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if the payload is longer than 125 bytes; [`Error::Closed`] once the
    /// closing handshake has begun.
    pub fn ping(&self, payload: &[u8]) -> Result<(), Error> {
        if payload.len() > MAX_CONTROL {
            return Err(Error::TooLong);
        }
        let mut frame = Vec::new();
        encoder::ping(payload, &mut frame);
        self.shared.push_control(&frame)
    }

    /// Has [`EventHandler::notified`](crate::EventHandler::notified) called for this connection, soon and on its
    /// loop: for what only the handler can do, such as to read again after a pause, or to change its state. It
    /// waits for nobody, and may be called on a loop too.
    ///
    /// Any number of calls before that begins are one, so leave what is to be done where the handler finds it,
    /// and then call this. It does nothing once a Close is due or the connection has ended, nor for one that has
    /// a thread of its own.
    #[cfg(feature = "event-loop")]
    pub fn notify(&self) {
        let _ = self.shared.stream().notify(true);
    }

    /// Starts the closing handshake (§7.1.2) and returns; the [`Receiver`](crate::Receiver)
    /// sees it through. Does nothing if a Close was sent before. A reason longer than 123 bytes
    /// is cut at a character.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCloseCode`] if §7.4 keeps the code off the wire. Nothing was sent.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if !code.is_sendable() {
            return Err(Error::InvalidCloseCode(code));
        }
        let within = self.shared.writer.timeout(0);
        self.shared.close(CloseAction::Initiate(code, reason.to_owned()), within);
        Ok(())
    }
}

impl SendQueue {
    /// The sender of this connection, unless the connection has ended and nobody keeps another.
    #[must_use]
    pub fn sender(&self) -> Option<Sender> {
        self.0.connection().map(|shared| Sender { shared })
    }
}
