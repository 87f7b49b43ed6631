//! What is known of a connection since it opened, for whoever has it or a half of it.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

#[cfg(feature = "deflate")]
use crate::connection::compression::Compression;
use crate::connection::receiver::Receiver;
use crate::connection::request::Request;
use crate::connection::sender::Sender;
use crate::connection::whole::connection::Connection;
#[cfg(feature = "deflate")]
use crate::http::DeflateParams;

/// The same for the whole and for its halves.
macro_rules! about {
    ($name:ident, |$one:ident| $shared:expr) => {
        impl $name {
            /// The request that opened the connection.
            #[must_use]
            pub fn request(&self) -> &Request {
                let $one = self;
                $shared.request()
            }

            /// The value of this type that [`on_upgrade`](crate::Server::on_upgrade) has
            /// [attached](crate::Accept::attach) when it accepted the request.
            #[must_use]
            pub fn attached<T: Any>(&self) -> Option<&T> {
                self.request().attached()
            }

            /// The subprotocol that was agreed upon (§1.9).
            #[must_use]
            pub fn subprotocol(&self) -> Option<&str> {
                self.request().agreed_subprotocol()
            }

            /// The peer's address, where the stream has one.
            #[must_use]
            pub fn peer_addr(&self) -> Option<SocketAddr> {
                self.request().peer_addr()
            }

            /// What was agreed on about compression (RFC 7692 §7.1), if it was.
            #[cfg(feature = "deflate")]
            #[must_use]
            pub fn compression(&self) -> Option<&DeflateParams> {
                let $one = self;
                $shared.compression().map(Compression::params)
            }
        }

        impl fmt::Debug for $name {
            /// Who is there, and whether anything can be sent to them.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let $one = self;
                f.debug_struct(stringify!($name))
                    .field("peer_addr", &self.peer_addr())
                    .field("path", &self.request().path())
                    .field("subprotocol", &self.subprotocol())
                    .field("is_closed", &$shared.writer.is_closed())
                    .finish_non_exhaustive()
            }
        }
    };
}

about!(Connection, |conn| conn.sender.shared);
about!(Receiver, |half| half.reader.shared);
about!(Sender, |half| half.shared);

impl Sender {
    /// Whether nothing can be sent any more: our Close has gone out, or the connection has ended
    /// without one. It may be so a moment later.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.writer.is_closed()
    }

    /// Ends the connection at once, with no Close and without a wait: for a peer that is not worth
    /// any. Whoever is receiving, or in the middle of a write, fails with
    /// [`ConnectionAborted`](std::io::ErrorKind::ConnectionAborted), and whoever waits to send with
    /// [`Error::Closed`](crate::Error::Closed): each is a [disconnect](crate::Error::is_disconnect).
    pub fn abort(&self) {
        self.shared.disconnect();
    }

    /// Whether both send on the same connection.
    #[must_use]
    pub fn same_connection(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}
