//! Servers that speak without being asked. What comes is thrown away.
//!
//! A path sends while its peer takes it, and no more than a little in one call: a loop has others to
//! serve, and the peer may have something to say, a Close for one.

use std::sync::Arc;
use std::time::Duration;

use barews::{CloseCode, Message};

use super::turn::{Plan, Turn};
use crate::routes::stream::{Block, Numbers, block};

/// How much is sent in one call, in messages and in bytes.
const MAX_MESSAGES: usize = 1024;
const MAX_BYTES: usize = 1 << 20;

/// Sends `1` to `n`, and closes behind the last if there is one.
pub struct Counting {
    numbers: Numbers,
    closes: bool,
}

/// Sends messages of one length.
pub struct Flooding {
    len: usize,
    block: Option<Arc<Block>>,
}

impl Counting {
    pub fn to(n: u64, every: Duration) -> Self {
        Self { numbers: Numbers::new(n, every), closes: true }
    }

    pub fn for_ever(every: Duration) -> Self {
        Self { closes: false, ..Self::to(u64::MAX, every) }
    }

    fn go_on(&mut self, turn: &mut Turn<'_, '_>) {
        for _ in 0..MAX_MESSAGES {
            let wait = self.numbers.wait();
            match self.numbers.number() {
                None if self.closes => return turn.start_close(CloseCode::NORMAL, ""),
                None => return,
                // It is called once there is room.
                Some(_) if turn.out.queued_bytes() > 0 || turn.out.is_closed() => return,
                Some(_) if !wait.is_zero() => return turn.out.set_timer(Some(wait)),
                Some(number) => {
                    if turn.send(Message::from(&number.to_string())).is_err() {
                        return;
                    }
                    self.numbers.sent();
                }
            }
        }
        turn.go_on_soon();
    }
}

impl Plan for Counting {
    fn opened(&mut self, turn: &mut Turn<'_, '_>) {
        self.go_on(turn);
    }

    fn timer(&mut self, turn: &mut Turn<'_, '_>) {
        self.go_on(turn);
    }

    fn drained(&mut self, turn: &mut Turn<'_, '_>) {
        turn.go_on_soon();
    }
}

impl Flooding {
    pub fn new(len: usize) -> Self {
        Self { len, block: block(len) }
    }
}

impl Plan for Flooding {
    fn opened(&mut self, turn: &mut Turn<'_, '_>) {
        match self.block {
            Some(_) => self.timer(turn),
            None => turn.close_overloaded(),
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_, '_>) {
        let Some(block) = &self.block else { return };
        let message = block.message(self.len);
        for _ in 0..(MAX_BYTES / self.len.max(1)).clamp(1, MAX_MESSAGES) {
            // It is called once there is room.
            if turn.out.queued_bytes() > 0 || turn.out.is_closed() || turn.send(message).is_err() {
                return;
            }
        }
        turn.go_on_soon();
    }

    fn drained(&mut self, turn: &mut Turn<'_, '_>) {
        turn.go_on_soon();
    }
}
