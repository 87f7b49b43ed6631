//! The log: lines on standard error, for people or as JSON.
//!
//! ```text
//! app, session ── log_event(text, fields) ──> queue ── thread "log" ──> standard error
//!     describe: who asks for what               └── full: counted, and told later
//!     message: each message, with --log-messages
//!     throttle: lines that would come in floods
//! ```
//!
//! Nobody waits for standard error, and no line has a character in it that a terminal or a viewer
//! would act on (`escape`, `json`). It imports nothing of the program.

pub mod escape;
pub mod json;
mod throttle;
mod writer;
pub mod describe;
pub mod message;
mod request;

pub use describe::Field;
pub use throttle::Throttle;
#[cfg(feature = "tls")]
pub use writer::date_time;
pub use writer::{Format, Log, log_error};
