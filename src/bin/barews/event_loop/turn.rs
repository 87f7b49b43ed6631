//! What a path does on a loop, call by call.

use std::sync::Arc;
use std::time::Duration;

use barews::{CloseCode, Message, Outbox, TrySendError};

use crate::limits;
use crate::metrics::Counters;
use crate::routes::echo::TOO_MANY_WAIT;
use crate::session;

/// A path's part in the life of a connection. Messages were counted before.
pub trait Plan {
    /// The 101 is out.
    fn opened(&mut self, turn: &mut Turn<'_, '_>) {
        let _ = turn;
    }

    /// By default, it is thrown away.
    fn message(&mut self, turn: &mut Turn<'_, '_>, message: Message<'_>) {
        let _ = (turn, message);
    }

    fn pong(&mut self, turn: &mut Turn<'_, '_>, payload: &[u8]) {
        let _ = (turn, payload);
    }

    /// The time that was asked for has come.
    fn timer(&mut self, turn: &mut Turn<'_, '_>) {
        let _ = turn;
    }

    /// The peer has taken all that was sent to it.
    fn drained(&mut self, turn: &mut Turn<'_, '_>) {
        let _ = turn;
    }
}

/// A connection while one of its calls is on.
pub struct Turn<'a, 'o> {
    pub out: &'a mut Outbox<'o>,
    pub counters: &'a Arc<Counters>,
}

impl Turn<'_, '_> {
    /// Sends a message, and counts it, unless a Close is due.
    ///
    /// # Errors
    ///
    /// If there is no room for it.
    pub fn send(&mut self, message: Message<'_>) -> Result<(), NoRoom> {
        match self.out.send(message) {
            Ok(()) => self.counters.count_sent(message),
            Err(TrySendError::Full) => return Err(NoRoom),
            // It is seen through.
            Err(TrySendError::Closed) => {}
        }
        Ok(())
    }

    /// Closes, and takes note of the code, which is not the peer's to choose.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        session::note_close(self.counters, code, reason);
        // The path has a code that may be sent.
        let _ = self.out.close(code, reason);
    }

    /// The same, but messages that still come are counted.
    pub fn start_close(&mut self, code: CloseCode, reason: &str) {
        session::note_close(self.counters, code, reason);
        let _ = self.out.start_close(code, reason);
    }

    /// Closes with 1013, for want of memory.
    pub fn close_overloaded(&mut self) {
        self.close(CloseCode::TRY_AGAIN_LATER, TOO_MANY_WAIT);
    }

    /// Has the timer call once others have had their turn, and the peer has been heard.
    pub fn go_on_soon(&mut self) {
        self.out.set_timer(Some(Duration::ZERO));
    }
}

/// Nothing was sent: the peer does not take what was sent before.
#[derive(Debug)]
pub struct NoRoom;

/// A copy of a message's bytes, to be kept.
pub fn copied(message: Message<'_>) -> Option<Vec<u8>> {
    let bytes = message.as_bytes();
    let mut copy = Vec::new();
    // Two system calls are nothing beside so long a copy.
    let is_long = bytes.len() > 64 << 10;
    if is_long && !limits::is_memory_left(bytes.len()) {
        return None;
    }
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy)
}
