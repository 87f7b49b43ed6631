//! Rooms in which every message is broadcast to everyone.
//!
//! ```text
//! recv ──> the backplane ──> deliver ──> a SendQueue for each member ──> on_sent: counted
//! ```
//!
//! A member has a queue with a bound, which the library empties, so that a slow one holds up
//! nobody: when its queue is full, it is closed with 1013. The one who posts waits for its own
//! queue, though (backpressure), so that whoever reads what comes back can post as fast as the
//! network allows.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use barews::{
    Backplane, CloseCode, Connection, Error, Local, MessageType, OwnedMessage, Receiver, SendQueue,
    Sender,
};

use super::echo::TOO_MANY_WAIT;
use super::stream;
use crate::limits::{MEMORY, Quota, Share};
use crate::metrics::Counters;
use crate::session::{self, End};

/// From how many bytes on no more messages may wait for a member; an empty one counts as 128.
const MAX_WAITING: usize = 2 << 20;

/// Up to so many messages, their slots in a queue are not counted.
const MIN_SLOTS: usize = 16;

/// The reason for a member whose queue is full.
const TOO_SLOW: &str = "messages came faster than they were read";

/// How long one who posts waits for its own queue before it is taken for slow.
pub const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// All rooms that somebody is in.
#[derive(Clone)]
pub struct Rooms {
    local: Arc<LocalRooms>,
    /// Where messages go: it delivers them to the local rooms.
    backplane: Arc<dyn Backplane>,
}

/// The members whom this process serves.
#[derive(Default)]
pub struct LocalRooms(Mutex<HashMap<String, Room>>);

/// A room's members. A message is queued for all of them under the lock, so that its order among the
/// others is one for everyone.
type Room = Arc<Mutex<Vec<Arc<Member>>>>;

/// One connection in a room.
struct Member {
    queue: SendQueue,
    /// For the slots of what is queued; the messages have shares of their own.
    slots: Mutex<Share>,
    counters: Arc<Counters>,
}

/// Being a member of a room, ended when it is dropped.
pub struct Membership {
    rooms: Rooms,
    name: String,
    room: Room,
    member: Arc<Member>,
}

impl Default for Rooms {
    /// Rooms of this process only.
    fn default() -> Self {
        let local = Arc::<LocalRooms>::default();
        let rooms = Arc::clone(&local);
        let backplane = Local::new(move |name: &str, message: &_| rooms.deliver(name, message));
        Self::new(local, Arc::new(backplane))
    }
}

impl Rooms {
    pub fn new(local: Arc<LocalRooms>, backplane: Arc<dyn Backplane>) -> Self {
        Self { local, backplane }
    }

    /// The life of a connection in a room.
    #[inline(never)]
    pub fn join(&self, name: &str, conn: Connection, counters: &Arc<Counters>) -> End {
        let (mut receiver, sender) = conn.split();
        let Some(membership) = self.add(name, &sender, counters) else {
            let code = CloseCode::TRY_AGAIN_LATER;
            session::start_close(&sender, counters, code, stream::NO_THREAD);
            let result = stream::discard(&mut receiver, counters);
            return End::of_half(&receiver, result);
        };
        drop(sender);
        let result = membership.post_all(&mut receiver);
        End::of_half(&receiver, result)
    }

    /// Adds a member to a room, unless there is no thread to send what is queued for it.
    pub fn add(&self, name: &str, to: &Sender, counters: &Arc<Counters>) -> Option<Membership> {
        // One message may be longer than all that may wait else, so the bound is ours.
        let queue = to.queued(usize::MAX).ok()?;
        queue.on_sent({
            let counters = Arc::clone(counters);
            move |message| counters.count_sent(message)
        });
        let membership = self.add_member(name, Member::new(queue, &MEMORY, counters));
        self.backplane.subscribe(name);
        Some(membership)
    }

    fn add_member(&self, name: &str, member: Member) -> Membership {
        let member = Arc::new(member);
        let mut rooms = lock(&self.local.0);
        let room = Arc::clone(rooms.entry(name.to_owned()).or_default());
        lock(&room).push(Arc::clone(&member));
        Membership { rooms: self.clone(), name: name.to_owned(), room, member }
    }
}

impl LocalRooms {
    /// Queues a message for each of a room's members here.
    pub fn deliver(&self, name: &str, message: &OwnedMessage) {
        let room = lock(&self.0).get(name).cloned();
        if let Some(room) = room {
            lock(&room).iter().for_each(|member| member.push(message));
        }
    }
}

impl Membership {
    /// Publishes each message that comes.
    fn post_all(&self, receiver: &mut Receiver) -> Result<(), Error> {
        let mut buf = Vec::new();
        while let Some(message) = receiver.recv(&mut buf)? {
            self.member.counters.count_received(message);
            let kind = message.kind();
            if let Some(message) = self.store(kind, || Some(mem::take(&mut buf))) {
                if !self.has_room(POST_TIMEOUT) {
                    self.close_slow();
                }
                self.publish(&message);
            }
        }
        Ok(())
    }

    /// Keeps a message to be published; without memory for that, the member is closed.
    pub fn store(
        &self,
        kind: MessageType,
        bytes: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<OwnedMessage> {
        let stored = bytes().and_then(|bytes| MEMORY.store_for_many(kind, bytes));
        if stored.is_none() {
            self.member.close(TOO_MANY_WAIT);
        }
        stored
    }

    pub fn publish(&self, message: &OwnedMessage) {
        // Who does not get it is counted, and told to the log, where it is known.
        let _ = self.rooms.backplane.publish(&self.name, message);
    }

    /// Whether at most half of the member's queue is in use, or it is closed; waits for that so long.
    pub fn has_room(&self, within: Duration) -> bool {
        self.member.queue.wait_for_room(MAX_WAITING / 2, within)
    }

    /// The member has not read for too long to post any more.
    pub fn close_slow(&self) {
        self.member.close(TOO_SLOW);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.rooms.backplane.unsubscribe(&self.name);
        let mut rooms = lock(&self.rooms.local.0);
        let mut members = lock(&self.room);
        members.retain(|member| !Arc::ptr_eq(member, &self.member));
        if members.is_empty() {
            rooms.remove(&self.name);
        }
    }
}

impl Member {
    fn new(queue: SendQueue, quota: &'static Quota, counters: &Arc<Counters>) -> Self {
        let (slots, counters) = (Mutex::new(quota.empty_share()), Arc::clone(counters));
        Self { queue, slots, counters }
    }

    fn push(&self, message: &OwnedMessage) {
        if self.queue.queued_bytes() >= MAX_WAITING {
            self.close(TOO_SLOW);
        } else if !self.pay_for_slots() {
            self.close(TOO_MANY_WAIT);
        } else {
            // One who has left needs nothing.
            let _ = self.queue.try_send(message);
        }
    }

    /// Pays for the slots in the queue, of which there are up to twice as many as messages; whether so
    /// much memory is left.
    fn pay_for_slots(&self) -> bool {
        let slots = match self.queue.len() {
            0..MIN_SLOTS => 0,
            len => 2 * (len + 1).next_power_of_two(),
        };
        lock(&self.slots).resize(slots * size_of::<OwnedMessage>())
    }

    /// Closes with this reason, unless it is closed; what waits is of no more use to anybody.
    fn close(&self, reason: &'static str) {
        if !self.queue.is_closed() {
            session::close_queue(&self.queue, &self.counters, CloseCode::TRY_AGAIN_LATER, reason);
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
    use std::io::{self, ErrorKind, IoSlice, Write};
    use std::net::Shutdown;

    use barews::{Accept, Config, MessageType, Sender, Transport, Upgrade};

    /// A peer that has sent a request, and takes the answer and nothing more.
    struct Silent(Mutex<(&'static [u8], bool)>);

    const REQUEST: &[u8] =
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    impl Transport for Silent {
        fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
            io::Read::read(&mut lock(&self.0).0, buf)
        }

        fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            match mem::replace(&mut lock(&self.0).1, true) {
                false => io::sink().write_vectored(bufs),
                true => Err(ErrorKind::WouldBlock.into()),
            }
        }

        fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn set_nonblocking(&self, _: bool) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    fn member(quota: &'static Quota) -> (Member, Receiver, Sender) {
        let mut config = Config::default();
        config.timeouts.close = Duration::from_millis(1);
        let silent = Silent(Mutex::new((REQUEST, false)));
        let upgrade = Upgrade::handshake(silent, &config).expect("a request");
        let (receiver, sender) = upgrade.accept(&Accept::new()).expect("an answer").split();
        let queue = sender.queued(usize::MAX).expect("a thread");
        (Member::new(queue, quota, &Arc::default()), receiver, sender)
    }

    /// What waits for a member costs its slots too, and all of it is given back.
    #[test]
    fn edge_m_members_pay_for_their_queues() {
        let quota = Quota::leaked(256 << 20);
        let left = quota.left();
        let members = [(); 50].map(|()| member(quota));
        for _ in 0..16_000 {
            let message = quota.store_for_many(MessageType::Text, Vec::new()).expect("room");
            members.iter().for_each(|(member, ..)| member.push(&message));
        }
        let taken = left - quota.left();
        assert!(taken > 50 * 16_000 * size_of::<OwnedMessage>(), "{taken}");
        // There is not enough for another member: it is closed, and the others stay.
        let message = quota.store_for_many(MessageType::Text, Vec::new()).expect("room");
        let late = member(quota);
        let rest = quota.take(quota.left() - 100).expect("there is room");
        for _ in 0..100 {
            late.0.push(&message);
        }
        let reason = |member: &Member| Some(member.counters.closed.get()?.reason.clone());
        assert_eq!(reason(&late.0).as_deref(), Some(TOO_MANY_WAIT));
        assert!(members.iter().all(|(member, ..)| !member.queue.is_closed()));
        // Nor for those who do not read.
        drop(rest);
        for _ in 0..1000 {
            members[0].0.push(&message);
        }
        assert_eq!(reason(&members[0].0).as_deref(), Some(TOO_SLOW));
        drop((message, late, members));
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while quota.left() != left {
            assert!(std::time::Instant::now() < deadline, "{} of {left}", quota.left());
            std::thread::yield_now();
        }
    }
}
