//! What somebody may have meant who wrote a name that there is not.

/// What people call `--listen` who know other programs.
const LISTEN: [&str; 7] = ["port", "host", "bind", "address", "addr", "socket", "interface"];

/// What others call `--deflate`.
const DEFLATE: [&str; 3] = ["compress", "compression", "permessage-deflate"];

/// The name among `names` that is most like `wrong`, if one is; all without what they have in
/// common at their start.
pub fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_ascii_lowercase().replace('_', "-");
    let wrong = match &*wrong {
        name if LISTEN.contains(&name) => "listen",
        name if DEFLATE.contains(&name) => "deflate",
        name => name,
    };
    let starts = |name: &str| name.starts_with(wrong) || wrong.starts_with(name);
    let distance = |name: &str| if starts(name) { 1 } else { distance(wrong, name) };
    let nearest = names.map(|name| (distance(name), name)).min_by_key(|(distance, _)| *distance);
    // Another third of it may be wrong.
    nearest.filter(|(distance, _)| distance * 3 <= wrong.len()).map(|(_, name)| name)
}

/// How many bytes have to be inserted, removed or replaced to make one of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    // A row of the table: from so much of `from` to each beginning of `to`.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, steps) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(from, to), steps, "{from} {to}");
        }
    }

    #[test]
    fn what_is_alike() {
        let names = ["listen", "log", "max-message", "max-messages", "ping-after", "idle-timeout"];
        for (wrong, right) in [
            ("max-mesage", Some("max-message")),
            ("MAX_MESSAGE", Some("max-message")),
            ("ping", Some("ping-after")),
            ("log-format", Some("log")),
            ("lisen", Some("listen")),
            ("port", Some("listen")),
            ("idletimeout", Some("idle-timeout")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, names.into_iter()), right, "{wrong}");
        }
    }
}
