//! The request that asks for a connection.

use std::any::Any;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::OnceLock;
use std::time::Instant;

use crate::http::{Accept, Attachments, RequestHead};
#[cfg(feature = "tls")]
use crate::io::TlsInfo;

/// A request as it came, and from where. Method, target and headers are those of its
/// [`RequestHead`].
#[derive(Debug, Clone)]
pub struct Request {
    head: RequestHead,
    peer_addr: Option<SocketAddr>,
    accepted_at: Instant,
    /// What it was accepted with. Boxed, since most have nothing.
    accepted: OnceLock<Box<Accepted>>,
    /// Boxed, since most have none.
    #[cfg(feature = "tls")]
    tls: Option<Box<TlsInfo>>,
}

/// What a request was accepted with.
#[derive(Debug, Clone)]
struct Accepted {
    subprotocol: Option<String>,
    attachments: Attachments,
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
            accepted: OnceLock::new(),
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

    /// The value of this type that [`on_upgrade`](crate::Server::on_upgrade) has
    /// [attached](Accept::attach) when it accepted the request; `None` before.
    #[must_use]
    pub fn attached<T: Any>(&self) -> Option<&T> {
        self.accepted.get()?.attachments.get()
    }

    pub(crate) fn set_accepted(&self, accept: &Accept) {
        let (subprotocol, attachments) = (accept.selected_subprotocol(), accept.attachments());
        if subprotocol.is_some() || !attachments.is_empty() {
            let subprotocol = subprotocol.map(str::to_owned);
            let attachments = attachments.clone();
            // It is accepted once.
            let _ = self.accepted.set(Box::new(Accepted { subprotocol, attachments }));
        }
    }

    /// The subprotocol that was agreed upon.
    pub(super) fn agreed_subprotocol(&self) -> Option<&str> {
        self.accepted.get()?.subprotocol.as_deref()
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
