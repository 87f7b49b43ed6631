//! The load generator: clients on one thread, which keep a server busy and time its replies.

pub(crate) mod histogram;
pub(crate) mod extension;
pub(crate) mod stream;
pub(crate) mod client;
pub(crate) mod script;
pub(crate) mod deflate;
pub(crate) mod wait;
pub(crate) mod traffic;
pub(crate) mod echo;
pub(crate) mod churn;
pub(crate) mod idle;
