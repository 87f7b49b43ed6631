//! Every offer of permessage-deflate is read as RFC 7692 §7.1 says, by a reader of its own, and is
//! declined exactly if that declines it; and each answer is one that the client must take.
//!
//! The first byte is what the server demands, the second the windows that it wants. The rest is the
//! header's lines, where every byte from 128 on stands for a word.

use std::collections::BTreeMap;

use barews::http::{DeflateOffer, DeflateParams, HandshakeError, HeadLimits, HeadParser};
use barews::http::{check as judge, deflate_offers};

use super::bytes::Bytes;
use super::handshake::are_extensions;
use super::request_head::{split, trim};

/// Names of parameters and their values, unquoted.
type Parameters = BTreeMap<String, Option<String>>;

const TAKEOVER: [&str; 2] = ["server_no_context_takeover", "client_no_context_takeover"];
const WINDOWS: [&str; 2] = ["server_max_window_bits", "client_max_window_bits"];

#[rustfmt::skip]
const WORDS: [&str; 24] = [
    "permessage-deflate", "permessage-deflate;", ", permessage-deflate; ", TAKEOVER[0],
    TAKEOVER[1], WINDOWS[0], WINDOWS[1], "; server_max_window_bits=", "; client_max_window_bits=",
    "; client_max_window_bits", "; server_no_context_takeover", "; client_no_context_takeover",
    "8", "15", "\"10\"", "\"\\1\\1\"", "=", ";", ",", "\n", "\"", "\\", "; ", "x-webkit-deflate-frame",
];

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let ([demands, windows], lines) = (bytes.array(), lines(bytes.rest()));
    let lines: Vec<&[u8]> = split(&lines, b"\n").into_iter().map(trim).collect();
    let Ok((_, Some(head))) = HeadParser::new(HeadLimits::default()).feed(&request(&lines)) else {
        return;
    };
    let offers: Vec<Option<DeflateOffer>> = deflate_offers(&head).collect();
    assert_eq!(DeflateOffer::first(&head), offers.iter().copied().flatten().next());
    // §9.1: this is all that can be wrong with the handshake.
    if let Err(error) = judge(&head) {
        assert_eq!((error, are_extensions(&lines)), (HandshakeError::InvalidExtensions, false));
        return;
    }
    assert_eq!(offers.iter().map(|offer| offer.as_ref().map(of)).collect::<Vec<_>>(), read(&lines));
    let takeover = [demands & 1 != 0, demands & 2 != 0];
    let bits = [windows % 16, windows / 16].map(|number| 9 + number % 7);
    for offer in offers.into_iter().flatten() {
        let params = offer.accept(takeover[0], takeover[1], bits[0], bits[1]);
        assert_answers(&of(&offer), takeover, bits, &params);
    }
}

/// Whether one of the offers in these lines is acceptable.
pub fn accepts(lines: &[u8]) -> bool {
    let lines: Vec<&[u8]> = split(lines, b"\n").into_iter().map(trim).collect();
    are_extensions(&lines) && read(&lines).into_iter().any(|offer| offer.is_some())
}

/// RFC 7692 §7.1: the offers in lines that follow the grammar, `None` for what is declined.
fn read(lines: &[&[u8]]) -> Vec<Option<Parameters>> {
    let elements = lines.iter().flat_map(|line| split(line, b",")).map(|it| split(it, b";"));
    let offers = elements.filter(|parts| trim(parts[0]) == b"permessage-deflate");
    let offer = |parts: Vec<&[u8]>| {
        let mut offer = Parameters::new();
        for part in &parts[1..] {
            // Neither can stand for itself in a token.
            let part = str::from_utf8(part).ok()?.replace(['"', '\\'], "");
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (part.trim(), None),
            };
            let is_known = match value {
                Some(bits) => WINDOWS.contains(&name) && is_window(bits),
                None => TAKEOVER.contains(&name) || name == WINDOWS[1],
            };
            let first = offer.insert(name.to_owned(), value.map(str::to_owned)).is_none();
            (is_known && first).then_some(())?;
        }
        Some(offer)
    };
    offers.map(offer).collect()
}

/// RFC 7692 §7.1.2.
fn is_window(bits: &str) -> bool {
    (8..=15).any(|number| number.to_string() == bits)
}

/// RFC 7692 §7.1.1, §7.1.2: what may be in the answer to an offer, must be, or must not.
fn assert_answers(offer: &Parameters, wanted: [bool; 2], most: [u8; 2], params: &DeflateParams) {
    let answer = params.to_string();
    let [Some(named)] = &read(&[answer.as_bytes()])[..] else { panic!("{answer}") };
    for (name, wanted) in TAKEOVER.into_iter().zip(wanted) {
        assert_eq!(named.contains_key(name), offer.contains_key(name) || wanted, "{answer}");
    }
    let in_force = [params.server_window_bits(), params.client_window_bits()];
    for ((name, most), in_force) in WINDOWS.into_iter().zip(most).zip(in_force) {
        // What an offer leaves open is the whole window.
        let bits = |bits: &Option<String>| bits.as_ref().map_or(15, |bits| bits.parse().unwrap());
        let bound = offer.get(name).map(|asked| most.min(bits(asked)));
        assert_eq!(named.get(name).map(bits), bound, "{offer:?}: {answer}");
        assert!(named.get(name).is_none_or(|bits| bits.is_some()), "a window without its bits");
        assert_eq!(in_force, bound.unwrap_or(15), "{answer}");
    }
}

/// An offer as [`read`] gives it.
fn of(offer: &DeflateOffer) -> Parameters {
    let takeover = [offer.server_no_context_takeover, offer.client_no_context_takeover];
    let windows = [offer.server_max_window_bits.map(Some), offer.client_max_window_bits];
    let takeover = TAKEOVER.into_iter().zip(takeover).filter(|it| it.1).map(|it| (it.0, None));
    let windows = WINDOWS.into_iter().zip(windows).filter_map(|(name, it)| Some((name, it?)));
    let all = takeover.chain(windows);
    all.map(|(name, bits)| (name.to_owned(), bits.map(|bits| bits.to_string()))).collect()
}

fn lines(bytes: &[u8]) -> Vec<u8> {
    let word = |byte: &u8| match byte {
        b'\t' | b'\n' | b' '..=b'~' => vec![*byte],
        0..128 => b" ".to_vec(),
        128.. => WORDS[usize::from(byte - 128) % WORDS.len()].as_bytes().to_vec(),
    };
    bytes.iter().flat_map(word).collect()
}

fn request(lines: &[&[u8]]) -> Vec<u8> {
    let mut request = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        .to_vec();
    for line in lines {
        request.extend([b"Sec-WebSocket-Extensions: ", *line, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request
}
