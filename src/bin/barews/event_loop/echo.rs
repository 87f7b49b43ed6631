//! Echoes without delay.

use barews::{CloseCode, Message};

use super::turn::{Plan, Turn};
use crate::routes::opening::headers;
use crate::session::Opened;

/// Sends every message back.
pub struct Echo;

/// The same behind the head of the request; whether it shows what lets a user in.
pub struct Headers(pub bool);

/// Sends so many messages back, then closes.
pub struct Closing {
    pub code: CloseCode,
    pub reason: String,
    pub left: u64,
}

impl Plan for Echo {
    fn message(&mut self, turn: &mut Turn<'_, '_>, message: Message<'_>) {
        // No message comes while there is no room.
        let _ = turn.send(message);
    }
}

impl Plan for Headers {
    fn opened(&mut self, turn: &mut Turn<'_, '_>) {
        let text = headers::json(Opened::from(&turn.out.sender()), self.0);
        Echo.message(turn, Message::from(&text));
    }

    fn message(&mut self, turn: &mut Turn<'_, '_>, message: Message<'_>) {
        Echo.message(turn, message);
    }
}

impl Plan for Closing {
    fn opened(&mut self, turn: &mut Turn<'_, '_>) {
        if self.left == 0 {
            turn.close(self.code, &self.reason);
        }
    }

    fn message(&mut self, turn: &mut Turn<'_, '_>, message: Message<'_>) {
        Echo.message(turn, message);
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            turn.close(self.code, &self.reason);
        }
    }
}
