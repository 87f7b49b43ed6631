//! Who is connected: counts connections, caps them, and closes them at shutdown.
//!
//! A connection is counted twice. Its [`Registration`] counts against the caps for as long as its
//! descriptor is open, which a [`Sender`](crate::Sender) that somebody keeps may hold for long. Its
//! [`HandlerGuard`] is what a shutdown waits for, and ends with its handler.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Shutdown};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::connection::lifecycle::{ConnectionShared, Place};
use crate::io::stream::Sink;
use crate::proto::CloseCode;
use crate::server::callbacks::catch_panic;
use crate::server::registry::connections::{Connections, Stage, source};
use crate::session::CloseAction;

mod connections;

/// The connections of a server.
#[derive(Default)]
pub(crate) struct Registry {
    /// Set once, before the connections to close are looked for under the lock. So whoever takes
    /// the lock later sees it.
    closed: AtomicBool,
    connections: Mutex<Connections>,
    /// Signalled whenever a handler ends once the registry is closed.
    handler_ended: Condvar,
    /// Those to which a Close was sent that they have yet to answer, and until when.
    unanswered: Mutex<Unanswered>,
    /// Whom to tell that it is closed.
    runner: Mutex<Weak<Sender<Event>>>,
}

/// What the thread that runs a server hears of.
#[derive(Debug)]
pub(crate) enum Event {
    /// A listener is of no more use.
    Failed(io::Error),
    /// The server is shutting down.
    Closed,
}

type Unanswered = VecDeque<(Instant, Weak<ConnectionShared>)>;

/// What a shutdown waits for; dropping it is the end of a connection's handler.
pub(crate) struct HandlerGuard {
    registry: Arc<Registry>,
    id: usize,
}

/// What counts against the caps, until it is dropped with its connection's descriptor.
struct Registration {
    registry: Arc<Registry>,
    id: usize,
    source: Option<IpAddr>,
}

thread_local! {
    /// The address of the registry whose handler this thread runs, or zero.
    static HANDLER_OF: Cell<usize> = const { Cell::new(0) };
}

impl Registry {
    /// Tells this thread when the registry is closed, or that it is.
    pub(crate) fn set_runner(&self, events: &Arc<Sender<Event>>) {
        let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
        *runner = Arc::downgrade(events);
        // Looked at under the lock: whoever closes later finds the runner.
        if self.is_closed() {
            let _ = events.send(Event::Closed);
        }
    }

    /// Counts a stream, if the limits allow one more and the server is not shutting down.
    pub(crate) fn register(
        self: &Arc<Self>,
        shared: &Arc<ConnectionShared>,
    ) -> Option<HandlerGuard> {
        let limits = &shared.server.config.limits;
        let source = source(shared.stream());
        let mut connections = self.lock();
        if self.is_closed() {
            return None;
        }
        let id = connections.add(shared, source, limits)?;
        drop(connections);
        shared.count_at(Box::new(Registration { registry: Arc::clone(self), id, source }));
        Some(HandlerGuard { registry: Arc::clone(self), id })
    }

    /// Whether the server is shutting down.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Registers no more, sends 1001 to all that are open, and cuts those still in their handshake.
    /// It waits for no peer: one that has no room for a Close gets it by a later
    /// [`retry`](Self::retry).
    pub(crate) fn close(&self) {
        if self.closed.swap(true, Ordering::Relaxed) {
            // Nor is the runner told again, who would have no time for what it does every now and then.
            return;
        }
        let runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        if let Some(runner) = runner {
            // Who has ended meanwhile has nothing to do any more.
            let _ = runner.send(Event::Closed);
        }
        for (shared, open) in self.all_to_close() {
            alone(shared, |shared| match open {
                true => going_away(shared),
                false => shared.stream().shutdown(Shutdown::Both),
            });
        }
    }

    /// Sends 1001 to so many of those that are open, at the most, and what is left of it to those
    /// that had no room for theirs before; how many are open still. It waits for no peer.
    pub(crate) fn close_some(&self, most: usize) -> usize {
        let (mut told, mut left) = (0, 0);
        for (shared, open) in self.all() {
            alone(shared, |shared| match shared.writer.may_send() {
                _ if !open => {}
                true if told < most => {
                    told += 1;
                    going_away(shared);
                }
                true => left += 1,
                false => drop(shared.writer.retry()),
            });
        }
        left
    }

    /// Does what is to be done every now and then while the server shuts down.
    pub(crate) fn look_after(&self) {
        self.retry();
        self.expire();
    }

    /// Sends what the peers had no room for before, as far as they have now.
    fn retry(&self) {
        for (shared, _) in self.all() {
            alone(shared, |shared| {
                shared.writer.retry();
            });
        }
    }

    /// From now on this thread runs what waits for nobody of its own server: callbacks, and handlers.
    pub(crate) fn runs_here(&self) {
        HANDLER_OF.set(ptr::from_ref(self).addr());
    }

    /// How many handlers run, or may do so after their handshake.
    pub(crate) fn handlers(&self) -> usize {
        self.lock().handlers()
    }

    /// Whether the handler of one of its connections runs on this thread.
    pub(crate) fn is_own_handler(&self) -> bool {
        HANDLER_OF.get() == ptr::from_ref(self).addr()
    }

    /// Waits until all handlers have ended; whether they have. Once the registry is closed.
    pub(crate) fn wait(&self, timeout: Duration) -> bool {
        let is_busy = |connections: &mut Connections| connections.handlers() > 0;
        let waited = self.handler_ended.wait_timeout_while(self.lock(), timeout, is_busy);
        let (connections, _) = waited.unwrap_or_else(PoisonError::into_inner);
        connections.handlers() == 0
    }

    /// Cuts those whose peers have not answered our Close in time, if their threads are in a read
    /// that began before it was sent: nothing else would wake them. To be called now and then.
    pub(crate) fn expire(&self) {
        let mut due = Vec::new();
        let mut unanswered = self.unanswered();
        if unanswered.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some((at, shared)) = unanswered.front()
            && (*at <= now || shared.strong_count() == 0)
        {
            due.extend(shared.upgrade());
            unanswered.pop_front();
        }
        drop(unanswered);
        for shared in due {
            alone(shared, |shared| {
                shared.writer.retry();
                match shared.writer.closed_at() {
                    Some(at) if at.elapsed() >= shared.server.config.timeouts.close => {
                        shared.expire_close();
                    }
                    None if shared.writer.is_over() => {}
                    // Its time begins when it is sent.
                    at => self.watch(shared, at.unwrap_or_else(Instant::now)),
                }
            });
        }
    }

    /// Cuts all whose handlers have not ended. What an ended one has left was taken out of it.
    pub(crate) fn abort_all(&self) {
        let connections = self.lock();
        let all: Vec<_> =
            connections.with_handlers().filter_map(|one| one.shared.upgrade()).collect();
        drop(connections);
        for shared in all {
            alone(shared, |shared| shared.abort());
        }
    }

    /// Has [`expire`](Self::expire) look at a connection whose Close was sent at this time.
    fn watch(&self, shared: &Arc<ConnectionShared>, closed_at: Instant) {
        let due = closed_at.checked_add(shared.server.config.timeouts.close);
        // Else it is never.
        let Some(due) = due else { return };
        let mut unanswered = self.unanswered();
        // Those that have ended meanwhile need not wait for their turn.
        if unanswered.len() >= 64 && unanswered.len().is_power_of_two() {
            unanswered.retain(|(_, shared)| shared.strong_count() > 0);
        }
        unanswered.push_back((due, Arc::downgrade(shared)));
    }

    /// All connections, and whether they are open. They are dropped outside the lock, which that
    /// takes.
    fn all(&self) -> Vec<(Arc<ConnectionShared>, bool)> {
        let mut connections = self.lock();
        let all = connections.iter_mut();
        all.filter_map(|one| Some((one.shared.upgrade()?, one.stage == Stage::Open))).collect()
    }

    /// The same for a shutdown: those that are not open by now never will be.
    fn all_to_close(&self) -> Vec<(Arc<ConnectionShared>, bool)> {
        let mut connections = self.lock();
        let all = connections.iter_mut();
        all.filter_map(|one| {
            let is_open = one.stage == Stage::Open;
            if !is_open {
                one.stage = Stage::Cut;
            }
            Some((one.shared.upgrade()?, is_open))
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unanswered(&self) -> MutexGuard<'_, Unanswered> {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandlerGuard {
    /// From now on this thread runs what waits for nobody of its own server: callbacks, and the
    /// handler.
    pub(crate) fn runs_here(&self) {
        self.registry.runs_here();
    }

    /// The handshake is done but for our answer. If the server is shutting down, a Close follows
    /// the answer, or there is none.
    pub(crate) fn set_open(&self) {
        let mut connections = self.registry.lock();
        let Some(registered) = connections.get_mut(self.id) else { return };
        let is_cut = registered.stage == Stage::Cut;
        if !is_cut {
            registered.stage = Stage::Open;
        }
        let shared = registered.shared.upgrade().filter(|_| self.registry.is_closed());
        drop(connections);
        match shared {
            // It gets no 101: whoever shuts down may be a while until it is here.
            Some(shared) if is_cut => shared.stream().shutdown(Shutdown::Both),
            Some(shared) => going_away(&shared),
            None => {}
        }
    }
}

impl Drop for HandlerGuard {
    fn drop(&mut self) {
        HANDLER_OF.set(0);
        let mut connections = self.registry.lock();
        connections.handler_ended(self.id);
        let awaited = self.registry.is_closed();
        drop(connections);
        if awaited {
            self.registry.handler_ended.notify_all();
        }
    }
}

impl Place for Registration {
    fn watch(&self, shared: &Arc<ConnectionShared>) {
        self.registry.watch(shared, Instant::now());
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // It has a weak one only, so that nothing of the connection is dropped under the lock.
        self.registry.lock().descriptor_closed(self.id, self.source);
    }
}

/// Does this with a connection. Its transport may be the application's, and panic: that is the end of
/// this connection, and of nothing on the thread that looks after them all.
/// So may what is attached to its request, if nobody else has it any more.
fn alone(shared: Arc<ConnectionShared>, f: impl FnOnce(&Arc<ConnectionShared>)) {
    if catch_panic(|| f(&shared)).is_err() {
        let _ = catch_panic(|| shared.abort());
    }
    let _ = catch_panic(|| drop(shared));
}

/// §7.4.1: 1001 is for a server that goes down.
fn going_away(shared: &Arc<ConnectionShared>) {
    let reason = "the server is shutting down".to_owned();
    shared.try_close(CloseAction::Initiate(CloseCode::GOING_AWAY, reason));
}

#[cfg(test)]
mod tests;
