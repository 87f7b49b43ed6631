//! What a path has to do with the opening handshake: whether it succeeds, and what it tells.
//!
//! ```text
//! status       an answer of the client's choice in place of the 101
//! auth         401, unless the request has the credentials that its path names
//! limits       those that a connection asks for
//! subprotocol  which of those offered is agreed to
//! headers      the request's head, told to the one who sent it
//! ```

pub mod status;
pub mod auth;
pub mod limits;
pub mod subprotocol;
pub mod headers;
