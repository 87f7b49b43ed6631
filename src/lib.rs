//! A strict RFC 6455 WebSocket server on blocking sockets: a thread for each connection, `std` and
//! two small crates, no `unsafe`.
//!
//! ```no_run
//! use barews::{Connection, Server};
//!
//! fn main() -> std::io::Result<()> {
//!     Server::bind("127.0.0.1:9001")?.run(|mut conn: Connection| {
//!         let mut buf = Vec::new();
//!         while let Some(message) = conn.recv(&mut buf)? {
//!             conn.send(message)?;
//!         }
//!         Ok(())
//!     })
//! }
//! ```
//!
//! # Map
//!
//! A [`Server`] accepts streams and gives each a thread. An [`Upgrade`] reads the request and
//! answers it; those who have a listener of their own start there, with any [`Transport`]. What
//! comes of it is a [`Connection`], which can be [split](Connection::split) into a [`Receiver`] and
//! any number of [`Sender`]s. [`Config`] holds every limit and deadline.
//!
//! Below are two layers without any I/O, open to those who want to test them, or to read them:
//! [`proto`] is the protocol after the handshake, [`http`] the handshake itself. Each file imports
//! only from those above it in this list:
//!
//! | Layer | Files |
//! |---|---|
//! | the protocol | `proto`: `code`, `violation`, `mask`, `utf8`, `frame`, `close`, `event`, `receive`, `send`, `closing` |
//! | the handshake | `http`: `grammar`, `head`, `date`, `error`, `target`, `parse`, `reply`, `refusal`, `origin`, `handshake` |
//! | settings, errors | `config`, `error`, `message`, `request` |
//! | memory, threads, a stream with deadlines | `deadline`, `headroom`, `threads`, `spare`, `budget`, `writer`, `transport` |
//! | a connection | `shared`, `patience`, `buffer`, `partial`, `inbound`, `sender`, `receiver`, `raw`, `connection` |
//! | a server | `callbacks`, `upgrade`, `listener`, `door`, `registry`, `service`, `server` |
//!
//! A section sign means a section of RFC 6455 unless it names another.

#![forbid(unsafe_code)]
#![deny(missing_docs, unreachable_pub)]

pub mod http;
pub mod proto;

mod budget;
mod buffer;
mod callbacks;
mod config;
mod connection;
mod deadline;
mod door;
mod error;
mod headroom;
mod inbound;
mod listener;
mod message;
mod partial;
mod patience;
mod raw;
mod receiver;
mod registry;
mod request;
mod sender;
mod server;
mod service;
mod shared;
mod spare;
mod threads;
mod transport;
mod upgrade;
mod writer;

pub use callbacks::{BoxError, ErrorContext};
pub use config::{Config, Limits, Timeouts};
pub use connection::Connection;
pub use error::{Error, UpgradeError, Wait};
pub use http::{Accept, Reject, Response, Status};
pub use listener::Listener;
pub use message::{Chunk, Message, Text};
pub use proto::{CloseCode, CloseFrame, Kind, Violation};
pub use raw::RawStream;
pub use receiver::Receiver;
pub use request::Request;
pub use sender::{MessageWriter, Sender};
pub use server::{Server, ShutdownHandle};
pub use transport::Transport;
pub use upgrade::Upgrade;

/// The README's examples are tested with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
