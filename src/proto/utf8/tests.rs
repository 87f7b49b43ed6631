use super::{BACKOFF, BLOCK, FAILED, FIELD, STRETCH, Utf8, successor, syntax};

const KINDS: [&str; 5] = [
    "The quick brown fox jumps over the lazy dog. ",
    "敏捷的棕色狐狸跳过了懒狗。すばやい茶色の狐，Ελλάδα мир",
    "敏捷的棕色狐狸跳过了懒狗。すばやい茶色の狐。\u{d7ff}\u{e000}\u{800}",
    "😀🦊🐶🎉🚀🌍👍🔥\u{10000}\u{10ffff}",
    "Hi, мир! 你好 😀 naïve £\u{7ff}\u{80}€\u{ffff} Ελλάδα; ",
];

/// What no valid text has, separated by spaces. The last ones break two rules with one byte and
/// none after it.
const ERRORS: &[u8] = b"\x80 \xbf \xc0 \xc1 \xf5 \xff \xc3\xc3 \xc3A \xe3A \xe3\x81A \xe3\x81\xe3 \
    \xe3\x81\xff \xf1A \xf1\x80\xc0 \xf1\x80\x80A \xe0\x9f \xed\xa0 \xf0\x8f \xf4\x90 \
    \xc0\x80 \xc1\xbf \xf5\x80\x80\x80 \xff\xbf\xbf\xbf \xe0\x9f\x80 \xed\xa0\x80 \
    \xf0\x8f\x80\x80 \xf4\x90\x80\x80 \xc3\xa9\x80 \xe3\x81\x82\x80 \xf0\x9f\x98\x80\x80 \
    \xe1\xc0\x80 \xe1\xf5\x80\x80\x80 \xe0A\x80 \xf0A\x80\x80 \xed\xc3\x80 \xf4\xc3\x80\x80";

/// The naive truth: whether `bytes` are complete text, or else their first byte that no
/// valid text has after those before it.
fn truth(bytes: &[u8]) -> Result<bool, usize> {
    let Err(error) = std::str::from_utf8(bytes) else {
        return Ok(true);
    };
    let from = error.valid_up_to();
    let hopeless = |&end: &usize| {
        let prefix = std::str::from_utf8(&bytes[from..=end]);
        prefix.is_err_and(|error| error.error_len().is_some())
    };
    (from..bytes.len()).find(hopeless).map_or(Ok(false), Err)
}

/// The same of a validator fed `pieces`.
fn fed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<bool, usize> {
    let mut utf8 = Utf8::new();
    let mut at = 0;
    for piece in pieces {
        if let Err(i) = utf8.feed(piece) {
            assert!(!utf8.is_complete());
            let later = [&b""[..], b"A", &[b'A'; 200]].map(|piece| utf8.feed(piece));
            assert_eq!(later, [Err(0); 3], "recovered");
            return Err(at + i);
        }
        at += piece.len();
    }
    Ok(utf8.is_complete())
}

/// Numbers below `n`, the same on every run (xorshift).
fn random(seed: &mut u64, n: usize) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    (*seed >> 16) as usize % n
}

/// The packed table says what the syntax does.
#[test]
fn the_table_holds_the_syntax() {
    for state in (0..=8).map(|field| field * 6) {
        for byte in 0..=u8::MAX {
            let expected = if state == FAILED { FAILED } else { syntax(state, byte) };
            assert_eq!(successor(state, byte) & FIELD, expected, "{state} {byte:02x}");
        }
    }
}

/// Every byte in every state. A character that completed leaves a new validator and one
/// that failed stays so, hence this speaks for all sequences of any length.
#[test]
fn every_byte_in_every_state() {
    fn walk(prefix: &mut Vec<u8>, before: Utf8) {
        // Any third byte of four is like one of these, and the fourths are many.
        if let [_, _, third] = prefix[..]
            && ![0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf].contains(&third)
        {
            return;
        }
        for byte in 0..=255 {
            let mut utf8 = before;
            prefix.push(byte);
            match (utf8.feed(&[byte]), truth(prefix)) {
                (Ok(()), Ok(true)) => assert_eq!(utf8, Utf8::new(), "{prefix:x?}"),
                (Ok(()), Ok(false)) => walk(prefix, utf8),
                (got, want) => {
                    assert_eq!((got, want), (Err(0), Err(prefix.len() - 1)), "{prefix:x?}");
                }
            }
            assert_eq!(fed([&prefix[..]]), truth(prefix), "{prefix:x?}");
            prefix.pop();
        }
    }
    walk(&mut Vec::new(), Utf8::default());
}

#[test]
fn valid_text_in_any_two_pieces_or_byte_by_byte() {
    for kind in KINDS {
        let text = kind.repeat(8);
        for at in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(at);
            assert_eq!(fed([head, tail]), Ok(true), "{kind} at {at}");
            assert_eq!(fed([head]), Ok(text.is_char_boundary(at)), "{kind} to {at}");
        }
        assert_eq!(fed(text.as_bytes().chunks(1)), Ok(true), "{kind}");
    }
}

/// Each error at every offset from the start of the text to well past a block boundary,
/// with text after it and as the last thing in the text.
#[test]
fn an_error_anywhere_is_found_where_it_is() {
    for kind in KINDS {
        let text = kind.repeat(20);
        // Shifted by one to three bytes, characters start at every offset.
        for shift in 0..4 {
            let text = &["AAA"[..shift].to_owned(), text.clone()].concat();
            for at in (0..3 * BLOCK + STRETCH).filter(|&at| text.is_char_boundary(at)) {
                for error in ERRORS.split(|&byte| byte == b' ') {
                    let (head, tail) = text.as_bytes().split_at(at);
                    let bytes = [head, error, &tail[..BLOCK + 9]].concat();
                    let want = truth(&bytes);
                    assert!(want.is_err_and(|i| (at..at + error.len()).contains(&i)));
                    assert_eq!(fed([&bytes[..]]), want, "{kind} {error:x?} at {at}");
                    assert_eq!(fed([head, error]), want, "{kind} then {error:x?} at {at}");
                    let cut = &bytes[..at + error.len()];
                    assert_eq!(fed([cut]), want, "{kind} {error:x?} last, at {at}");
                }
            }
        }
    }
}

/// The same where the short check is tried again after a text that it is not for.
#[test]
fn an_error_is_found_when_what_is_rare_has_passed() {
    for (rare, shift) in ["😀", "\u{800}", "\u{d7ff}"].iter().zip(0..) {
        // The third block has it, and is the first that gets no short check.
        let before = 2 * BLOCK / 3 + 4;
        let text = ["AAA"[..shift].to_owned(), "日".repeat(before)].concat();
        let text = [&text, *rare, &"日".repeat(400)].concat();
        let again = 3 + (2 + 1 + usize::from(BACKOFF)) * BLOCK;
        for at in (again - 20..again + BLOCK + 20).filter(|&at| text.is_char_boundary(at)) {
            for error in ERRORS.split(|&byte| byte == b' ') {
                let (head, tail) = text.as_bytes().split_at(at);
                let bytes = [head, error, tail].concat();
                assert_eq!(fed([&bytes[..]]), truth(&bytes), "{rare} {error:x?} at {at}");
            }
        }
    }
}

#[test]
fn random_damage_in_random_pieces() {
    let seed = &mut 0x1234_5678_9abc_def1;
    for round in 0..4000 {
        let mut bytes = Vec::new();
        let len = random(seed, 400);
        while bytes.len() < len {
            let kind: Vec<char> = KINDS[random(seed, KINDS.len())].chars().collect();
            let run = (0..random(seed, 90)).map(|_| kind[random(seed, kind.len())]);
            bytes.extend_from_slice(run.collect::<String>().as_bytes());
        }
        for _ in 0..(round % 3).min(bytes.len()) {
            let at = random(seed, bytes.len());
            match random(seed, 3) {
                0 => bytes[at] = random(seed, 256) as u8,
                1 => bytes[at] ^= 1 << random(seed, 8),
                _ => drop(bytes.remove(at)),
            }
        }
        let mut rest = &bytes[..];
        let pieces = std::iter::from_fn(|| {
            let piece = rest.split_off(..(1 + random(seed, 300)).min(rest.len()))?;
            (!piece.is_empty()).then_some(piece)
        });
        let want = truth(&bytes);
        assert_eq!(fed(pieces), want, "{bytes:x?}");
        assert_eq!(fed([&bytes[..]]), want, "{bytes:x?}");
        assert_eq!(fed(bytes.chunks(1)), want, "{bytes:x?}");
    }
}
