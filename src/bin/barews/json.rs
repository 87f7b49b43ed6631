//! The little of JSON (RFC 8259) that is written here.

use std::fmt::Write;

/// A string in quotes.
pub(crate) fn string(text: &str) -> String {
    let mut json = String::with_capacity(text.len() + 2);
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                json.push('\\');
                json.push(c);
            }
            '\0'..='\x1f' | '\x7f' => {
                // Writing to a string does not fail.
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

/// An object of names and values that are JSON already.
pub(crate) fn object(fields: &[(&str, String)]) -> String {
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| format!("{}:{value}", string(name))).collect();
    format!("{{{}}}", fields.join(","))
}

/// A string, or null.
pub(crate) fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_objects() {
        assert_eq!(string("a\"b\\c\n\u{7f}ü"), r#""a\"b\\c\u000a\u007fü""#);
        let fields = [("a", "1".to_owned()), ("b", optional(None)), ("c", optional(Some("")))];
        assert_eq!(object(&fields), r#"{"a":1,"b":null,"c":""}"#);
        assert_eq!(object(&[]), "{}");
    }
}
