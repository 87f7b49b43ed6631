//! What a connection is, without a socket.

pub(crate) mod headroom;
pub(crate) mod budget;
mod closing;

pub use closing::Closing;
