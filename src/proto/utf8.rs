//! Incremental UTF-8 validation for text messages (§8.1, RFC 3629).
//!
//! # Theory of operation
//!
//! A message arrives in pieces cut anywhere, and invalid text must fail the connection at the
//! first byte that no valid text could have there. Two methods share the work:
//!
//! * An *automaton* takes one byte at a time and needs nothing but its state. A table has one
//!   64-bit word for each byte value, holding the successors of all nine states side by side,
//!   six bits each. A state is the bit position of its own field, so a step is one load and one
//!   shift. It runs over short pieces, over the first bytes of a long one (where a character may
//!   be pending from the piece before), over its last bytes, and over a block that has an error.
//! * A *block check* takes 64 bytes at once and says only whether an error is among them. It has
//!   no state: whether a byte may stand where it does depends on the three bytes before it and
//!   nothing else. That is a fixed expression without branches, the same for each byte of the
//!   block, which the compiler turns into vector code.
//!
//! The block check rests on this: a byte must be a continuation (80–BF) exactly if the byte
//! before it leads a character of two bytes or more (>= C0), or the one before that leads three
//! or more (>= E0), or the one before that leads four (>= F0). Beyond this, C0, C1 and F5–FF
//! never occur, and four leads narrow the byte after them (RFC 3629 §4): E0 and F0 refuse the
//! low part of the range (overlong forms), ED and F4 the high part (surrogates, above 10FFFF).
//!
//! The state after a block that passed is found by running the automaton from the last lead
//! among its last three bytes. For a block that failed the same is done at its start, and the
//! automaton runs on into the block until it meets the error.

/// An incremental UTF-8 validator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Utf8 {
    state: u64,
}

impl Utf8 {
    /// A validator at the start of a text.
    pub const fn new() -> Self {
        Self { state: BOUNDARY }
    }

    /// Takes the next piece of the text.
    ///
    /// # Errors
    ///
    /// The index in `bytes` of the first byte that cannot continue any valid text. The
    /// validator has then failed for good: every later call returns `Err(0)`.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), usize> {
        if bytes.len() >= WINDOW {
            self.feed_blocks(bytes)
        } else if self.state == BOUNDARY && is_short_ascii(bytes) {
            Ok(())
        } else {
            self.step(bytes)
        }
    }

    /// The same for a piece of at least [`WINDOW`] bytes.
    fn feed_blocks(&mut self, bytes: &[u8]) -> Result<(), usize> {
        // A character pending from the piece before ends within three bytes, so after these
        // all that matters is in `bytes`.
        self.step(&bytes[..BEFORE])?;

        let last = bytes.len() - BLOCK;
        let mut at = BEFORE;
        while let Some(window) = bytes[at - BEFORE..].first_chunk() {
            if !block_is_valid(window) {
                break;
            }
            // The last block overlaps the one before it rather than leave a tail.
            at = if at < last { last.min(at + BLOCK) } else { bytes.len() };
        }

        // All before `at` is valid. The automaton picks up from there the state, and the error if
        // the block at `at` has one.
        let before = &bytes[at - BEFORE..at];
        let lead = before.iter().rposition(|&byte| byte >= 0xc0);
        let from = lead.map_or(at, |i| at - BEFORE + i);
        let to = bytes.len().min(at + BLOCK);
        self.state = BOUNDARY;
        self.step(&bytes[from..to]).map_err(|i| from + i)
    }

    /// Whether the text so far ends at a character boundary, as a whole message must (§5.6).
    pub fn is_complete(&self) -> bool {
        self.state == BOUNDARY
    }

    /// Runs the automaton, and if it failed once more to find where: not looking is faster.
    fn step(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut state = self.state;
        let end = bytes.iter().fold(state, |s, &byte| successor(s, byte));
        self.state = end & FIELD;
        if self.state != FAILED {
            return Ok(());
        }
        let failed_at = bytes.iter().position(|&byte| {
            state = successor(state, byte);
            state & FIELD == FAILED
        });
        Err(failed_at.unwrap_or(0))
    }
}

/// Whether these few bytes are ASCII: [`slice::is_ascii`] is made for many.
#[inline]
fn is_short_ascii(bytes: &[u8]) -> bool {
    let high = match bytes.last_chunk::<8>() {
        // The last eight overlap the ones before.
        Some(&last) => {
            let (words, _) = bytes.as_chunks::<8>();
            words.iter().fold(u64::from_le_bytes(last), |all, &word| all | u64::from_le_bytes(word))
        }
        None => bytes.iter().fold(0, |all, &byte| all | u64::from(byte)),
    };
    high & 0x8080_8080_8080_8080 == 0
}

/// Bytes the block check looks back on: a character has no more after its first.
const BEFORE: usize = 3;
/// Bytes a block check covers. Longer ones gain little, and leave longer
/// pieces to the automaton.
const BLOCK: usize = 64;
const WINDOW: usize = BEFORE + BLOCK;

/// Whether the last `BLOCK` bytes of `window` go on validly from the first three, which belong
/// to text found valid up to there.
fn block_is_valid(window: &[u8; WINDOW]) -> bool {
    let (before, block) = window.split_at(BEFORE);
    if before[BEFORE - 1].is_ascii() && block.is_ascii() {
        return true;
    }
    // Every step answers with the highest bit of a byte, and some with all eight: what SSE2 has
    // is a subtraction that stops at zero, and comparisons for equality and of signed bytes.
    let mut bad = 0;
    for i in BEFORE..WINDOW {
        let (third, second, first, byte) = (window[i - 3], window[i - 2], window[i - 1], window[i]);
        // Signed, 80–BF are the lowest values.
        let is_continuation = mask((byte as i8) < 0xc0_u8 as i8);
        // C0, E0 and F0 less these are 80.
        let must_continue =
            first.saturating_sub(0x40) | second.saturating_sub(0x60) | third.saturating_sub(0x70);
        // For the narrowing leads. After E0–EF the sum adds 60, which carries bytes from A0 up out
        // of the top; after F0–FF 70, and those from 90 up; lower ones keep the high bit. This
        // takes 80–BF for granted: any other byte is an error here already.
        let is_low = (first & 0x70).wrapping_add(byte);
        bad |= (is_continuation ^ must_continue)
            | (mask(first & 0xef == 0xe0) & is_low) // E0, F0
            | (mask((first == 0xed) | (first == 0xf4)) & !is_low)
            | mask(byte & 0xfe == 0xc0) // C0, C1
            | byte.saturating_sub(0x75); // F5–FF
    }
    bad < 0x80
}

/// All bits of a byte.
const fn mask(is: bool) -> u8 {
    if is { 0xff } else { 0 }
}

// The states: how many continuation bytes are due, and if only some of them will do, which lead
// says so. A state's value is the position of its field in the words of `SUCCESSORS`.
const BOUNDARY: u64 = 0;
const DUE_1: u64 = 6;
const DUE_2: u64 = 12;
const DUE_2_AFTER_E0: u64 = 18;
const DUE_2_AFTER_ED: u64 = 24;
const DUE_3: u64 = 30;
const DUE_3_AFTER_F0: u64 = 36;
const DUE_3_AFTER_F4: u64 = 42;
const FAILED: u64 = 48;
/// The bits of a field.
const FIELD: u64 = 0x3f;

static SUCCESSORS: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut state = BOUNDARY;
        while state <= FAILED {
            table[byte] |= syntax(state, byte as u8) << state;
            state += 6;
        }
        byte += 1;
    }
    table
};

/// The state after `state` on `byte`, in the low bits; those above are leavings to mask off.
fn successor(state: u64, byte: u8) -> u64 {
    SUCCESSORS[usize::from(byte)] >> (state & FIELD)
}

/// The syntax of RFC 3629 §4.
const fn syntax(state: u64, byte: u8) -> u64 {
    match (state, byte) {
        (BOUNDARY, 0x00..=0x7f) => BOUNDARY,
        (BOUNDARY, 0xc2..=0xdf) => DUE_1,
        (BOUNDARY, 0xe0) => DUE_2_AFTER_E0,
        (BOUNDARY, 0xed) => DUE_2_AFTER_ED,
        (BOUNDARY, 0xe1..=0xef) => DUE_2,
        (BOUNDARY, 0xf0) => DUE_3_AFTER_F0,
        (BOUNDARY, 0xf1..=0xf3) => DUE_3,
        (BOUNDARY, 0xf4) => DUE_3_AFTER_F4,
        (DUE_1, 0x80..=0xbf) => BOUNDARY,
        (DUE_2, 0x80..=0xbf) => DUE_1,
        (DUE_2_AFTER_E0, 0xa0..=0xbf) => DUE_1,
        (DUE_2_AFTER_ED, 0x80..=0x9f) => DUE_1,
        (DUE_3, 0x80..=0xbf) => DUE_2,
        (DUE_3_AFTER_F0, 0x90..=0xbf) => DUE_2,
        (DUE_3_AFTER_F4, 0x80..=0x8f) => DUE_2,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, FAILED, FIELD, Utf8, successor, syntax};

    const KINDS: [&str; 4] = [
        "The quick brown fox jumps over the lazy dog. ",
        "敏捷的棕色狐狸跳过了懒狗。すばやい茶色の狐。\u{d7ff}\u{e000}\u{800}",
        "😀🦊🐶🎉🚀🌍👍🔥\u{10000}\u{10ffff}",
        "Hi, мир! 你好 😀 naïve £\u{7ff}\u{80}€\u{ffff} Ελλάδα; ",
    ];

    /// What no valid text has, separated by spaces. The last ones break two rules with one byte and
    /// none after it.
    const ERRORS: &[u8] =
        b"\x80 \xbf \xc0 \xc1 \xf5 \xff \xc3\xc3 \xc3A \xe3A \xe3\x81A \xe3\x81\xe3 \
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
            let text = kind.repeat(10);
            // Shifted by one to three bytes, characters start at every offset.
            for shift in 0..4 {
                let text = &["AAA"[..shift].to_owned(), text.clone()].concat();
                for at in (0..3 * BLOCK + 10).filter(|&at| text.is_char_boundary(at)) {
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
}
