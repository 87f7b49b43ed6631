//! The programs of `examples/`, each as its own process, as a stranger would run it: what they are told
//! and what they answer, byte by byte.
//!
//! `cargo test` builds them before it runs this. By name: `cargo build --examples && cargo test --test examples`.

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[path = "../common/mod.rs"]
mod common;

/// Starts them.
mod program;
/// Cookies and tokens.
mod auth;
/// Rooms.
mod chat;
/// A program that is told to stop.
#[cfg(unix)]
mod embedded;
/// Its own tests. Were they a target of `cargo test`, it would not build the program.
#[allow(dead_code, reason = "the program itself is a process")]
#[path = "../../examples/embedded.rs"]
mod embedded_tests;
/// A server that only sends.
mod heartbeat;
/// JSON-RPC 2.0.
mod json_rpc;
/// An echo over TLS.
#[cfg(feature = "tls")]
mod tls;
/// Files.
mod upload;
