//! The receiving half of a connection.

use std::sync::Arc;
use std::time::Duration;
use std::{mem, thread};

use crate::connection::assembler::Partial;
use crate::connection::message::{Chunk, Message};
use crate::connection::reader::{Inbound, Next};
use crate::connection::shared::Shared;
use crate::connection::timers::CallDeadline;
use crate::connection::writer::CloseAction;
use crate::error::{Deadline, Error};
use crate::io::deadline::Expiry;
use crate::proto::{CloseCode, CloseFrame, MessageType};

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
    pub(crate) inbound: Box<Inbound>,
    partial: Partial,
    recv_timeout: Option<Duration>,
    /// Whether `recv_chunk` has handed out the start of the message under way.
    torn: bool,
    /// Whether somebody else ends the connection when this is dropped.
    pub(crate) chaperoned: bool,
}

impl Receiver {
    pub(crate) fn new(shared: Arc<Shared>, rest: Vec<u8>) -> Self {
        let partial = Partial::new(Arc::clone(&shared.context));
        let inbound = Box::new(Inbound::new(shared, rest));
        Self { inbound, partial, recv_timeout: None, torn: false, chaperoned: false }
    }

    /// Waits for the next message and receives it into `buf`, whose contents it replaces.
    /// `None` is the end: the closing handshake is done.
    ///
    /// # Errors
    ///
    /// All but [`Error::RecvTimeout`] end the connection; the peer has been told why by then, where
    /// it could be (§7.1.7).
    pub fn recv<'b>(&mut self, buf: &'b mut Vec<u8>) -> Result<Option<Message<'b>>, Error> {
        match self.assemble(buf) {
            Ok(Some(kind)) => {
                // Text without its start may begin inside a character, and is no text.
                let kind = if mem::take(&mut self.torn) { MessageType::Binary } else { kind };
                Ok(Some(Message::new(kind, buf)))
            }
            Ok(None) => {
                self.partial.clear();
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
        let call = &mut CallDeadline::new(self.recv_timeout);
        let chunk = self.chunk(out, call).map_err(|error| self.failed(error))?;
        if let Some(chunk) = &chunk {
            self.torn = !chunk.fin && (self.torn || chunk.len > 0);
        }
        Ok(chunk)
    }

    /// Bounds each later `recv` and `recv_chunk`: [`Error::RecvTimeout`] after this long, and nothing
    /// is lost; zero counts as a millisecond. What is queued is sent first, within the write
    /// deadline, and only then does the time begin. `None`, the default, waits until a deadline of [`Timeouts`](crate::Timeouts).
    pub fn set_recv_timeout(&mut self, timeout: Option<Duration>) {
        self.recv_timeout = timeout;
    }

    /// Has `note` hear of the payload of each Pong (§5.5.3), asked for or not, from inside the
    /// calls that receive. Take a [`Sender`](crate::Sender) along to answer.
    pub fn on_pong(&mut self, note: impl FnMut(&[u8]) + Send + 'static) {
        self.inbound.on_pong = Some(Box::new(note));
    }

    /// What the peer's Close frame said, once it has come (§7.1.5, §7.1.6).
    #[must_use]
    pub fn close_frame(&self) -> Option<&CloseFrame> {
        self.inbound.close_frame.as_deref()
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.inbound.flush().map_err(|error| self.failed(error))
    }

    /// Sends what is queued, and behind it a frame of a head and a payload.
    pub(crate) fn transmit(&mut self, frame: [&[u8]; 2]) -> Result<(), Error> {
        self.inbound.transmit(frame).map_err(|error| self.failed(error))
    }

    /// Starts the closing handshake, and sees it through: until the peer's Close, the close
    /// deadline, or more data than is worth waiting for.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if !self.inbound.is_open() {
            return Ok(());
        }
        // What has come of a message is thrown away with the rest.
        self.partial.clear();
        self.inbound.send_queue().map_err(|error| self.failed(error))?;
        let shared = &self.inbound.shared;
        let timeouts = &shared.context.config.timeouts;
        let (write, close) = (timeouts.write, timeouts.close);
        shared.close(CloseAction::Initiate(code, reason.to_owned()), write);
        // However much comes before it.
        let deadline = Expiry::after(close);
        let mut sink = [0; 4096];
        while let Some(left) = deadline.left() {
            match self.chunk(&mut sink, &mut CallDeadline::new(Some(left))) {
                Ok(None) => return Ok(()),
                Ok(Some(_)) | Err(Error::RecvTimeout) => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Err(self.failed(Error::DeadlineExceeded(Deadline::Close)))
    }

    /// Puts a message together in `buf`; the type of a whole one, or `None` at the end.
    fn assemble(&mut self, buf: &mut Vec<u8>) -> Result<Option<MessageType>, Error> {
        let call = &mut CallDeadline::new(self.recv_timeout);
        let Self { inbound, partial, .. } = self;
        // The message before is no longer in use.
        partial.uncharge_if_empty();
        loop {
            if let Some(most) = partial.bypass(buf)
                && let Some(kind) = inbound.take_whole(most, buf)
            {
                return Ok(Some(kind));
            }
            let (kind, end) = match inbound.next()? {
                Next::End => return Ok(None),
                Next::Ready(ready) => {
                    let bytes = inbound.bytes(&ready);
                    partial.begin(buf, bytes.len() as u64 + inbound.payload_left());
                    partial.append(bytes)?;
                    (ready.kind, ready.fin)
                }
                Next::Direct(left) => {
                    // First, since the answers to send may be held up.
                    partial.begin(buf, left);
                    inbound.send_queue()?;
                    let room = partial.room(left)?;
                    let Some(chunk) = inbound.read_direct(room, call)? else { continue };
                    partial.add(chunk.len)?;
                    (chunk.kind, chunk.fin)
                }
                Next::Empty => {
                    partial.rest(buf);
                    inbound.send_queue()?;
                    if inbound.refill(partial.capacity() + buf.capacity(), call)? {
                        if partial.is_empty() {
                            partial.clear();
                        }
                        *buf = Vec::new();
                    }
                    continue;
                }
            };
            if end {
                partial.finish(buf);
                return Ok(Some(kind));
            }
        }
    }

    fn chunk(&mut self, out: &mut [u8], call: &mut CallDeadline) -> Result<Option<Chunk>, Error> {
        let Self { inbound, partial, .. } = self;
        partial.uncharge_if_empty();
        if let Some(kind) = inbound.kind()
            && !partial.is_empty()
        {
            // What a `recv` that timed out has gathered comes first.
            let len = partial.take(out);
            return Ok(Some(Chunk { kind, len, fin: false }));
        }
        loop {
            match inbound.next()? {
                Next::End => return Ok(None),
                Next::Ready(ready) => {
                    let bytes = inbound.bytes(&ready);
                    let len = bytes.len().min(out.len());
                    out[..len].copy_from_slice(&bytes[..len]);
                    let whole = len == bytes.len();
                    let chunk = Chunk { kind: ready.kind, len, fin: ready.fin && whole };
                    if !whole {
                        inbound.put_back(ready, len);
                    }
                    return Ok(Some(chunk));
                }
                Next::Direct(left) => {
                    inbound.send_queue()?;
                    let len = usize::try_from(left).map_or(out.len(), |left| left.min(out.len()));
                    if let Some(chunk) = inbound.read_direct(&mut out[..len], call)? {
                        return Ok(Some(chunk));
                    }
                }
                Next::Empty => {
                    inbound.send_queue()?;
                    if inbound.refill(partial.capacity(), call)? {
                        partial.clear();
                    }
                }
            }
        }
    }

    fn failed(&mut self, error: Error) -> Error {
        if error.is_fatal() {
            // First, since the peer is waited for then.
            self.partial.clear();
        }
        self.inbound.failed(error)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if !self.inbound.is_open() {
            return;
        }
        let _ = self.inbound.send_queue();
        self.inbound.leave();
        if !self.chaperoned {
            let code = match thread::panicking() {
                true => CloseCode::INTERNAL_ERROR,
                false => CloseCode::NORMAL,
            };
            self.inbound.shared.finish(CloseAction::Initiate(code, String::new()));
        }
    }
}
