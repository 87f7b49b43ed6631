//! What a handler on an event loop sends with.

use std::fmt;
use std::time::{Duration, Instant};

use crate::connection::{Message, Request, Sender, TrySendError};
use crate::error::Error;
use crate::event_loop::output::{DueClose, MAX_BACKPRESSURE, Output, Scratch};
use crate::proto::CloseCode;
use crate::proto::OpCode;
use crate::proto::frame::MAX_CONTROL;
use crate::session::CloseAction;

/// Sends on the connection that an [`EventHandler`](crate::EventHandler) is called for. Nothing here
/// waits.
///
/// What is sent during one call, and while messages that came together are handled, goes out together.
/// What the peer has no room for is queued, and nothing of that peer's is received until it has taken it
/// ([`drained`](crate::EventHandler::drained)); it has the write timeout for that. So is what has to wait for others who
/// write: a [message in parts](crate::Sender::writer), say, which another thread must then end within the
/// write timeout, or the connection fails with [`Error::DeadlineExceeded`].
///
/// All that is queued here, and what has come of a peer that is not read, counts against
/// [`max_buffered_bytes`](crate::Limits::max_buffered_bytes); a connection that would pass it is closed with 1013.
pub struct Outbox<'a> {
    pub(crate) output: &'a mut Output,
    pub(crate) scratch: &'a mut Scratch,
}

impl Outbox<'_> {
    /// Sends a message in one frame (§5.6), compressed where that was agreed on. One over 256 KiB is
    /// compressed a part a turn, so that others have theirs, and is queued until all of it is; so is a
    /// shorter one, if others have so much to compress in this turn.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] if a mebibyte or more is queued already: send again when it is
    /// [drained](crate::EventHandler::drained). [`TrySendError::Closed`] once a Close is due. Nothing was sent.
    /// A `?` makes either the handler's, and closes with 1011: where one call may send as much, look at it.
    #[inline]
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), TrySendError> {
        let message = message.into();
        self.check()?;
        self.output.push(self.scratch, message.kind().opcode(), message.as_bytes());
        Ok(())
    }

    /// The same, but never compressed: see
    /// [`Sender::send_uncompressed`](crate::Sender::send_uncompressed).
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    #[cfg(feature = "deflate")]
    pub fn send_uncompressed<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
    ) -> Result<(), TrySendError> {
        let message = message.into();
        self.check()?;
        self.output.push_plain(self.scratch, message.kind().opcode(), message.as_bytes());
        Ok(())
    }

    /// Sends a Ping (§5.5.2) with at most 125 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`], and [`Error::Closed`] once a Close is due. Nothing was sent.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        if payload.len() > MAX_CONTROL {
            return Err(Error::TooLong);
        }
        if self.is_closed() {
            return Err(Error::Closed);
        }
        self.output.push(self.scratch, OpCode::Ping, payload);
        Ok(())
    }

    /// Starts the closing handshake behind what was sent (§7.1.2); messages that still come are
    /// thrown away. No second Close is sent if one is due already. A reason longer than 123 bytes is cut at a
    /// character.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCloseCode`] if §7.4 keeps the code off the wire. Nothing was sent.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.start_close(code, reason)?;
        self.output.discards = true;
        Ok(())
    }

    /// The same, but messages that still come are delivered.
    ///
    /// # Errors
    ///
    /// As for [`close`](Self::close).
    pub fn start_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        if !code.is_sendable() {
            return Err(Error::InvalidCloseCode(code));
        }
        if self.output.close.is_none() {
            let action = CloseAction::Initiate(code, reason.to_owned());
            self.output.close = Some(Box::new(DueClose { action, error: None }));
            self.resume_reading();
        }
        Ok(())
    }

    /// Has [`timer`](crate::EventHandler::timer) called after so long, a few milliseconds late at the
    /// most, in place of an earlier time; `None` is never.
    pub fn set_timer(&mut self, after: Option<Duration>) {
        let at = after.and_then(|after| Instant::now().checked_add(after));
        self.output.timer = at.map(Box::new);
    }

    /// Has nothing of the peer read, not its end either, until [`resume_reading`](Self::resume_reading) or a Close
    /// of ours: for one that says more than can be dealt with. Meanwhile no deadline passes but those of what is
    /// sent. [`notified`](crate::EventHandler::notified) is a place to resume, for what another thread has to do
    /// first, and [`timer`](crate::EventHandler::timer) is one.
    ///
    /// Its Pings have no answer meanwhile, and none of ours is sent by itself: many clients that ping give up after
    /// some 20 s, and many proxies cut what is silent for 60. Where it may take longer, do not pause, but keep or
    /// refuse what comes.
    ///
    /// A peer that has closed, ended or reset the stream meanwhile is noticed by what is sent to it only: by an
    /// answer, or by a [`ping`](Self::ping) now and then, of which the second one fails. Where nothing can be
    /// sent any more this does nothing, and what came before is delivered: look at
    /// [`is_closed`](Self::is_closed) before it is worked on.
    pub fn pause_reading(&mut self) {
        // The peer's answer is waited for.
        if !self.is_closed() {
            self.output.pause_reading();
        }
    }

    /// Has the peer read again, as [`close`](Self::close) does. What came meanwhile is delivered as soon as the
    /// call has returned, up to another [`pause_reading`](Self::pause_reading).
    pub fn resume_reading(&mut self) {
        self.output.resume_reading();
    }

    /// How much of what was sent here the peer has no room for yet, in bytes. What the system has taken counts
    /// no more, which may be some MiB: see [`Server::from_listener`](crate::Server::from_listener). What a
    /// `Sender` or a [`SendQueue`](crate::SendQueue) has to send counts neither.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.output.queued_bytes()
    }

    /// Whether nothing can be sent any more. It may be so a moment later.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.output.is_closed()
    }

    /// The request that opened the connection.
    #[must_use]
    pub fn request(&self) -> &Request {
        self.output.shared.request()
    }

    /// A sender for other threads. Those wait for a peer that does not read; a handler on a loop must
    /// not, see [`EventHandler`](crate::EventHandler#who-may-send-with-what).
    #[must_use]
    pub fn sender(&self) -> Sender {
        Sender { shared: self.output.shared.clone() }
    }

    #[inline]
    fn check(&self) -> Result<(), TrySendError> {
        if self.is_closed() {
            return Err(TrySendError::Closed);
        }
        if self.output.is_congested() && self.queued_bytes() >= MAX_BACKPRESSURE {
            return Err(TrySendError::Full);
        }
        Ok(())
    }
}

impl fmt::Debug for Outbox<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("queued_bytes", &self.queued_bytes()).finish_non_exhaustive()
    }
}
