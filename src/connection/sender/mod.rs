//! The sending half of a connection.

mod message_writer;

pub use message_writer::MessageWriter;

use std::io::IoSlice;
use std::sync::Arc;

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::message::Message;
use crate::connection::owned_message::OwnedMessage;
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
/// `Sender` closes nothing.
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

    /// A fragmented message, sent as it is written (§5.4): for one whose length is not known yet, or
    /// that is not in memory. Other messages wait until it is finished, for the write
    /// timeout at the most, and so does this one for those before it; if that is too long, the
    /// writer's first call fails with [`Error::DeadlineExceeded`]. Control frames do not wait.
    pub fn writer(&self, kind: MessageType) -> MessageWriter<'_> {
        MessageWriter::begin(&self.shared, kind)
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
        self.shared.writer.push_control(&frame)
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
