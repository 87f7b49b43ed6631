//! Who is connected, so that a server can count them, cap them and send them away.
//!
//! A connection is counted twice over. Its *place* counts against the caps for as long as its
//! descriptor is open, which a [`Sender`](crate::Sender) that somebody keeps may do for long; its
//! *slot* is what a server that stops waits for, and ends with its handler.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::connection::lifecycle::{self, ConnectionShared};
use crate::io::expiry::Expiry;
use crate::io::stream::Sink;
use crate::io::stream::TimedStream;
use crate::proto::CloseCode;
use crate::session::CloseAction;

/// The connections of a server.
#[derive(Default)]
pub(crate) struct Registry {
    peers: Mutex<Peers>,
    /// Signalled whenever a handler ends, if somebody waits for that.
    ended: Condvar,
    /// Those to which a Close was sent that they have yet to answer, and since when.
    closing: Mutex<VecDeque<(Instant, Weak<ConnectionShared>)>>,
}

#[derive(Default)]
struct Peers {
    /// In places that are used again.
    places: Vec<Option<Peer>>,
    /// Which of them are free.
    free: Vec<usize>,
    /// How many there are from each source; no entry is zero.
    by_source: HashMap<IpAddr, usize>,
    /// How many have a slot.
    slots: usize,
    /// Whether the server is shutting down: nobody enters any more.
    closing: bool,
    /// How many threads wait for the others to end.
    waiting: usize,
}

struct Peer {
    shared: Weak<ConnectionShared>,
    /// Whether the request is accepted.
    open: bool,
}

/// What a server that stops waits for; dropping it is the end of a connection's handler.
pub(crate) struct Slot {
    registry: Arc<Registry>,
    place: usize,
}

/// What counts against the caps, until it is dropped with its connection's descriptor.
struct Place {
    registry: Arc<Registry>,
    place: usize,
    source: Option<IpAddr>,
}

impl Registry {
    /// A place and a slot for a stream, if the limits allow one more.
    pub(crate) fn enter(self: &Arc<Self>, shared: &Arc<ConnectionShared>) -> Option<Slot> {
        let limits = &shared.server.config.limits;
        let source = source(shared.stream());
        let mut peers = self.lock();
        if peers.closing || peers.count() >= limits.max_connections {
            return None;
        }
        if let Some(source) = source {
            match peers.by_source.entry(source) {
                Entry::Occupied(mut count) if *count.get() < limits.max_connections_per_ip => {
                    *count.get_mut() += 1;
                }
                Entry::Vacant(first) if limits.max_connections_per_ip > 0 => drop(first.insert(1)),
                _ => return None,
            }
        }
        let peer = Some(Peer { shared: Arc::downgrade(shared), open: false });
        let place = match peers.free.pop() {
            Some(place) => {
                peers.places[place] = peer;
                place
            }
            None => {
                peers.places.push(peer);
                peers.places.len() - 1
            }
        };
        peers.slots += 1;
        drop(peers);
        shared.count_at(Box::new(Place { registry: Arc::clone(self), place, source }));
        Some(Slot { registry: Arc::clone(self), place })
    }

    /// Lets nobody enter any more, sends 1001 to all that are open, and cuts those still in their
    /// handshake. Nobody is waited for: who has no room for a Close gets it by a later
    /// [`retry`](Self::retry).
    pub(crate) fn close(&self) {
        let (mut open, mut opening) = (Vec::new(), Vec::new());
        let mut peers = self.lock();
        peers.closing = true;
        for peer in peers.places.iter().flatten() {
            let list = if peer.open { &mut open } else { &mut opening };
            list.extend(peer.shared.upgrade());
        }
        drop(peers);
        for shared in &open {
            going_away(shared);
        }
        for shared in opening {
            shared.stream().shutdown(Shutdown::Both);
        }
    }

    /// Sends what the peers had no room for before, as far as they have now.
    pub(crate) fn retry(&self) {
        for shared in self.all() {
            shared.writer.retry();
        }
    }

    /// Waits until all handlers have ended; whether they have by the deadline.
    pub(crate) fn wait(&self, deadline: Expiry) -> bool {
        let mut peers = self.lock();
        peers.waiting += 1;
        while peers.slots > 0
            && let Some(left) = deadline.left()
        {
            let waited = self.ended.wait_timeout(peers, left.min(Duration::from_secs(3600)));
            peers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        peers.waiting -= 1;
        peers.slots == 0
    }

    /// Cuts those whose peers have not answered our Close in time, if their threads are in a read
    /// that began before it was sent: nothing else would wake them. To be called now and then.
    pub(crate) fn expire(&self) {
        let mut later = Vec::new();
        loop {
            let mut closing = self.closing();
            let Some((since, shared)) = closing.pop_front() else { break };
            let Some(shared) = shared.upgrade() else { continue };
            if since.elapsed() < shared.server.config.timeouts.close {
                closing.push_front((since, Arc::downgrade(&shared)));
                break;
            }
            drop(closing);
            shared.writer.retry();
            let timeout = shared.server.config.timeouts.close;
            match shared.writer.closed_at() {
                Some(at) if at.elapsed() >= timeout => shared.expire_close(),
                // Its time begins when it is sent.
                at => later.push((at.unwrap_or_else(Instant::now), shared)),
            }
        }
        for (since, shared) in later {
            self.watch_since(since, &shared);
        }
    }

    /// Cuts all streams, unless every handler has ended: what is left then was taken out of one.
    pub(crate) fn cut(&self) {
        if self.lock().slots == 0 {
            return;
        }
        for shared in self.all() {
            shared.abort();
        }
    }

    fn watch(&self, shared: &Arc<ConnectionShared>) {
        self.watch_since(Instant::now(), shared);
    }

    fn watch_since(&self, since: Instant, shared: &Arc<ConnectionShared>) {
        if shared.server.config.timeouts.close == Duration::MAX {
            return;
        }
        let mut closing = self.closing();
        // Those that have ended meanwhile need not wait for their turn.
        if closing.len() >= 64 && closing.len().is_power_of_two() {
            closing.retain(|(_, shared)| shared.strong_count() > 0);
        }
        closing.push_back((since, Arc::downgrade(shared)));
    }

    /// All connections. They are dropped outside the lock, which that takes.
    fn all(&self) -> Vec<Arc<ConnectionShared>> {
        let peers = self.lock();
        peers.places.iter().flatten().filter_map(|peer| peer.shared.upgrade()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closing(&self) -> MutexGuard<'_, VecDeque<(Instant, Weak<ConnectionShared>)>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peers {
    fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl Slot {
    /// The handshake is done but for our answer. If the server is shutting down, a Close follows
    /// the answer.
    pub(crate) fn open(&self) {
        let mut peers = self.registry.lock();
        let Some(peer) = &mut peers.places[self.place] else { return };
        peer.open = true;
        let shared = peer.shared.upgrade().filter(|_| peers.closing);
        drop(peers);
        if let Some(shared) = shared {
            going_away(&shared);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut peers = self.registry.lock();
        peers.slots -= 1;
        let awaited = peers.waiting > 0;
        drop(peers);
        if awaited {
            self.registry.ended.notify_all();
        }
    }
}

impl lifecycle::Place for Place {
    fn watch(&self, shared: &Arc<ConnectionShared>) {
        self.registry.watch(shared);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.registry.lock();
        // Weak, so that nothing of the connection is dropped under the lock.
        peers.places[self.place] = None;
        peers.free.push(self.place);
        if let Some(Entry::Occupied(mut count)) = self.source.map(|ip| peers.by_source.entry(ip)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 of an IPv6 one.
fn source(stream: &TimedStream) -> Option<IpAddr> {
    Some(match stream.peer_addr()?.ip().to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    })
}

/// §7.4.1: 1001 is for a server that goes down.
fn going_away(shared: &Arc<ConnectionShared>) {
    let reason = "the server is shutting down".to_owned();
    shared.try_close(CloseAction::Initiate(CloseCode::GOING_AWAY, reason));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Limits};
    use crate::connection::lifecycle::ServerShared;
    use crate::io::transport::{Stream, Transport};
    use std::io::{self, IoSlice};
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A stream that is never used.
    struct Nothing;

    impl Transport for Nothing {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn write_vectored(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
            Ok(0)
        }
        fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
        fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn places_are_counted_in_all_and_by_source_and_given_back() {
        let limits = Limits { max_connections: 3, max_connections_per_ip: 2, ..Limits::default() };
        let context = Arc::new(ServerShared::new(Config { limits, ..Config::default() }));
        let registry = Arc::new(Registry::default());
        let enter = |ip: &str| {
            let peer = SocketAddr::new(ip.parse().unwrap(), 1);
            let stream = TimedStream::new(Stream::Other(Box::new(Nothing)), Some(peer));
            let shared = Arc::new(ConnectionShared::new(stream, Arc::clone(&context)));
            registry.enter(&shared).map(|slot| (slot, shared))
        };
        let first = enter("10.0.0.1").unwrap();
        let mapped = enter("::ffff:10.0.0.1").unwrap();
        assert!(enter("10.0.0.1").is_none(), "two from one address");
        drop(mapped);
        let second = enter("10.0.0.1").unwrap();
        let third = enter("2001:db8::1").unwrap();
        assert!(enter("10.0.0.2").is_none(), "three in all");
        drop((first, second, third));
        let network = [enter("2001:db8::1").unwrap(), enter("2001:db8::2:3:4:5").unwrap()];
        assert!(enter("2001:db8::6").is_none(), "two from one /64");
        assert!(enter("2001:db8:0:1::6").is_some());
        drop(network);
        assert_eq!(registry.lock().count(), 0);
        assert!(registry.lock().by_source.is_empty());
        // A handler that has ended is waited for no more, and counts while its stream is open.
        let (slot, shared) = enter("10.0.0.1").unwrap();
        drop(slot);
        assert!(registry.wait(Expiry::after(Duration::ZERO)));
        assert_eq!(registry.lock().count(), 1);
        drop(shared);
        assert_eq!(registry.lock().count(), 0);
    }

    /// A stream whose peer may have no room, so that a write that waits takes as long as a tick of
    /// the kernel's clock.
    #[derive(Clone, Default)]
    struct Full(Arc<(AtomicBool, AtomicBool, Mutex<Vec<u8>>)>);

    impl Transport for Full {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
        fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
            let (full, nonblocking, written) = &*self.0;
            if full.load(Ordering::SeqCst) {
                if !nonblocking.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(8));
                }
                return Err(io::ErrorKind::WouldBlock.into());
            }
            written.lock().unwrap().extend_from_slice(&bufs[0]);
            Ok(bufs[0].len())
        }
        fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
        fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }
        fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
            self.0.1.store(nonblocking, Ordering::SeqCst);
            Ok(())
        }
        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    /// Those who have no room hold up nobody, and have their Close as soon as they have room.
    #[test]
    fn edge_k_peers_with_full_sockets_do_not_hold_up_the_others() {
        let context = Arc::new(ServerShared::new(Config::default()));
        let registry = Arc::new(Registry::default());
        let open = || {
            let full = Full::default();
            let stream = TimedStream::new(Stream::Other(Box::new(full.clone())), None);
            let shared = Arc::new(ConnectionShared::new(stream, Arc::clone(&context)));
            let slot = registry.enter(&shared).unwrap();
            slot.open();
            shared.writer.open(b"101").unwrap();
            (full, shared, slot)
        };
        let peers: Vec<_> = (0..1000).map(|_| open()).collect();
        for (full, ..) in peers.iter().step_by(2) {
            full.0.0.store(true, Ordering::SeqCst);
        }
        let start = Instant::now();
        registry.close();
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        let told = |(full, ..): &(Full, _, _)| full.0.2.lock().unwrap().starts_with(b"101\x88");
        assert!(peers.iter().skip(1).step_by(2).all(told), "those with room are told");
        assert!(!peers.iter().step_by(2).any(told));
        for (full, ..) in &peers {
            full.0.0.store(false, Ordering::SeqCst);
        }
        registry.retry();
        assert!(peers.iter().all(told));
    }
}
