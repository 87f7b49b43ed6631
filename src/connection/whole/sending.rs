//! How an undivided connection sends: behind a queue of its own, which goes out before each read.

use std::io::Read;

use crate::connection::message::Message;
use crate::connection::owned_message::OwnedMessage;
use crate::connection::reader::MAX_QUEUED;
use crate::connection::sender::MessageWriter;
use crate::connection::whole::connection::Connection;
use crate::error::Error;
use crate::proto::frame::MAX_HEADER;
use crate::proto::{MessageType, encoder};

/// Messages up to this length are copied to the queue by `write`, if it has room; longer ones are
/// sent from where they lie. In bytes.
const MAX_COPIED: usize = 16 << 10;

impl Connection {
    /// Sends a message in one frame (§5.6), behind whatever is queued.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once the closing handshake has begun; [`Error::DeadlineExceeded`] or
    /// [`Error::Io`] if the stream failed, and the connection is over.
    pub fn send<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<(), Error> {
        let message = message.into();
        #[cfg(feature = "deflate")]
        if self.is_compressed
            && let Some(sent) = self.transmit_compressed(message)
        {
            return sent;
        }
        self.transmit(message)
    }

    /// The same for a message that goes to many, see [`Sender::send_owned`](crate::Sender::send_owned).
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_owned(&mut self, message: &OwnedMessage) -> Result<(), Error> {
        self.flush()?;
        self.sender.send_owned(message).map_err(|error| self.receiver.failed(error))
    }

    /// Sends a message of known length in one frame, out of whatever can be read, see
    /// [`Sender::send_sized`](crate::Sender::send_sized).
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), and [`Error::Source`].
    pub fn send_sized(
        &mut self,
        kind: MessageType,
        len: u64,
        source: impl Read,
    ) -> Result<(), Error> {
        self.flush()?;
        let sent = self.sender.send_sized(kind, len, source);
        sent.map_err(|error| self.receiver.failed(error))
    }

    /// Sends a message as [`send`](Self::send) does, but never compressed (RFC 7692 §5): for one that
    /// has a secret in it beside what an attacker may choose, see [`Deflate`](crate::Deflate#security).
    /// Later messages do not refer to it.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub fn send_uncompressed<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<(), Error> {
        self.transmit(message.into())
    }

    /// Queues a message. The queue is sent by [`flush`](Self::flush), by the next call that
    /// sends, before `recv` waits, or with the message that fills it to 64 KiB: answers to messages
    /// that came in one piece go out in one piece. A long message is sent at once. If the server
    /// shuts down before the queue is sent, it never is: nothing may follow a Close (§5.5.1).
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn write<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<(), Error> {
        let message = message.into();
        // The message that fills the queue goes out with it, and so need not be copied.
        let queued = self.receiver.reader.queue.frames.len();
        if message.len() > MAX_COPIED || queued + message.len() >= MAX_QUEUED {
            #[cfg(feature = "deflate")]
            if self.is_compressed
                && let Some(sent) = self.transmit_compressed(message)
            {
                return sent;
            }
            return self.transmit(message);
        }
        if self.sender.shared.writer.is_closed() {
            return Err(Error::Closed);
        }
        #[cfg(feature = "deflate")]
        if self.is_compressed
            && let Some(queued) = self.write_compressed(message)
        {
            return queued;
        }
        let queue = &mut self.receiver.reader.queue;
        if !queue.reserve(&self.sender.shared, MAX_HEADER + message.len()) {
            // No memory: it goes out from where it lies.
            return self.transmit(message);
        }
        encoder::message(message.kind(), message.as_bytes(), &mut queue.frames);
        Ok(())
    }

    /// Sends what is queued.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn flush(&mut self) -> Result<(), Error> {
        self.receiver.flush()
    }

    /// A message that is sent in fragments as it is written (§5.4): for one whose length is not
    /// known yet, or that is not in memory.
    ///
    /// ```
    /// # fn stream(conn: &mut barews::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io::Write;
    ///
    /// let mut message = conn.writer(barews::MessageType::Text);
    /// for line in ["one", "two", "three"] {
    ///     writeln!(message, "{line}")?;
    /// }
    /// message.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is queued goes first; if that fails, so does the writer's first call.
    pub fn writer(&mut self, kind: MessageType) -> MessageWriter<'_> {
        match self.flush() {
            Ok(()) => self.sender.writer(kind),
            Err(error) => MessageWriter::refused(&self.sender.shared, kind, error),
        }
    }

    /// Sends a Ping (§5.5.2) with at most 125 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], or as for [`send`](Self::send).
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.flush()?;
        self.sender.ping(payload)
    }

    fn transmit(&mut self, message: Message<'_>) -> Result<(), Error> {
        let head = encoder::FrameHeader::new(true, message.kind().opcode(), message.len());
        self.receiver.transmit([head.as_bytes(), message.as_bytes()])
    }
}

#[cfg(feature = "deflate")]
impl Connection {
    /// Sends a message deflated, if it is shorter so, behind what is queued.
    #[inline(never)]
    fn transmit_compressed(&mut self, message: Message<'_>) -> Option<Result<(), Error>> {
        let Self { receiver, sender, .. } = self;
        let (compression, buffers) = sender.shared.compression_of(message.len())?;
        if receiver.reader.queue.beside_senders {
            return Some(self.send_in_turn(message));
        }
        compression.deflated(message, buffers, |header, payload| {
            receiver.transmit([header.as_bytes(), payload])
        })
    }

    /// Queues a message deflated, if it is shorter so.
    #[inline(never)]
    fn write_compressed(&mut self, message: Message<'_>) -> Option<Result<(), Error>> {
        let Self { receiver, sender, .. } = self;
        let (compression, buffers) = sender.shared.compression_of(message.len())?;
        if receiver.reader.queue.beside_senders {
            return Some(self.send_in_turn(message));
        }
        compression.deflated(message, buffers, |header, payload| {
            let queue = &mut receiver.reader.queue;
            if !queue.reserve(&sender.shared, MAX_HEADER + payload.len()) {
                return receiver.transmit([header.as_bytes(), payload]);
            }
            queue.frames.extend_from_slice(header.as_bytes());
            queue.frames.extend_from_slice(payload);
            Ok(())
        })
    }

    /// Sends a message as one of many senders: what it refers to is what they sent before, so it
    /// cannot be queued deflated. What is queued is not, and goes first.
    #[inline(never)]
    fn send_in_turn(&mut self, message: Message<'_>) -> Result<(), Error> {
        self.flush()?;
        self.sender.send(message).map_err(|error| self.receiver.failed(error))
    }
}
