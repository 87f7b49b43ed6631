//! The protocol of RFC 6455 after the handshake, with no I/O in it.
//!
//! ```text
//!  0               1               2               3
//!  7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0 7 6 5 4 3 2 1 0
//! +-+-----+-------+-+-------------+-------------------------------+
//! |F| RSV | op-   |M| length      | 126: length, 16 bits          |
//! |I| = 0 | code  |A| 0-125,      | 127: length, 64 bits ...      |
//! |N|     |       |S| 126 or 127  |                               |
//! +-+-----+-------+K+-------------+ - - - - - - - - - - - - - - - +
//! | masking key, 32 bits, if MASK is set; then the payload ...    |
//! +---------------------------------------------------------------+
//! ```
//!
//! Bytes from the client go through [`Decoder::feed`], which answers with an [`Event`] or the
//! [`ProtocolError`] that ends the connection. [`Closing`](crate::session::Closing) knows what an event calls for and when
//! sending is over; [`encoder`] makes frames. None of them reads a clock or a socket, so all of
//! it can be tested, fuzzed and read apart from the rest.

mod code;
mod error;
pub mod mask;
pub mod utf8;
pub mod frame;
pub mod close;
mod event;
mod decoder;
pub mod encoder;

pub use close::CloseFrame;
pub use code::CloseCode;
pub use decoder::{Decoder, DecoderLimits};
pub use error::ProtocolError;
pub use event::{Event, MessageType};
pub use frame::{Header, OpCode};
