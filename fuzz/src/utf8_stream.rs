//! Text in any split is judged as std judges it whole, and fails at the earliest bad byte.
//!
//! The first two bytes choose a split, the next two how much good text to put on either side, so
//! that what is wrong comes to lie anywhere in a long one; the text between is the rest.

use barews::proto::utf8::Utf8;

use super::bytes::{Bytes, pieces};
use super::reference::first_bad_byte;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (seed, before, after) = (bytes.short(), filler(bytes.byte()), filler(bytes.byte()));
    let text = [before.as_bytes(), bytes.rest(), after.as_bytes()].concat();
    for seed in [0, 1, seed] {
        let (mut utf8, mut at, mut bad) = (Utf8::new(), 0, None);
        for piece in pieces(seed, &text) {
            match (bad, utf8.feed(piece)) {
                (None, result) => bad = result.err().map(|i| at + i),
                (Some(_), again) => assert_eq!(again, Err(0), "recovered"),
            }
            at += piece.len();
        }
        assert_eq!(bad, first_bad_byte(&text), "split {seed}");
        assert_eq!(utf8.is_complete(), std::str::from_utf8(&text).is_ok(), "split {seed}");
    }
}

/// Good text of about this length.
fn filler(len: u8) -> String {
    let mut text = "é水😀a".repeat(26);
    text.truncate(text.floor_char_boundary(len.into()));
    text
}
