//! A message as a stream of bytes: the twin of the writer that sends one in fragments.
//!
//! It is `recv_chunk` for whoever takes an [`io::Read`]. The type of a message must be known before it
//! is read, so its first byte is asked for, and kept until then.

use std::fmt;
use std::io::{self, ErrorKind, Read};

use crate::connection::receiver::Receiver;
use crate::error::Error;
use crate::proto::MessageType;

/// A message that is received as it is read: any size in constant memory. From
/// [`Connection::reader`](crate::Connection::reader).
///
/// It ends where the message does. Text may be cut anywhere; it is checked as it passes.
///
/// The errors of its reads are those of [`recv_chunk`](crate::Connection::recv_chunk), as the
/// [`io::Error`] that [`Error`] becomes. [`TimedOut`](ErrorKind::TimedOut), where a
/// [timeout](crate::Connection::set_recv_timeout) is set, may mean that one: then nothing is lost, and it
/// may be read on. [`UnexpectedEof`](ErrorKind::UnexpectedEof) is a message that will never end: the peer
/// has closed, or is gone.
pub struct MessageReader<'a> {
    receiver: &'a mut Receiver,
    kind: MessageType,
    /// The first byte, until it is read.
    first: Option<u8>,
    /// Whether the end has been received.
    fin: bool,
}

impl Receiver {
    /// Waits for the next message, to be received as it is read, see
    /// [`Connection::reader`](crate::Connection::reader).
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn reader(&mut self) -> Result<Option<MessageReader<'_>>, Error> {
        if self.is_partly_read() && !self.skip_message()? {
            return Ok(None);
        }
        let mut first = [0];
        let Some(chunk) = self.recv_chunk(&mut first)? else { return Ok(None) };
        let first = (chunk.len > 0).then_some(first[0]);
        Ok(Some(MessageReader { receiver: self, kind: chunk.kind, first, fin: chunk.fin }))
    }

    /// Throws away the rest of a message; `false` is the end. In a stack frame of its own, which is gone
    /// when the next message is waited for.
    #[inline(never)]
    fn skip_message(&mut self) -> Result<bool, Error> {
        let mut sink = [0; 4096];
        while self.is_partly_read() {
            if self.recv_chunk(&mut sink)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl MessageReader<'_> {
    /// The type of the message.
    #[must_use]
    pub fn kind(&self) -> MessageType {
        self.kind
    }
}

impl Read for MessageReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(start) = buf.first_mut() else { return Ok(0) };
        if let Some(first) = self.first.take() {
            *start = first;
            return Ok(1);
        }
        while !self.fin {
            let Some(chunk) = self.receiver.recv_chunk(buf)? else {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, Error::Closed));
            };
            self.fin = chunk.fin;
            if chunk.len > 0 {
                return Ok(chunk.len);
            }
        }
        Ok(0)
    }
}

impl fmt::Debug for MessageReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader").field("kind", &self.kind).finish_non_exhaustive()
    }
}
