//! Several messages in one system call.

use std::io::IoSlice;
use std::slice;
use std::sync::Arc;

#[cfg(feature = "deflate")]
use crate::connection::compression::with_turn;
use crate::connection::lifecycle::ConnectionShared;
use crate::connection::message::Message;
use crate::connection::sender::backlog::{MAX_BATCH, MAX_COPIED};
use crate::connection::writer::Unit;
use crate::error::Error;
use crate::proto::encoder::FrameHeader;
use crate::proto::frame::MAX_HEADER;
use crate::session::memory::reserve;

/// Frames that are sent together.
struct Gathered<'a> {
    shared: &'a Arc<ConnectionShared>,
    /// Whether we have the turn of a message in fragments.
    unit: Unit,
    bytes: Vec<u8>,
}

/// Sends all of `messages` in their order.
///
/// # Errors
///
/// See [`Sender::send_all`](crate::Sender::send_all).
pub(super) fn send(shared: &Arc<ConnectionShared>, messages: &[Message<'_>]) -> Result<(), Error> {
    let mut gathered = Gathered { shared, unit: Unit::Messages, bytes: Vec::new() };
    shared.server.buffers.get(&mut gathered.bytes);
    let mut messages = messages.iter();
    let mut result = Ok(());
    while result.is_ok() && !messages.as_slice().is_empty() {
        #[cfg(feature = "deflate")]
        if shared.compression().is_some() {
            gathered.unit = Unit::Fragment;
            result = with_turn(&shared.writer, || gathered.send_some(&mut messages));
            if result.is_err() {
                // What the history has of them may not have gone out.
                gathered.give_up();
            }
            continue;
        }
        result = gathered.send_some(&mut messages);
    }
    shared.server.buffers.put(&mut gathered.bytes);
    result
}

impl Gathered<'_> {
    /// Takes messages up to the size of a batch, and sends them.
    fn send_some(&mut self, messages: &mut slice::Iter<'_, Message<'_>>) -> Result<(), Error> {
        for message in messages {
            if !self.add_compressed(message)? {
                let header = FrameHeader::new(true, message.kind().opcode(), message.len());
                self.add(header, message.as_bytes())?;
            }
            if self.bytes.len() >= MAX_BATCH {
                break;
            }
        }
        self.flush(&[], &[])
    }

    #[cfg(not(feature = "deflate"))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with compression")]
    fn add_compressed(&mut self, _: &Message<'_>) -> Result<bool, Error> {
        Ok(false)
    }

    /// Adds a message deflated, if it is shorter so; whether it is.
    #[cfg(feature = "deflate")]
    fn add_compressed(&mut self, message: &Message<'_>) -> Result<bool, Error> {
        let shared = self.shared;
        let Some((compression, buffers)) = shared.compression_of(message.len()) else {
            return Ok(false);
        };
        let added =
            compression.deflated(*message, buffers, |header, payload| self.add(header, payload));
        added.transpose().map(|added| added.is_some())
    }

    /// Adds a frame; a long one goes out at once, behind those before it.
    fn add(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), Error> {
        let header = header.as_bytes();
        let len = MAX_HEADER + payload.len();
        if payload.len() > MAX_COPIED
            || self.bytes.len() + len > MAX_BATCH + MAX_HEADER
            || !reserve(&mut self.bytes, len)
        {
            return self.flush(header, payload);
        }
        self.bytes.extend_from_slice(header);
        self.bytes.extend_from_slice(payload);
        Ok(())
    }

    /// Sends what is there, and a frame behind it.
    fn flush(&mut self, header: &[u8], payload: &[u8]) -> Result<(), Error> {
        let frames = &mut [&self.bytes, header, payload].map(IoSlice::new);
        let len: usize = frames.iter().map(|frame| frame.len()).sum();
        if len == 0 {
            return Ok(());
        }
        let writer = &self.shared.writer;
        let sent = writer.send_within(frames, self.unit, writer.timeout(len as u64));
        self.bytes.clear();
        sent
    }

    #[cfg(feature = "deflate")]
    fn give_up(&self) {
        use crate::proto::CloseCode;
        use crate::session::CloseAction;
        let reason = "a message was left unfinished".to_owned();
        let within = self.shared.server.config.timeouts.close;
        self.shared.close(CloseAction::Abort(CloseCode::INTERNAL_ERROR, reason), within);
    }
}
