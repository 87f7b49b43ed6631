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
//! Bytes become events, and messages become frames:
//!
//! ```text
//!   bytes from the client                             message, Ping, Pong, Close
//!        |                                                     |
//!        v                                                     v
//!   Decoder::feed   frame  Header::decode                 encoder::message, ping, pong, close
//!        |          mask   unmasks in place                    |  frame  Header::encode
//!        |          utf8   checks text as it arrives           |  close  a code and a reason
//!        |          close  CloseFrame::decode                  v
//!        v                                            bytes to send, not masked
//!   Event: Data, Ping, Pong, Close, NeedMore
//!     or ProtocolError, which ends the connection with its close_code()
//! ```
//!
//! With the feature `deflate`, `deflate` is between the two ways and messages that are compressed
//! (RFC 7692): the decoder marks their parts, Event::Compressed, and whoever receives inflates them.
//!
//! Nothing here reads a clock or a socket, and nothing outside this room is imported, so all of it
//! can be tested, fuzzed and read by itself. What an event calls for, and when sending is over, is
//! the `session`'s to say.

mod error;
pub mod frame;
pub mod mask;
pub mod utf8;
pub mod close;
mod event;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(feature = "deflate")]
mod rsv1;
mod message_state;
mod decoder;
pub mod encoder;

pub use close::{CloseCode, CloseFrame};
pub use decoder::Decoder;
pub use error::ProtocolError;
pub use event::{Event, MessageType};
#[cfg(all(feature = "deflate", feature = "event-loop"))]
pub use frame::MAX_HEADER;
pub use frame::{Header, OpCode};
pub use message_state::DecoderLimits;
