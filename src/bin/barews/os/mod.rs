//! What the system offers and std does not: each call into the C library that std links already is
//! in one of these files, in an `unsafe` block with its argument. Where there is no such call, the
//! function says so or does nothing.

/// How memory is shared out.
pub(crate) mod allocator;
/// How many descriptors there may be.
pub(crate) mod limits;
/// Signals that ask the program to stop.
pub(crate) mod signals;
/// Options of sockets, and their backlog.
#[cfg(unix)]
pub(crate) mod socket;
/// Listeners that a supervisor has opened.
pub(crate) mod socket_activation;
