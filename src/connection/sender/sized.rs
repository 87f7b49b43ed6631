//! A message of known length in one frame, from whatever can be read.

use std::io::{self, ErrorKind, IoSlice, Read};
use std::sync::Arc;

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::sender::pace::Pace;
use crate::error::Error;
use crate::io::stream::Sink;
use crate::proto::MessageType;
use crate::proto::encoder::FrameHeader;
use crate::proto::utf8::Utf8;
use crate::session::memory::grow;

/// How much is read before it is written, in bytes.
pub(super) const CHUNK: usize = 64 << 10;

/// What is to be sent.
struct Source<'a> {
    source: &'a mut dyn Read,
    /// How many bytes of it are still to come.
    left: u64,
    /// For text.
    utf8: Option<Utf8>,
}

/// Sends so many bytes of `source` in one frame.
///
/// # Errors
///
/// See [`Sender::send_sized`](crate::Sender::send_sized).
pub(super) fn send(
    shared: &Arc<ConnectionShared>,
    kind: MessageType,
    len: u64,
    source: &mut dyn Read,
) -> Result<(), Error> {
    // §5.2: the most significant bit must be 0.
    if len > i64::MAX as u64 {
        let error = io::Error::new(ErrorKind::InvalidInput, "no frame is as long");
        return Err(Error::Source(error));
    }
    let utf8 = (kind == MessageType::Text).then(Utf8::new);
    let mut source = Source { source, left: len, utf8 };
    let (mut buf, size) = (Vec::new(), usize::try_from(len).map_or(CHUNK, |len| len.min(CHUNK)));
    if !grow(&mut buf, size, size) {
        return Err(Error::Source(ErrorKind::OutOfMemory.into()));
    }
    // Before anybody has to wait for it, and before there is a frame to finish.
    let mut chunk = source.next(&mut buf).map_err(Error::Source)?;
    let header = FrameHeader::with_len(true, kind.opcode(), len);
    let mut header = header.as_bytes();
    let writer = &shared.writer;
    let guard = writer.acquire()?;
    let mut pace = Pace::new(writer.timeout(0));
    loop {
        let frame = &mut [IoSlice::new(header), IoSlice::new(&buf[..chunk])];
        let sent = pace.send(chunk, |within| shared.stream().write_all(frame, within));
        if sent.is_err() || source.left == 0 {
            return writer.release(guard, sent);
        }
        header = b"";
        chunk = match source.next(&mut buf) {
            Ok(len) => len,
            Err(error) => {
                // The peer would take a Close for more of the payload.
                let _ = writer.release(guard, Err(ErrorKind::InvalidData.into()));
                return Err(Error::Source(error));
            }
        };
    }
}

impl Source<'_> {
    /// Reads the next bytes, as many as there is room for or are left.
    fn next(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = usize::try_from(self.left).map_or(buf.len(), |left| left.min(buf.len()));
        let chunk = &mut buf[..len];
        self.source.read_exact(chunk)?;
        self.left -= len as u64;
        if let Some(utf8) = &mut self.utf8
            && (utf8.feed(chunk).is_err() || (self.left == 0 && !utf8.is_complete()))
        {
            return Err(not_utf8());
        }
        Ok(len)
    }
}

/// What is to be sent as text is none.
pub(super) fn not_utf8() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "the text is not UTF-8")
}
