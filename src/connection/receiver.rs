//! The receiving half of a connection.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{mem, thread};

use crate::connection::lifecycle::{CallExpiry, ConnectionShared};
use crate::connection::message::{Chunk, Message};
use crate::connection::reader::{FrameReader, Part};
use crate::connection_limits::OpenLimits;
use crate::error::Error;
use crate::io::expiry::Expiry;
use crate::proto::{CloseCode, CloseFrame, MessageType};
use crate::session::assembler::Target;
use crate::session::{CloseAction, Deadline, MessageAssembler};

/// The receiving half of a connection, from [`Connection::split`](crate::Connection::split).
///
/// Pings, Pongs and the closing handshake are looked after inside the calls of this type, so one
/// of them should be waiting most of the time. Dropping the `Receiver` of an open connection
/// closes it with 1000, or with 1011 if the thread panics; inside the handler of a
/// [`Server`](crate::Server) the connection stays open for its [`Sender`](crate::Sender)s until the
/// handler returns, whose result decides. One that has moved elsewhere outlives the handler: it sees
/// the closing handshake through, which has the close timeout then.
pub struct Receiver {
    /// In a box, since connections are passed from function to function, and what is copied on
    /// the way stays as a used page at the bottom of each thread's stack.
    pub(crate) reader: Box<FrameReader>,
    assembler: MessageAssembler,
    recv_timeout: Option<Duration>,
    /// Whether `recv_chunk` has handed out the start of the message under way.
    partly_read: bool,
    /// Whether somebody else ends the connection when this is dropped.
    pub(crate) closed_by_server: bool,
}

impl Receiver {
    pub(crate) fn new(
        shared: Arc<ConnectionShared>,
        limits: Arc<OpenLimits>,
        rest: Vec<u8>,
    ) -> Self {
        let assembler = MessageAssembler::new(&shared.server.budget, 0);
        let reader = Box::new(FrameReader::new(shared, limits, rest));
        Self { reader, assembler, recv_timeout: None, partly_read: false, closed_by_server: false }
    }

    /// The stream is TLS's.
    #[cfg(feature = "tls")]
    pub(crate) fn with_records(mut self) -> Self {
        self.reader.buffer.expect_records();
        self
    }

    /// Waits for the next message and receives it into `buf`, whose contents it replaces.
    /// `None` is the end: the closing handshake is done.
    ///
    /// # Errors
    ///
    /// All but [`Error::RecvTimeout`] end the connection; the peer has been told why by then, where
    /// it could be (§7.1.7).
    pub fn recv<'b>(&mut self, buf: &'b mut Vec<u8>) -> Result<Option<Message<'b>>, Error> {
        let call = &mut CallExpiry::new(self.recv_timeout);
        self.recv_within(buf, call)
    }

    /// The same until this point in time: [`Error::RecvTimeout`] then, and nothing is lost, as after
    /// [`set_recv_timeout`](Self::set_recv_timeout), which does not matter here. Of a point that has
    /// passed, what has arrived is received; so a handler that is always late still hears its peer.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_deadline<'b>(
        &mut self,
        buf: &'b mut Vec<u8>,
        at: Instant,
    ) -> Result<Option<Message<'b>>, Error> {
        self.recv_within(buf, &mut CallExpiry::at(at))
    }

    #[inline(always)]
    fn recv_within<'b>(
        &mut self,
        buf: &'b mut Vec<u8>,
        call: &mut CallExpiry,
    ) -> Result<Option<Message<'b>>, Error> {
        match self.assemble(buf, call) {
            Ok(Some(kind)) => {
                // Text without its start may begin inside a character, and is no text.
                let kind =
                    if mem::take(&mut self.partly_read) { MessageType::Binary } else { kind };
                Ok(Some(Message::new(kind, buf)))
            }
            Ok(None) => {
                self.assembler.clear();
                Ok(None)
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Waits for the next part of a message and receives it into `out`: any size of message in
    /// constant memory. `None` is the end, as in [`recv`](Self::recv), which receives the rest if
    /// it is called in the middle of a message: as binary, since a part of a text may begin inside
    /// a character.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::EmptyBuffer`] if `out` has no room.
    pub fn recv_chunk(&mut self, out: &mut [u8]) -> Result<Option<Chunk>, Error> {
        if out.is_empty() {
            return Err(Error::EmptyBuffer);
        }
        let call = &mut CallExpiry::new(self.recv_timeout);
        let chunk = self.chunk(out, call).map_err(|error| self.failed(error))?;
        if let Some(chunk) = &chunk {
            self.partly_read = !chunk.fin && (self.partly_read || chunk.len > 0);
        }
        Ok(chunk)
    }

    /// Does what has to be done beside messages for as long as this: answers Pings, sends those of the
    /// keep-alive, and notices the peer's Close. For a handler that only sends. Whether the
    /// connection is still open; `false` is the end, as `None` of [`recv`](Self::recv) is.
    ///
    /// Messages of the peer's are held to the same limits, and thrown away; the rest of one that is
    /// under way when the time is over is there for [`recv`](Self::recv), as binary.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv), but for [`Error::RecvTimeout`].
    #[inline(never)]
    pub fn serve_control(&mut self, for_: Duration) -> Result<bool, Error> {
        let call = &mut CallExpiry::new(Some(for_));
        // No more, since it stays a used page of the thread's stack.
        let mut sink = [0; 1024];
        loop {
            match self.chunk(&mut sink, call) {
                Ok(Some(chunk)) => self.partly_read = !chunk.fin,
                Ok(None) => return Ok(false),
                Err(Error::RecvTimeout) => return Ok(true),
                Err(error) => return Err(self.failed(error)),
            }
        }
    }

    /// Bounds each later `recv` and `recv_chunk`: [`Error::RecvTimeout`] after this long, and nothing
    /// is lost; zero counts as a millisecond. What is queued is sent first, within the write
    /// deadline, and only then does the time begin. `None`, the default, waits until a deadline of [`Timeouts`](crate::Timeouts).
    pub fn set_recv_timeout(&mut self, timeout: Option<Duration>) {
        self.recv_timeout = timeout;
    }

    /// Calls `f` with each Pong's payload (§5.5.3), asked for or not, from inside the calls that
    /// receive. Take a [`Sender`](crate::Sender) along to answer.
    pub fn on_pong(&mut self, f: impl FnMut(&[u8]) + Send + 'static) {
        self.reader.callbacks.on_pong = Some(Box::new(f));
    }

    /// Calls `f` with each Ping's payload (§5.5.2), from inside the calls that receive. The Pong goes
    /// out all the same.
    pub fn on_ping(&mut self, f: impl FnMut(&[u8]) + Send + 'static) {
        self.reader.callbacks.on_ping = Some(Box::new(f));
    }

    /// What the peer's Close frame said, once it has come (§7.1.5, §7.1.6).
    #[must_use]
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.reader.close_frame.as_deref()
    }

    /// Whether the start of the message under way has been handed out.
    pub(crate) fn is_partly_read(&self) -> bool {
        self.partly_read
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.reader.flush().map_err(|error| self.failed(error))
    }

    /// Sends what is queued, and behind it a frame of a head and a payload.
    pub(crate) fn transmit(&mut self, frame: [&[u8]; 2]) -> Result<(), Error> {
        self.reader.transmit(frame).map_err(|error| self.failed(error))
    }

    /// Starts the closing handshake, and sees it through: until the peer's Close, the close
    /// deadline, or more data than is worth waiting for.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if !self.reader.is_open() {
            return Ok(());
        }
        // What has come of a message is thrown away with the rest.
        self.assembler.clear();
        self.reader.send_queue().map_err(|error| self.failed(error))?;
        let shared = &self.reader.shared;
        let (write, close) = (shared.writer.timeout(0), shared.server.config.timeouts.close);
        shared.drain_queues(close);
        shared.close(CloseAction::Initiate(code, reason.to_owned()), write);
        // However much comes before it.
        let deadline = Expiry::after(close);
        let mut sink = [0; 4096];
        while let Some(left) = deadline.left() {
            match self.chunk(&mut sink, &mut CallExpiry::new(Some(left))) {
                Ok(None) => return Ok(()),
                Ok(Some(_)) | Err(Error::RecvTimeout) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Err(self.failed(Error::DeadlineExceeded(Deadline::Close)))
    }

    /// Puts a message together in `buf`; the type of a whole one, or `None` at the end.
    fn assemble(
        &mut self,
        buf: &mut Vec<u8>,
        call: &mut CallExpiry,
    ) -> Result<Option<MessageType>, Error> {
        let Self { reader, assembler, .. } = self;
        // The message before is no longer in use.
        assembler.release();
        loop {
            if let Some(most) = assembler.bypass(buf)
                && let Some(kind) = reader.take_whole(most, buf)
            {
                return Ok(Some(kind));
            }
            match reader.next_part(&mut Target::Message(assembler, buf), call)? {
                Part::End => return Ok(None),
                Part::Data(Chunk { kind, fin: true, .. }) => {
                    assembler.finish(buf);
                    return Ok(Some(kind));
                }
                Part::Data(_) | Part::Refilled => {}
            }
        }
    }

    fn chunk(&mut self, out: &mut [u8], call: &mut CallExpiry) -> Result<Option<Chunk>, Error> {
        let Self { reader, assembler, .. } = self;
        assembler.release();
        if let Some(kind) = reader.kind()
            && !assembler.is_empty()
        {
            // What a `recv` that timed out has gathered comes first.
            let len = assembler.take(out);
            return Ok(Some(Chunk { kind, len, fin: false }));
        }
        loop {
            match reader.next_part(&mut Target::Slice(assembler, out), call)? {
                Part::Data(chunk) => return Ok(Some(chunk)),
                Part::Refilled => {}
                Part::End => return Ok(None),
            }
        }
    }

    /// Gives memory back, if the error ends the connection, and has the peer told of it.
    pub(crate) fn failed(&mut self, error: Error) -> Error {
        if error.is_fatal() {
            // First, since the peer is waited for then.
            self.assembler.clear();
        }
        self.reader.failed(error)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !self.reader.is_open() {
            return;
        }
        let _ = self.reader.send_queue();
        if !self.closed_by_server && !thread::panicking() {
            let shared = &self.reader.shared;
            shared.drain_queues(shared.server.config.timeouts.close);
        }
        self.reader.detach();
        if !self.closed_by_server {
            let code = match thread::panicking() {
                true => CloseCode::INTERNAL_ERROR,
                false => CloseCode::NORMAL,
            };
            self.reader.shared.finish(CloseAction::Abort(code, String::new()));
        }
    }
}
