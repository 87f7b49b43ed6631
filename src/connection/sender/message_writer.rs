//! A message in fragments, sent as it is written.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem;
use std::sync::Arc;

#[cfg(feature = "deflate")]
use crate::connection::compression::Fragments;
use crate::connection::lifecycle::ConnectionShared;
use crate::connection::sender::pace::Pace;
use crate::connection::sender::sized::{CHUNK, not_utf8};
use crate::connection::writer::Unit;
use crate::error::Error;
use crate::proto::encoder::FrameHeader;
use crate::proto::utf8::Utf8;
use crate::proto::{CloseCode, MessageType, OpCode};
use crate::session::CloseAction;
use crate::session::memory::grow;

/// A fragmented message (§5.4): each `write` sends one fragment.
///
/// Text may be cut anywhere; it is checked as it passes, and what is not UTF-8 is refused before it
/// is sent. A [`BufWriter`](std::io::BufWriter) gathers small writes to larger fragments:
///
/// ```
/// # fn stream(conn: &mut barews::Connection) -> std::io::Result<()> {
/// use std::io::{BufWriter, Write};
///
/// let mut lines = BufWriter::new(conn.writer(barews::MessageType::Text));
/// for number in 0..1000 {
///     writeln!(lines, "line {number}")?;
/// }
/// let message = lines.into_inner().map_err(|error| error.into_error())?;
/// message.finish()?;
/// # Ok(())
/// # }
/// ```
///
/// Where compression was agreed on, each fragment is compressed up to its last byte before it is
/// sent. Small ones gain little then: 200 lines of 28 bytes go out in 4,914 bytes as `writeln!` writes
/// their parts, and in 488 through a `BufWriter`.
///
/// Other messages wait for this one, so do not send any from the thread that writes it.
///
/// All fragments together have the time of one message: the write timeout, and 1 s for each 64 KiB.
///
/// A message that was begun must be [finished](Self::finish): the peer cannot tell a part from
/// the whole. Dropping one half-way ends the connection with 1011.
#[must_use = "a message has to be written and finished"]
pub struct MessageWriter<'a> {
    shared: &'a Arc<ConnectionShared>,
    kind: MessageType,
    utf8: Utf8,
    stage: Stage,
    pace: Pace,
    #[cfg(feature = "deflate")]
    fragments: Fragments,
}

enum Stage {
    /// Another message would not end.
    Refused(Error),
    /// No fragment is sent yet.
    First,
    /// Some are.
    Further,
    /// Some are, and what would follow refers to one that is not.
    #[cfg(feature = "deflate")]
    Broken,
    /// The last one is, or one failed.
    Over,
}

impl<'a> MessageWriter<'a> {
    /// Begins a message, once others are through.
    pub(super) fn begin(shared: &'a Arc<ConnectionShared>, kind: MessageType) -> Self {
        let begun = shared.writer.begin_message();
        Self::at_stage(shared, kind, begun.map_or_else(Stage::Refused, |()| Stage::First))
    }

    /// One whose first call fails, for what was to go before it did.
    pub(crate) fn refused(
        shared: &'a Arc<ConnectionShared>,
        kind: MessageType,
        error: Error,
    ) -> Self {
        Self::at_stage(shared, kind, Stage::Refused(error))
    }

    fn at_stage(shared: &'a Arc<ConnectionShared>, kind: MessageType, stage: Stage) -> Self {
        Self {
            shared,
            kind,
            utf8: Utf8::new(),
            stage,
            pace: Pace::new(shared.writer.timeout(0)),
            #[cfg(feature = "deflate")]
            fragments: Fragments::Undecided,
        }
    }
}

impl MessageWriter<'_> {
    /// Sends the message without compression, see [`Deflate`](crate::Deflate#security). Of no effect
    /// once it has begun.
    #[cfg(feature = "deflate")]
    pub fn uncompressed(mut self) -> Self {
        if let Fragments::Undecided = self.fragments {
            self.fragments = Fragments::Plain;
        }
        self
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// As for [`Sender::send`](crate::Sender::send); [`Error::Io`] with `InvalidData` if text ends inside a character: that
    /// ends the connection with 1011 if fragments have been sent, and else nothing was sent at all.
    pub fn finish(self) -> Result<(), Error> {
        self.finish_with(b"")
    }

    /// Ends the message with a last fragment.
    ///
    /// # Errors
    ///
    /// As for [`finish`](Self::finish), also for text that is not UTF-8.
    pub fn finish_with(mut self, last: &[u8]) -> Result<(), Error> {
        if self.kind == MessageType::Text
            && (self.utf8.feed(last).is_err() || !self.utf8.is_complete())
        {
            return Err(not_utf8().into());
        }
        self.fragment(true, last)
    }

    /// Sends all that can be read from `source`, a fragment for each read of up to 64 KiB, and ends the
    /// message: any length in constant memory. How many bytes that was.
    ///
    /// Others wait for the message, and so for its source.
    ///
    /// ```
    /// # fn download(conn: &mut barews::Connection) -> Result<(), Box<dyn std::error::Error>> {
    /// let file = std::fs::File::open("/etc/hostname")?;
    /// conn.writer(barews::MessageType::Binary).copy_from(file)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`finish`](Self::finish). [`Error::Source`] if `source` fails, or has no UTF-8 for text
    /// (`InvalidData`): that ends the connection with 1011 if fragments have been sent, and else nothing
    /// was sent at all.
    pub fn copy_from(mut self, mut source: impl Read) -> Result<u64, Error> {
        let (mut buf, mut copied) = (Vec::new(), 0);
        if !grow(&mut buf, CHUNK, CHUNK) {
            return Err(Error::Source(ErrorKind::OutOfMemory.into()));
        }
        loop {
            match source.read(&mut buf) {
                Ok(0) if self.kind == MessageType::Text && !self.utf8.is_complete() => {
                    return Err(Error::Source(not_utf8()));
                }
                Ok(0) => return self.finish().map(|()| copied),
                Ok(len) => {
                    let part = &buf[..len];
                    if self.kind == MessageType::Text && self.utf8.feed(part).is_err() {
                        return Err(Error::Source(not_utf8()));
                    }
                    self.fragment(false, part)?;
                    copied += len as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Source(error)),
            }
        }
    }

    fn fragment(&mut self, fin: bool, payload: &[u8]) -> Result<(), Error> {
        let opcode = match mem::replace(&mut self.stage, Stage::Over) {
            Stage::First => self.kind.opcode(),
            Stage::Further => OpCode::Continuation,
            Stage::Over => return Err(Error::Closed),
            #[cfg(feature = "deflate")]
            Stage::Broken => {
                self.stage = Stage::Broken;
                return Err(Error::Closed);
            }
            Stage::Refused(error) => {
                // The turn is another message's, and stays so when this is dropped.
                self.stage = Stage::Refused(Error::Closed);
                return Err(error);
            }
        };
        let result = self.send_fragment(fin, opcode, payload);
        // One that fails leaves a message behind that is begun and not ended.
        if opcode == OpCode::Continuation && result.is_err() || !fin && result.is_ok() {
            self.stage = Stage::Further;
        }
        #[cfg(feature = "deflate")]
        if let (Stage::Further, Fragments::Deflated(_), Err(_)) =
            (&self.stage, &self.fragments, &result)
        {
            self.stage = Stage::Broken;
        }
        result
    }

    #[cfg(not(feature = "deflate"))]
    fn send_fragment(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) -> Result<(), Error> {
        self.send_frame(FrameHeader::new(fin, opcode, payload.len()), payload)
    }

    #[cfg(feature = "deflate")]
    fn send_fragment(&mut self, fin: bool, opcode: OpCode, payload: &[u8]) -> Result<(), Error> {
        let plain = |writer: &mut Self| {
            writer.send_frame(FrameHeader::new(fin, opcode, payload.len()), payload)
        };
        let shared = self.shared;
        let Some(compression) = shared.compression() else { return plain(self) };
        let mut fragments = mem::replace(&mut self.fragments, Fragments::Plain);
        let (part, buffers) = ((fin, opcode), &shared.server.buffers);
        let send = |header, payload: &[u8]| self.send_frame(header, payload);
        let sent = fragments.deflated(compression, buffers, part, payload, send);
        self.fragments = fragments;
        sent.unwrap_or_else(|| plain(self))
    }

    fn send_frame(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Error> {
        let mut frame = [IoSlice::new(header.as_bytes()), IoSlice::new(payload)];
        let writer = &self.shared.writer;
        let send = |within| writer.send_within(&mut frame, Unit::Fragment, within);
        self.pace.send(payload.len(), send)
    }
}

impl Write for MessageWriter<'_> {
    /// Sends `buf` as one fragment; an empty one is not sent.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.kind == MessageType::Text {
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

impl fmt::Debug for MessageWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_begun = !matches!(self.stage, Stage::First | Stage::Refused(_));
        f.debug_struct("MessageWriter")
            .field("kind", &self.kind)
            .field("has_begun", &has_begun)
            .finish_non_exhaustive()
    }
}

impl Drop for MessageWriter<'_> {
    fn drop(&mut self) {
        let is_unfinished = match self.stage {
            Stage::Further => true,
            #[cfg(feature = "deflate")]
            Stage::Broken => true,
            // It waits for another, or has ended.
            Stage::Refused(_) => return,
            Stage::First | Stage::Over => false,
        };
        if is_unfinished {
            let reason = "a message was left unfinished".to_owned();
            let within = self.shared.server.config.timeouts.close;
            self.shared.close(CloseAction::Abort(CloseCode::INTERNAL_ERROR, reason), within);
        }
        self.shared.writer.end_message();
    }
}
