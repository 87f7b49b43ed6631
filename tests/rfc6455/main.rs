//! The server held to RFC 6455, chapter by chapter, from outside: bytes in, bytes out, and what
//! the API says of them. One binary, so that it is linked once.
//!
//! Names that begin with `h`, `w` or `f` and a number belong to the list of bad inputs and faults
//! that this server was built against: `h` for the handshake, `w` for frames, `f` for faults.

#[macro_use]
#[path = "../common/mod.rs"]
mod common;

/// Between the handshake and the handler.
mod accepted;
/// Before a connection: who is let in, and who hears of those who are not.
mod accepting;
/// Senders beside a connection, and handlers that do more than receive.
mod beside;
/// The program.
mod binary;
/// Somebody else's client.
mod clients;
/// §7: the end of a connection.
mod closing;
/// §10.4: how long it may take.
mod deadlines;
/// §7.1: ends that peers and handlers are in the middle of.
mod endings;
/// All conversations again, over a stream with faults.
mod faults;
/// §5: frames.
mod framing;
/// §6: both at once, from several threads.
mod halves;
/// §4: heads that are meant to hurt.
mod hostile;
/// §4: what HTTP has beside the handshake.
mod http_edges;
/// §10.4: how much a peer may ask for.
mod limits;
/// Where streams come from.
mod listening;
/// §10.4: how much memory it may take.
mod memory_edges;
/// §4: the opening handshake itself.
mod opening;
/// §6.1: queues before connections.
mod queues;
/// Queues beside everything else that sends.
mod queue_edges;
/// What an application may do where nobody looks.
mod applications;
/// Below the connection: Pongs, and the bare stream.
mod raw;
/// §6.2: messages as streams of bytes.
mod reading;
/// §6.2: receiving.
mod receiving;
/// §4: the opening handshake is an HTTP request, and held to the rules for one.
mod request;
/// §7.1.5: connections that end with a reset.
mod resets;
/// A server in the background.
mod running;
/// §6.1: sending.
mod sending;
/// The server around the connections.
mod serving;
/// §7: the end of them all.
mod shutdown;
/// §10.4: a peer that takes what is sent as slowly as it may.
mod slow;
/// The program, when the system fails its calls.
#[cfg(target_os = "linux")]
mod syscalls;
/// §6.1: several messages at once, and messages out of what can be read.
mod sources;
/// §8: text.
mod text;
