//! The request that asks for a connection.

use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Instant;

use crate::http::RequestHead;
#[cfg(feature = "tls")]
use crate::io::TlsInfo;

/// A request as it came, and from where. Method, target and headers are those of its
/// [`RequestHead`].
#[derive(Debug, Clone)]
pub struct Request {
    head: RequestHead,
    peer_addr: Option<SocketAddr>,
    accepted_at: Instant,
    /// Boxed, since most have none.
    #[cfg(feature = "tls")]
    tls: Option<Box<TlsInfo>>,
}

impl Request {
    pub(crate) fn new(
        head: RequestHead,
        peer_addr: Option<SocketAddr>,
        accepted_at: Instant,
    ) -> Self {
        Self {
            head,
            peer_addr,
            accepted_at,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(mut self, tls: Option<TlsInfo>) -> Self {
        self.tls = tls.map(Box::new);
        self
    }

    /// What the handshake of TLS has agreed on, with the client's certificate, if it came over TLS
    /// that this server speaks: behind a proxy that does, it is `None`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// The peer's address, where the stream has one.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// When the stream was accepted, and the server began to wait for the request.
    #[must_use]
    pub fn accepted_at(&self) -> Instant {
        self.accepted_at
    }
}

impl Deref for Request {
    type Target = RequestHead;

    fn deref(&self) -> &RequestHead {
        &self.head
    }
}
