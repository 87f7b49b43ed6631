//! Pings every so often, and a JSON text for each Pong; echoes besides.

use std::time::{Duration, Instant};

use barews::Message;

use super::echo::Echo;
use super::turn::{Plan, Turn};
use crate::routes::stream::{ping_payload, pong_report};

pub struct Pinging {
    start: Instant,
    number: u64,
    interval: Duration,
}

impl Pinging {
    pub fn new(interval: Duration) -> Self {
        Self { start: Instant::now(), number: 0, interval }
    }
}

impl Plan for Pinging {
    fn opened(&mut self, turn: &mut Turn<'_, '_>) {
        self.timer(turn);
    }

    fn message(&mut self, turn: &mut Turn<'_, '_>, message: Message<'_>) {
        Echo.message(turn, message);
    }

    fn pong(&mut self, turn: &mut Turn<'_, '_>, payload: &[u8]) {
        if let Some(json) = pong_report(payload, self.start.elapsed()) {
            // One that does not read is told no more.
            let _ = turn.send(Message::from(&json));
        }
    }

    fn timer(&mut self, turn: &mut Turn<'_, '_>) {
        self.number += 1;
        // Behind a Close there is none.
        let _ = turn.out.ping(&ping_payload(self.number, self.start.elapsed()));
        turn.out.set_timer(Some(self.interval));
    }
}
