//! Paths whose server does what the library never would: its own handshake, a Close that is late or
//! never comes, a stream read at a crawl.
//!
//! ```text
//!   Connection ── into_stream ──> Peer: frames in, the same frames out; answers Pings and a Close
//!                                  ├── handshake   after a 101 of our own making
//!                                  ├── late_close  answers late or never
//!                                  └── slow        takes and gives so many bytes a second
//! ```
//!
//! The frames are still the library's ([`barews::proto`]); only what is said when is ours. Nothing is
//! kept of a message but its place in the stream: it may be as long as the server allows, and take as
//! long as it likes, if only something comes within each idle timeout.

mod fault;
mod peer;
pub mod handshake;
pub mod late_close;
pub mod slow;

pub use fault::HandshakeFault;
pub use peer::PeerContext;
