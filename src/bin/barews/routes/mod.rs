//! What a client finds on each path.

pub(crate) mod route;
pub(crate) mod echo;
pub(crate) mod faults;
pub(crate) mod headers;
pub(crate) mod plain;
pub(crate) mod rooms;
pub(crate) mod stall;
pub(crate) mod stream;
pub(crate) mod subprotocol;
