//! A member of a room. What is broadcast goes by its queue; who posts faster than it reads is not read
//! meanwhile.

use std::time::{Duration, Instant};

use barews::{CloseCode, Message, OwnedMessage};

use super::turn::{Plan, Turn, copied};
use crate::routes::rooms::{Membership, POST_TIMEOUT, Rooms};
use crate::routes::stream::NO_THREAD;

/// How often it is looked whether there is room.
const ROOM_INTERVAL: Duration = Duration::from_millis(2);

pub struct Member {
    rooms: Rooms,
    name: String,
    /// From the 101 on.
    membership: Option<Membership>,
    /// What waits to be posted, and until when: no other message comes meanwhile.
    waiting: Option<(OwnedMessage, Instant)>,
}

impl Member {
    pub fn new(rooms: Rooms, name: String) -> Self {
        Self { rooms, name, membership: None, waiting: None }
    }
}

impl Plan for Member {
    fn opened(&mut self, turn: &mut Turn<'_, '_>) {
        self.membership = self.rooms.add(&self.name, &turn.out.sender(), turn.counters);
        if self.membership.is_none() {
            turn.start_close(CloseCode::TRY_AGAIN_LATER, NO_THREAD);
        }
    }

    fn message(&mut self, turn: &mut Turn<'_, '_>, message: Message<'_>) {
        let Some(membership) = &self.membership else { return };
        let stored = membership.store(message.kind(), || copied(message));
        let Some(stored) = stored else { return };
        if membership.has_room(Duration::ZERO) {
            return membership.publish(&stored);
        }
        self.waiting = Some((stored, Instant::now() + POST_TIMEOUT));
        turn.out.pause_reading();
        turn.out.set_timer(Some(ROOM_INTERVAL));
    }

    fn timer(&mut self, turn: &mut Turn<'_, '_>) {
        let (Some(membership), Some((message, until))) = (&self.membership, &self.waiting) else {
            return;
        };
        if !membership.has_room(Duration::ZERO) {
            if Instant::now() < *until {
                return turn.out.set_timer(Some(ROOM_INTERVAL));
            }
            membership.close_slow();
        }
        membership.publish(message);
        self.waiting = None;
        turn.out.resume_reading();
    }
}
