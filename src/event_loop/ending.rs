//! How a connection of a loop ends (§7): by the handler, by the peer, by an error, by its stream.
//!
//! ```text
//!   finish: our last Close ──▶ the handler is told ──▶ draining: until the peer's end, or the close timeout
//!   broken: nothing more can be said ──▶ the handler is told ──▶ gone
//! ```

use std::io::{self, ErrorKind};
use std::mem;

use crate::error::Error;
use crate::event_loop::conn::{Conn, Open, Stage};
use crate::event_loop::engine::{Engine, Fate, Gone};
use crate::event_loop::handler::{CloseInfo, EventHandler};
use crate::event_loop::output::DueClose;
use crate::server::BoxError;
use crate::server::callbacks::catch_panic;
use crate::session::CloseAction;

impl<H: EventHandler> Engine<H> {
    /// The Close that is due goes out, once nothing is queued before it.
    // Apart from what it takes: an echo of 20 bytes has 1,630 instructions, 1,640 with that.
    #[inline]
    pub(super) fn close_if_wanted(&mut self, conn: &mut Conn<H::State>) {
        if conn.output.close.is_some() && !conn.output.is_congested() {
            self.close(conn);
        }
    }

    /// The same now. Behind our last words, the peer's end is waited for.
    #[inline(never)]
    fn close(&mut self, conn: &mut Conn<H::State>) {
        conn.output.flush(&mut self.scratch);
        if conn.output.is_congested() {
            return;
        }
        let Some(due) = conn.output.close.take() else { return };
        let DueClose { action, error } = *due;
        if let CloseAction::Initiate(..) = action {
            conn.output.shared.try_close(action);
        } else {
            conn.output.shared.begin_finish(action);
            conn.output.abandon_waiting();
            self.report(conn, error);
            let close_timeout = conn.output.shared.server.config.timeouts.close;
            conn.stage = Stage::Draining(self.now.checked_add(close_timeout));
        }
        conn.output.retry_posted();
    }

    /// A read gave nothing: there is nothing yet, or never again.
    pub(super) fn nothing_read(
        &mut self,
        conn: &mut Conn<H::State>,
        read: io::Result<Option<usize>>,
    ) -> Fate {
        match (read, &conn.stage) {
            (Ok(None), _) => {
                // A record of TLS that is not whole, or not for us, is no news of an empty socket.
                conn.readable = conn.stream.take_more();
                Ok(())
            }
            (Ok(Some(_)), Stage::Draining(_)) if conn.has_last_words() => {
                // It has ended its side alone, perhaps, and is to have what we say. Once that is out, its
                // end is read again.
                conn.readable = false;
                Ok(())
            }
            (_, Stage::Draining(_)) => Err(Gone),
            (Ok(Some(_)), Stage::Open(_)) => {
                self.broken(conn, Error::Io(ErrorKind::UnexpectedEof.into()))
            }
            (Err(error), Stage::Open(_)) => self.broken(conn, Error::Io(error)),
            (read, Stage::Opening(_)) => self.request_broken(conn, read),
        }
    }

    /// Ends a connection for an error, and tells the peer why, where it can be told.
    pub(super) fn fail(&mut self, conn: &mut Conn<H::State>, error: Error) -> Fate {
        let Some(code) = error.close_code() else { return self.broken(conn, error) };
        let action = CloseAction::Abort(code, error.to_string());
        self.finish(conn, action, Some(error));
        Ok(())
    }

    /// There is no memory for what would have to wait. The peer is told, behind what was begun, if there is
    /// for that.
    pub(super) fn overloaded(&mut self, conn: &mut Conn<H::State>) -> Fate {
        // What was answered before that in this turn comes first.
        conn.output.flush(&mut self.scratch);
        match conn.output.abandon_waiting() {
            true => self.fail(conn, Error::Overloaded),
            false => self.broken(conn, Error::Overloaded),
        }
    }

    /// The stream is of no more use.
    pub(super) fn broken(&mut self, conn: &mut Conn<H::State>, error: Error) -> Fate {
        // If we have ended it ourselves, the reason for that is the news.
        let error = conn.output.shared.writer.cause_of(error);
        conn.output.shared.abandon();
        let error = match conn.output.close.take().map(|due| *due) {
            // What was wrong first is the news; of the handler's own failure it is none.
            Some(DueClose { action: CloseAction::Abort(..), error }) => error,
            _ => Some(error),
        };
        self.report(conn, error);
        Err(Gone)
    }

    pub(super) fn output_failed(&mut self, conn: &mut Conn<H::State>) -> Fate {
        match conn.output.failed.take() {
            Some(error) if !conn.is_draining() => match *error {
                Error::Overloaded => self.overloaded(conn),
                error => self.broken(conn, error),
            },
            _ => Err(Gone),
        }
    }

    /// Says our last words behind what was sent before, which the peer has the write timeout for: to answer
    /// what was right, before what was wrong.
    pub(super) fn finish(
        &mut self,
        conn: &mut Conn<H::State>,
        action: CloseAction,
        error: Option<Error>,
    ) {
        conn.output.close = Some(Box::new(DueClose { action, error }));
        // There is nothing left to call for.
        conn.output.timer = None;
        self.close_if_wanted(conn);
    }

    /// Tells the handler that its connection has ended, and who wants to know of errors.
    fn report(&mut self, conn: &mut Conn<H::State>, error: Option<Error>) {
        let stage = mem::replace(&mut conn.stage, Stage::Draining(None));
        let Stage::Open(open) = stage else { return };
        let Open { state, close_frame, receiver, .. } = open;
        // Whoever hears of the end may count on the memory.
        drop(receiver);
        let shared = &conn.output.shared;
        let (peer, request) = (shared.stream().peer_addr(), shared.request());
        let close_frame = close_frame.map(|frame| *frame);
        let error = error.and_then(|error| {
            let error = BoxError::from(error);
            self.threads.callbacks.tell(peer, Some(request), &error);
            error.downcast().ok().map(|error| *error)
        });
        let how = CloseInfo { close_frame, error };
        // Nobody is left to be told of a panic in there.
        let _ = catch_panic(|| self.handler.closed(state, how));
    }
}
