//! TLS, as far as it is more than another stream under what `rfc6455_tls` tests: handshakes, records,
//! both directions at once, and what goes wrong in each.
#![cfg(feature = "tls")]

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

/// A server and its clients.
mod parties;

/// Settings, certificates, and ends before the request.
mod handshake;
/// Peers that take their time, or never read.
mod slow;
/// Both directions at once.
mod duplex;
/// Bytes below the plaintext.
mod records;
/// Over another stream than TCP.
#[cfg(unix)]
mod unix;
/// A stream without a server.
mod alone;
/// Streams that an application wraps.
mod wrapped;

use parties::{
    by_hand, ciphertext, connect, connect_with, dial, echo_server, encrypt, read_plaintext,
    server_with,
};
