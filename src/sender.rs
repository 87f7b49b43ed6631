//! The sending half of a connection.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::{Arc, MutexGuard, PoisonError};

use crate::error::Error;
use crate::message::Message;
use crate::proto::frame::MAX_CONTROL;
use crate::proto::utf8::Utf8;
use crate::proto::{CloseCode, Kind, OpCode, send};
use crate::shared::{LastWord, Shared};

/// The sending half of a connection, from [`Connection::split`](crate::Connection::split).
///
/// Clones send on the same connection, from any thread and at the same time: each message goes
/// out whole, and frames never mix. A call blocks while the peer does not read, until the write
/// deadline ends the connection. Dropping a `Sender` closes nothing.
#[derive(Clone)]
pub struct Sender {
    pub(crate) shared: Arc<Shared>,
}

impl Sender {
    /// Sends a message in one frame (§5.6).
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] once the closing handshake has begun; [`Error::Expired`] or
    /// [`Error::Io`] if the stream failed, and the connection is over.
    pub fn send<'a>(&self, message: impl Into<Message<'a>>) -> Result<(), Error> {
        let message = message.into();
        let head = send::Head::new(true, message.kind().opcode(), message.len());
        let _whole = self.lock_message();
        let mut frame = [IoSlice::new(head.as_bytes()), IoSlice::new(message.as_bytes())];
        self.shared.transmit(&mut frame)
    }

    /// A message that is sent in fragments as it is written (§5.4): for one whose length is not
    /// known yet, or that is not in memory. Other messages wait until it is finished; control
    /// frames do not.
    pub fn writer(&self, kind: Kind) -> MessageWriter<'_> {
        MessageWriter {
            shared: &self.shared,
            _whole: self.lock_message(),
            kind,
            utf8: Utf8::new(),
            stage: Stage::First,
        }
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
        if self.shared.is_closing() {
            return Err(Error::Closed);
        }
        let mut frame = Vec::new();
        send::ping(payload, &mut frame);
        self.shared.post(&frame);
        Ok(())
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
        let within = self.shared.context.config.timeouts.write;
        self.shared.close(LastWord::Start(code, reason.to_owned()), within);
        Ok(())
    }

    fn lock_message(&self) -> MutexGuard<'_, ()> {
        self.shared.message.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that goes out in fragments, each `write` one fragment.
///
/// Wrap it in a [`BufWriter`](std::io::BufWriter) to gather small writes. Text may be cut
/// anywhere; it is checked as it passes, and what is not UTF-8 is refused before it is sent.
///
/// Other messages wait for this one, so do not send any from the thread that writes it.
///
/// A message that was begun must be [finished](Self::finish): the peer cannot tell a part from
/// the whole. Dropping one half-way ends the connection with 1011.
#[must_use = "a message has to be written and finished"]
pub struct MessageWriter<'a> {
    shared: &'a Shared,
    _whole: MutexGuard<'a, ()>,
    kind: Kind,
    utf8: Utf8,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No fragment is sent yet.
    First,
    /// Some are.
    Further,
    /// The last one is, or one failed.
    Over,
}

impl MessageWriter<'_> {
    /// Ends the message.
    ///
    /// # Errors
    ///
    /// As for [`Sender::send`]; [`Error::Io`] with `InvalidData` if text ends inside a character,
    /// which ends the connection with 1011.
    pub fn finish(self) -> Result<(), Error> {
        self.finish_with(b"")
    }

    /// Ends the message with a last fragment.
    ///
    /// # Errors
    ///
    /// As for [`finish`](Self::finish), also for text that is not UTF-8.
    pub fn finish_with(mut self, last: &[u8]) -> Result<(), Error> {
        if self.kind == Kind::Text && (self.utf8.feed(last).is_err() || !self.utf8.is_complete()) {
            return Err(not_utf8().into());
        }
        self.fragment(true, last)
    }

    fn fragment(&mut self, fin: bool, payload: &[u8]) -> Result<(), Error> {
        let opcode = match self.stage {
            Stage::First => self.kind.opcode(),
            Stage::Further => OpCode::Continuation,
            Stage::Over => return Err(Error::Closed),
        };
        let head = send::Head::new(fin, opcode, payload.len());
        let mut frame = [IoSlice::new(head.as_bytes()), IoSlice::new(payload)];
        let result = self.shared.transmit(&mut frame);
        self.stage = match result {
            Ok(()) if !fin => Stage::Further,
            _ => Stage::Over,
        };
        result
    }
}

impl Write for MessageWriter<'_> {
    /// Sends `buf` as one fragment; an empty one is not sent.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.kind == Kind::Text {
            self.utf8.feed(buf).map_err(|_| not_utf8())?;
        }
        self.fragment(false, buf)?;
        Ok(buf.len())
    }

    /// Does nothing: fragments are sent as they are written.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        if self.stage == Stage::Further {
            let reason = "a message was left unfinished".to_owned();
            let within = self.shared.context.config.timeouts.close;
            self.shared.close(LastWord::Fail(CloseCode::INTERNAL_ERROR, reason), within);
        }
    }
}

fn not_utf8() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the text is not UTF-8")
}
