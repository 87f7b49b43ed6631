//! The connections themselves, each with an id of its own.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Weak};

use crate::config::Limits;
use crate::connection::lifecycle::ConnectionShared;
use crate::io::stream::TimedStream;

#[derive(Default)]
pub(super) struct Connections {
    by_id: Vec<Option<Registered>>,
    /// Which of them are `None`, to be used again.
    free_ids: Vec<usize>,
    /// How many there are from each source; no entry is zero.
    by_source: HashMap<IpAddr, usize>,
    /// How many count against the caps.
    counted: usize,
    /// How many handlers run, or may do so after their handshake.
    handlers: usize,
}

/// A connection, until its handler has ended and its descriptor is closed, in whichever order.
pub(super) struct Registered {
    /// Of no use once the descriptor is closed.
    pub(super) shared: Weak<ConnectionShared>,
    pub(super) stage: Stage,
    /// Its descriptor is open.
    counts: bool,
    has_handler: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Opening,
    /// The request is accepted.
    Open,
    /// The server was shut down before that.
    Cut,
}

impl Connections {
    /// Adds one, if the limits allow one more: its id.
    pub(super) fn add(
        &mut self,
        shared: &Arc<ConnectionShared>,
        source: Option<IpAddr>,
        limits: &Limits,
    ) -> Option<usize> {
        if self.counted >= limits.max_connections {
            return None;
        }
        if let Some(source) = source {
            match self.by_source.entry(source) {
                Entry::Occupied(mut count) if *count.get() < limits.max_connections_per_ip => {
                    *count.get_mut() += 1;
                }
                Entry::Vacant(first) if limits.max_connections_per_ip > 0 => drop(first.insert(1)),
                _ => return None,
            }
        }
        let id = self.free_ids.pop().unwrap_or(self.by_id.len());
        if id == self.by_id.len() {
            self.by_id.push(None);
        }
        let shared = Arc::downgrade(shared);
        let (stage, counts, has_handler) = (Stage::Opening, true, true);
        self.by_id[id] = Some(Registered { shared, stage, counts, has_handler });
        self.counted += 1;
        self.handlers += 1;
        Some(id)
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Option<&mut Registered> {
        self.by_id[id].as_mut()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Registered> {
        self.by_id.iter_mut().flatten()
    }

    /// Those whose handlers have not ended.
    pub(super) fn with_handlers(&self) -> impl Iterator<Item = &Registered> {
        self.by_id.iter().flatten().filter(|one| one.has_handler)
    }

    /// How many handlers run, or may do so after their handshake.
    pub(super) fn handlers(&self) -> usize {
        self.handlers
    }

    pub(super) fn handler_ended(&mut self, id: usize) {
        self.handlers -= 1;
        self.remove_if(id, |one| {
            one.has_handler = false;
            !one.counts
        });
    }

    pub(super) fn descriptor_closed(&mut self, id: usize, source: Option<IpAddr>) {
        self.counted -= 1;
        self.remove_if(id, |one| {
            one.counts = false;
            // What it refers to takes memory, for as long as the handler may run.
            one.shared = Weak::new();
            !one.has_handler
        });
        let count = source.map(|ip| self.by_source.entry(ip));
        if let Some(Entry::Occupied(mut count)) = count {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    fn remove_if(&mut self, id: usize, is_over: impl FnOnce(&mut Registered) -> bool) {
        if self.by_id[id].as_mut().is_some_and(is_over) {
            self.by_id[id] = None;
            self.free_ids.push(id);
        }
    }
}

/// What counts as one source: an IPv4 address, or the /64 of an IPv6 one.
pub(super) fn source(stream: &TimedStream) -> Option<IpAddr> {
    Some(match stream.peer_addr()?.ip().to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    })
}

#[cfg(test)]
impl Connections {
    pub(super) fn counted(&self) -> (usize, usize) {
        (self.counted, self.by_source.len())
    }
}
