//! What the system offers and std does not: each call into the C library that std links already is
//! in one of these files, in an `unsafe` block with its argument. Where there is no such call, the
//! function says so or does nothing.

/// How memory is shared out.
pub(crate) mod allocator;
/// How many descriptors there may be.
pub(crate) mod descriptors;
/// Signals that ask the program to stop.
pub(crate) mod signals;
/// Options of sockets, and their backlog.
#[cfg(unix)]
pub(crate) mod socket;
/// Where to listen.
pub(crate) mod address;
/// The files of Unix-domain sockets.
#[cfg(unix)]
pub(crate) mod socket_file;
/// From addresses to listeners.
pub(crate) mod listen;
/// Listeners that a supervisor has opened.
pub(crate) mod socket_activation;
