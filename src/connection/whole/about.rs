//! What is known of a connection since it opened, for whoever has it or a half of it.

use std::net::SocketAddr;

#[cfg(feature = "deflate")]
use crate::connection::compression::Compression;
use crate::connection::request::Request;
use crate::connection::whole::connection::Connection;
#[cfg(feature = "deflate")]
use crate::http::DeflateParams;

impl Connection {
    /// The request that opened the connection.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The subprotocol that was agreed upon (§1.9).
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The peer's address, where the stream has one.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.request.peer_addr()
    }

    /// What was agreed on about compression (RFC 7692 §7.1), if it was.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(&self) -> Option<&DeflateParams> {
        self.sender.shared.compression().map(Compression::params)
    }
}
