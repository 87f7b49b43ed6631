//! An open connection as a handler has it: blocking, in two halves, each for a thread of its own.
//!
//! It drives the state machines of [`session`](crate::session), and may import what is below that
//! and `io`; the server is none of its business.
//!
//! ```text
//!   stream ──▶ read_buffer ──▶ reader ──▶ receiver ──▶ recv, recv_chunk ──┐
//!                                 │ Pongs, and the answer to a Close      ├─ Connection: both in one
//!   stream ◀── write_lock ◀── writer ◀── sender ◀── send, write ──────────┘
//!                  │              ▲
//!                outbox       lifecycle: how it ends, and who waits how long
//! ```
//!
//! Who may write: one thread at a time, whole frames ([`writer`]); what is sent compressed holds the
//! turn of a message from before it is deflated until it is out (`compression`). A Ping is answered in
//! [`reader`]: the Pong joins the queue that goes out before the next read, or, where the halves
//! are apart, the outbox, since it must not wait for a blocked sender. An error is told once:
//! [`FrameReader::failed`](reader::FrameReader::failed) sends the peer a Close with its code, where it
//! can be told, by [`ConnectionShared::finish`], and the caller gets an [`Error`].

mod message;
mod owned_message;
mod request;
mod buffer_pool;
mod writer;
#[cfg(feature = "deflate")]
pub(crate) mod compression;
pub(crate) mod lifecycle;
mod reader;
mod sender;
mod receiver;
mod raw_stream;

pub use message::{Chunk, Message, Text};
pub use owned_message::OwnedMessage;
pub use raw_stream::RawStream;
pub use receiver::Receiver;
pub use request::Request;
pub use sender::{MessageWriter, Sender};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "deflate")]
use crate::connection::compression::Compression;
use crate::connection::lifecycle::ConnectionShared;
use crate::connection::reader::MAX_QUEUED;
use crate::error::Error;
#[cfg(feature = "deflate")]
use crate::http::DeflateParams;
use crate::proto::frame::MAX_HEADER;
use crate::proto::{CloseCode, CloseFrame, MessageType, encoder};
#[cfg(feature = "deflate")]
use crate::session::compression::Agreed;
use crate::session::memory::reserve;

/// Messages up to this length are copied to the queue by `write`, if it has room; longer ones are
/// sent from where they lie. In bytes.
const MAX_COPIED: usize = 16 << 10;

/// An open WebSocket connection, for use by one thread; [`split`](Self::split) it for two.
///
/// Pings, Pongs, the keep-alive (heartbeat) and the closing handshake are handled inside
/// [`recv`](Self::recv) and [`recv_chunk`](Self::recv_chunk), so one of them should be waiting
/// most of the time. What is queued for sending goes out before they wait.
///
/// Dropping an open connection closes it with 1000, or with 1011 if the thread panics; inside
/// [`Server::run`](crate::Server::run), the handler's result decides.
pub struct Connection {
    receiver: Receiver,
    sender: Sender,
    request: Arc<Request>,
    protocol: Option<String>,
    /// Whether compression was agreed on.
    #[cfg(feature = "deflate")]
    is_compressed: bool,
}

impl Connection {
    pub(crate) fn new(
        shared: Arc<ConnectionShared>,
        request: Arc<Request>,
        protocol: Option<String>,
        rest: Vec<u8>,
    ) -> Self {
        let sender = Sender { shared: Arc::clone(&shared) };
        Self {
            receiver: Receiver::new(shared, rest),
            sender,
            request,
            protocol,
            #[cfg(feature = "deflate")]
            is_compressed: false,
        }
    }

    /// Leaves the end of the connection to somebody else.
    pub(crate) fn closed_by_server(&mut self) -> Arc<ConnectionShared> {
        self.receiver.closed_by_server = true;
        Arc::clone(&self.sender.shared)
    }

    /// Waits for the next message and receives it into `buf`, whose contents it replaces; the
    /// message borrows them. `None` is the end: the closing handshake is done.
    ///
    /// Hand over the same `buf` every time, and nothing is allocated once it is large enough.
    /// Of more than 64 KiB, `buf` may be given back to the system when there is nothing to hand on:
    /// after 2 s, or at once if all connections keep much ([`assembling`](crate::Limits::max_buffered_bytes)).
    ///
    /// # Errors
    ///
    /// All but [`Error::RecvTimeout`] end the connection; the peer has been told why by then, where
    /// it could be (§7.1.7).
    pub fn recv<'b>(&mut self, buf: &'b mut Vec<u8>) -> Result<Option<Message<'b>>, Error> {
        self.receiver.recv(buf)
    }

    /// Waits for the next part of a message and receives it into `out`: any size of message in
    /// constant memory. `None` is the end, as in [`recv`](Self::recv), which receives the rest if
    /// it is called in the middle of a message: as binary, since a part of a text may begin inside
    /// a character.
    ///
    /// ```
    /// # fn count(conn: &mut barews::Connection) -> Result<(), barews::Error> {
    /// let mut out = [0; 4096];
    /// let mut len = 0;
    /// while let Some(chunk) = conn.recv_chunk(&mut out)? {
    ///     len += chunk.len;
    ///     if chunk.fin {
    ///         conn.send(&format!("{len} bytes of {:?}", chunk.kind))?;
    ///         len = 0;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::EmptyBuffer`] if `out` has no room.
    pub fn recv_chunk(&mut self, out: &mut [u8]) -> Result<Option<Chunk>, Error> {
        self.receiver.recv_chunk(out)
    }

    /// Bounds each later `recv` and `recv_chunk`: [`Error::RecvTimeout`] after this long, and nothing
    /// is lost; zero counts as a millisecond. What is queued is sent first, within the write
    /// deadline, and only then does the time begin. `None`, the default, waits until a deadline of [`Timeouts`](crate::Timeouts).
    pub fn set_recv_timeout(&mut self, timeout: Option<Duration>) {
        self.receiver.set_recv_timeout(timeout);
    }

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

    /// The same for a message that goes to many, see [`Sender::send_owned`].
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_owned(&mut self, message: &OwnedMessage) -> Result<(), Error> {
        self.flush()?;
        self.sender.send_owned(message).map_err(|error| self.receiver.failed(error))
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
        let queued = self.receiver.reader.queue.len();
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
        self.sender.shared.server.buffers.get(queue);
        if !reserve(queue, MAX_HEADER + message.len()) {
            // No memory: it goes out from where it lies.
            return self.transmit(message);
        }
        encoder::message(message.kind(), message.as_bytes(), queue);
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
        let _ = self.flush();
        self.sender.writer(kind)
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

    /// Closes the connection (§7.1.2): sends what is queued and a Close frame, and waits for the
    /// peer's. Messages that come before it are thrown away. Does nothing if the connection is
    /// over. A reason longer than 123 bytes is cut at a character.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCloseCode`] if §7.4 keeps the code off the wire, and nothing was sent;
    /// [`Error::DeadlineExceeded`] if the peer did not answer in time; [`Error::Protocol`] and [`Error::Io`]
    /// for what else its answer, or the lack of one, can be.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if !code.is_sendable() {
            return Err(Error::InvalidCloseCode(code));
        }
        self.receiver.close(code, reason)
    }

    /// Calls `f` with each Pong's payload (§5.5.3), asked for or not, from inside the calls that
    /// receive.
    pub fn on_pong(&mut self, f: impl FnMut(&[u8]) + Send + 'static) {
        self.receiver.on_pong(f);
    }

    /// What the peer's Close frame said, once it has come (§7.1.5, §7.1.6).
    #[must_use]
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.receiver.close_frame()
    }

    /// Divides the connection into a half that receives and one that sends, for two threads or
    /// more. What is queued goes first; if that fails, so does the next call on either half.
    #[must_use]
    pub fn split(mut self) -> (Receiver, Sender) {
        let _ = self.flush();
        self.receiver.reader.split = true;
        (self.receiver, self.sender)
    }

    /// Gives the connection up with no closing handshake, and hands out the stream below. What is
    /// queued goes first; what has come of an unfinished message is lost.
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush).
    pub fn into_stream(mut self) -> Result<RawStream, Error> {
        self.flush()?;
        let rest = self.receiver.reader.detach();
        Ok(RawStream::new(Arc::clone(&self.sender.shared), rest))
    }

    /// The request that opened the connection.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The subprotocol that was agreed upon (§1.9).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The peer's address, where the stream has one.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.request.peer_addr()
    }

    /// What was agreed on about compression (RFC 7692 §7.1), if it was.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(&self) -> Option<&DeflateParams> {
        self.sender.shared.compression().map(Compression::params)
    }

    fn transmit(&mut self, message: Message<'_>) -> Result<(), Error> {
        let head = encoder::FrameHeader::new(true, message.kind().opcode(), message.len());
        self.receiver.transmit([head.as_bytes(), message.as_bytes()])
    }
}

#[cfg(feature = "deflate")]
impl Connection {
    /// Compression may have been agreed on. No frame has been received or sent yet.
    pub(crate) fn with_compression(mut self, agreed: Option<Agreed>) -> Self {
        self.is_compressed = agreed.is_some();
        if let Some(agreed) = agreed {
            self.set_compression(agreed);
        }
        self
    }

    #[inline(never)]
    fn set_compression(&mut self, agreed: Agreed) {
        let Agreed { params, inflation, deflation } = agreed;
        self.sender.shared.set_compression(Compression::new(params, deflation));
        self.receiver.reader.set_inflation(inflation);
    }

    /// Sends a message deflated, if it is shorter so, behind what is queued.
    #[inline(never)]
    fn transmit_compressed(&mut self, message: Message<'_>) -> Option<Result<(), Error>> {
        let Self { receiver, sender, .. } = self;
        let (compression, buffers) = sender.shared.compression_of(message.len())?;
        compression.deflated(message, buffers, |header, payload| {
            receiver.transmit([header.as_bytes(), payload])
        })
    }

    /// Queues a message deflated, if it is shorter so.
    #[inline(never)]
    fn write_compressed(&mut self, message: Message<'_>) -> Option<Result<(), Error>> {
        let Self { receiver, sender, .. } = self;
        let (compression, buffers) = sender.shared.compression_of(message.len())?;
        compression.deflated(message, buffers, |header, payload| {
            let queue = &mut receiver.reader.queue;
            buffers.get(queue);
            if !reserve(queue, MAX_HEADER + payload.len()) {
                return receiver.transmit([header.as_bytes(), payload]);
            }
            queue.extend_from_slice(header.as_bytes());
            queue.extend_from_slice(payload);
            Ok(())
        })
    }
}
