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

pub(crate) mod escape;
pub(crate) mod json;
mod throttle;
mod writer;
pub(crate) mod describe;
pub(crate) mod message;

pub(crate) use describe::Field;
pub(crate) use throttle::Throttle;
pub(crate) use writer::{Format, Log, log_error};
