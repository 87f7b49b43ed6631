//! A loop: one thread, many connections, one buffer to read into and one to gather what they send.
//!
//! ```text
//!   poll ──▶ a listener ──▶ accept ──▶ registered under the caps, or 503
//!     │  └─▶ a connection ──▶ turn ──▶ read ──▶ session ──▶ handler ──▶ outbox ──▶ one write
//!     └────▶ deadlines ──▶ what is due: a Ping, the end of a deadline, a timer of the handler's
//! ```
//!
//! Sockets tell of changes only, so one that may have more to give is read again, behind others. A
//! [`Sender`](crate::Sender) writes by itself, and wakes a loop only to have a handler called, or for our
//! Close, whose answer is waited for here.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll, Token};

use crate::connection::Connection;
use crate::event_loop::conn::{Conn, Due};
use crate::event_loop::deadlines::{self, Deadlines, Entry, Tick};
use crate::event_loop::handler::EventHandler;
use crate::event_loop::listening::{Listening, SharedListener};
use crate::event_loop::output::Scratch;
use crate::event_loop::pool::{Pool, ReadBuffer};
use crate::io::listener::MAX_ACCEPT_TIMEOUT;
use crate::io::loop_handle::LoopHandle;
use crate::server::BoxError;
use crate::server::callbacks::catch_panic;
use crate::server::worker::Workers;

/// How many sockets one poll tells of, and so many notices are heard beside.
const MAX_EVENTS: usize = 1024;

/// How many connections are fetched from memory together: of thousands hardly one is in a cache, and what
/// is asked for at once comes in the time of one. With 16,384 of them a message took 4 % less.
const TOGETHER: usize = 8;

/// How many connections whose time has come have their turn before others: thousands that came together
/// may have the same deadline.
const MAX_EXPIRED: usize = 32;

/// How long those have their turn that take long, before it is looked for others: those that have more than one
/// turn's work, or are yet to open. A thousand of these may come at once, and a handshake of TLS takes a
/// third of a millisecond. The rest of them come first the next time, and have half as long as the others
/// had, if that is more.
const MIN_SLOW_TIME: Duration = Duration::from_millis(2);

/// How often, at the most, it is looked for memory that is kept for nothing, and for connections with threads
/// whose peers have not answered our Close, in nanoseconds.
const EXPIRE_INTERVAL: u64 = 50 * NANOS_A_TICK;

const NANOS_A_TICK: u64 = 1_000_000;

/// The threads for connections that need one, and what is one for all loops of a server.
pub(super) type Threads = Workers<Box<dyn Fn(Connection) -> Result<(), BoxError> + Send + Sync>>;

/// See the [module](self).
pub(super) struct Engine<H: EventHandler> {
    pub(super) handler: Arc<H>,
    pub(super) threads: Arc<Threads>,
    pub(super) sockets: Sockets,
    pub(super) conns: Vec<Option<Box<Conn<H::State>>>>,
    /// Slots of `conns` to be used again: by who is accepted, once all events of a turn are heard that may
    /// still name who was there, and none of `again` does.
    pub(super) free: Vec<usize>,
    pub(super) turned_away: usize,
    deadlines: Deadlines,
    /// Those who may have more to read, or room for more.
    again: VecDeque<usize>,
    pub(super) start: Instant,
    /// When this turn began, and in nanoseconds since the start.
    pub(super) now: Instant,
    pub(super) clock: u64,
    /// What has gone of this turn for those that take long, and what may.
    slow_time: Duration,
    slow_limit: Duration,
    pub(super) scratch: Scratch,
    /// Memory for messages in parts.
    pub(super) pool: Pool,
    /// Room to read into; `None` while what was read is dealt with.
    pub(super) buffer: Option<Box<ReadBuffer>>,
}

/// What becomes of a connection after its turn.
pub(super) type Fate = Result<(), Gone>;

/// It is no more the loop's: it has ended, or is a thread's.
pub(super) struct Gone;

/// What a loop waits with: all that can fail before it serves.
pub(super) struct Sockets {
    poll: Poll,
    /// What streams refer to.
    pub(super) handle: Arc<LoopHandle>,
    pub(super) listeners: Vec<Listening>,
}

impl Sockets {
    /// # Errors
    ///
    /// If a listener is of a kind that no loop can wait for, or there are no descriptors.
    pub(super) fn new(listeners: &[Arc<SharedListener>]) -> io::Result<Self> {
        let poll = Poll::new()?;
        let listeners: io::Result<Vec<_>> = listeners
            .iter()
            .enumerate()
            .map(|(index, shared)| Listening::new(shared, poll.registry(), Token(index)))
            .collect();
        let handle = Arc::new(LoopHandle::new(poll.registry())?);
        Ok(Self { listeners: listeners?, handle, poll })
    }
}

impl<H: EventHandler> Engine<H> {
    pub(super) fn new(handler: Arc<H>, threads: Arc<Threads>, sockets: Sockets) -> Self {
        Self {
            handler,
            threads,
            // The tokens of listeners are those of no connection.
            conns: sockets.listeners.iter().map(|_| None).collect(),
            sockets,
            free: Vec::new(),
            turned_away: 0,
            deadlines: Deadlines::default(),
            again: VecDeque::new(),
            start: Instant::now(),
            now: Instant::now(),
            clock: 0,
            slow_time: Duration::ZERO,
            slow_limit: MIN_SLOW_TIME,
            scratch: Scratch::new(),
            pool: Pool::default(),
            buffer: Some(Box::new(ReadBuffer::new())),
        }
    }

    /// Serves until the server is shut down and every connection has ended.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(MAX_EVENTS);
        let mut expired = 0;
        self.threads.registry.runs_here();
        while !self.is_over() {
            match self.sockets.poll.poll(&mut events, Some(self.wait())) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.threads.fail(error),
            }
            self.begin_turn();
            let mut waiting = self.again.len();
            while waiting > 0 && self.has_time() {
                self.go_on_next();
                waiting -= 1;
            }
            let mut ahead = events.iter();
            for (index, event) in events.iter().enumerate() {
                if index % TOGETHER == 0 {
                    let next = ahead.by_ref().take(TOGETHER);
                    let slots = next.filter_map(|event| self.conns.get(event.token().0));
                    slots.flatten().for_each(|conn| conn.prefetch());
                }
                self.heard(event);
            }
            self.accept_all();
            for _ in 0..MAX_EXPIRED {
                let Some(entry) = self.deadlines.pop_due(self.tick()) else { break };
                self.expire(entry);
            }
            if self.clock - expired >= EXPIRE_INTERVAL {
                expired = self.clock;
                self.threads.registry.expire();
                if self.pool.trim(self.now, events.is_empty()) {
                    self.scratch.trim();
                }
            }
            self.sweep();
        }
    }

    fn begin_turn(&mut self) {
        let now = Instant::now();
        self.slow_limit = MIN_SLOW_TIME;
        // Else the time before may have been slept through.
        if !self.again.is_empty() {
            let others = now.saturating_duration_since(self.now).saturating_sub(self.slow_time);
            self.slow_limit = MIN_SLOW_TIME.max(others / 2);
        }
        (self.now, self.slow_time) = (now, Duration::ZERO);
        self.scratch.begin_round();
        self.clock = now.saturating_duration_since(self.start).as_nanos() as u64;
    }

    fn tick(&self) -> Tick {
        self.clock / NANOS_A_TICK
    }

    fn is_over(&mut self) -> bool {
        if !self.threads.registry.is_closed() {
            return false;
        }
        self.sockets.listeners.clear();
        // Nobody waits for those who were turned away.
        self.conns.iter().flatten().all(|conn| conn.guard.is_none())
    }

    /// How long to wait for sockets.
    fn wait(&self) -> Duration {
        let is_ready = self.sockets.listeners.iter().any(Listening::is_ready);
        if is_ready || !self.again.is_empty() {
            return Duration::ZERO;
        }
        let next = self.deadlines.next().map(|at| at.saturating_sub(self.tick()));
        let next = next.map_or(MAX_ACCEPT_TIMEOUT, Duration::from_millis);
        let rests = self.sockets.listeners.iter().filter_map(|listening| listening.rests_until);
        let rest = rests.min().map(|until| until.saturating_duration_since(Instant::now()));
        next.min(rest.unwrap_or(MAX_ACCEPT_TIMEOUT)).min(MAX_ACCEPT_TIMEOUT)
    }

    fn heard(&mut self, event: &Event) {
        let slot = event.token().0;
        if let Some(listening) = self.sockets.listeners.get_mut(slot) {
            listening.ready = true;
            listening.is_ended |= event.is_read_closed();
            return;
        }
        if event.token() == LoopHandle::NOTIFIED {
            return self.notify();
        }
        let ended = event.is_read_closed() || event.is_error();
        self.turn(slot, |conn, engine| {
            conn.readable |= event.is_readable() || ended;
            conn.reads_all |= ended || event.is_priority();
            if ended && conn.output.paused.is_some() && conn.output.shared.writer.is_over() {
                // We have cut it, and a pause waits for nothing any more. What was put aside comes before what
                // lies in the socket.
                conn.output.resume_reading();
                engine.batch_ended(conn)?;
            }
            // A Unix-domain socket whose peer has ended it has no room while that has not read, and yet each
            // write fails.
            if !event.is_writable() && !event.is_write_closed() {
                // What waits for others who write may have been held up by them alone.
                conn.retry(engine.now);
                return Ok(());
            }
            conn.stream.wake_writer();
            // Another thread's Ping may have found none.
            conn.output.is_posted = true;
            // The handshake of TLS writes where it reads.
            conn.readable |= conn.reads_all;
            engine.resume(conn)
        });
    }

    /// Other threads have something for handlers, have sent a Close, or write no more.
    #[cold]
    fn notify(&mut self) {
        for slot in self.sockets.handle.take_notified(MAX_EVENTS) {
            self.turn(slot as usize, |conn, engine| match conn.stream.take_notice() {
                Some(for_handler) => engine.notified(conn, for_handler),
                // It was meant for who had the slot before.
                None => Ok(()),
            });
        }
    }

    /// A connection's turn: something has happened, and then it is read.
    pub(super) fn turn(
        &mut self,
        slot: usize,
        happened: impl FnOnce(&mut Conn<H::State>, &mut Self) -> Fate,
    ) {
        // Out of its slot, so that it can be used together with all the rest.
        let Some(mut conn) = self.conns.get_mut(slot).and_then(Option::take) else { return };
        self.scratch.begin_turn();
        let slow_since = conn.is_slow().then(Instant::now);
        let fate = happened(&mut conn, self).and_then(|()| {
            match slow_since.is_none() || self.has_time() {
                true => self.read(&mut conn, slow_since.is_some()),
                false => Ok(()),
            }
        });
        if let Some(since) = slow_since {
            self.slow_time += since.elapsed();
        }
        // Once, whatever else it has a turn for meanwhile.
        if fate.is_ok() && conn.goes_on() && !mem::replace(&mut conn.is_again, true) {
            self.again.push_back(slot);
        }
        self.put_back(slot, conn, fate);
    }

    /// Whether those that take long may go on for now.
    pub(super) fn has_time(&self) -> bool {
        self.slow_time < self.slow_limit
    }

    /// Who has waited for longest goes on.
    fn go_on_next(&mut self) {
        let Some(slot) = self.again.pop_front() else { return };
        if self.conns[slot].is_none() {
            return self.free.push(slot);
        }
        self.turn(slot, |conn, engine| {
            conn.is_again = false;
            // It was us who were late.
            conn.since = engine.clock;
            match mem::take(&mut conn.output.goes_on) {
                true if conn.output.is_congested() => engine.resume(conn),
                true => engine.batch_ended(conn),
                false => Ok(()),
            }
        });
    }

    fn put_back(&mut self, slot: usize, mut conn: Box<Conn<H::State>>, fate: Fate) {
        if fate.is_ok() {
            self.schedule(&mut conn, slot);
            self.conns[slot] = Some(conn);
            return;
        }
        let has_ended = !conn.stream.is_detached();
        // Somebody may keep a sender, and with it the descriptor, whose token is another's soon.
        if has_ended && Arc::strong_count(&conn.output.shared) > 1 {
            conn.output.shared.abandon();
            let _ = conn.stream.deregister();
        }
        self.turned_away -= usize::from(has_ended && conn.guard.is_none());
        let is_again = conn.is_again;
        // What was attached to its request is dropped with it, and may panic.
        let _ = catch_panic(|| drop(conn));
        // The drop of a guard says that this thread runs nothing of the server's.
        self.threads.registry.runs_here();
        if !is_again {
            self.free.push(slot);
        }
    }

    /// Has a connection looked at in time.
    fn schedule(&mut self, conn: &mut Conn<H::State>, slot: usize) {
        // What only moves on need not be touched: whoever is asked too soon says so.
        if conn.due != 0 && !conn.is_hurried() {
            return;
        }
        if conn.output.shared.writer.is_closed() && !conn.output.reads_nothing() {
            // However long it has said nothing before, the time for its answer begins now, if it has not yet.
            conn.account(None, conn.unfinished(), self.clock);
        }
        let at = match conn.deadline(self.now) {
            Ok(Due::At(at)) => at,
            // It is told when it is asked.
            Ok(Due::Ping) | Err(_) => Some(self.now),
        };
        let Some(at) = at else { return };
        // One that has passed is due at the next tick, behind all that is due by now.
        let at = deadlines::tick(self.start, at).max(self.tick()).saturating_add(1);
        if conn.due == 0 || at < conn.due {
            conn.due = at;
            self.deadlines.add(Entry { slot: slot as u32, at });
        }
    }

    /// A nearer deadline leaves the one before it there, as a timer does at each call.
    #[inline]
    fn sweep(&mut self) {
        self.deadlines.sweep(2 * self.conns.len(), |entry| {
            let conn = self.conns.get(entry.slot as usize).and_then(Option::as_ref);
            conn.is_some_and(|conn| conn.due == entry.at)
        });
    }

    fn expire(&mut self, entry: Entry) {
        let slot = entry.slot as usize;
        // Or it is one that counts no more, and perhaps of who had the slot before.
        if let Some(conn) = &mut self.conns[slot]
            && conn.due == entry.at
        {
            conn.due = 0;
            self.turn(slot, |conn, engine| engine.time_passed(conn));
        }
    }
}
