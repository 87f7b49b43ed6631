//! Which path was meant by one that there is not.
//!
//! Everybody's own paths echo, so a path is a near miss only if nobody would have it by chance: a name
//! of ours in other case, or one edit away from a name of ours whose values then fit too.

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

/// The name that this is, but for its case; else one that is one edit away.
#[inline(never)]
pub fn nearest(name: &str) -> Option<&'static str> {
    let mut near = None;
    for (index, known) in NAMES.iter().enumerate() {
        if *known == name || index >= ECHOES && known.eq_ignore_ascii_case(name) {
            return Some(known);
        }
        if near.is_none() && index >= ECHOES && is_one_edit(name.as_bytes(), known.as_bytes()) {
            near = Some(*known);
        }
    }
    near
}

/// Whether a byte inserted, deleted or replaced, or two neighbours swapped, make one of the other,
/// their case aside.
fn is_one_edit(a: &[u8], b: &[u8]) -> bool {
    let same = |(x, y): &(&u8, &u8)| x.eq_ignore_ascii_case(y);
    let start = a.iter().zip(b).take_while(same).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    match (&a[..a.len() - end], &b[..b.len() - end]) {
        ([x, y], [z, w]) => x.eq_ignore_ascii_case(w) && y.eq_ignore_ascii_case(z),
        (a, b) => a.len().max(b.len()) == 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_edit() {
        for wrong in ["clos", "lose", "cl0se", "closer", "xclose", "clsoe", "lcose", "ccclose"] {
            let right = wrong != "ccclose";
            assert_eq!(is_one_edit(wrong.as_bytes(), b"close"), right, "{wrong}");
            assert_eq!(is_one_edit(b"close", wrong.as_bytes()), right, "{wrong}");
        }
        for wrong in ["close", "", "clo", "esolc", "lcoes"] {
            assert!(!is_one_edit(wrong.as_bytes(), b"close"), "{wrong}");
        }
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
