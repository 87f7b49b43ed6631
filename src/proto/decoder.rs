//! From bytes to events: the receiving half of the protocol.
//!
//! [`Decoder::feed`] takes bytes as they come from the client, unmasks them in place, and returns
//! what they mean; bytes may be cut anywhere and the events are the same. A header is judged as a
//! whole before a byte of its payload is looked at; text is checked as it arrives. Payloads of
//! messages are not stored, so a message of any size takes the same memory.
//!
//! ```text
//!           +------------ an empty fragment, or a frame's last byte --------------+
//!           v                                                                     |
//!   State::Header -- a header that keeps the rules --> State::Payload ------------+
//!           |                                              |
//!           +------------- a rule is broken ---------------+-- a Close --> State::Closed
//!                                 v
//!                           State::Failed
//! ```

use super::close::CloseFrame;
use super::error::ProtocolError;
use super::event::{Event, MessageType};
use super::frame::{Header, MAX_CONTROL, MAX_HEADER, OpCode};
use super::mask;
use super::message_state::{DecoderLimits, MessageState};
#[cfg(feature = "deflate")]
use super::rsv1::Rsv1;
use super::utf8::is_text;

mod payload;

use payload::{Frame, Unfragmented};

/// The receiving half of a server's connection, without any I/O.
#[derive(Debug)]
pub struct Decoder {
    limits: DecoderLimits,
    state: State,
    /// The frame whose payload is arriving, in [`State::Payload`].
    frame: Frame,
    /// The first bytes of a header that is not complete, `header_len` of them.
    header: [u8; MAX_HEADER],
    /// 0 to 13.
    header_len: u8,
    message: MessageState,
    /// The payload of the last control frame, as far as it has come: 0 to 125 bytes, with memory
    /// for as many from the first one that has any.
    control: Vec<u8>,
    #[cfg(feature = "deflate")]
    rsv1: Rsv1,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A header comes next.
    Header,
    /// A payload comes next, or the rest of one.
    Payload,
    /// A Close was received: nothing that follows counts (§5.5.1).
    Closed,
    /// A rule was broken: nothing that follows is looked at (§7.1.7).
    Failed(ProtocolError),
}

impl Decoder {
    /// The state of a connection that was just opened.
    #[must_use]
    pub const fn new(limits: DecoderLimits) -> Self {
        Self {
            limits: limits.in_bounds(),
            state: State::Header,
            frame: Frame::NONE,
            header: [0; MAX_HEADER],
            header_len: 0,
            message: MessageState::NONE,
            control: Vec::new(),
            #[cfg(feature = "deflate")]
            rsv1: Rsv1::REFUSED,
        }
    }

    /// The peer may compress messages: RSV1 on the first frame of one says that it did (RFC 7692 §6).
    /// What comes of these is [`Event::Compressed`].
    #[cfg(feature = "deflate")]
    #[must_use]
    pub const fn with_compression(mut self) -> Self {
        self.rsv1 = Rsv1::ALLOWED;
        self
    }

    /// Takes bytes from the client, in the order they came, and returns how many were used and
    /// what they mean. Call again with the rest until the answer is [`Event::NeedMore`].
    ///
    /// # Errors
    ///
    /// The rule that was broken; every later call gives the same error.
    #[inline]
    pub fn feed(&mut self, input: &mut [u8]) -> Result<(usize, Event), ProtocolError> {
        self.decode_next(input).inspect_err(|&error| self.state = State::Failed(error))
    }

    /// Takes payload that was read behind a gap: from byte `gap` of `input` to its end lie the next bytes
    /// of a message's payload. Unmasks them into the start of `input`; else as [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// As for [`feed`](Self::feed).
    ///
    /// # Panics
    ///
    /// If there are none, or more than [`payload_left`](Self::payload_left).
    pub fn feed_behind(&mut self, input: &mut [u8], gap: usize) -> Result<Event, ProtocolError> {
        let len = (input.len() - gap) as u64;
        assert!(0 < len && len <= self.payload_left(), "it is no payload");
        let fed = self.decode_data(input, gap);
        Ok(fed.inspect_err(|&error| self.state = State::Failed(error))?.1)
    }

    /// Decodes an unfragmented message of at most `most` bytes, or as many as `out` has memory for, that
    /// lies complete at the start of `input`: unmasks it into `out`, whose contents it replaces, and
    /// returns how many bytes of `input` it took, and its type. `None` if there is no such message, or it
    /// breaks a rule; nothing was used then, and [`feed`](Self::feed) tells which.
    ///
    /// Most messages arrive like this, and need no state between their first byte and their last.
    #[inline]
    pub fn decode_message(
        &self,
        input: &[u8],
        most: usize,
        out: &mut Vec<u8>,
    ) -> Option<(usize, MessageType)> {
        let fits = |len| len <= most || len <= out.capacity();
        let message = self.unfragmented(input).filter(|message| fits(message.payload.len()))?;
        message.copy(input, out).then_some((message.payload.end, message.kind))
    }

    /// Whether it stands between two messages, as at the start of a connection: another one could go on
    /// with it.
    #[must_use]
    #[inline]
    pub fn is_vacant(&self) -> bool {
        matches!(self.state, State::Header) && self.header_len == 0 && self.message.kind.is_none()
    }

    /// Other limits, where it is [vacant](Self::is_vacant).
    pub const fn set_limits(&mut self, limits: DecoderLimits) {
        self.limits = limits.in_bounds();
    }

    /// The unfragmented message that lies complete at the start of `input`, if there is one.
    #[inline(always)]
    fn unfragmented(&self, input: &[u8]) -> Option<Unfragmented> {
        let may_be = self.is_vacant() && self.limits.max_fragments > 0;
        if may_be { Unfragmented::decode(input, self.limits.max_message_size) } else { None }
    }

    /// The payload of the control frame that was last reported.
    #[must_use]
    pub fn control(&self) -> &[u8] {
        &self.control
    }

    /// How many bytes of a message's payload come next, before any other header. A caller may
    /// read that many straight into the message, and feed them there. None, if it is compressed.
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        match self.state {
            State::Payload if self.frame.opcode.is_control() || self.message.is_compressed() => 0,
            State::Payload => self.frame.left,
            _ => 0,
        }
    }

    /// The type of the message under way: its first header has come, its last byte has not.
    #[must_use]
    pub fn message_kind(&self) -> Option<MessageType> {
        self.message.kind
    }

    /// Whether the peer has begun something, a message or a frame, that it has yet to finish.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.message.kind.is_some() || self.header_len > 0 || matches!(self.state, State::Payload)
    }

    /// What [`feed`](Self::feed) does, except for remembering the error.
    #[inline]
    fn decode_next(&mut self, input: &mut [u8]) -> Result<(usize, Event), ProtocolError> {
        // The fast path changes no state: 141 instructions for 20 bytes, 191 without it.
        if let Some(Unfragmented { kind, key, payload }) = self.unfragmented(input) {
            let (used, len) = (payload.end, payload.len());
            let payload = &mut input[payload];
            mask::apply(payload, key, 0);
            return match kind == MessageType::Binary || is_text(payload) {
                true => Ok((used, Event::Data { kind, len, fin: true })),
                false => Err(ProtocolError::TextNotUtf8),
            };
        }
        self.decode_part(input)
    }

    /// What [`feed`](Self::feed) does where there is no whole message.
    #[inline(always)]
    fn decode_part(&mut self, input: &mut [u8]) -> Result<(usize, Event), ProtocolError> {
        let mut used = 0;
        loop {
            match self.state {
                State::Payload => break,
                State::Header => match self.decode_header(&input[used..])? {
                    Some(len) => used += len,
                    None => return Ok((input.len(), Event::NeedMore)),
                },
                State::Closed => return Ok((input.len(), Event::NeedMore)),
                State::Failed(error) => return Err(error),
            }
            // Else it was an empty fragment, and another header comes. The state says so too, but
            // what was just stored there is slow to load.
            if self.frame.left > 0 || self.frame.fin {
                break;
            }
        }
        let rest = &mut input[used..];
        let (len, event) = match self.frame.opcode.is_control() {
            true => self.decode_control(rest)?,
            false => self.decode_data(rest, 0)?,
        };
        Ok((used + len, event))
    }

    /// Decodes a header if all of it is there, and returns how many bytes of `input` it took;
    /// otherwise stores all of them.
    #[inline]
    fn decode_header(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        if self.header_len > 0 {
            return self.resume_header(input);
        }
        match self.header(input)? {
            Some((header, len)) => {
                self.begin_frame(&header)?;
                Ok(Some(len))
            }
            None => {
                self.header[..input.len()].copy_from_slice(input);
                self.header_len = input.len() as u8;
                Ok(None)
            }
        }
    }

    /// The header at the start of `bytes`, and how many of them it takes; `None` asks for more.
    #[inline]
    fn header(&mut self, bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        #[cfg(feature = "deflate")]
        return self.rsv1.header(bytes);
        #[cfg(not(feature = "deflate"))]
        Header::decode(bytes)
    }

    /// Continues a header of which some bytes came before.
    #[inline(never)]
    fn resume_header(&mut self, input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let had = usize::from(self.header_len);
        let more = input.len().min(MAX_HEADER - had);
        self.header[had..had + more].copy_from_slice(&input[..more]);
        let bytes = self.header;
        match self.header(&bytes[..had + more])? {
            Some((header, len)) => {
                self.header_len = 0;
                self.begin_frame(&header)?;
                Ok(Some(len - had))
            }
            None => {
                self.header_len = (had + more) as u8;
                Ok(None)
            }
        }
    }

    /// Checks a header against what came before it, and makes it the current frame.
    #[inline]
    fn begin_frame(&mut self, header: &Header) -> Result<(), ProtocolError> {
        // §5.1: a client masks every frame, an empty one too.
        let key = header.mask.ok_or(ProtocolError::Unmasked)?;
        match header.opcode {
            OpCode::Text | OpCode::Binary => {
                // §5.4: the fragments of two messages do not mix.
                if self.message.kind.is_some() {
                    return Err(ProtocolError::UnfinishedMessage);
                }
                let kind = match header.opcode {
                    OpCode::Text => MessageType::Text,
                    _ => MessageType::Binary,
                };
                self.message = MessageState::begin(kind);
                #[cfg(feature = "deflate")]
                {
                    self.message.is_compressed = self.rsv1.take_mark();
                }
                self.message.add_fragment(header.len, &self.limits)?;
            }
            OpCode::Continuation => {
                // §5.4: only a message under way can be continued.
                if self.message.kind.is_none() {
                    return Err(ProtocolError::UnexpectedContinuation);
                }
                self.message.add_fragment(header.len, &self.limits)?;
            }
            OpCode::Close | OpCode::Ping | OpCode::Pong => self.control.clear(),
        }
        let &Header { fin, opcode, len: left, .. } = header;
        self.frame = Frame { fin, opcode, key, left };
        // An empty fragment that ends nothing is over with its header, and is no event.
        if left > 0 || fin {
            self.state = State::Payload;
        }
        Ok(())
    }

    /// Decodes as much of a message's payload as is there, behind a gap that is closed.
    #[inline(always)]
    fn decode_data(
        &mut self,
        input: &mut [u8],
        gap: usize,
    ) -> Result<(usize, Event), ProtocolError> {
        let Self { frame, message, .. } = self;
        let Some(kind) = message.kind else {
            unreachable!("a data frame begins within a message");
        };
        let len = frame.within(input.len() - gap);
        mask::apply_behind(&mut input[..gap + len], gap, frame.key);
        let payload = &mut input[..len];
        let is_plain_text = kind == MessageType::Text && !message.is_compressed();
        if is_plain_text {
            // §8.1: the first byte that no UTF-8 text could have here ends the connection.
            message.utf8.feed(payload).map_err(|_| ProtocolError::TextNotUtf8)?;
        }
        if !frame.advance(len) {
            let event = match len {
                0 => Event::NeedMore,
                _ => message.event(kind, len, false),
            };
            return Ok((len, event));
        }
        self.state = State::Header;
        let fin = frame.fin;
        if fin {
            // And so does a text that stops inside a character.
            if is_plain_text && !message.utf8.is_complete() {
                return Err(ProtocolError::TextNotUtf8);
            }
            message.kind = None;
        }
        Ok((len, message.event(kind, len, fin)))
    }

    /// Decodes as much of a control frame's payload as is there.
    #[inline(never)]
    fn decode_control(&mut self, input: &[u8]) -> Result<(usize, Event), ProtocolError> {
        let frame = &mut self.frame;
        let len = frame.within(input.len());
        let had = self.control.len();
        if len > 0 {
            self.control.reserve_exact(MAX_CONTROL - had);
        }
        self.control.extend_from_slice(&input[..len]);
        mask::apply(&mut self.control[had..], frame.key, 0);
        if !frame.advance(len) {
            return Ok((len, Event::NeedMore));
        }
        self.state = State::Header;
        let event = match frame.opcode {
            OpCode::Ping => Event::Ping,
            OpCode::Pong => Event::Pong,
            _ => {
                let close = CloseFrame::decode(self.control())?;
                // §5.5.1: nothing that follows a Close counts, and a message that it
                // interrupts will never end.
                self.state = State::Closed;
                self.message.kind = None;
                Event::Close(close)
            }
        };
        Ok((len, event))
    }
}

#[cfg(test)]
mod tests;
