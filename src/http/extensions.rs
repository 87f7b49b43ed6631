//! The negotiation of permessage-deflate (RFC 7692 §5, §7.1): what a client offers, and what the
//! server makes of it.
//!
//! The offers stand in the client's order of preference, and the first that can be accepted is. An
//! offer whose parameters are not all known, all different and all of a good value is declined
//! (RFC 7692 §7.1), which is no error: the next one may be good, or the connection is opened without
//! compression. What is not even a list of extensions was refused by [`check`](super::check).

use std::fmt;

use super::grammar;
use super::head::RequestHead;

/// The name of the extension (RFC 7692 §7). Names are tokens, and compared to the letter.
const PERMESSAGE_DEFLATE: &str = "permessage-deflate";

/// The window of DEFLATE, and of an end that has agreed on none: 32 KiB.
const MAX_WINDOW_BITS: u8 = 15;

/// What a client offers (RFC 7692 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeflateOffer {
    /// It asks the server to compress each message by itself (RFC 7692 §7.1.1.1).
    pub server_no_context_takeover: bool,
    /// It may do so itself, or does if it is told to (RFC 7692 §7.1.1.2).
    pub client_no_context_takeover: bool,
    /// It asks for a window of this many bits at most, 8 to 15 (RFC 7692 §7.1.2.1).
    pub server_max_window_bits: Option<u8>,
    /// It can limit its own window to what the answer says (RFC 7692 §7.1.2.2), and may name the
    /// bits that it will use at most, 8 to 15.
    pub client_max_window_bits: Option<Option<u8>>,
}

/// What was agreed on: the answer to a [`DeflateOffer`].
///
/// Its [`Display`](fmt::Display) is the value of `Sec-WebSocket-Extensions` in the 101.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflateParams {
    /// The server compresses each message by itself.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself.
    pub client_no_context_takeover: bool,
    /// The bits of the server's window; `None` is not named in the answer.
    pub server_max_window_bits: Option<u8>,
    /// The bits of the client's window; `None` is not named in the answer.
    pub client_max_window_bits: Option<u8>,
}

/// The offers of permessage-deflate in the client's order, over all lines of the header; `None` for
/// one that is declined, for a parameter that is unknown, repeated or of a wrong value.
///
/// `head` is one that passed [`check`](super::check).
pub fn deflate_offers(head: &RequestHead) -> impl Iterator<Item = Option<DeflateOffer>> + '_ {
    head.header_values("Sec-WebSocket-Extensions")
        .flat_map(grammar::extensions)
        .flatten()
        .filter(|(name, _)| *name == PERMESSAGE_DEFLATE.as_bytes())
        .map(|(_, parameters)| DeflateOffer::read(parameters))
}

impl DeflateOffer {
    /// The first that is acceptable.
    #[must_use]
    pub fn first(head: &RequestHead) -> Option<Self> {
        deflate_offers(head).flatten().next()
    }

    /// RFC 7692 §7.1: declined for a parameter that is not defined for an offer, for an invalid
    /// value, and for two parameters of one name.
    fn read(parameters: &[u8]) -> Option<Self> {
        let mut offer = Self::default();
        for parameter in grammar::parameters(parameters) {
            match parameter {
                (b"server_no_context_takeover", None) if !offer.server_no_context_takeover => {
                    offer.server_no_context_takeover = true;
                }
                (b"client_no_context_takeover", None) if !offer.client_no_context_takeover => {
                    offer.client_no_context_takeover = true;
                }
                (b"server_max_window_bits", Some(value))
                    if offer.server_max_window_bits.is_none() =>
                {
                    offer.server_max_window_bits = Some(window_bits(value)?);
                }
                (b"client_max_window_bits", value) if offer.client_max_window_bits.is_none() => {
                    // RFC 7692 §7.1.2.2: this one may go without a value.
                    let bits = value.map(|value| window_bits(value).ok_or(())).transpose().ok()?;
                    offer.client_max_window_bits = Some(bits);
                }
                _ => return None,
            }
        }
        Some(offer)
    }

    /// The answer. The server wants no context takeover where it says so, and windows of `server_bits`
    /// and `client_bits` at most, both 9 to 15.
    ///
    /// Its own window may be smaller than the answer says, or than is asked for. That of the client
    /// is what the answer says, and 15 bits if the client gives no choice.
    #[must_use]
    pub fn accept(
        &self,
        server_no_context_takeover: bool,
        client_no_context_takeover: bool,
        server_bits: u8,
        client_bits: u8,
    ) -> DeflateParams {
        DeflateParams {
            // RFC 7692 §7.1.1.1: what is asked for here must be done, to accept the offer.
            server_no_context_takeover: self.server_no_context_takeover
                || server_no_context_takeover,
            // RFC 7692 §7.1.1.2: may be demanded of every client.
            client_no_context_takeover: self.client_no_context_takeover
                || client_no_context_takeover,
            // RFC 7692 §7.1.2.1: as much as asked for, or less. It may be named unasked, but there
            // are clients that fail then.
            server_max_window_bits: self.server_max_window_bits.map(|most| most.min(server_bits)),
            // RFC 7692 §7.1.2.2: not unless it was offered; and not more.
            client_max_window_bits: self
                .client_max_window_bits
                .map(|most| most.unwrap_or(MAX_WINDOW_BITS).min(client_bits)),
        }
    }
}

impl DeflateParams {
    /// The bits of the largest window that the server may compress with.
    #[must_use]
    pub fn server_window_bits(&self) -> u8 {
        self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }

    /// The bits of the largest window that the client may compress with.
    #[must_use]
    pub fn client_window_bits(&self) -> u8 {
        self.client_max_window_bits.unwrap_or(MAX_WINDOW_BITS)
    }
}

impl fmt::Display for DeflateParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PERMESSAGE_DEFLATE)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        if let Some(bits) = self.client_max_window_bits {
            write!(f, "; client_max_window_bits={bits}")?;
        }
        Ok(())
    }
}

/// RFC 7692 §7.1.2: a decimal from 8 to 15, without a sign or a leading zero.
fn window_bits(mut value: impl Iterator<Item = u8>) -> Option<u8> {
    match [value.next(), value.next(), value.next()] {
        [Some(digit @ b'8'..=b'9'), None, None] => Some(digit - b'0'),
        [Some(b'1'), Some(digit @ b'0'..=b'5'), None] => Some(10 + digit - b'0'),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
