//! A blocking stream with deadlines, and where streams come from.

pub(crate) mod deadline;
pub(crate) mod transport;
pub(crate) mod stream;
pub(crate) mod listener;
pub(crate) mod timed_listener;

pub use listener::Listener;
pub use transport::Transport;
