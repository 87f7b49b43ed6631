//! The opening handshake (§4): HTTP, as far as a WebSocket server needs it.
//!
//! ```text
//! bytes --HeadParser--> RequestHead --check_request, check_upgrade--> Handshake --Accept--> 101
//!              |                      |             |
//!          HeadError               HandshakeError     NotWebSocket: plain HTTP
//!              '------ Response ------'
//! ```
//!
//! What passes all of it is a [`Handshake`], which makes the 101 of an [`Accept`] and of the
//! extensions that are agreed on: none, but for what the feature `deflate` negotiates. There is no
//! I/O here: bytes go in, values or bytes come out. The server reads one request a connection, and
//! never a body; after any other answer than 101 the connection is closed, so that nothing which
//! follows the head can be taken for a second request.
//!
//! This room is pure, and imports nothing of the crate: no socket, no thread, no clock. A § without
//! a document is one of RFC 6455. Each file imports only from those declared before it.

mod grammar;
mod head;
mod date;
mod response;
mod error;
mod target;
mod parser;
mod origin;
mod handshake;
#[cfg(feature = "deflate")]
mod extensions;
#[cfg(test)]
mod testing;

pub use date::Date;
pub use error::{HandshakeError, HeadError};
#[cfg(feature = "deflate")]
pub use extensions::{DeflateOffer, DeflateParams, deflate_offers};
pub use handshake::{Handshake, accept_key, check, check_request, check_upgrade};
pub use head::{HeadLimits, RequestHead};
pub use origin::{InvalidOrigin, Origin, check_origin};
pub use parser::HeadParser;
pub(crate) use response::Attachments;
pub use response::{Accept, InvalidResponse, Reject, Response, Status};
