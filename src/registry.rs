//! Who is connected, so that a server can count them, cap them and send them away.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr, Shutdown};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::proto::CloseCode;
use crate::shared::{LastWord, Shared};
use crate::transport::Wire;

/// How long one peer may hold up the Close frames of the others.
const HURRY: Duration = Duration::from_millis(1);

/// The connections of a server.
#[derive(Default)]
pub(crate) struct Registry {
    peers: Mutex<Peers>,
    /// Signalled whenever one ends, if somebody waits for that.
    ended: Condvar,
}

#[derive(Default)]
struct Peers {
    /// In places that are used again.
    places: Vec<Option<Peer>>,
    /// Which of them are free.
    free: Vec<usize>,
    /// How many there are from each source; no entry is zero.
    by_source: HashMap<IpAddr, usize>,
    /// Whether the server is shutting down: nobody enters any more.
    closing: bool,
    /// How many threads wait for the others to end.
    waiting: usize,
}

struct Peer {
    shared: Arc<Shared>,
    /// Whether the request is accepted.
    open: bool,
}

/// A place among the connections; dropping it gives it back.
pub(crate) struct Slot {
    registry: Arc<Registry>,
    place: usize,
}

impl Registry {
    /// A place for a stream, if the limits allow one more.
    pub(crate) fn enter(self: &Arc<Self>, shared: &Arc<Shared>) -> Option<Slot> {
        let limits = &shared.context.config.limits;
        let source = source(&shared.wire);
        let mut peers = self.lock();
        if peers.closing || peers.count() >= limits.connections {
            return None;
        }
        if let Some(source) = source {
            match peers.by_source.entry(source) {
                Entry::Occupied(mut count) if *count.get() < limits.connections_per_ip => {
                    *count.get_mut() += 1;
                }
                Entry::Vacant(first) if limits.connections_per_ip > 0 => drop(first.insert(1)),
                _ => return None,
            }
        }
        let peer = Some(Peer { shared: Arc::clone(shared), open: false });
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
        Some(Slot { registry: Arc::clone(self), place })
    }

    /// Lets nobody enter any more, sends 1001 to all that are open, as far as that can be done by
    /// the deadline, and cuts those still in their handshake.
    pub(crate) fn close(&self, deadline: Deadline) {
        let mut open = Vec::new();
        let mut peers = self.lock();
        peers.closing = true;
        for peer in peers.all() {
            match peer.open {
                true => open.push(Arc::clone(&peer.shared)),
                false => peer.shared.wire.shutdown(Shutdown::Both),
            }
        }
        drop(peers);
        for shared in open {
            if deadline.left().is_none() {
                break;
            }
            going_away(&shared);
        }
    }

    /// Waits until all have ended; whether they have by the deadline.
    pub(crate) fn wait(&self, deadline: Deadline) -> bool {
        let mut peers = self.lock();
        peers.waiting += 1;
        while peers.count() > 0
            && let Some(left) = deadline.left()
        {
            let waited = self.ended.wait_timeout(peers, left.min(Duration::from_secs(3600)));
            peers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        peers.waiting -= 1;
        peers.count() == 0
    }

    /// Cuts those whose peers have not answered our Close in time. Their threads may be blocked in
    /// a read that began before it was sent.
    pub(crate) fn expire(&self) {
        for Peer { shared, .. } in self.lock().all() {
            if shared.close_deadline().is_some_and(|deadline| deadline.left().is_none()) {
                shared.wire.shutdown(Shutdown::Both);
            }
        }
    }

    /// Cuts all streams.
    pub(crate) fn cut(&self) {
        for peer in self.lock().all() {
            peer.shared.wire.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peers {
    fn all(&self) -> impl Iterator<Item = &Peer> {
        self.places.iter().flatten()
    }

    fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

impl Slot {
    /// The handshake is done but for our answer. If the server is shutting down, a Close follows
    /// the answer.
    pub(crate) fn open(&self) {
        let mut guard = self.registry.lock();
        let peers = &mut *guard;
        let Some(peer) = &mut peers.places[self.place] else { return };
        peer.open = true;
        let leaving = peers.closing.then(|| Arc::clone(&peer.shared));
        drop(guard);
        if let Some(shared) = leaving {
            going_away(&shared);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The stream is closed outside the lock, which all others need.
        let mut peers = self.registry.lock();
        let peer = peers.places[self.place].take();
        peers.free.push(self.place);
        let source = peer.as_ref().and_then(|peer| source(&peer.shared.wire));
        if let Some(Entry::Occupied(mut count)) = source.map(|ip| peers.by_source.entry(ip)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        let awaited = peers.waiting > 0;
        drop(peers);
        drop(peer);
        if awaited {
            self.registry.ended.notify_all();
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 of an IPv6 one.
fn source(wire: &Wire) -> Option<IpAddr> {
    Some(match wire.peer_addr()?.ip().to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    })
}

/// §7.4.1: 1001 is for a server that goes down.
fn going_away(shared: &Shared) {
    let word = LastWord::Start(CloseCode::GOING_AWAY, "the server is shutting down".to_owned());
    shared.close(word, HURRY);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Limits};
    use crate::shared::Context;
    use crate::transport::{Stream, Transport};
    use std::io::{self, IoSlice};
    use std::net::SocketAddr;

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
        let limits = Limits { connections: 3, connections_per_ip: 2, ..Limits::default() };
        let context = Arc::new(Context::new(Config { limits, ..Config::default() }));
        let registry = Arc::new(Registry::default());
        let enter = |ip: &str| {
            let peer = SocketAddr::new(ip.parse().unwrap(), 1);
            let wire = Wire::new(Stream::Other(Box::new(Nothing)), Some(peer));
            registry.enter(&Arc::new(Shared::new(wire, Arc::clone(&context))))
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
    }
}
