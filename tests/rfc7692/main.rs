//! The server held to RFC 7692, from outside: bytes in, bytes out, and what the API says of them.
//! What comes is made bit by bit here, and what the server sends is read by an inflater of the
//! tests' own: the codec is not its own judge.
//!
//! Names that begin with `row` and a number belong to the list of bad inputs that compression was
//! built against; those without a number are what the list leaves out.
#![cfg(feature = "deflate")]

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

/// §6: RSV1, and frames.
mod frames;
/// §7.2.2: DEFLATE streams.
mod streams;
/// §7.1.2: windows.
mod windows;
/// RFC 6455 §10.4: how much a peer may ask for.
mod limits;
/// §5 and §7.1: offers.
mod offers;
/// RFC 6455 §6.2: receiving.
mod receiving;
/// §7.2.1: what is sent.
mod sending;
/// §7.2.3: many messages.
mod senders;
/// RFC 6455 §8.1: text.
mod text;
