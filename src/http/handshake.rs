//! The server's side of the opening handshake (§4.2): is this request a good one, and what is the
//! answer?
//!
//! Judgement is in three steps. [`check_request`] holds every request to the rules of HTTP that
//! keep its end beyond doubt. [`check_upgrade`] tells an ordinary request from a handshake, and
//! holds a handshake to §4.2.1. [`check_origin`](super::check_origin) asks whether this server
//! wants the page that the request came from. The first rule that is broken decides; broader rules
//! come first. A [`Handshake`] is the proof that the first two passed, and is what a 101 is made
//! with.

use std::str;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{GeneralPurposeConfig, STANDARD};
use sha1_smol::Sha1;

use super::error::HandshakeError;
use super::grammar;
use super::head::RequestHead;
use super::response::{Accept, InvalidResponse};

/// A request that passed [`check`], and so may be answered with 101.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// ASCII.
    accept_key: [u8; 28],
}

impl Handshake {
    /// The value of `Sec-WebSocket-Accept` (§4.2.2 item 5).
    pub fn accept_key(&self) -> &str {
        // Base64 is ASCII.
        str::from_utf8(&self.accept_key).unwrap_or_default()
    }

    /// The bytes of the 101 that accepts this handshake; `head` is the one that it was made of.
    /// `extensions` is the value of `Sec-WebSocket-Extensions`, if any is accepted: a list that names
    /// nothing which the client did not offer (§9.1), which is the caller's to see to.
    ///
    /// # Errors
    ///
    /// [`InvalidResponse`] if `accept` has a header that may not be sent, or a subprotocol that the
    /// client did not offer, or if `extensions` is no header value.
    pub fn encode(
        &self,
        head: &RequestHead,
        accept: &Accept,
        extensions: Option<&str>,
    ) -> Result<Vec<u8>, InvalidResponse> {
        accept.encode(head, self.accept_key(), extensions)
    }
}

/// Holds a request to all of §4.2.1: [`check_request`], then [`check_upgrade`].
///
/// # Errors
///
/// The first rule that it breaks.
pub fn check(head: &RequestHead) -> Result<Handshake, HandshakeError> {
    check_request(head)?;
    check_upgrade(head)
}

/// The rules that hold for every request, be it a handshake or not: one good `Host`, no body, at
/// most one `Origin`. `Content-Length: 0` is no body, and passes; so does `Expect: 100-continue`,
/// which without a body waits for nothing.
///
/// # Errors
///
/// The first rule that it breaks, of [`HandshakeError::MissingHost`] to [`HandshakeError::RepeatedOrigin`].
pub fn check_request(head: &RequestHead) -> Result<(), HandshakeError> {
    match head.single_value("Host", HandshakeError::RepeatedHost)? {
        // RFC 9112 §3.2: a Host whose value is not a host gets a 400, and so (RFC 9110 §4.2.1)
        // does an empty one, since no http URI has an empty host.
        Some(host) if !grammar::is_host(host) => return Err(HandshakeError::InvalidHost),
        Some(_) => {}
        // §4.2.1 item 2, RFC 9112 §3.2: there must be one, except in HTTP/1.0.
        None if head.minor_version() > 0 => return Err(HandshakeError::MissingHost),
        None => {}
    }
    // RFC 9112 §3.2.2: in an absolute target, the authority stands for the Host.
    if let Some(authority) = head.authority()
        && !grammar::is_host(authority.as_bytes())
    {
        return Err(HandshakeError::InvalidAuthority);
    }
    // RFC 9112 §6: a body has a Transfer-Encoding or a Content-Length. No body is read here, so
    // what follows such a head would be taken for frames, or for the next request.
    if head.header_values("Transfer-Encoding").next().is_some() {
        return Err(HandshakeError::TransferEncoding);
    }
    match head.single_value("Content-Length", HandshakeError::RepeatedContentLength)? {
        // RFC 9110 §8.6: digits, one or more. "0, 0" may be refused, and is.
        Some(length) if length.is_empty() || !length.iter().all(u8::is_ascii_digit) => {
            return Err(HandshakeError::InvalidContentLength);
        }
        Some(length) if length.iter().any(|&digit| digit != b'0') => {
            return Err(HandshakeError::Body);
        }
        Some(_) | None => {}
    }
    // RFC 9110 §10.1.1: there is one expectation, in any case. It asks for a 100 ahead of the body,
    // and where there is none, the 100 may be left out: ahead of a 101 (§7.8) as of any answer. In
    // HTTP/1.0 the header must be ignored.
    if head.minor_version() > 0
        && head.header_list("Expect").any(|it| !it.eq_ignore_ascii_case(b"100-continue"))
    {
        return Err(HandshakeError::Expectation);
    }
    // RFC 9110 §5.3: two lines of what is not a list leave open which of them counts.
    head.single_value("Origin", HandshakeError::RepeatedOrigin)?;
    Ok(())
}

/// The rules of a handshake (§4.2.1), for a request that passed [`check_request`].
///
/// # Errors
///
/// [`HandshakeError::NotWebSocket`] for an ordinary request, which has neither an `Upgrade` to websocket
/// nor a `Sec-WebSocket-Key` or `Sec-WebSocket-Version`; else the first rule that it breaks.
pub fn check_upgrade(head: &RequestHead) -> Result<Handshake, HandshakeError> {
    // RFC 9110 §7.8: an Upgrade to something else may be ignored, and the request answered; in
    // HTTP/1.0 any must be.
    let asks = head.minor_version() > 0 && has_element(head, "Upgrade", "websocket");
    // A proxy may have removed the Upgrade, but no handshake is without these.
    let has = |name| head.header_values(name).next().is_some();
    if !asks && !has("Sec-WebSocket-Key") && !has("Sec-WebSocket-Version") {
        return Err(HandshakeError::NotWebSocket);
    }
    // §4.2.1 item 1: GET, which RFC 9110 §9.1 spells in capitals.
    if head.method() != "GET" {
        return Err(HandshakeError::MethodNotGet);
    }
    // §4.2.1 item 1: HTTP/1.1 or higher. This is not a 505, which speaks of the major version.
    if head.minor_version() == 0 {
        return Err(HandshakeError::HttpTooOld);
    }
    if head.header_values("Upgrade").next().is_none() {
        return Err(HandshakeError::MissingUpgrade);
    }
    check_connection(head)?;
    // Before the key, since the key of another version is not ours to judge.
    check_version(head)?;
    let accept_key = check_key(head)?;
    check_subprotocols(head)?;
    check_extensions(head)?;
    Ok(Handshake { accept_key })
}

/// The answer to a `Sec-WebSocket-Key`: base64 of the SHA-1 of the key, as it was sent, and a fixed
/// GUID (§4.2.2 item 5). 28 ASCII characters.
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let mut sha1 = Sha1::new();
    sha1.update(key);
    sha1.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let mut accept_key = [0; 28];
    let written = STANDARD.encode_slice(sha1.digest().bytes(), &mut accept_key);
    debug_assert_eq!(written, Ok(28), "20 bytes are 28 characters of base64");
    accept_key
}

/// Base64 as in a key. The unused bits of the last character may be anything: §4.1 itself gives
/// `AQIDBAUGBwgJCgsMDQ4PEC==` as an example, where they are not zero.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// §4.2.1 items 3 and 4: `Upgrade` asks for websocket, and `Connection` makes it count.
fn check_connection(head: &RequestHead) -> Result<(), HandshakeError> {
    // RFC 9110 §7.8, §7.6.1: what both are lists of.
    if !head.header_list("Upgrade").all(grammar::is_upgrade_protocol) {
        return Err(HandshakeError::InvalidUpgrade);
    }
    // §4.2.1 item 3: case does not matter, and "websocket/13" is another protocol.
    if !has_element(head, "Upgrade", "websocket") {
        return Err(HandshakeError::UpgradeNotWebSocket);
    }
    if !head.header_list("Connection").all(grammar::is_token) {
        return Err(HandshakeError::InvalidConnection);
    }
    // §4.2.1 item 4: case does not matter; RFC 9110 §7.8: without it, Upgrade is to be ignored.
    if !has_element(head, "Connection", "upgrade") {
        return Err(HandshakeError::ConnectionNotUpgrade);
    }
    Ok(())
}

/// §4.2.1 item 6: the version is 13; §11.3.5: and is given once.
fn check_version(head: &RequestHead) -> Result<(), HandshakeError> {
    match head.single_value("Sec-WebSocket-Version", HandshakeError::RepeatedVersion)? {
        Some(b"13") => Ok(()),
        // §4.2.2 item 4, §4.4: the answer names the version to come back with.
        Some(_) => Err(HandshakeError::UnsupportedVersion),
        None => Err(HandshakeError::MissingVersion),
    }
}

/// §4.2.1 item 5: the key is base64 of 16 bytes; §11.3.1: and is given once.
fn check_key(head: &RequestHead) -> Result<[u8; 28], HandshakeError> {
    let key = head
        .single_value("Sec-WebSocket-Key", HandshakeError::RepeatedKey)?
        .ok_or(HandshakeError::MissingKey)?;
    // 24 characters are 16, 17 or 18 bytes, depending on the padding.
    let mut nonce = [0; 18];
    if key.len() != 24 || KEY_BASE64.decode_slice(key, &mut nonce) != Ok(16) {
        return Err(HandshakeError::InvalidKey);
    }
    Ok(accept_key(key))
}

/// §4.1 item 10: the subprotocols, if any are offered, are tokens, and no two are the same.
fn check_subprotocols(head: &RequestHead) -> Result<(), HandshakeError> {
    const NAME: &str = "Sec-WebSocket-Protocol";
    if head.header_values(NAME).next().is_none() {
        return Ok(());
    }
    let mut offers: Vec<&[u8]> = head.header_list(NAME).collect();
    if offers.is_empty() || !offers.iter().all(|offer| grammar::is_token(offer)) {
        return Err(HandshakeError::InvalidSubprotocol);
    }
    // Sorted, equal ones are neighbours.
    offers.sort_unstable();
    if offers.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(HandshakeError::RepeatedSubprotocol);
    }
    Ok(())
}

/// §9.1: extensions that do not follow the grammar fail the handshake. Those that do are declined
/// by not being named in the answer. An empty list offers none, and nothing hangs on it.
fn check_extensions(head: &RequestHead) -> Result<(), HandshakeError> {
    let mut lines = head.header_values("Sec-WebSocket-Extensions");
    let all = lines.all(|line| grammar::extensions(line).all(|extension| extension.is_some()));
    if all { Ok(()) } else { Err(HandshakeError::InvalidExtensions) }
}

/// Is this one of the elements of the list, in upper or lower case?
fn has_element(head: &RequestHead, name: &str, wanted: &str) -> bool {
    let is_wanted = |element: &[u8]| element.eq_ignore_ascii_case(wanted.as_bytes());
    // Most lists are one element on one line, and not worth to be taken apart.
    head.header_values(name).any(is_wanted) || head.header_list(name).any(is_wanted)
}

#[cfg(test)]
mod tests;
