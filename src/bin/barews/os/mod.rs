//! What the system offers: listeners, signals, limits of the process.
//!
//! ```text
//! address ── listen ──> listeners, a socket_file      signals ──> shutdown
//! socket_activation ──> listeners ── reach ──> URLs   allocator, descriptors: at the start
//! ```
//!
//! Each call into the C library that std does not have, but links already, is in one of these files,
//! in an `unsafe` block with its argument. Systems other than Unix have the same functions in
//! `other`, which say so or do nothing. It imports nothing of the program.

pub mod allocator;
#[cfg(unix)]
pub mod descriptors;
#[cfg(unix)]
pub mod signals;
#[cfg(unix)]
pub mod socket;
#[cfg(unix)]
pub mod socket_activation;
#[cfg(unix)]
pub mod socket_file;
#[cfg(not(unix))]
mod other;
#[cfg(not(unix))]
pub use other::{descriptors, signals, socket, socket_activation, socket_file};
pub mod address;
pub mod listen;
pub mod reach;
pub mod connect;
