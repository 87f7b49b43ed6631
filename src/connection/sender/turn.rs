//! One turn of a queue: what waits is put together, and written as far as the peer has room for it.
//!
//! A turn that finds no room keeps the right to write, and goes on later with the rest.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::connection::lifecycle::ConnectionShared;
use crate::connection::owned_message::OwnedMessage;
use crate::connection::sender::backlog::{Backlog, MAX_COPIED};
use crate::connection::sender::batch::Batch;
use crate::connection::writer::{Denied, Progress, Unsent, Waiter, WriteGuard, Writer};
use crate::error::Error;
use crate::io::expiry::Expiry;
use crate::io::stream::TimedStream;
use crate::proto::CloseCode;
use crate::proto::encoder::FrameHeader;
use crate::session::CloseAction;
use crate::session::memory::reserve;

/// How long until a peer that has taken something, or a connection on which others write, is tried
/// again, in milliseconds.
const MIN_PAUSE: u8 = 1;

/// The longest pause for a peer that takes nothing.
const MAX_PAUSE: u8 = 100;

/// The same where others write: it may be free at any moment.
const MAX_BUSY_PAUSE: u8 = 16;

/// From which pause on those others are to wait: it has come in vain for three milliseconds then.
const MAX_IGNORED: u8 = 4;

/// The most memory of a batch that is kept for the next, in bytes.
const MAX_SPARE: usize = 128 << 10;

/// A turn of this queue has panicked: half a frame may be out.
pub(super) fn abandon(backlog: &Backlog) {
    backlog.fail();
    if let Some(conn) = backlog.connection() {
        conn.abandon();
    }
}

/// See the [module](self).
pub(super) struct Turn {
    backlog: Arc<Backlog>,
    /// The connection, while the right to write is kept.
    conn: Option<Arc<ConnectionShared>>,
    unsent: Unsent,
    batch: Batch,
    pause: u8,
    /// Whether it is in line for the right to write.
    in_line: bool,
}

/// Memory that turns after each other use.
#[derive(Default)]
pub(super) struct Spare {
    bytes: Vec<u8>,
    messages: Vec<OwnedMessage>,
}

/// What comes after a turn.
pub(super) enum After {
    /// Nothing is left, or nothing can be sent.
    Done,
    /// More is queued.
    Again(Arc<Backlog>),
    /// The same turn, after so long.
    Pause(Turn, Duration),
}

impl Turn {
    pub(super) fn new(backlog: Arc<Backlog>) -> Self {
        let (unsent, batch) = (Unsent::new(Vec::new()), Batch::default());
        Self { backlog, conn: None, unsent, batch, pause: MIN_PAUSE, in_line: false }
    }

    pub(super) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    pub(super) fn take(mut self, spare: &mut Spare) -> After {
        let (conn, is_kept) = match self.conn.take() {
            Some(conn) => (conn, true),
            None => match self.backlog.connection() {
                Some(conn) => (conn, false),
                None => return self.fail(),
            },
        };
        let guard = match is_kept {
            true => conn.writer.resume(),
            false => match self.acquire(&conn.writer) {
                Ok(guard) => {
                    self.fill(&conn, spare);
                    guard
                }
                Err(Denied::Busy) => return self.pause(false, MAX_BUSY_PAUSE),
                Err(Denied::Over) => return self.fail(),
            },
        };
        match guard.proceed(&mut self.unsent, conn.writer.timeout(0)) {
            Ok(Progress::Done) => self.done(spare),
            Ok(Progress::More { moved }) => {
                self.conn = Some(conn);
                // It may take long, and many may be so.
                self.unsent.bytes.shrink_to_fit();
                self.pause(moved, MAX_PAUSE)
            }
            Err(_) => self.fail(),
        }
    }

    /// Takes the right to write, or is in line for it if others have had it for too long.
    fn acquire<'a>(
        &mut self,
        writer: &'a Writer<TimedStream>,
    ) -> Result<WriteGuard<'a, TimedStream>, Denied> {
        let (was_in_line, joins) = (self.in_line, self.pause >= MAX_IGNORED);
        let acquired = writer.try_acquire(Waiter::Queue, &mut self.in_line, joins);
        if self.in_line && !was_in_line {
            // Others wait for it from now on.
            self.pause = MIN_PAUSE;
        }
        acquired
    }

    /// Puts together what is written in this turn. We have the right to write, so the order of deflating
    /// is the order on the wire.
    fn fill(&mut self, conn: &Arc<ConnectionShared>, spare: &mut Spare) {
        self.unsent = Unsent::new(mem::take(&mut spare.bytes));
        self.batch = Batch::new(mem::take(&mut spare.messages));
        self.backlog.take(&mut self.batch);
        let messages = mem::take(&mut self.batch.messages);
        let is_there = messages.iter().all(|message| self.encode(conn, message));
        self.batch.messages = messages;
        // The Close joins what waits in the outbox, which goes out behind the batch.
        if !is_there {
            let action =
                CloseAction::Abort(CloseCode::TRY_AGAIN_LATER, Error::Overloaded.to_string());
            conn.post_close(action);
            self.batch.on_sent = None;
        } else if let Some((code, reason)) = self.batch.close.take() {
            conn.post_close(CloseAction::Initiate(code, reason));
        }
        if self.batch.on_sent.is_none() {
            self.batch.messages.clear();
        }
        self.unsent.set_expiry(Expiry::after(conn.writer.timeout(self.unsent.len() as u64)));
    }

    /// Appends a message; whether there was memory for it.
    fn encode(&mut self, conn: &ConnectionShared, message: &OwnedMessage) -> bool {
        let bytes = &mut self.unsent.bytes;
        let mut append = |header: FrameHeader, payload: &[u8]| {
            let header = header.as_bytes();
            let is_there = reserve(bytes, header.len() + payload.len());
            if is_there {
                bytes.extend_from_slice(header);
                bytes.extend_from_slice(payload);
            }
            is_there
        };
        #[cfg(feature = "deflate")]
        if let Some((compression, buffers)) = conn.compression_of(message.len()) {
            let mut append = |header, payload: &[u8]| match append(header, payload) {
                true => Ok(()),
                false => Err(Error::Overloaded),
            };
            if let Some(appended) = compression.deflated_owned(message, buffers, &mut append) {
                return appended.is_ok();
            }
        }
        #[cfg(not(feature = "deflate"))]
        let _ = conn;
        let header = FrameHeader::new(true, message.kind().opcode(), message.len());
        if message.len() <= MAX_COPIED {
            return append(header, message.as_bytes());
        }
        // It is the last of its batch.
        self.unsent.payload = Some(message.clone());
        append(header, b"")
    }

    /// All is written.
    fn done(mut self, spare: &mut Spare) -> After {
        let on_sent = self.batch.on_sent.take();
        let is_more = self.backlog.written(&self.batch, || {
            // Dropped before anybody hears that it is written.
            if let Some(on_sent) = on_sent {
                self.batch.messages.iter().for_each(|message| on_sent(message.message()));
            }
        });
        let (bytes, messages) = (&mut self.unsent.bytes, &mut self.batch.messages);
        messages.clear();
        if bytes.capacity() <= MAX_SPARE && spare.bytes.capacity() == 0 {
            spare.bytes = mem::take(bytes);
        }
        if spare.messages.capacity() == 0 {
            spare.messages = mem::take(messages);
        }
        if is_more { After::Again(self.backlog) } else { After::Done }
    }

    fn fail(self) -> After {
        self.backlog.fail();
        After::Done
    }

    /// A pause that is twice as long as the one before if nothing has moved in between.
    fn pause(mut self, moved: bool, most: u8) -> After {
        if moved {
            self.pause = MIN_PAUSE;
        }
        let pause = self.pause.min(most);
        self.pause = (2 * pause).min(MAX_PAUSE);
        After::Pause(self, Duration::from_millis(pause.into()))
    }
}
