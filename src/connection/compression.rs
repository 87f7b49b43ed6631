//! Messages that are sent compressed (RFC 7692).
//!
//! What is deflated refers to what was deflated before it, so the order of deflating has to be the
//! order on the wire. Whoever sends beside others takes the turn of a message in fragments first: it
//! holds up other messages, and no control frame. A [`Connection`](crate::Connection) has its queue
//! instead, and nobody beside it.

use std::io::{ErrorKind, IoSlice};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connection::buffer_pool::BufferPool;
use crate::connection::message::Message;
use crate::connection::owned_message::OwnedMessage;
use crate::connection::writer::{Unit, Writer};
use crate::error::Error;
use crate::http::DeflateParams;
use crate::io::stream::Sink;
use crate::proto::OpCode;
use crate::proto::encoder::FrameHeader;
use crate::session::deflation::{DeflatedMessage, Deflation};

/// What a connection has agreed on, and what it sends with.
#[derive(Debug)]
pub(crate) struct Compression {
    params: DeflateParams,
    /// How long a message must be to be compressed, in bytes.
    threshold: usize,
    /// The same for one that is compressed once for many connections.
    threshold_alone: usize,
    deflation: Mutex<Box<Deflation>>,
}

/// A message in fragments, as far as it is compressed.
#[derive(Debug)]
pub(super) enum Fragments {
    /// It has not begun.
    Undecided,
    /// It is sent as it is.
    Plain,
    Deflated(DeflatedMessage),
}

/// Sends a frame of this header and this payload.
type Send<'a> = dyn Fn(FrameHeader, &[u8]) -> Result<(), Error> + 'a;

/// The turn of a message, which ends when this is dropped.
struct Turn<'a, S: Sink>(&'a Writer<S>);

impl Compression {
    pub(crate) fn new(params: DeflateParams, deflation: Box<Deflation>) -> Self {
        Self {
            params,
            threshold: deflation.threshold(),
            threshold_alone: deflation.threshold_alone(),
            deflation: Mutex::new(deflation),
        }
    }

    pub(super) fn params(&self) -> &DeflateParams {
        &self.params
    }

    /// Whether a message of `len` bytes is worth the trouble.
    pub(super) fn is_worth(&self, len: usize) -> bool {
        len >= self.threshold
    }

    /// Deflates a message, and has it sent or queued with this header. `None` if it is shorter as it is.
    pub(crate) fn deflated(
        &self,
        message: Message<'_>,
        buffers: &BufferPool,
        send: impl FnOnce(FrameHeader, &[u8]) -> Result<(), Error>,
    ) -> Option<Result<(), Error>> {
        let mut deflation = self.lock();
        let mut payload = Vec::new();
        buffers.get(&mut payload);
        // The charge for the payload ends with it.
        let sent = deflation.deflate(message.as_bytes(), &mut payload).map(|_charge| {
            let header = FrameHeader::new(true, message.kind().opcode(), payload.len());
            send(header.compressed(), &payload)
        });
        if let Some(Ok(())) = sent {
            deflation.sent(message.as_bytes(), payload.len());
        }
        buffers.put(&mut payload);
        sent
    }

    /// Begins a message that is deflated in parts by one who has the right to write, if there is memory
    /// for it.
    #[cfg(feature = "event-loop")]
    pub(crate) fn begin(&self) -> Option<DeflatedMessage> {
        self.lock().begin()
    }

    /// It goes out next, deflated to `len` bytes.
    #[cfg(feature = "event-loop")]
    pub(crate) fn sent(&self, message: &[u8], len: usize) {
        self.lock().sent(message, len);
    }

    /// Sends the message of one of many senders, deflated if it is shorter so.
    ///
    /// # Errors
    ///
    /// As for [`Writer::send`].
    pub(super) fn send<S: Sink>(
        &self,
        message: Message<'_>,
        buffers: &BufferPool,
        writer: &Writer<S>,
    ) -> Result<(), Error> {
        in_turn(writer, message, |send| self.deflated(message, buffers, send))
    }

    /// The same for a message for many connections, which is deflated once. One that is too short for
    /// that may still refer to what this connection has sent before.
    ///
    /// # Errors
    ///
    /// As for [`Writer::send`].
    pub(super) fn send_owned<S: Sink>(
        &self,
        message: &OwnedMessage,
        buffers: &BufferPool,
        writer: &Writer<S>,
    ) -> Result<(), Error> {
        in_turn(writer, message.message(), |send| self.deflated_owned(message, buffers, send))
    }

    /// Deflates a message for many connections, unless it is, and has it sent or put where nothing can
    /// come before it. `None` if it is shorter as it is.
    pub(super) fn deflated_owned(
        &self,
        message: &OwnedMessage,
        buffers: &BufferPool,
        mut send: impl FnMut(FrameHeader, &[u8]) -> Result<(), Error>,
    ) -> Option<Result<(), Error>> {
        if message.len() < self.threshold_alone {
            return self.deflated(message.message(), buffers, send);
        }
        let mut deflation = self.lock();
        let deflate = |payload: &[u8]| deflation.deflate_alone(payload);
        let Some(payload) = message.deflated(deflation.window_bits(), deflate) else {
            drop(deflation);
            return self.deflated(message.message(), buffers, send);
        };
        let payload = payload?;
        let header = FrameHeader::new(true, message.kind().opcode(), payload.len());
        let sent = send(header.compressed(), payload);
        if sent.is_ok() {
            deflation.sent(message.as_bytes(), payload.len());
        }
        Some(sent)
    }

    /// It stays whole whatever panics: a message that was not sent is not part of the history.
    fn lock(&self) -> MutexGuard<'_, Box<Deflation>> {
        self.deflation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the turn of a message, and has it sent: compressed as `send_compressed` does, or as it is if
/// that has nothing to send.
fn in_turn<S: Sink>(
    writer: &Writer<S>,
    message: Message<'_>,
    send_compressed: impl FnOnce(&Send<'_>) -> Option<Result<(), Error>>,
) -> Result<(), Error> {
    let send = |header: FrameHeader, payload: &[u8]| {
        let within = writer.timeout(payload.len() as u64);
        let frame = &mut [header.as_bytes(), payload].map(IoSlice::new);
        writer.send_within(frame, Unit::Fragment, within)
    };
    with_turn(writer, || {
        send_compressed(&send).unwrap_or_else(|| {
            let header = FrameHeader::new(true, message.kind().opcode(), message.len());
            send(header, message.as_bytes())
        })
    })
}

/// Takes the turn of a message for as long as `send` takes.
pub(super) fn with_turn<S: Sink>(
    writer: &Writer<S>,
    send: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    writer.begin_message()?;
    let _turn = Turn(writer);
    send()
}

impl Fragments {
    /// Deflates a fragment of a message that has the turn, and has it sent. `None` if it is to be sent
    /// as it is.
    pub(super) fn deflated(
        &mut self,
        compression: &Compression,
        buffers: &BufferPool,
        (fin, opcode): (bool, OpCode),
        fragment: &[u8],
        send: impl FnOnce(FrameHeader, &[u8]) -> Result<(), Error>,
    ) -> Option<Result<(), Error>> {
        if let Self::Undecided = self {
            *self = compression.lock().begin().map_or(Self::Plain, Self::Deflated);
        }
        let Self::Deflated(message) = self else { return None };
        let mut payload = Vec::new();
        buffers.get(&mut payload);
        let deflated = message.fragment(fragment, fin, &mut payload);
        let sent = deflated.map_err(|_| Error::Io(ErrorKind::OutOfMemory.into())).and_then(|()| {
            let header = FrameHeader::new(fin, opcode, payload.len());
            // RFC 7692 §6.1: on the first fragment alone.
            let is_first = opcode != OpCode::Continuation;
            send(if is_first { header.compressed() } else { header }, &payload)
        });
        if sent.is_ok() {
            compression.lock().sent(fragment, payload.len());
        }
        buffers.put(&mut payload);
        Some(sent)
    }
}

impl<S: Sink> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        self.0.end_message();
    }
}
