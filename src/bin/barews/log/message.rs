//! Lines on single messages, with `--log-messages`.

use barews::MessageType;

use super::json;
use super::writer::Log;

/// How much of a message a line shows, in bytes.
const MAX_SHOWN: usize = 64;

/// Logs the messages of one connection.
pub struct MessageLog {
    pub log: Log,
    pub peer: String,
    pub path: String,
}

impl MessageLog {
    /// Logs a message of so many bytes, of which `start` are at least the first 64; `direction` is
    /// `in` or `out`, as seen from here.
    #[cold]
    #[inline(never)]
    pub fn log(&self, direction: &str, kind: MessageType, len: usize, start: &[u8]) {
        let Self { log, peer, path } = self;
        let start = shown(kind, start);
        let (kind, field, quoted) = match kind {
            MessageType::Text => ("text", "text", format!("{start:?}")),
            MessageType::Binary => ("binary", "hex", start.clone()),
        };
        let more = if len > MAX_SHOWN { "…" } else { "" };
        log.log_event(
            "message",
            || format!("{peer} {path} {direction}: {kind}, {len} bytes: {quoted}{more}"),
            || {
                vec![
                    ("peer", json::string(peer)),
                    ("path", json::string(path)),
                    ("direction", json::string(direction)),
                    ("type", json::string(kind)),
                    ("bytes", len.to_string()),
                    (field, json::string(&start)),
                ]
            },
        );
    }
}

/// The first bytes: of text whole characters, of binary as hex digits.
fn shown(kind: MessageType, bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(MAX_SHOWN)];
    match kind {
        // It may be cut inside a character.
        MessageType::Text => {
            let text = String::from_utf8_lossy(start);
            text.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned()
        }
        MessageType::Binary => start.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_ac_the_start_of_a_message() {
        assert_eq!(shown(MessageType::Text, "aü".as_bytes()), "aü");
        let long = format!("{}ü", "x".repeat(63));
        assert_eq!(shown(MessageType::Text, long.as_bytes()), "x".repeat(63));
        assert_eq!(shown(MessageType::Binary, b"\x00\xff\n"), "00ff0a");
        assert_eq!(shown(MessageType::Binary, &[1; 1000]).len(), 2 * MAX_SHOWN);
    }
}
