//! Who is connected, so that a server can count them, cap them and send them away.

use std::collections::HashMap;
use std::net::Shutdown;
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
    /// Signalled whenever one ends.
    ended: Condvar,
}

#[derive(Default)]
struct Peers {
    by_id: HashMap<u64, Peer>,
    next_id: u64,
    /// Whether the server is shutting down: nobody enters any more.
    closing: bool,
}

struct Peer {
    wire: Arc<Wire>,
    /// Once the handshake is done.
    open: Option<Arc<Shared>>,
}

/// A place among the connections; dropping it gives it back.
pub(crate) struct Slot {
    registry: Arc<Registry>,
    id: u64,
}

impl Registry {
    /// A place for `wire`, if there is one among `most`.
    pub(crate) fn enter(self: &Arc<Self>, wire: &Arc<Wire>, most: usize) -> Option<Slot> {
        let mut peers = self.lock();
        if peers.closing || peers.by_id.len() >= most {
            return None;
        }
        let id = peers.next_id;
        peers.next_id += 1;
        peers.by_id.insert(id, Peer { wire: Arc::clone(wire), open: None });
        Some(Slot { registry: Arc::clone(self), id })
    }

    /// Lets nobody enter any more, sends 1001 to all that are open, and cuts those still in their
    /// handshake.
    pub(crate) fn close(&self) {
        let mut open = Vec::new();
        let mut peers = self.lock();
        peers.closing = true;
        for peer in peers.by_id.values() {
            match &peer.open {
                Some(shared) => open.push(Arc::clone(shared)),
                None => peer.wire.shutdown(Shutdown::Both),
            }
        }
        drop(peers);
        for shared in open {
            going_away(&shared);
        }
    }

    /// Waits until all have ended; whether they have by the deadline.
    pub(crate) fn wait(&self, deadline: Deadline) -> bool {
        let mut peers = self.lock();
        while !peers.by_id.is_empty() {
            let Some(left) = deadline.left() else { return false };
            let waited = self.ended.wait_timeout(peers, left.min(Duration::from_secs(3600)));
            peers = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Cuts all streams.
    pub(crate) fn cut(&self) {
        for peer in self.lock().by_id.values() {
            peer.wire.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The handshake is done. If the server is shutting down, so is the connection at once.
    pub(crate) fn open(&self, shared: &Arc<Shared>) {
        let mut peers = self.registry.lock();
        if let Some(peer) = peers.by_id.get_mut(&self.id) {
            peer.open = Some(Arc::clone(shared));
        }
        let closing = peers.closing;
        drop(peers);
        if closing {
            going_away(shared);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // The stream is closed outside the lock, which all others need.
        let peer = self.registry.lock().by_id.remove(&self.id);
        drop(peer);
        self.registry.ended.notify_all();
    }
}

/// §7.4.1: 1001 is for a server that goes down.
fn going_away(shared: &Shared) {
    let word = LastWord::Start(CloseCode::GOING_AWAY, "the server is shutting down".to_owned());
    shared.close(word, HURRY);
}
