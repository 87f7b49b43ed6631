//! What a client finds on each path.
//!
//! ```text
//! request ── Route::parse ──> Route ── app ──> echo, delay, rooms, stream, stall, faults ──> End
//!     │                         └─ wrong: 400       (one function per path, one thread per connection)
//!     ├── subprotocol: which one is agreed to
//!     └── no WebSocket: plain
//! ```
//!
//! A path's function takes the connection, counts what goes through it, and returns how it ended.
//! It lies above `session`, `limits` and `os`; the app picks the function.

pub(crate) mod echo;
pub(crate) mod delay;
pub(crate) mod stream;
pub(crate) mod rooms;
pub(crate) mod stall;
pub(crate) mod faults;
pub(crate) mod route;
pub(crate) mod subprotocol;
pub(crate) mod headers;
pub(crate) mod plain;
