//! What two ends agree on about compression (RFC 7692 §7.1), and what a connection compresses with then.

use std::sync::Arc;

use crate::http::{DeflateOffer, DeflateParams};
use crate::session::codecs::Codecs;
use crate::session::deflation::Deflation;
use crate::session::inflation::Inflation;

/// What was agreed on for a connection.
#[derive(Debug)]
pub struct Agreed {
    /// What to answer.
    pub params: DeflateParams,
    /// What it receives with. In boxes, since both stay where they are.
    pub inflation: Box<Inflation>,
    /// What it sends with.
    pub deflation: Box<Deflation>,
}

/// Agrees to an offer, for a connection whose messages hold at most `max_message_size` bytes. If there
/// is no memory left for histories, it goes without, which an answer may always say (RFC 7692 §7.1.1).
pub fn agree(codecs: &Arc<Codecs>, offer: &DeflateOffer, max_message_size: u64) -> Agreed {
    let settings = codecs.settings();
    let mut params = offer.accept(
        settings.server_no_context_takeover || settings.history == 0,
        settings.client_no_context_takeover,
        settings.server_max_window_bits,
        settings.client_max_window_bits,
    );
    // Who is held to 8 bits may well use a window of 9, and refer no further than 8 bits reach.
    let received = 1 << params.client_window_bits().max(9);
    // Ours may be smaller than we have said.
    let bits = params.server_window_bits().min(settings.server_max_window_bits);
    let sent = settings.history.min(1 << bits);
    let past =
        |takeover: bool, len| if takeover { codecs.past(len) } else { Some(codecs.no_past()) };
    let (received, sent) = match (
        past(!params.client_no_context_takeover, received),
        past(!params.server_no_context_takeover, sent),
    ) {
        (Some(received), Some(sent)) => (received, sent),
        _ => {
            params.client_no_context_takeover = true;
            params.server_no_context_takeover = true;
            (codecs.no_past(), codecs.no_past())
        }
    };
    Agreed {
        params,
        inflation: Box::new(Inflation::new(codecs, received, max_message_size)),
        deflation: Box::new(Deflation::new(codecs, sent, bits)),
    }
}

#[cfg(test)]
mod tests;
