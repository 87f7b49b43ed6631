//! The opening handshake (§4.2) as a state machine: the bytes of a request go in, and what it asks
//! for comes out, or the bytes of the answer that ends the stream.
//!
//! Whoever reads the stream feeds an [`Opening`], and tells it when the handshake deadline has
//! passed; whoever speaks for the application accepts what was asked for, or answers with something
//! else. A request is answered once: in `Done`, every event gives nothing to send.
//!
//! ```text
//!            feed                accept
//!   Reading ──────▶ Upgrade ─────────────────▶ Done ──▶ the 101, and frames
//!     │  │             │ respond, fail, time_out  ▲
//!     │  │ feed        └──────────────────────────┤ ──▶ the answer, and the end of the stream
//!     │  └───────▶ Plain ─────────────────────────┤
//!     │              respond, decline, fail,      │
//!     │              accept (400), time_out       │
//!     └───────────────────────────────────────────┘
//!       feed (malformed: 4xx, 505; no memory left: 503), time_out (408), any of the others
//! ```

use std::time::Duration;

use crate::http::{
    Accept, Date, Handshake, HandshakeError, HeadError, HeadLimits, HeadParser, InvalidResponse,
    RequestHead, Response, Status, check, check_origin,
};
use crate::session::memory::headroom;

/// How far the opening handshake has come.
#[derive(Debug)]
pub enum Opening {
    /// The head of the request is not complete.
    Reading(HeadParser),
    /// A valid request for a connection waits to be accepted or rejected.
    Upgrade(Handshake),
    /// A request that asks for no upgrade waits for an answer.
    Plain {
        /// RFC 9110 §9.3.2: the answer has no body.
        is_head_request: bool,
    },
    /// The answer is out.
    Done,
}

/// What the bytes of a request have led to.
#[derive(Debug)]
pub enum Step {
    /// More bytes are needed.
    More,
    /// It asks for a connection, and may have it: [`accept`](Opening::accept) it, or
    /// [`respond`](Opening::respond) with something else.
    Upgrade(RequestHead),
    /// It asks for no upgrade: [`respond`](Opening::respond), or [`decline`](Opening::decline).
    Plain(RequestHead),
    /// It is refused. The head is there as far as it could be read: from its request line on, up to
    /// what is wrong.
    Refused(Answer, Option<RequestHead>),
}

/// The last bytes of a stream that does not become a connection.
#[derive(Debug)]
#[must_use]
pub struct Answer {
    /// What to send; empty if an answer was sent before.
    pub bytes: Vec<u8>,
    /// What they say.
    pub outcome: Outcome,
}

/// How a request was answered that did not become a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It breaks a rule, or asks for nothing that this server does.
    Refused(HandshakeError),
    /// The application answered with this status.
    Answered(Status),
    /// The application's answer cannot be sent: 500.
    InvalidResponse(InvalidResponse),
    /// It did not end in time: 408.
    TimedOut,
    /// There is no memory left for a head this long: 503.
    OutOfMemory,
}

impl Opening {
    /// Of a stream that no byte has come from.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self::Reading(HeadParser::new(limits))
    }

    /// How many bytes are worth reading: one more than the head may still have shows that it is
    /// too large. None, once it is complete.
    #[must_use]
    pub fn wants(&self) -> usize {
        match self {
            Self::Reading(parser) => parser.room().saturating_add(1),
            Self::Upgrade(_) | Self::Plain { .. } | Self::Done => 0,
        }
    }

    /// How much longer the request may take, so long after its stream was accepted. `None`: the
    /// handshake deadline has passed, and it [took too long](Self::time_out).
    #[must_use]
    pub fn left(elapsed: Duration, timeout: Duration) -> Option<Duration> {
        timeout.checked_sub(elapsed).filter(|left| !left.is_zero())
    }

    /// Takes the next bytes: how many of them belong to the request, and what it has led to. What
    /// is behind the request belongs to frames. `origins` are the pages that may connect
    /// ([`check_origin`]), and `date` is the time now, here and below.
    pub fn feed(&mut self, bytes: &[u8], origins: &[String], date: Option<Date>) -> (usize, Step) {
        let Self::Reading(parser) = self else { return (0, Step::More) };
        let (used, head) = match parser.feed(bytes) {
            Ok((used, Some(head))) => (used, head),
            // It is a long one, and kept in a buffer that doubles.
            Ok((used, None)) => match headroom::allocate(2 * used, || ()) {
                Some(()) => return (used, Step::More),
                None => return (used, Step::Refused(self.out_of_memory(date), None)),
            },
            Err(error) => {
                let frame = error.frame();
                let (error, part) = (error.into(), parser.take_part());
                let mut answer = self.refuse(error, &error.response(), date);
                if let Some(frame) = frame {
                    answer.bytes = frame.to_vec();
                }
                return (bytes.len(), Step::Refused(answer, part));
            }
        };
        let is_head_request = parser.is_head_request();
        let handshake = check(&head).and_then(|handshake| {
            check_origin(&head, origins)?;
            Ok(handshake)
        });
        let step = match handshake {
            Ok(handshake) => {
                *self = Self::Upgrade(handshake);
                Step::Upgrade(head)
            }
            Err(HandshakeError::NotWebSocket) => {
                *self = Self::Plain { is_head_request };
                Step::Plain(head)
            }
            Err(error) => {
                let answer = self.refuse(error, &error.response_to(&head), date);
                Step::Refused(answer, Some(head))
            }
        };
        (used, step)
    }

    /// What has come of a request that does not go on, if that is its request line or more.
    pub fn take_part(&mut self) -> Option<RequestHead> {
        match self {
            Self::Reading(parser) => parser.take_part(),
            Self::Upgrade(_) | Self::Plain { .. } | Self::Done => None,
        }
    }

    /// The bytes of the 101 that accepts the request, and of its offers the `extensions`
    /// ([`Handshake::encode`]); `head` is the one that came out of [`feed`](Self::feed).
    ///
    /// # Errors
    ///
    /// The answer to send instead: 500 if the 101 would have a header that may not be sent, or a
    /// subprotocol that was not offered, and 400 if no connection was asked for.
    pub fn accept(
        &mut self,
        head: &RequestHead,
        accept: &Accept,
        extensions: Option<&str>,
        date: Option<Date>,
    ) -> Result<Vec<u8>, Answer> {
        let Self::Upgrade(handshake) = self else { return Err(self.decline(date)) };
        match handshake.encode(head, accept, extensions) {
            Ok(bytes) => {
                *self = Self::Done;
                Ok(bytes)
            }
            Err(error) => Err(self.invalid(error, date)),
        }
    }

    /// Answers with what the application wants said.
    pub fn respond(&mut self, response: &Response, date: Option<Date>) -> Answer {
        self.answer(response, Outcome::Answered(response.status()), date)
    }

    /// Answers that this is no place for plain requests.
    pub fn decline(&mut self, date: Option<Date>) -> Answer {
        let error = HandshakeError::NotWebSocket;
        self.refuse(error, &error.response(), date)
    }

    /// Answers that the bytes are no request.
    pub fn malformed(&mut self, error: HeadError, date: Option<Date>) -> Answer {
        let error = error.into();
        self.refuse(error, &HandshakeError::response(error), date)
    }

    /// Answers that the server failed, as it does when a callback panics.
    pub fn fail(&mut self, date: Option<Date>) -> Answer {
        let response = Response::new(Status::INTERNAL_SERVER_ERROR, "the server failed\n");
        self.respond(&response, date)
    }

    /// The handshake deadline has passed.
    pub fn time_out(&mut self, date: Option<Date>) -> Answer {
        let response = Response::new(Status::REQUEST_TIMEOUT, "the request took too long\n");
        self.answer(&response, Outcome::TimedOut, date)
    }

    fn out_of_memory(&mut self, date: Option<Date>) -> Answer {
        let response = Response::new(Status::SERVICE_UNAVAILABLE, "no memory to be had\n");
        self.answer(&response, Outcome::OutOfMemory, date)
    }

    fn refuse(&mut self, error: HandshakeError, response: &Response, date: Option<Date>) -> Answer {
        self.answer(response, Outcome::Refused(error), date)
    }

    /// The application's answer is unfit to be sent.
    fn invalid(&mut self, error: InvalidResponse, date: Option<Date>) -> Answer {
        let response = Response::new(Status::INTERNAL_SERVER_ERROR, "no valid answer\n");
        self.answer(&response, Outcome::InvalidResponse(error), date)
    }

    fn answer(&mut self, response: &Response, outcome: Outcome, date: Option<Date>) -> Answer {
        let bytes = match self {
            Self::Reading(parser) if parser.is_head_request() => response.encode_head_only(date),
            Self::Plain { is_head_request: true } => response.encode_head_only(date),
            Self::Reading(_) | Self::Plain { .. } | Self::Upgrade(_) => response.encode(date),
            Self::Done => Ok(Vec::new()),
        };
        match bytes {
            Ok(bytes) => {
                *self = Self::Done;
                Answer { bytes, outcome }
            }
            // Ours is fit to be sent.
            Err(error) => self.invalid(error, date),
        }
    }
}

#[cfg(test)]
mod tests;
