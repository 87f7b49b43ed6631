//! Text of others, made fit for a line of the log.

use std::borrow::Cow;
use std::fmt::Write;

/// How much of a path, an origin, a name or a reason a line shows, in bytes: so a line has a bound.
const MAX_SHOWN: usize = 200;

/// Whether a character is safe to show. Not so are those of Unicode's classes Cc, Cf, Zl and Zp:
/// controls of the terminal, ends of lines, what turns the direction of text, what nobody sees.
pub fn is_safe(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

/// A line for people: what is not safe to show stands there as `\u{…}`.
pub fn line(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_safe) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            c if is_safe(c) => line.push(c),
            // Writing to a string does not fail.
            c => drop(write!(line, "{}", c.escape_unicode())),
        }
    }
    line.into()
}

/// Text of a peer, cut where it is long.
pub fn shown(text: &str) -> Cow<'_, str> {
    truncate(text, MAX_SHOWN)
}

/// The same in quotes.
pub fn quoted(text: &str) -> String {
    format!("{:?}", shown(text))
}

/// The start of what is longer than `max_len` bytes, and a sign that it goes on.
pub fn truncate(text: &str, max_len: usize) -> Cow<'_, str> {
    match text.len() > max_len {
        true => format!("{}…", &text[..text.floor_char_boundary(max_len)]).into(),
        false => text.into(),
    }
}

/// What must never reach a terminal or a viewer as it is.
#[cfg(test)]
pub const UNSAFE: &[char] = &[
    '\0',
    '\n',
    '\r',
    '\u{1b}',
    '\u{7f}',
    '\u{80}',
    '\u{85}',
    '\u{9b}',
    '\u{9f}',
    '\u{ad}',
    '\u{61c}',
    '\u{200b}',
    '\u{200e}',
    '\u{200f}',
    '\u{2028}',
    '\u{2029}',
    '\u{202a}',
    '\u{202b}',
    '\u{202c}',
    '\u{202d}',
    '\u{202e}',
    '\u{2066}',
    '\u{2067}',
    '\u{2068}',
    '\u{2069}',
    '\u{feff}',
    '\u{e0041}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edge_ac_lines_show_no_controls() {
        for c in UNSAFE {
            let text = format!("a{c}b");
            let line = line(&text);
            assert!(line.chars().all(is_safe), "{line:?}");
            assert!(line.starts_with("a\\") && line.ends_with('b'), "{line}");
        }
        let plain = "GET /ü \"x\\y\" 漢字 🙂 e\u{301}";
        assert!(matches!(line(plain), Cow::Borrowed(text) if text == plain));
        assert_eq!(line("a\u{202e}\n"), "a\\u{202e}\\n");
    }

    #[test]
    fn edge_ac_what_is_long_is_cut_at_a_character() {
        assert_eq!(truncate("abc", 3), "abc");
        assert_eq!(truncate("abcd", 3), "abc…");
        assert_eq!(truncate("aüb", 2), "a…");
        assert_eq!(quoted("a\u{9b}\""), r#""a\u{9b}\"""#);
        assert!(quoted(&"x".repeat(10_000)).len() < MAX_SHOWN + 10);
    }
}
