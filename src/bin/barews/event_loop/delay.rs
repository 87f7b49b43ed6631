//! Echoes that come later, and in order.

use std::time::Duration;

use barews::Message;

use super::turn::{Plan, Turn, copied};
use crate::routes::delay::{DelayQueue, random};

/// Sends every message back by so much later.
pub struct Delayed {
    queue: DelayQueue,
    delay: Duration,
    is_random: bool,
}

impl Delayed {
    pub fn by(delay: Duration) -> Self {
        Self { queue: DelayQueue::new(), delay, is_random: false }
    }

    /// By a random time.
    pub fn by_up_to(max: Duration) -> Self {
        Self { is_random: true, ..Self::by(max) }
    }

    fn send_due(&mut self, turn: &mut Turn<'_, '_>) {
        while let Some(message) = self.queue.due() {
            if turn.send(message).is_err() {
                // It is called once there is room.
                return;
            }
            self.queue.pop();
        }
        turn.out.set_timer(self.queue.next());
    }
}

impl Plan for Delayed {
    fn message(&mut self, turn: &mut Turn<'_, '_>, message: Message<'_>) {
        let delay = if self.is_random { random(self.delay) } else { self.delay };
        match self.queue.push(message.kind(), || copied(message), delay) {
            true => self.send_due(turn),
            false => turn.close_overloaded(),
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_, '_>) {
        self.send_due(turn);
    }

    fn drained(&mut self, turn: &mut Turn<'_, '_>) {
        self.send_due(turn);
    }
}
