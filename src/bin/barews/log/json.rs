//! The little of JSON (RFC 8259) that is written here.

use super::escape;

/// A string in quotes. What is not safe to show is escaped: JSON is looked at too.
pub fn string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            c if escape::is_safe(c) => json.push(c),
            // §7 of RFC 8259: beyond the first plane, as a pair of surrogates.
            c => {
                json.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")))
            }
        }
    }
    json.push('"');
    json
}

/// An object of names and values that are JSON already.
pub fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| format!("{}:{value}", string(name))).collect();
    format!("{{{}}}", fields.join(","))
}

/// A string, or null.
pub fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::escape::UNSAFE;

    #[test]
    fn strings_and_objects() {
        assert_eq!(string("a\"b\\c\n\u{7f}ü"), r#""a\"b\\c\u000a\u007fü""#);
        let fields = [("a", "1".to_owned()), ("b", optional(None)), ("c", optional(Some("")))];
        assert_eq!(object(&fields), r#"{"a":1,"b":null,"c":""}"#);
        assert_eq!(object(&[]), "{}");
    }

    #[test]
    fn edge_ac_json_shows_no_controls() {
        for c in UNSAFE {
            let json = string(&c.to_string());
            assert!(json.is_ascii() && json.starts_with("\"\\u"), "{c:?}: {json}");
        }
        assert_eq!(string("\u{9b}\u{202e}\u{2028}"), r#""\u009b\u202e\u2028""#);
        assert_eq!(string("\u{e0041}"), r#""\udb40\udc41""#);
    }
}
