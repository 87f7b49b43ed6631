//! What a connection is, without a socket: bytes and the time go in; messages, frames to send and the
//! next deadline come out.

pub(crate) mod headroom;
pub mod budget;
pub mod timers;
pub mod closing;
pub mod assembler;

pub use assembler::{MessageAssembler, Overloaded};
pub use budget::{Budget, Charge};
pub use closing::{CloseAction, Closing};
pub use timers::{Deadline, Pending, ReadTimers};
