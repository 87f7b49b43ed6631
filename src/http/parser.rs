//! The request-head parser (RFC 9112): bytes in, a [`RequestHead`] out.
//!
//! ```text
//! GET /chat?room=1 HTTP/1.1 CRLF     request line: method SP target SP version
//! Host: example.com CRLF             field line:   name ":" OWS value OWS
//! CRLF                               the end; what follows belongs to frames
//! ```
//!
//! [`HeadParser`] is a state machine over single bytes. It looks at each byte once, and refuses the
//! head at the first byte that can no longer be part of a good one. So the work is linear in the
//! bytes, and how they were cut into reads cannot change what comes out.

use std::mem;

use super::error::HeadError;
use super::grammar;
use super::head::{Field, HeadLimits, RequestHead, Span};
use super::target::{TargetPart, target_byte};

/// Reads one request head, in as many pieces as it comes.
#[derive(Debug)]
pub struct HeadParser {
    limits: HeadLimits,
    state: State,
    /// The bytes of all calls before this one; its capacity stays within `limits.max_head_size`.
    bytes: Vec<u8>,
    /// Where the next byte belongs in the head; at most `limits.max_head_size`.
    position: u32,
    /// Where the line begins that the next byte belongs to.
    line: u32,
    method: Span,
    /// The first bytes of the method: as many as the longest that means anything here has.
    method_start: [u8; 7],
    target: Span,
    minor_version: u8,
    fields: Vec<Field>,
    /// The header whose line is being read.
    field: Field,
}

impl HeadParser {
    /// A parser that has seen nothing yet, and allocates nothing until it does.
    pub fn new(mut limits: HeadLimits) -> HeadParser {
        // Positions are u32.
        limits.max_head_size = limits.max_head_size.min(u32::MAX as usize);
        HeadParser {
            limits,
            state: State::Request(RequestPart::Start),
            bytes: Vec::new(),
            position: 0,
            line: 0,
            method: Span::default(),
            method_start: [0; 7],
            target: Span::default(),
            minor_version: 0,
            fields: Vec::new(),
            field: Field::default(),
        }
    }

    /// Takes the next bytes. Gives how many belong to the head, and the head if they end it; the
    /// bytes behind it belong to frames. `Ok((input.len(), None))` asks for more.
    ///
    /// Once the head is out, every further call uses nothing and gives `Ok((0, None))`.
    ///
    /// # Errors
    ///
    /// A [`HeadError`] as soon as a byte comes that no good head within the limits could have in
    /// this place. Every further call gives the same error.
    pub fn feed(&mut self, input: &[u8]) -> Result<(usize, Option<RequestHead>), HeadError> {
        match self.state {
            State::Done => return Ok((0, None)),
            State::Failed(error) => return Err(error),
            _ => {}
        }
        let mut used = 0;
        while let Some(&byte) = input.get(used) {
            let run = self.run(&input[used..]);
            if run > 0 {
                used += run;
                continue;
            }
            used += 1;
            match self.step(byte) {
                Ok(State::Done) => {
                    self.state = State::Done;
                    self.keep(&input[..used]);
                    return Ok((used, Some(self.take_head())));
                }
                Ok(next) => self.state = next,
                Err(error) => {
                    self.state = State::Failed(error);
                    self.keep(&input[..used - 1]);
                    return Err(error);
                }
            }
        }
        self.keep(input);
        Ok((input.len(), None))
    }

    /// Takes out what has come of a head that comes to nothing, but for the line that was being read:
    /// for those who tell of it. `None` if that was the request line, or the head is out.
    pub fn take_part(&mut self) -> Option<RequestHead> {
        let has_target = self.target.end > 0 && self.line >= self.target.end;
        (has_target && !self.bytes.is_empty()).then(|| self.take_head())
    }

    /// How many bytes the head may still have: one more shows that it is too large.
    pub fn room(&self) -> usize {
        self.limits.max_head_size.saturating_sub(self.position as usize)
    }

    /// Whether the request line begins with `HEAD`. It stays so after an error: the answer to that
    /// has no body either (RFC 9110 §9.3.2).
    pub fn is_head_request(&self) -> bool {
        self.method_is(b"HEAD")
    }

    /// Whether the method was read to its end, and is this one, which has 7 bytes at the most.
    fn method_is(&self, method: &[u8]) -> bool {
        let len = self.method.end.saturating_sub(self.method.start) as usize;
        self.method_start.get(..len) == Some(method)
    }

    /// Passes over bytes that change nothing, and tells how many: most of a head are in the middle
    /// of a name or a value. Where a limit ends, the next byte is for [`step`](Self::step) to judge.
    fn run(&mut self, input: &[u8]) -> usize {
        let (class, limit) = match self.state {
            State::Request(RequestPart::Target(TargetPart::Path)) => {
                (grammar::TARGET, self.limits.max_request_line)
            }
            State::Field(FieldPart::Name) => (grammar::TOKEN, self.limits.max_header_line),
            State::Field(FieldPart::Value) => (grammar::VALUE, self.limits.max_header_line),
            _ => return 0,
        };
        let line = (self.position - self.line) as usize;
        let room = limit.saturating_sub(line);
        let room = room.min(self.limits.max_head_size.saturating_sub(self.position as usize));
        let input = &input[..input.len().min(room)];
        let run = grammar::run(input, class);
        // RFC 9112 §5.1: white space around a value is no part of it.
        let visible = input[..run].trim_ascii_end().len() as u32;
        if let State::Field(FieldPart::Value) = self.state
            && visible > 0
        {
            self.field.value_end = self.position + visible;
        }
        // It fits: the head's limit does.
        self.position += run as u32;
        run
    }

    /// Judges one byte and gives the state after it.
    fn step(&mut self, byte: u8) -> Result<State, HeadError> {
        // RFC 9110 §5.4: a server may refuse what is larger than it wishes to process.
        if self.position as usize >= self.limits.max_head_size {
            return Err(HeadError::HeadTooLarge);
        }
        let next = match self.state {
            State::Request(part) => match self.request_byte(part, byte)? {
                // RFC 9112 §3: the same for a request line.
                _ if self.overruns(self.limits.max_request_line, byte) => {
                    return Err(HeadError::RequestLineTooLong);
                }
                next => next,
            },
            State::Field(part) => match self.field_byte(part, byte)? {
                _ if self.overruns(self.limits.max_header_line, byte) => {
                    return Err(HeadError::HeaderLineTooLong);
                }
                next => next,
            },
            // RFC 9112 §2.2: a CR is nothing but the first half of a line's end.
            State::LineEnd(_) if byte != b'\n' => return Err(HeadError::BareCr),
            State::LineEnd(ended) => {
                self.line = self.position + 1;
                match ended {
                    Line::Empty => State::Request(RequestPart::MethodStart),
                    Line::Full => State::Field(FieldPart::Start),
                    Line::Last => State::Done,
                }
            }
            State::Done | State::Failed(_) => self.state,
        };
        self.position += 1;
        Ok(next)
    }

    /// Is the line full already, and this byte not the CR that ends it?
    fn overruns(&self, limit: usize, byte: u8) -> bool {
        byte != b'\r' && (self.position - self.line) as usize >= limit
    }

    fn request_byte(&mut self, part: RequestPart, byte: u8) -> Result<State, HeadError> {
        use RequestPart::{Method, MethodStart, Start, Target, TlsRecord, Version};
        Ok(State::Request(match (part, byte) {
            // RFC 8446 §5.1: a handshake, in any version of TLS.
            (Start, 0x16) => TlsRecord,
            (TlsRecord, 0x03) => return Err(HeadError::TlsClientHello),
            (TlsRecord, _) => return Err(HeadError::InvalidMethod),
            (_, b'\n') => return Err(HeadError::BareLf),
            // RFC 9112 §2.2: one empty line ahead of the request line is passed over.
            (Start, b'\r') => return Ok(State::LineEnd(Line::Empty)),
            (MethodStart, b'\r') => return Err(HeadError::EmptyLines),
            // RFC 9112 §3.1: the method is a token, with one space behind it.
            (Start | MethodStart, _) if grammar::is_token_byte(byte) => {
                self.method.start = self.position;
                self.method_start[0] = byte;
                Method
            }
            (Method, _) if grammar::is_token_byte(byte) => {
                let at = (self.position - self.method.start) as usize;
                if let Some(place) = self.method_start.get_mut(at) {
                    *place = byte;
                }
                Method
            }
            (Method, b' ') => {
                self.method.end = self.position;
                self.target.start = self.position + 1;
                Target(TargetPart::Start)
            }
            (Start | MethodStart | Method, _) => return Err(HeadError::InvalidMethod),
            // RFC 9112 §3.2.4: a target of OPTIONS alone.
            (Target(TargetPart::Start), b'*') if self.method_is(b"OPTIONS") => {
                Target(TargetPart::Asterisk)
            }
            // RFC 9113 §3.4: no other request may begin like this.
            (Target(TargetPart::Start), b'*') if self.method_is(b"PRI") && self.line == 0 => {
                Target(TargetPart::Preface(b" HTTP/2.0"))
            }
            // RFC 9112 §3: one space, and then the version must follow.
            (Target(part), b' ') if part.may_end() => {
                self.target.end = self.position;
                Version(VersionPart::Name(b"HTTP/"))
            }
            (Target(part), b'\r') if part.may_end() => return Err(HeadError::InvalidVersion),
            (Target(part), _) => Target(target_byte(part, byte)?),
            (Version(VersionPart::End), b'\r') => return Ok(State::LineEnd(Line::Full)),
            (Version(part), _) => Version(self.version_byte(part, byte)?),
        }))
    }

    /// RFC 9112 §2.3: `HTTP/` digit `.` digit, in capitals.
    fn version_byte(&mut self, part: VersionPart, byte: u8) -> Result<VersionPart, HeadError> {
        Ok(match (part, byte) {
            (VersionPart::Name([want]), _) if byte == *want => VersionPart::Major,
            (VersionPart::Name([want, rest @ ..]), _) if byte == *want => VersionPart::Name(rest),
            (VersionPart::Major, b'1') => VersionPart::Dot,
            // RFC 9110 §15.6.6: another major version is another protocol.
            (VersionPart::Major, b'0'..=b'9') => return Err(HeadError::UnsupportedVersion),
            (VersionPart::Dot, b'.') => VersionPart::Minor,
            (VersionPart::Minor, b'0'..=b'9') => {
                self.minor_version = byte - b'0';
                VersionPart::End
            }
            _ => return Err(HeadError::InvalidVersion),
        })
    }

    fn field_byte(&mut self, part: FieldPart, byte: u8) -> Result<State, HeadError> {
        use FieldPart::{Name, Start, Value};
        Ok(State::Field(match (part, byte) {
            (_, b'\n') => return Err(HeadError::BareLf),
            (Start, b'\r') => return Ok(State::LineEnd(Line::Last)),
            // RFC 9112 §2.2: no white space ahead of the first header; §5.2: nor a folded line.
            (Start, b' ' | b'\t') if self.fields.is_empty() => {
                return Err(HeadError::LeadingSpace);
            }
            (Start, b' ' | b'\t') => return Err(HeadError::FoldedLine),
            // RFC 9112 §5: a line is a name that is a token, a colon and a value.
            (Start, b':') => return Err(HeadError::EmptyName),
            (Start, _) if grammar::is_token_byte(byte) => {
                if self.fields.len() >= self.limits.max_headers {
                    return Err(HeadError::TooManyHeaders);
                }
                self.field.name.start = self.position;
                Name
            }
            (Name, _) if grammar::is_token_byte(byte) => Name,
            (Name, b':') => {
                self.field.name.end = self.position;
                self.field.value_end = self.position + 1;
                Value
            }
            // RFC 9112 §5.1: no white space between name and colon.
            (Name, b' ' | b'\t') => return Err(HeadError::SpaceInName),
            (Name, b'\r') => return Err(HeadError::MissingColon),
            (Start | Name, _) => return Err(HeadError::InvalidName),
            // RFC 9112 §5.1: white space around a value is no part of it, and may be all there is.
            (Value, b' ' | b'\t') => Value,
            (Value, b'\r') => {
                if self.fields.is_empty() {
                    // As many as most have.
                    self.fields.reserve_exact(16);
                }
                self.fields.push(self.field);
                return Ok(State::LineEnd(Line::Full));
            }
            // RFC 9110 §5.5: no NUL and no other control in a value.
            (Value, _) if grammar::is_value_byte(byte) => {
                self.field.value_end = self.position + 1;
                Value
            }
            (Value, _) => return Err(HeadError::InvalidValue),
        }))
    }

    /// Copies bytes that passed; the buffer doubles, but never past the limit of the head.
    fn keep(&mut self, passed: &[u8]) {
        let needed = self.bytes.len() + passed.len();
        if needed > self.bytes.capacity() {
            let doubled = self.bytes.capacity().saturating_mul(2);
            let capacity = doubled.min(self.limits.max_head_size).max(needed);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(passed);
    }

    fn take_head(&mut self) -> RequestHead {
        RequestHead {
            bytes: mem::take(&mut self.bytes).into_boxed_slice(),
            fields: mem::take(&mut self.fields).as_slice().into(),
            method: self.method.start,
            minor_version: self.minor_version,
            target: self.target,
        }
    }
}

/// What the next byte is part of.
#[derive(Clone, Copy, Debug)]
enum State {
    Request(RequestPart),
    Field(FieldPart),
    /// The CR at the end of this line has been read: LF must follow.
    LineEnd(Line),
    Done,
    Failed(HeadError),
}

#[derive(Clone, Copy, Debug)]
enum RequestPart {
    /// No byte yet.
    Start,
    /// An empty line was passed over.
    MethodStart,
    Method,
    Target(TargetPart),
    Version(VersionPart),
    /// The first byte was that of a TLS record.
    TlsRecord,
}

#[derive(Clone, Copy, Debug)]
enum VersionPart {
    /// What is left of `HTTP/`.
    Name(&'static [u8]),
    Major,
    Dot,
    Minor,
    End,
}

#[derive(Clone, Copy, Debug)]
enum FieldPart {
    Start,
    Name,
    Value,
}

#[derive(Clone, Copy, Debug)]
enum Line {
    /// The empty line that may stand ahead of the request line.
    Empty,
    /// A request line or a header line.
    Full,
    /// The empty line that ends the head.
    Last,
}

#[cfg(test)]
mod tests;
