//! The request that asks for a connection.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Instant;

use crate::http::Head;

/// A request as it came, and from where. Method, target and headers are those of its [`Head`].
#[derive(Debug, Clone)]
pub struct Request {
    head: Head,
    peer_addr: Option<SocketAddr>,
    begun: Instant,
}

impl Request {
    pub(crate) fn new(head: Head, peer_addr: Option<SocketAddr>, begun: Instant) -> Self {
        Self { head, peer_addr, begun }
    }

    /// The peer's address, where the stream has one.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// When the stream was accepted, and the server began to wait for the request.
    #[must_use]
    pub fn begun(&self) -> Instant {
        self.begun
    }
}

impl Deref for Request {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}
