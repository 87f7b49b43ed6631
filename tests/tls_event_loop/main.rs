//! The tests of `tls` on event loops: the same ciphertext, the same ends.
//!
//! Left out is what no engine has a part in, and streams that an application wraps, which no loop takes.
#![cfg(all(feature = "event-loop", feature = "tls"))]

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

#[path = "../tls/parties.rs"]
mod parties;

#[path = "../tls/handshake.rs"]
mod handshake;
#[path = "../tls/slow.rs"]
mod slow;
#[path = "../tls/duplex.rs"]
mod duplex;
#[path = "../tls/records.rs"]
mod records;
#[cfg(unix)]
#[path = "../tls/unix.rs"]
mod unix;

use parties::{
    by_hand, ciphertext, connect, connect_with, dial, echo_server, encrypt, read_plaintext,
    server_with,
};

/// What is tested on threads is tested on event loops.
#[test]
fn no_file_is_left_out() {
    let modules = |text: &'static str| {
        let names = text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        names.filter(|name| !["alone", "wrapped"].contains(name)).collect::<Vec<_>>()
    };
    let all = modules(include_str!("../tls/main.rs"));
    assert!(all.len() > 5, "{all:?}");
    assert_eq!(modules(include_str!("main.rs")), all);
}
