//! Which path was meant by one that there is not.
//!
//! Everybody's own paths echo, so a path is a near miss only if nobody would have it by chance: a name
//! of ours in other case, or one edit away from a name of ours whose values then fit too.

use super::table::{self, Group};

/// Names shorter than this are near to everything.
const MIN_NAME: usize = 4;

/// What echoes is not missed: whatever stands in its place echoes too.
const ECHOES: [&str; 2] = ["echo", "ws"];

/// The first segments of the paths for WebSocket.
pub fn names() -> impl Iterator<Item = &'static str> {
    let paths = table::paths().filter(|path| path.group != Group::Http);
    paths.filter_map(|path| path.path[1..].split(['/', '?']).next()).chain(["ws"])
}

/// The name that stands in `wrong` in other case.
pub fn in_other_case(wrong: &str) -> Option<&'static str> {
    let mut names = names().filter(|name| !ECHOES.contains(name));
    names.find(|name| name.eq_ignore_ascii_case(wrong))
}

/// The names that are one edit away.
pub fn one_edit_away(wrong: &str) -> impl Iterator<Item = &'static str> {
    let wrong = wrong.to_ascii_lowercase();
    let names = names().filter(|name| name.len() >= MIN_NAME && !ECHOES.contains(name));
    names.filter(move |name| is_one_edit(wrong.as_bytes(), name.as_bytes()))
}

/// Whether a byte inserted, deleted or replaced, or two neighbours swapped, make one of the other.
fn is_one_edit(a: &[u8], b: &[u8]) -> bool {
    let same = |(x, y): &(&u8, &u8)| x == y;
    let start = a.iter().zip(b).take_while(same).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(same).count();
    match (&a[..a.len() - end], &b[..b.len() - end]) {
        ([x, y], [z, w]) => (x, y) == (w, z),
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
        assert_eq!(one_edit_away("dealy").collect::<Vec<_>>(), ["delay"]);
        assert_eq!(one_edit_away("wss").count() + one_edit_away("ecko").count(), 0);
        assert_eq!((in_other_case("CLOSE"), in_other_case("Echo")), (Some("close"), None));
    }
}
