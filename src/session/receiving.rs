//! The receiving side of an open connection, without its stream: bytes go in; messages or parts of
//! them, and what control frames say, come out (§5, §6.2).
//!
//! Whoever reads the stream feeds a [`Receiving`] until it needs more, answers what it is told to
//! answer, and asks the [timers](ReadTimers), which are told what has come, how long to wait for the
//! next bytes.
//!
//! ```text
//!   feed ────────▶ Decoder ─┬─▶ data ──────────────────────▶ the target ─┐ charged to the
//!   next_message ─▶         ├─▶ compressed data ─▶ inflation ─▶ the target ┘ budget, or 1013
//!                           └─▶ Ping: a Pong; Pong; Close: its answer, while closing may_send
//! ```
//!
//! Input that was not used must come again, unchanged and first: what is decoded is unmasked in place,
//! and may have found no room in its target yet.

use crate::proto::{Decoder, DecoderLimits, Event, MessageType};
use crate::session::assembler::{MessageAssembler, Target};
#[cfg(feature = "deflate")]
use crate::session::inflation::{Inflated, Inflation};
use crate::session::timers::ReadTimers;

mod error;
mod next;

pub use error::ReceiveError;
pub use next::{Next, Place};

/// See the [module](self).
#[derive(Debug)]
pub struct Receiving {
    decoder: Decoder,
    /// What inflates messages, if compression was agreed on.
    #[cfg(feature = "deflate")]
    inflation: Option<Box<Inflation>>,
    /// What the next bytes are, if the decoder has seen them.
    ready: Option<Ready>,
    /// Payload bytes of the message under way that have come.
    received: u64,
}

/// A part of a message at the start of the input, unmasked; its last one with `fin`.
#[derive(Debug, Clone, Copy)]
struct Ready {
    kind: MessageType,
    len: usize,
    fin: bool,
    /// Whether it is yet to be inflated, and to be checked then.
    #[cfg(feature = "deflate")]
    is_compressed: bool,
}

/// How much of a message is put together at once, in bytes: a few may be inflated to many times as many.
const MAX_MADE: usize = 512 << 10;

impl Receiving {
    /// The state of a connection that was just opened.
    #[must_use]
    pub fn new(limits: DecoderLimits) -> Self {
        Self {
            decoder: Decoder::new(limits),
            #[cfg(feature = "deflate")]
            inflation: None,
            ready: None,
            received: 0,
        }
    }

    /// The same where compression was agreed on.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn with_inflation(limits: DecoderLimits, inflation: Box<Inflation>) -> Self {
        let decoder = Decoder::new(limits).with_compression();
        Self { decoder, inflation: Some(inflation), ..Self::new(limits) }
    }

    /// Takes bytes, puts what they hold of a message into `target`, and returns how many were used
    /// and what they mean: [`Event::Data`] is what was put there, which may be nothing.
    ///
    /// # Errors
    ///
    /// [`ReceiveError`], and nothing more can be received.
    #[inline]
    pub fn feed(
        &mut self,
        timers: &mut ReadTimers,
        input: &mut [u8],
        target: &mut Target<'_>,
    ) -> Result<(usize, Event), ReceiveError> {
        let (start, ready) = match self.ready.take() {
            Some(ready) => (0, ready),
            None => match self.decode(timers, input)? {
                (used, Decoded::Part(ready)) => (used - ready.len, ready),
                (used, Decoded::Other(event)) => return Ok((used, event)),
            },
        };
        let (used, event) = self.take(ready, &input[start..start + ready.len], target)?;
        Ok((start + used, event))
    }

    /// Takes bytes as far as the end of a whole message or a control frame, and returns how many were
    /// used and what they mean. A message that lies whole in the input stays there; any other is put
    /// together in `buf`.
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed).
    #[inline]
    pub fn next_message(
        &mut self,
        timers: &mut ReadTimers,
        input: &mut [u8],
        assembler: &mut MessageAssembler,
        buf: &mut Vec<u8>,
    ) -> Result<(usize, Next), ReceiveError> {
        let (mut used, mut made) = (0, 0);
        loop {
            let (more, decoded) = match self.ready.take() {
                Some(ready) => (ready.len, Decoded::Part(ready)),
                None => self.decode(timers, &mut input[used..])?,
            };
            used += more;
            let ready = match decoded {
                Decoded::Part(ready) => ready,
                Decoded::Other(event) => return Ok((used, Next::of(event))),
            };
            if ready.fin && !ready.is_compressed() && assembler.is_empty() {
                return Ok((used, Next::Message(ready.kind, Place::Input(used - ready.len..used))));
            }
            let target = &mut Target::Message(assembler, buf);
            let start = used - ready.len;
            let (taken, event) = self.take(ready, &input[start..used], target)?;
            used = start + taken;
            let Event::Data { kind, len, fin } = event else { continue };
            if fin {
                let start = assembler.finish(buf);
                return Ok((used, Next::Message(kind, Place::Buffer(start))));
            }
            made += len;
            if made >= MAX_MADE {
                return Ok((used, Next::Yield));
            }
        }
    }

    /// The same where messages are thrown away: they take no memory, however long they are.
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed).
    pub fn next_control(
        &mut self,
        timers: &mut ReadTimers,
        input: &mut [u8],
        assembler: &mut MessageAssembler,
    ) -> Result<(usize, Next), ReceiveError> {
        let (mut used, mut made, mut sink) = (0, 0, [0; 4096]);
        // With what had come of one before.
        assembler.clear();
        while made < MAX_MADE {
            let target = &mut Target::Slice(assembler, &mut sink);
            let (more, event) = self.feed(timers, &mut input[used..], target)?;
            used += more;
            let Event::Data { len, .. } = event else { return Ok((used, Next::of(event))) };
            made += len;
        }
        Ok((used, Next::Yield))
    }

    /// Takes an unfragmented message that lies complete at the start of `input` into `out`, as
    /// [`Decoder::decode_message`] does.
    #[inline(always)]
    pub fn take_whole(
        &mut self,
        timers: &mut ReadTimers,
        input: &[u8],
        most: usize,
        out: &mut Vec<u8>,
    ) -> Option<(usize, MessageType)> {
        if self.ready.is_some() {
            return None;
        }
        let taken = self.decoder.decode_message(input, most, out)?;
        // Nothing was under way, so no count of it runs.
        debug_assert_eq!(self.received, 0);
        timers.message_received();
        Some(taken)
    }

    /// Whether nothing of a frame or a message has come that is not over, so that another connection can
    /// go on with it: its [limits](Self::set_limits) are all that it has of this one. Never, where compression was agreed on.
    #[must_use]
    #[inline]
    pub fn is_vacant(&self) -> bool {
        #[cfg(feature = "deflate")]
        if self.inflation.is_some() {
            return false;
        }
        self.decoder.is_vacant() && self.ready.is_none()
    }

    /// Other limits, where it is [vacant](Self::is_vacant).
    pub fn set_limits(&mut self, limits: DecoderLimits) {
        self.decoder.set_limits(limits);
    }

    /// Takes bytes of the payload under way that were read to where they belong, or `gap` bytes behind
    /// that, and are moved there; the type of the message, and whether it ends with them. There are no
    /// more of them than [`payload_left`](Self::payload_left), and some.
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed).
    pub fn take_direct(
        &mut self,
        timers: &mut ReadTimers,
        bytes: &mut [u8],
        gap: usize,
    ) -> Result<(MessageType, bool), ReceiveError> {
        let len = bytes.len() - gap;
        let event = self.decoder.feed_behind(bytes, gap)?;
        match self.count(timers, (len, event)) {
            (_, Decoded::Part(Ready { kind, fin, .. })) => Ok((kind, fin)),
            (_, Decoded::Other(_)) => unreachable!("inside a payload"),
        }
    }

    /// How many bytes of a message's payload come next, before any other header, and may be
    /// [taken directly](Self::take_direct).
    #[must_use]
    #[inline]
    pub fn payload_left(&self) -> u64 {
        self.decoder.payload_left()
    }

    /// The payload of the control frame that was last reported.
    #[must_use]
    #[inline]
    pub fn control(&self) -> &[u8] {
        self.decoder.control()
    }

    /// The type of the message under way, if one is.
    #[must_use]
    pub fn message_kind(&self) -> Option<MessageType> {
        self.decoder.message_kind()
    }

    /// Payload bytes that have come of what the peer has begun, if it has begun anything.
    #[must_use]
    #[inline]
    pub fn unfinished(&self) -> Option<u64> {
        self.decoder.is_unfinished().then_some(self.received)
    }

    /// Whether a part is left to be taken, even if no input is.
    #[must_use]
    #[inline]
    pub fn has_part(&self) -> bool {
        self.ready.is_some()
    }

    /// Nothing more is received: gives memory back.
    pub fn end(&mut self) {
        self.ready = None;
        #[cfg(feature = "deflate")]
        {
            self.inflation = None;
        }
    }

    /// Decodes the next bytes.
    #[inline(always)]
    fn decode(
        &mut self,
        timers: &mut ReadTimers,
        input: &mut [u8],
    ) -> Result<(usize, Decoded), ReceiveError> {
        let fed = self.decoder.feed(input)?;
        Ok(self.count(timers, fed))
    }

    /// Counts what has come.
    #[inline(always)]
    fn count(
        &mut self,
        timers: &mut ReadTimers,
        (used, event): (usize, Event),
    ) -> (usize, Decoded) {
        let ready = match event {
            Event::Data { kind, len, fin } => Ready::plain(kind, len, fin),
            #[cfg(feature = "deflate")]
            Event::Compressed { kind, len, fin } => Ready::compressed(kind, len, fin),
            Event::NeedMore | Event::Close(_) => return (used, Decoded::Other(event)),
            Event::Ping | Event::Pong => {
                if self.decoder.message_kind().is_none() {
                    timers.message_ended();
                }
                return (used, Decoded::Other(event));
            }
        };
        timers.message_received();
        self.received += ready.len as u64;
        if ready.fin {
            self.received = 0;
            timers.message_ended();
        }
        (used, Decoded::Part(ready))
    }

    /// Puts a part into the target, as far as there is room for it.
    #[inline]
    fn take(
        &mut self,
        ready: Ready,
        bytes: &[u8],
        target: &mut Target<'_>,
    ) -> Result<(usize, Event), ReceiveError> {
        let Ready { kind, fin, .. } = ready;
        #[cfg(feature = "deflate")]
        if let Some(inflation) = self.inflation.as_mut().filter(|_| ready.is_compressed) {
            let Inflated { used, len, done } = inflation.feed(kind, bytes, fin, target)?;
            if !done {
                self.ready = Some(Ready { len: bytes.len() - used, ..ready });
            }
            return Ok((used, Event::Data { kind, len, fin: fin && done }));
        }
        let len = target.put(bytes, self.decoder.payload_left())?;
        let is_whole = len == bytes.len();
        if !is_whole {
            self.ready = Some(Ready { len: bytes.len() - len, ..ready });
        }
        Ok((len, Event::Data { kind, len, fin: fin && is_whole }))
    }
}

/// What the decoder has made of bytes.
enum Decoded {
    Part(Ready),
    /// Neither [`Event::Data`] nor what is compressed.
    Other(Event),
}

impl Ready {
    /// One that is good as it is.
    #[inline]
    const fn plain(kind: MessageType, len: usize, fin: bool) -> Self {
        Self {
            kind,
            len,
            fin,
            #[cfg(feature = "deflate")]
            is_compressed: false,
        }
    }

    #[cfg(feature = "deflate")]
    const fn compressed(kind: MessageType, len: usize, fin: bool) -> Self {
        Self { kind, len, fin, is_compressed: true }
    }

    #[inline]
    const fn is_compressed(&self) -> bool {
        #[cfg(feature = "deflate")]
        return self.is_compressed;
        #[cfg(not(feature = "deflate"))]
        false
    }
}

#[cfg(test)]
mod tests;
