//! Rooms in which every message is broadcast to everyone.
//!
//! A member has a queue with a bound and a thread that empties it, so that a slow one holds up
//! nobody: when its queue is full, it is closed with 1013. The one who posts waits for its own
//! queue, though (backpressure), so that whoever reads what comes back can post as fast as the
//! network allows.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barews::{CloseCode, Connection, Error, Receiver, Sender};

use super::echo::TOO_MANY_WAIT;
use super::stream;
use crate::limits::{MEMORY, Queue, Quota, StoredMessage};
use crate::metrics::Counters;
use crate::session::{self, End};

/// How many messages wait for a member at the most.
const MAX_WAITING: usize = 16_384;

/// The reason for a member whose queue is full.
const TOO_SLOW: &str = "messages came faster than they were read";

/// How long one who posts waits for its own queue before it is taken for slow.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// All rooms that somebody is in.
#[derive(Default)]
pub struct Rooms {
    rooms: Mutex<HashMap<String, Arc<Room>>>,
}

#[derive(Default)]
struct Room {
    members: Mutex<Vec<Arc<Member>>>,
}

/// One connection in a room.
struct Member {
    inbox: Mutex<Inbox>,
    /// Signalled whenever the inbox changes.
    changed: Condvar,
}

struct Inbox {
    queue: Queue<Arc<StoredMessage>>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Whoever empties the queue sends a Close with this reason.
    Closing(&'static str),
    Left,
}

/// Being a member of a room, ended when it is dropped.
struct Membership<'a> {
    rooms: &'a Rooms,
    name: &'a str,
    room: Arc<Room>,
    member: Arc<Member>,
}

impl Rooms {
    /// The life of a connection in a room.
    #[inline(never)]
    pub fn join(&self, name: &str, conn: Connection, counters: &Arc<Counters>) -> End {
        let membership = self.add_member(name);
        let member = Arc::clone(&membership.member);
        let send = move |sender: &Sender, counters: &Counters| member.deliver(sender, counters);
        stream::send_meanwhile(conn, counters, send, move |receiver, spawned| {
            if !spawned {
                // Nothing is to wait for one who is not there.
                membership.member.set_state(State::Left);
            }
            membership.broadcast(receiver, counters)
        })
    }

    fn add_member<'a>(&'a self, name: &'a str) -> Membership<'a> {
        let member = Arc::new(Member::new(&MEMORY));
        let mut rooms = lock(&self.rooms);
        let room = Arc::clone(rooms.entry(name.to_owned()).or_default());
        lock(&room.members).push(Arc::clone(&member));
        Membership { rooms: self, name, room, member }
    }
}

impl Membership<'_> {
    /// Puts each message that comes into everyone's queue, in the same order for all.
    fn broadcast(&self, receiver: &mut Receiver, counters: &Counters) -> Result<(), Error> {
        let mut buf = Vec::new();
        while let Some(message) = receiver.recv(&mut buf)? {
            counters.count_received(message);
            let kind = message.kind();
            let Some(stored) = MEMORY.store_for_many(kind, mem::take(&mut buf)) else {
                self.member.set_state(State::Closing(TOO_MANY_WAIT));
                continue;
            };
            self.member.wait_for_room();
            let message = Arc::new(stored);
            for member in &*lock(&self.room.members) {
                member.push(&message);
            }
        }
        Ok(())
    }
}

impl Drop for Membership<'_> {
    fn drop(&mut self) {
        let mut rooms = lock(&self.rooms.rooms);
        let mut members = lock(&self.room.members);
        members.retain(|member| !Arc::ptr_eq(member, &self.member));
        if members.is_empty() {
            rooms.remove(self.name);
        }
        drop((members, rooms));
        self.member.set_state(State::Left);
    }
}

impl Member {
    fn new(memory: &'static Quota) -> Self {
        let inbox = Inbox { queue: Queue::new(memory, MAX_WAITING), state: State::Open };
        Self { inbox: Mutex::new(inbox), changed: Condvar::new() }
    }

    fn push(&self, message: &Arc<StoredMessage>) {
        let mut inbox = lock(&self.inbox);
        if inbox.state != State::Open {
            return;
        }
        let reason = match inbox.queue.is_full() {
            true => TOO_SLOW,
            false if inbox.queue.push(Arc::clone(message)) => return self.changed.notify_all(),
            false => TOO_MANY_WAIT,
        };
        drop(inbox);
        self.set_state(State::Closing(reason));
    }

    /// Waits until at most half of the queue is in use.
    fn wait_for_room(&self) {
        let is_busy = |inbox: &mut Inbox| inbox.state == State::Open && inbox.queue.is_half_full();
        let waited = self.changed.wait_timeout_while(lock(&self.inbox), POST_TIMEOUT, is_busy);
        if waited.is_ok_and(|(_, waited)| waited.timed_out()) {
            self.set_state(State::Closing(TOO_SLOW));
        }
    }

    fn set_state(&self, state: State) {
        let mut inbox = lock(&self.inbox);
        inbox.state = state;
        // What waits is of no more use to anybody; it is freed outside the lock.
        let messages = inbox.queue.take();
        self.changed.notify_all();
        drop(inbox);
        drop(messages);
    }

    /// Sends what is queued until the member leaves.
    fn deliver(&self, sender: &Sender, counters: &Counters) {
        loop {
            let is_idle =
                |inbox: &mut Inbox| inbox.state == State::Open && inbox.queue.first().is_none();
            let inbox = self.changed.wait_while(lock(&self.inbox), is_idle);
            let mut inbox = inbox.unwrap_or_else(PoisonError::into_inner);
            match inbox.state {
                State::Open => {}
                State::Closing(reason) => {
                    let code = CloseCode::TRY_AGAIN_LATER;
                    return session::start_close(sender, counters, code, reason);
                }
                State::Left => return,
            }
            let Some(stored) = inbox.queue.pop() else { continue };
            self.changed.notify_all();
            drop(inbox);
            if sender.send_owned(stored.owned()).is_err() {
                // The one who receives sees the end of the connection too.
                return self.set_state(State::Left);
            }
            counters.count_sent(stored.message());
        }
    }
}

/// Nothing that can panic runs under these locks, so their data is whole whatever panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use barews::MessageType;

    /// What waits for a member costs its places too, and all of it is given back.
    #[test]
    fn edge_m_members_pay_for_their_queues() {
        let quota = Quota::leaked(256 << 20);
        let left = quota.left();
        let members = [(); 50].map(|()| Member::new(quota));
        for _ in 0..16_000 {
            let message = quota.store(MessageType::Text, Vec::new()).expect("there is room");
            let message = Arc::new(message);
            members.iter().for_each(|member| member.push(&message));
        }
        let taken = left - quota.left();
        assert!(taken > 50 * 16_000 * size_of::<Arc<StoredMessage>>(), "{taken}");
        // There is not enough for another member: it is closed, and the others stay.
        let rest = quota.take(quota.left() - 100).expect("there is room");
        let late = Member::new(quota);
        let message = Arc::clone(lock(&members[0].inbox).queue.first().expect("a message"));
        late.push(&message);
        assert!(lock(&late.inbox).state == State::Closing(TOO_MANY_WAIT));
        assert!(members.iter().all(|member| lock(&member.inbox).state == State::Open));
        drop((message, rest));
        members.iter().for_each(|member| member.set_state(State::Left));
        assert_eq!(quota.left(), left);
    }
}
