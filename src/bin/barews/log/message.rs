//! Lines on single messages, with `--log-messages`.

use std::fmt::Write;

use barews::MessageType;

use crate::json;
use crate::log::Log;

/// How much of a message a line shows, in bytes.
const SHOWN: usize = 64;

/// Where a message goes, as seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

/// Logs the messages of one connection.
pub(crate) struct Trace {
    pub(crate) log: Log,
    pub(crate) peer: String,
    pub(crate) path: String,
}

impl Trace {
    /// Logs a message of so many bytes, of which these are at least the first 64.
    #[cold]
    #[inline(never)]
    pub(crate) fn log(&self, direction: Direction, kind: MessageType, len: usize, bytes: &[u8]) {
        let Self { log, peer, path } = self;
        let (way, kind_name) = (direction.name(), name(kind));
        let start = start(kind, bytes);
        let shown = match kind {
            MessageType::Text => format!("{start:?}"),
            MessageType::Binary => start.clone(),
        };
        let more = if len > SHOWN { "…" } else { "" };
        log.event(
            "message",
            || format!("{peer} {path} {way}: {kind_name}, {len} bytes: {shown}{more}"),
            || {
                vec![
                    ("peer", json::string(peer)),
                    ("path", json::string(path)),
                    ("direction", json::string(way)),
                    ("type", json::string(kind_name)),
                    ("bytes", len.to_string()),
                    (if kind == MessageType::Text { "text" } else { "hex" }, json::string(&start)),
                ]
            },
        );
    }
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

fn name(kind: MessageType) -> &'static str {
    match kind {
        MessageType::Text => "text",
        MessageType::Binary => "binary",
    }
}

/// The first bytes: of text whole characters, of binary as hex digits.
fn start(kind: MessageType, bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(SHOWN)];
    match kind {
        // It may be cut inside a character.
        MessageType::Text => {
            let text = String::from_utf8_lossy(start);
            text.trim_end_matches(char::REPLACEMENT_CHARACTER).to_owned()
        }
        MessageType::Binary => start.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string does not fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_ac_the_start_of_a_message() {
        assert_eq!(start(MessageType::Text, "aü".as_bytes()), "aü");
        let long = format!("{}ü", "x".repeat(63));
        assert_eq!(start(MessageType::Text, long.as_bytes()), "x".repeat(63));
        assert_eq!(start(MessageType::Binary, b"\x00\xff\n"), "00ff0a");
        assert_eq!(start(MessageType::Binary, &[1; 1000]).len(), 2 * SHOWN);
    }
}
