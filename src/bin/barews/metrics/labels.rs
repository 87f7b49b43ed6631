//! The values of labels: which there are from the start on, and what becomes of others.
//!
//! A series that appears with its first event has no rate for that event, and an alert on it never
//! fires. So all that can be told beforehand are there from the start with zero. Where a peer has a
//! choice without end, as among statuses and close codes, the rest goes into groups: nobody but us
//! chooses how many series there are.

use std::fmt::Debug;

use barews::http::{HandshakeError, HeadError};
use barews::{CloseCode, ProtocolError, UpgradeError};

#[cfg(feature = "tls")]
use crate::tls;

/// Statuses with a series of their own.
const STATUSES: [u16; 12] = [200, 204, 400, 401, 403, 404, 405, 408, 426, 429, 500, 503];

/// All close codes that may be sent, or tell of an end without one; libraries and applications have
/// a thousand each.
const CLOSE_CODES: [&str; 16] = [
    "1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1010", "1011", "1012",
    "1013", "1014", "3xxx", "4xxx",
];

/// One error of each kind.
const PROTOCOL_ERRORS: &[ProtocolError] = &[
    ProtocolError::ReservedBits(0),
    ProtocolError::ReservedOpCode(0),
    ProtocolError::Unmasked,
    ProtocolError::FragmentedControl,
    ProtocolError::OversizedControl(0),
    ProtocolError::LengthNotMinimal(0),
    ProtocolError::LengthTooLarge(0),
    ProtocolError::UnexpectedContinuation,
    ProtocolError::UnfinishedMessage,
    ProtocolError::CloseTooShort,
    ProtocolError::CloseCode(0),
    ProtocolError::CloseReasonNotUtf8,
    ProtocolError::TextNotUtf8,
    #[cfg(feature = "deflate")]
    ProtocolError::NotDeflate,
    #[cfg(feature = "deflate")]
    ProtocolError::IncompleteDeflate,
    ProtocolError::MessageTooBig(0),
    ProtocolError::TooManyFragments(0),
];

/// Why TLS fails that a server sees; others are `tls_other` and `tls_alert_other`.
#[cfg(feature = "tls")]
const TLS_FAILURES: [&str; 17] = [
    "tls_inappropriate_message",
    "tls_inappropriate_handshake_message",
    "tls_invalid_message",
    "tls_peer_incompatible",
    "tls_peer_misbehaved",
    "tls_decrypt_error",
    "tls_no_application_protocol",
    "tls_other",
    "tls_alert_bad_certificate",
    "tls_alert_certificate_expired",
    "tls_alert_certificate_unknown",
    "tls_alert_unknown_ca",
    "tls_alert_handshake_failure",
    "tls_alert_internal_error",
    "tls_alert_protocol_version",
    "tls_alert_user_canceled",
    "tls_alert_other",
];

/// Statuses, as [`status`] has them.
pub fn statuses() -> impl Iterator<Item = String> {
    let groups = (2..=5).map(|hundreds| format!("{hundreds}xx"));
    STATUSES.iter().map(u16::to_string).chain(groups)
}

/// A status, or the group that it is of.
pub fn status(code: u16) -> String {
    match STATUSES.contains(&code) {
        true => code.to_string(),
        false => format!("{}xx", code / 100),
    }
}

/// Close codes, as [`close_code`] has them.
pub fn close_codes() -> impl Iterator<Item = String> {
    CLOSE_CODES.into_iter().map(str::to_owned)
}

/// A close code, or the group that it is of.
pub fn close_code(code: CloseCode) -> String {
    match code.0 {
        code @ 3000.. => format!("{}xxx", code / 1000),
        code => code.to_string(),
    }
}

/// Violations, as [`violation`] has them.
pub fn violations() -> impl Iterator<Item = String> {
    PROTOCOL_ERRORS.iter().map(violation)
}

/// How a peer has broken the protocol.
pub fn violation(error: &ProtocolError) -> String {
    variant(error)
}

/// Reasons, as [`refused`] has them, but those of TLS.
pub fn reasons() -> impl Iterator<Item = String> {
    let heads = HeadError::ALL.iter().map(|&error| HandshakeError::Head(error));
    let refusals = heads.chain(HandshakeError::ALL.iter().copied());
    let refusals = refusals.map(|error| refused(&UpgradeError::Refused(error)));
    let ours = ["invalid_limits", "invalid_response", "io", "panicked", "timed_out"];
    let ours = ours.into_iter().chain(["too_many_connections"]).map(str::to_owned);
    refusals.chain(ours).chain(statuses().map(|status| format!("answered_{status}")))
}

/// Those of TLS.
#[cfg(feature = "tls")]
pub fn tls_reasons() -> impl Iterator<Item = String> {
    TLS_FAILURES.into_iter().map(str::to_owned)
}

/// Why a connection did not open.
pub fn refused(error: &UpgradeError) -> String {
    match error {
        // The other version that is not supported is the one of WebSocket.
        UpgradeError::Refused(HandshakeError::Head(HeadError::UnsupportedVersion)) => {
            "unsupported_http_version".to_owned()
        }
        UpgradeError::Refused(HandshakeError::Head(error)) => variant(error),
        UpgradeError::Refused(refusal) => variant(refusal),
        #[cfg(feature = "tls")]
        UpgradeError::Tls(error) => tls_failure(&tls::agreed::failure(error)),
        // Clients of some paths choose the status.
        UpgradeError::Rejected(code) => format!("answered_{}", status(code.code())),
        error => variant(error),
    }
}

/// Of variants that the library has, or will have, the ones that are known.
#[cfg(feature = "tls")]
fn tls_failure(name: &str) -> String {
    let label = format!("tls_{}", label(name));
    match (TLS_FAILURES.contains(&&*label), name.starts_with("Alert")) {
        (true, _) => label,
        (false, true) => "tls_alert_other".to_owned(),
        (false, false) => "tls_other".to_owned(),
    }
}

/// The name of an enum's variant as a label: in lower case with underscores.
fn variant(variant: &impl Debug) -> String {
    label(&format!("{variant:?}"))
}

/// The same of what `Debug` has made of it.
fn label(debug: &str) -> String {
    let mut label = String::new();
    // An abbreviation is one word.
    let mut in_word = false;
    for c in debug.chars().take_while(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && in_word {
            label.push('_');
        }
        in_word = !c.is_ascii_uppercase();
        label.push(c.to_ascii_lowercase());
    }
    label
}

#[cfg(test)]
mod tests;
