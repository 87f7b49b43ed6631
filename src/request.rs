//! The request that asks for a connection.

use std::net::SocketAddr;
use std::ops::Deref;

use crate::http::Head;

/// A request as it came, and from where. Method, target and headers are those of its [`Head`].
#[derive(Debug, Clone)]
pub struct Request {
    head: Head,
    peer_addr: Option<SocketAddr>,
}

impl Request {
    pub(crate) fn new(head: Head, peer_addr: Option<SocketAddr>) -> Self {
        Self { head, peer_addr }
    }

    /// The peer's address, where the stream has one.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }
}

impl Deref for Request {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}
