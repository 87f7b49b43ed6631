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

pub mod echo;
pub mod delay;
pub mod stream;
pub mod rooms;
pub mod stall;
pub mod faults;
pub mod route;
pub mod subprotocol;
pub mod headers;
pub mod plain;
