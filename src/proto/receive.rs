//! From bytes to events: the receiving half of the protocol.
//!
//! [`Receive::feed`] is the one door. It takes bytes as they come from the client, unmasks
//! them where they lie, and says what they mean; bytes may be cut anywhere and the events are
//! the same. A header is judged as a whole, against the rules and the limits, before a byte of
//! its payload is looked at; text is checked as it arrives. Payloads of messages are never
//! kept here, so a message of any size takes the same memory.

use super::close::CloseFrame;
use super::frame::{Header, MAX_CONTROL, MAX_HEADER, OpCode};
use super::mask;
use super::utf8::Utf8;
use super::violation::Violation;

/// The type of a message (§5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// How much a peer may ask of us (§10.4).
#[derive(Debug, Clone, Copy)]
pub struct ReceiveLimits {
    /// The longest message, in bytes, all its fragments together; inclusive.
    pub message: u64,
    /// The most fragments of one message, empty ones counted; inclusive.
    pub fragments: u32,
}

/// What a run of bytes meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// All the input was used, and says nothing yet.
    NeedMore,
    /// The last `len` bytes that were used are, now unmasked, the next part of a message.
    Data {
        /// The type of the message.
        kind: Kind,
        /// How many bytes; zero only at an end.
        len: usize,
        /// Whether the message ends here.
        end: bool,
    },
    /// A Ping, its payload in [`Receive::control`]; a Pong with the same is due (§5.5.3).
    Ping,
    /// A Pong, its payload in [`Receive::control`].
    Pong,
    /// A Close, its payload in [`Receive::control`]. Whatever follows it is thrown away.
    Close(CloseFrame),
}

/// The receiving half of a server's connection, without any I/O.
#[derive(Debug)]
pub struct Receive {
    limits: ReceiveLimits,
    state: State,
    /// The first bytes of a header that is not complete, `header_len` of them.
    header: [u8; MAX_HEADER],
    /// 0 to 13.
    header_len: usize,
    /// The message under way: between its first header and its last byte.
    message: Option<Assembly>,
    /// The payload of the last control frame, as far as it has come.
    control: [u8; MAX_CONTROL],
    /// 0 to 125.
    control_len: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// A header comes next.
    Header,
    /// A payload comes next, or the rest of one.
    Payload(Frame),
    /// A Close was received: nothing that follows counts (§5.5.1).
    Closed,
    /// A rule was broken: nothing that follows is looked at (§7.1.7).
    Failed(Violation),
}

/// The frame whose payload is arriving.
#[derive(Debug, Clone, Copy)]
struct Frame {
    fin: bool,
    opcode: OpCode,
    key: [u8; 4],
    /// Payload bytes yet to come.
    left: u64,
    /// Payload bytes that have come, modulo 4: where the key stands.
    turn: usize,
}

/// A message as far as it has come.
#[derive(Debug, Clone, Copy)]
struct Assembly {
    kind: Kind,
    /// Bytes in all frames whose headers have come.
    len: u64,
    /// Frames whose headers have come.
    fragments: u32,
    /// Where the text stands (§8.1); untouched for binary.
    utf8: Utf8,
}

impl Receive {
    /// The state of a connection that was just opened.
    #[must_use]
    pub const fn new(limits: ReceiveLimits) -> Self {
        Self {
            limits,
            state: State::Header,
            header: [0; MAX_HEADER],
            header_len: 0,
            message: None,
            control: [0; MAX_CONTROL],
            control_len: 0,
        }
    }

    /// Takes bytes from the client, in the order they came, and tells how many were used and
    /// what they mean. Call again with the rest until the answer is [`Event::NeedMore`].
    ///
    /// # Errors
    ///
    /// The rule that was broken; then the connection has failed, and every later call gives
    /// the same error.
    #[inline]
    pub fn feed(&mut self, input: &mut [u8]) -> Result<(usize, Event), Violation> {
        let mut used = 0;
        loop {
            let step = match self.state {
                State::Header => self.take_header(&input[used..]),
                State::Payload(frame) if frame.opcode.is_control() => {
                    self.take_control(frame, &input[used..])
                }
                State::Payload(frame) => self.take_data(frame, &mut input[used..]),
                State::Closed => return Ok((input.len(), Event::NeedMore)),
                State::Failed(violation) => return Err(violation),
            };
            match step {
                Ok((n, event)) => {
                    used += n;
                    if let Some(event) = event {
                        return Ok((used, event));
                    }
                }
                Err(violation) => {
                    self.state = State::Failed(violation);
                    return Err(violation);
                }
            }
        }
    }

    /// The payload of the control frame that was last reported.
    #[must_use]
    pub fn control(&self) -> &[u8] {
        &self.control[..self.control_len]
    }

    /// How many bytes of a message's payload come next, before any other header. A caller may
    /// read that many straight into the message, and feed them there.
    #[must_use]
    pub fn payload_left(&self) -> u64 {
        match self.state {
            State::Payload(frame) if !frame.opcode.is_control() => frame.left,
            _ => 0,
        }
    }

    /// The type of the message under way: its first header has come, its last byte has not.
    #[must_use]
    pub fn message_kind(&self) -> Option<Kind> {
        self.message.map(|message| message.kind)
    }

    /// Whether the peer has begun something, a message or a frame, that it has yet to finish.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.message.is_some() || self.header_len > 0 || matches!(self.state, State::Payload(_))
    }

    /// One step: a header, if all of it is there.
    #[inline]
    fn take_header(&mut self, input: &[u8]) -> Result<(usize, Option<Event>), Violation> {
        let (header, used) = if self.header_len == 0 {
            match Header::decode(input)? {
                Some(found) => found,
                None => {
                    self.header[..input.len()].copy_from_slice(input);
                    self.header_len = input.len();
                    return Ok((input.len(), Some(Event::NeedMore)));
                }
            }
        } else {
            let had = self.header_len;
            let more = input.len().min(MAX_HEADER - had);
            self.header[had..had + more].copy_from_slice(&input[..more]);
            match Header::decode(&self.header[..had + more])? {
                Some((header, size)) => {
                    self.header_len = 0;
                    (header, size - had)
                }
                None => {
                    self.header_len = had + more;
                    return Ok((more, Some(Event::NeedMore)));
                }
            }
        };
        self.admit(&header)?;
        Ok((used, None))
    }

    /// Judges a header by what came before it, and makes it the frame under way.
    #[inline]
    fn admit(&mut self, header: &Header) -> Result<(), Violation> {
        // §5.1: a client masks every frame, an empty one too.
        let key = header.mask.ok_or(Violation::Unmasked)?;
        match header.opcode {
            OpCode::Text | OpCode::Binary => {
                // §5.4: the fragments of two messages do not mix.
                if self.message.is_some() {
                    return Err(Violation::UnfinishedMessage);
                }
                let kind = match header.opcode {
                    OpCode::Text => Kind::Text,
                    _ => Kind::Binary,
                };
                let message = Assembly { kind, len: 0, fragments: 0, utf8: Utf8::new() };
                self.message = Some(message.extended(header.len, self.limits)?);
            }
            OpCode::Continuation => {
                // §5.4: only a message under way can be continued.
                let message = self.message.ok_or(Violation::UnexpectedContinuation)?;
                self.message = Some(message.extended(header.len, self.limits)?);
            }
            OpCode::Close | OpCode::Ping | OpCode::Pong => self.control_len = 0,
        }
        self.state = State::Payload(Frame {
            fin: header.fin,
            opcode: header.opcode,
            key,
            left: header.len,
            turn: 0,
        });
        Ok(())
    }

    /// One step: as much of a message's payload as is there.
    #[inline]
    fn take_data(
        &mut self,
        mut frame: Frame,
        input: &mut [u8],
    ) -> Result<(usize, Option<Event>), Violation> {
        let Some(message) = &mut self.message else {
            unreachable!("a data frame is admitted with its message");
        };
        let len = usize::try_from(frame.left).map_or(input.len(), |left| left.min(input.len()));
        if len == 0 && frame.left > 0 {
            return Ok((0, Some(Event::NeedMore)));
        }
        let payload = &mut input[..len];
        mask::apply(payload, frame.key, frame.turn);
        frame.turn = (frame.turn + len) % 4;
        frame.left -= len as u64;
        let kind = message.kind;
        let end = frame.fin && frame.left == 0;
        if kind == Kind::Text {
            // §8.1: the first byte that no UTF-8 text could have here ends the connection,
            // and so does a text that stops inside a character.
            message.utf8.feed(payload).map_err(|_| Violation::TextNotUtf8)?;
            if end && !message.utf8.is_complete() {
                return Err(Violation::TextNotUtf8);
            }
        }
        self.state = match frame.left {
            0 => State::Header,
            _ => State::Payload(frame),
        };
        if end {
            self.message = None;
        }
        // An empty fragment that ends nothing is no event.
        let event = (len > 0 || end).then_some(Event::Data { kind, len, end });
        Ok((len, event))
    }

    /// One step: as much of a control frame's payload as is there.
    fn take_control(
        &mut self,
        mut frame: Frame,
        input: &[u8],
    ) -> Result<(usize, Option<Event>), Violation> {
        let len = usize::try_from(frame.left).map_or(input.len(), |left| left.min(input.len()));
        let had = self.control_len;
        let payload = &mut self.control[had..had + len];
        payload.copy_from_slice(&input[..len]);
        mask::apply(payload, frame.key, frame.turn);
        self.control_len += len;
        frame.turn = (frame.turn + len) % 4;
        frame.left -= len as u64;
        if frame.left > 0 {
            self.state = State::Payload(frame);
            return Ok((len, Some(Event::NeedMore)));
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
                self.message = None;
                Event::Close(close)
            }
        };
        Ok((len, Some(event)))
    }
}

impl Assembly {
    /// The message with one more frame of `len` bytes, if the limits allow it (§10.4).
    #[inline]
    fn extended(mut self, len: u64, limits: ReceiveLimits) -> Result<Self, Violation> {
        // Neither sum can overflow: both terms are below 2^63.
        self.len += len;
        if self.len > limits.message.min(i64::MAX as u64) {
            return Err(Violation::MessageTooBig(limits.message));
        }
        if self.fragments >= limits.fragments {
            return Err(Violation::TooManyFragments(limits.fragments));
        }
        self.fragments += 1;
        Ok(self)
    }
}

#[cfg(test)]
mod tests;
