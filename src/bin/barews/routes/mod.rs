//! What a client finds on each path.
//!
//! ```text
//! request ── Route::parse ──> Route ── handle ──> echo, delay, rooms, stream, stall, faults, by_hand ──> End
//!     │        │   │            └─ opening: refused, or what is agreed to
//!     │        │   └─ wrong: 400, 403 or 404          (one function per path, one thread per connection)
//!     │        └─ table: what all paths are, for people too
//!     └── no WebSocket: plain
//! ```
//!
//! A path's function takes the connection, counts what goes through it, and returns how it ended.
//! It lies above `session`, `limits` and `os`; `handle` picks the function.

pub mod echo;
pub mod delay;
pub mod stream;
pub mod rooms;
pub mod stall;
pub mod faults;
pub mod by_hand;
pub mod values;
pub mod opening;
pub mod route;
pub mod plain;
pub mod handle;
