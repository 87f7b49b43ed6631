//! What came of a handshake of TLS, as the log, the metrics and `/headers` tell of it.

use barews::TlsInfo;
use barews::rustls::Error;

use crate::log::json;

/// Those that the library speaks.
pub const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];

/// One of [`VERSIONS`].
pub fn version(info: &TlsInfo) -> String {
    format!("{:?}", info.protocol_version()).replace('_', ".")
}

/// What was agreed on, as an object.
pub fn json(info: &TlsInfo) -> String {
    // What came with TLS 1.3 has names of its own in the library alone.
    let cipher = format!("{:?}", info.cipher_suite()).replace("TLS13_", "TLS_");
    let alpn = info.alpn_protocol().map(String::from_utf8_lossy);
    json::object(&[
        ("version", json::string(&version(info))),
        ("cipher", json::string(&cipher)),
        ("server_name", json::optional(info.server_name())),
        ("alpn", json::optional(alpn.as_deref())),
        ("resumed", info.is_resumed().to_string()),
    ])
}

/// Why it failed: what the peer says in its alert, or else what was wrong. As a variant's name,
/// for a label.
pub fn failure(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => format!("Alert{alert:?}"),
        error => format!("{error:?}"),
    }
}
