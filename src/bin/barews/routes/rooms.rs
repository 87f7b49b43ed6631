//! Rooms in which every message goes to everyone.
//!
//! A member has a queue with a bound and a thread that empties it, so that a slow one holds up
//! nobody: when its queue is full, it is sent away with 1013. The one who posts waits for its own
//! queue, though, so that whoever reads what comes back can post as fast as the network allows.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barews::{CloseCode, Connection, Sender};

use crate::helper;
use crate::limits::{self as budget, Budget, Held};
use crate::metrics::Tally;
use crate::routes::echo::CROWDED;
use crate::session::{self as visit, End};

/// How many messages wait for a member at the most, and from how many bytes on no more do.
const WAITING: (usize, usize) = (16_384, 1 << 20);

/// What a member is told whose queue is full.
const SLOW: &str = "messages came faster than they were read";

/// How long one who posts waits for its own queue before it is taken for slow.
const PATIENCE: Duration = Duration::from_secs(10);

/// All rooms that somebody is in.
#[derive(Default)]
pub(crate) struct Rooms {
    rooms: Mutex<HashMap<String, Arc<Room>>>,
}

#[derive(Default)]
struct Room {
    members: Mutex<Vec<Arc<Member>>>,
}

/// One connection in a room.
struct Member {
    queue: Mutex<Queue>,
    /// Signalled whenever the queue changes.
    changed: Condvar,
}

struct Queue {
    posts: budget::Queue<Arc<Held>>,
    bytes: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Here,
    /// Whoever empties the queue sends a Close with this reason.
    Away(&'static str),
    Left,
}

/// A place in a room, given up when it is dropped.
struct Seat<'a> {
    rooms: &'a Rooms,
    name: &'a str,
    room: Arc<Room>,
    member: Arc<Member>,
}

impl Rooms {
    /// The life of a connection in a room.
    #[inline(never)]
    pub(crate) fn attend(
        &self,
        name: &str,
        conn: Connection,
        tally: &Arc<Tally>,
        budget: &Budget,
    ) -> End {
        let (mut receiver, sender) = conn.split();
        let seat = self.enter(name, budget);
        let spawned = helper::spawn("room", {
            let (member, sender, tally) =
                (Arc::clone(&seat.member), sender.clone(), Arc::clone(tally));
            move || member.deliver(&sender, &tally)
        });
        if !spawned {
            // Nothing is to wait for one who is not there.
            seat.member.become_state(State::Left);
            let reason = "no thread to be had";
            visit::start_close(&sender, tally, CloseCode::TRY_AGAIN_LATER, reason);
        }
        let mut buf = Vec::new();
        let result = loop {
            match receiver.recv(&mut buf) {
                Ok(None) => break Ok(()),
                Ok(Some(message)) => {
                    tally.count_received(message);
                    let kind = message.kind();
                    match budget.hold(kind, mem::take(&mut buf)) {
                        Some(held) => seat.post(held),
                        None => seat.member.send_away(CROWDED),
                    }
                }
                Err(error) => break Err(error),
            }
        };
        End { result, close: receiver.close_frame().cloned() }
    }

    fn enter<'a>(&'a self, name: &'a str, budget: &Budget) -> Seat<'a> {
        let member = Arc::new(Member::new(budget));
        let mut rooms = lock(&self.rooms);
        let room = Arc::clone(rooms.entry(name.to_owned()).or_default());
        lock(&room.members).push(Arc::clone(&member));
        Seat { rooms: self, name, room, member }
    }
}

impl Seat<'_> {
    /// Puts a message into everyone's queue, in the same order for all.
    fn post(&self, post: Held) {
        self.member.wait_for_room();
        let post = Arc::new(post);
        for member in &*lock(&self.room.members) {
            member.push(&post);
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut rooms = lock(&self.rooms.rooms);
        let mut members = lock(&self.room.members);
        members.retain(|member| !Arc::ptr_eq(member, &self.member));
        if members.is_empty() {
            rooms.remove(self.name);
        }
        drop((members, rooms));
        self.member.become_state(State::Left);
    }
}

impl Member {
    fn new(budget: &Budget) -> Self {
        let queue = Queue { posts: budget::Queue::new(budget), bytes: 0, state: State::Here };
        Self { queue: Mutex::new(queue), changed: Condvar::new() }
    }

    fn push(&self, post: &Arc<Held>) {
        let mut queue = lock(&self.queue);
        if queue.state != State::Here {
            return;
        }
        if queue.is_full() {
            drop(queue);
            return self.send_away(SLOW);
        }
        if !queue.posts.push(Arc::clone(post)) {
            drop(queue);
            return self.send_away(CROWDED);
        }
        queue.bytes += post.len();
        self.changed.notify_all();
    }

    /// Waits until at most half of the queue is in use.
    fn wait_for_room(&self) {
        let busy = |queue: &mut Queue| queue.state == State::Here && queue.is_half_full();
        let waited = self.changed.wait_timeout_while(lock(&self.queue), PATIENCE, busy);
        if waited.is_ok_and(|(_, waited)| waited.timed_out()) {
            self.send_away(SLOW);
        }
    }

    fn send_away(&self, reason: &'static str) {
        self.become_state(State::Away(reason));
    }

    fn become_state(&self, state: State) {
        let mut queue = lock(&self.queue);
        queue.state = state;
        // What waits is of no more use to anybody.
        let posts = queue.posts.take();
        queue.bytes = 0;
        self.changed.notify_all();
        drop(queue);
        drop(posts);
    }

    /// Sends what is queued until the member leaves.
    fn deliver(&self, sender: &Sender, tally: &Tally) {
        loop {
            let idle = |queue: &mut Queue| queue.state == State::Here && queue.posts.is_empty();
            let queue = self.changed.wait_while(lock(&self.queue), idle);
            let mut queue = queue.unwrap_or_else(PoisonError::into_inner);
            match queue.state {
                State::Here => {}
                State::Away(reason) => {
                    let code = CloseCode::TRY_AGAIN_LATER;
                    return visit::start_close(sender, tally, code, reason);
                }
                State::Left => return,
            }
            let Some(post) = queue.posts.pop() else { continue };
            queue.bytes -= post.len();
            self.changed.notify_all();
            drop(queue);
            if sender.send(post.message()).is_err() {
                // The one who receives sees the end of the connection too.
                return self.become_state(State::Left);
            }
            tally.count_sent(post.message());
        }
    }
}

impl Queue {
    fn is_full(&self) -> bool {
        self.posts.len() >= WAITING.0 || self.bytes >= WAITING.1
    }

    fn is_half_full(&self) -> bool {
        self.posts.len() > WAITING.0 / 2 || self.bytes > WAITING.1 / 2
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
        let budget = Budget::new();
        let left = budget.left();
        let members = [(); 50].map(|()| Member::new(&budget));
        for _ in 0..16_000 {
            let post = Arc::new(budget.hold(MessageType::Text, Vec::new()).expect("there is room"));
            members.iter().for_each(|member| member.push(&post));
        }
        let taken = left - budget.left();
        assert!(taken > 50 * 16_000 * size_of::<Arc<Held>>(), "{taken}");
        // There is not enough for another member: it is sent away, and the others stay.
        let rest = budget.charge(budget.left() - 100).expect("there is room");
        let late = Member::new(&budget);
        let post = Arc::clone(lock(&members[0].queue).posts.first().expect("a post"));
        late.push(&post);
        assert!(lock(&late.queue).state == State::Away(CROWDED));
        assert!(members.iter().all(|member| lock(&member.queue).state == State::Here));
        drop((post, rest));
        members.iter().for_each(|member| member.become_state(State::Left));
        assert_eq!(budget.left(), left);
    }
}
