//! A connection that is not divided: both halves in one, for one thread.
//!
//! ```text
//!   recv, recv_chunk ──▶ receiver
//!   write ──▶ queue ──┬─▶ send, flush, or before recv waits ──▶ writer
//!   send ─────────────┘
//! ```

mod connection;
mod sending;
mod about;

pub use connection::Connection;
