//! Where the connections of a loop come from: streams are accepted, and counted under the caps.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;

use mio::Token;

use crate::connection::lifecycle::ConnectionShared;
use crate::error::UpgradeError;
use crate::event_loop::conn::{Conn, Request, Stage};
use crate::event_loop::engine::{Engine, Fate, Gone};
use crate::event_loop::handler::EventHandler;
use crate::event_loop::output::Output;
use crate::io::any_stream::Stream;
use crate::io::loop_stream::{LoopStream, Socket};
use crate::io::timed_listener::TimedListener;
use crate::server::terms::today;
use crate::server::upgrade;
use crate::session::opening::Opening;

/// How many streams that were turned away are waited for, so that the answer is not lost to a reset.
const MAX_TURNED_AWAY: usize = 256;

impl<H: EventHandler> Engine<H> {
    pub(super) fn accept_all(&mut self) {
        for index in 0..self.sockets.listeners.len() {
            let listening = &mut self.sockets.listeners[index];
            if !listening.is_ready_at(self.now) {
                listening.streak = 0;
                continue;
            }
            for _ in 0..listening.share() {
                let listening = &mut self.sockets.listeners[index];
                match listening.accept() {
                    Ok((socket, peer)) => {
                        listening.accepted();
                        let shared = Arc::clone(&listening.shared);
                        self.admit(socket, peer, &shared.timed);
                    }
                    Err(error) => self.accept_failed(index, error),
                }
                if !self.sockets.listeners[index].is_ready() {
                    break;
                }
            }
            self.sockets.listeners[index]
                .wait_for_more(&self.sockets.handle.registry, Token(index));
        }
    }

    #[cold]
    fn accept_failed(&mut self, index: usize, error: io::Error) {
        let listening = &mut self.sockets.listeners[index];
        match error.kind() {
            ErrorKind::WouldBlock if listening.is_ended => {
                listening.found_none();
                let text = "the listener was shut down";
                self.threads.fail(io::Error::new(ErrorKind::InvalidInput, text));
            }
            ErrorKind::WouldBlock => listening.found_none(),
            // The peer gave up while it waited; the next one may not have.
            ErrorKind::Interrupted | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset => {}
            ErrorKind::InvalidInput => {
                listening.ready = false;
                self.threads.fail(error);
            }
            // Out of descriptors or memory: what ends meanwhile gives some back.
            _ => {
                if listening.rest(self.now) {
                    self.threads.callbacks.on_error(None, None, UpgradeError::Accept(error));
                }
            }
        }
    }

    /// Registers a stream, or turns it away.
    fn admit(&mut self, socket: Socket, peer: Option<SocketAddr>, timed: &TimedListener) {
        let slot = self.free.pop().unwrap_or(self.conns.len());
        if slot == self.conns.len() {
            self.conns.push(None);
        }
        let stream =
            LoopStream::new(socket, &self.sockets.handle, Token(slot)).and_then(|stream| {
                let stream = Arc::new(stream);
                Ok((timed.stream(Stream::Loop(Arc::clone(&stream)), peer)?, stream))
            });
        let (transport, stream) = match stream {
            Ok(stream) => stream,
            Err(error) => {
                self.free.push(slot);
                return self.threads.callbacks.on_error(peer, None, UpgradeError::Io(error));
            }
        };
        let server = &self.threads.server;
        let shared = Arc::new(ConnectionShared::new(transport, Arc::clone(server)));
        let guard = self.threads.registry.register(&shared);
        let opening = Opening::new(server.config.limits.for_head());
        let conn = Box::new(Conn {
            reads_all: timed.is_wrapped(),
            stream,
            output: Output::new(shared),
            stage: Stage::Opening(Box::new(Request { opening, silent: true, asked: None })),
            guard,
            due: 0,
            since: self.clock,
            readable: true,
            is_again: false,
            reads_much: false,
        });
        self.conns[slot] = Some(conn);
        // Read before it is heard of: the request is mostly there.
        self.turn(slot, |conn, engine| match conn.guard {
            None => engine.turn_away(conn),
            Some(_) => Ok(()),
        });
        let Some(conn) = &self.conns[slot] else { return };
        if let Err(error) = conn.stream.join() {
            // Nobody hears of it, as if it could not be read.
            self.turn(slot, |conn, engine| engine.nothing_read(conn, Err(error)));
        }
    }

    /// Answers 503: there are too many, or the server shuts down.
    #[cold]
    fn turn_away(&mut self, conn: &mut Conn<H::State>) -> Fate {
        let Stage::Opening(stage) = &mut conn.stage else { return Err(Gone) };
        let (reason, error) = self.threads.refusal();
        let answer = stage.opening.respond(&upgrade::unavailable(reason), today());
        self.turned_away += 1;
        self.unopened(conn, answer, None, error)?;
        if self.turned_away > MAX_TURNED_AWAY { Err(Gone) } else { Ok(()) }
    }
}
