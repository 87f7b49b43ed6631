//! Which path was meant by one that there is not.
//!
//! Everybody's own paths echo, so a path is a near miss only if hardly anybody would have it by chance: a
//! name of ours in other case, or with a slip of the keyboard in it, whose values then fit too. Words are
//! one letter from other words (`/relay/5`, `/rest/5`, `/oauth/...`), and many have a plural or are one
//! (`/broadcasts/5`, `/header`): these are no slips.

/// The first segments of the paths for WebSocket. Those of the table are these, as a test sees: who
/// opens a connection has no stack to spare for a search of that.
pub const NAMES: [&str; 22] = [
    "echo",
    "ws",
    "broadcast",
    "delay",
    "jitter",
    "fragment",
    "slow",
    "limits",
    "count",
    "tick",
    "flood",
    "ping",
    "close",
    "drop",
    "reset",
    "stall",
    "status",
    "auth",
    "headers",
    "subprotocol",
    "handshake",
    "invalid",
];

/// How many of these echo, the first ones. They are not missed, since what is near them echoes too.
const ECHOES: usize = 2;

/// The name that this is, but for its case; else the one that was meant.
#[inline(never)]
pub fn nearest(name: &str) -> Option<&'static str> {
    let mut near = None;
    for (index, known) in NAMES.iter().enumerate() {
        if *known == name || index >= ECHOES && known.eq_ignore_ascii_case(name) {
            return Some(known);
        }
        if near.is_none() && index >= ECHOES && is_slip(name.as_bytes(), known.as_bytes()) {
            near = Some(*known);
        }
    }
    near
}

/// The least letters of a name that one may be missing from, or be too many in.
const MIN_FOR_LENGTH: usize = 6;

/// The same for a letter that is another.
const MIN_FOR_OTHER: usize = 8;

/// Whether two neighbours are swapped, or a letter is missing, too many or another, case aside.
fn is_slip(wrong: &[u8], right: &[u8]) -> bool {
    let same = |(x, y): &(&u8, &u8)| x.eq_ignore_ascii_case(y);
    let start = wrong.iter().zip(right).take_while(same).count();
    let (a, b) = (&wrong[start..], &right[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    match (&a[..a.len() - end], &b[..b.len() - end]) {
        ([x, y], [z, w]) => x.eq_ignore_ascii_case(w) && y.eq_ignore_ascii_case(z),
        ([], [b's']) | ([b's' | b'S'], []) if end == 0 => false,
        ([], [_]) => start > 0 && right.len() >= MIN_FOR_LENGTH,
        ([_], []) => start > 0 && right.len() >= MIN_FOR_LENGTH,
        ([_], [_]) => right.len() >= MIN_FOR_OTHER,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips() {
        for (wrong, right) in [
            ("clsoe", "close"),
            ("lcose", "close"),
            ("CLSOE", "close"),
            ("pign", "ping"),
            ("jiter", "jitter"),
            ("jittter", "jitter"),
            ("headesr", "headers"),
            ("brosdcast", "broadcast"),
        ] {
            assert!(is_slip(wrong.as_bytes(), right.as_bytes()), "{wrong}");
        }
        for (wrong, right) in [
            ("close", "close"),
            ("", "close"),
            ("clo", "close"),
            ("esolc", "close"),
            ("closed", "close"),
            ("cl0se", "close"),
            ("rest", "reset"),
            ("pong", "ping"),
            ("header", "headers"),
            ("broadcasts", "broadcast"),
            ("xjitter", "jitter"),
            ("itter", "jitter"),
        ] {
            assert!(!is_slip(wrong.as_bytes(), right.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn names() {
        for (name, known) in [
            ("delay", Some("delay")),
            ("DELAY", Some("delay")),
            ("dEaly", Some("delay")),
            ("ws", Some("ws")),
            ("WS", None),
            ("wss", None),
            ("ecko", None),
            ("", None),
        ] {
            assert_eq!(nearest(name), known, "{name}");
        }
    }
}
