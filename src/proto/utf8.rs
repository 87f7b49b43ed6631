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
//!   block, which the compiler turns into vector code. Most text has none of the leads that most
//!   of the expression is about, so a shorter one is tried first: it says whether that is so, and
//!   takes half the time.
//!
//! With the feature `simd` a long piece is first looked at as a whole, by instructions that only some
//! processors have; where that finds an error, the block check finds it again, and where it is.
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

        let at = valid_up_to(bytes);
        // The automaton picks up from there the state, and the error if the block at `at` has one.
        let from = boundary(bytes, at);
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

/// §8.1: whether these bytes are text, from its start to its end.
#[inline]
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    let mut utf8 = Utf8::new();
    utf8.feed(bytes).is_ok() && utf8.is_complete()
}

/// How far `bytes` is valid, in blocks, from a boundary within or right behind its first three bytes.
fn valid_up_to(bytes: &[u8]) -> usize {
    if is_text_by_simd(&bytes[boundary(bytes, BEFORE)..boundary(bytes, bytes.len())]) {
        return bytes.len();
    }
    let last = bytes.len() - BLOCK;
    let mut at = BEFORE;
    let mut check = Check::default();
    while let Some(window) = bytes[at - BEFORE..].first_chunk() {
        if !check.is_valid(window) {
            break;
        }
        // The last block overlaps the one before it rather than leave a tail.
        at = if at < last { last.min(at + BLOCK) } else { bytes.len() };
        if check.ascii && at < last {
            let stretches = bytes[at..last].as_chunks::<STRETCH>().0;
            at += STRETCH * stretches.iter().take_while(|stretch| stretch.is_ascii()).count();
        }
    }
    at
}

/// Where the last character begins of those that do so before `at`, if that may be the last one of
/// text that is valid up to there; else `at`, where the next one does.
fn boundary(bytes: &[u8], at: usize) -> usize {
    let lead = bytes[at - BEFORE..at].iter().rposition(|&byte| byte >= 0xc0);
    lead.map_or(at, |i| at - BEFORE + i)
}

/// Whether these bytes are text, where something faster than the block check can tell.
#[cfg(all(feature = "simd", any(target_arch = "aarch64", target_arch = "x86_64")))]
fn is_text_by_simd(bytes: &[u8]) -> bool {
    bytes.len() >= MIN_SIMD && simdutf8::basic::from_utf8(bytes).is_ok()
}

#[cfg(not(all(feature = "simd", any(target_arch = "aarch64", target_arch = "x86_64"))))]
fn is_text_by_simd(_: &[u8]) -> bool {
    false
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
/// Bytes that are worth asking the processor what it has.
#[cfg(all(feature = "simd", any(target_arch = "aarch64", target_arch = "x86_64")))]
const MIN_SIMD: usize = 256;
/// Bytes of ASCII that are passed over at once.
const STRETCH: usize = 256;

/// Chooses how to check each block.
#[derive(Default)]
struct Check {
    /// Whether the last block was ASCII.
    ascii: bool,
    /// Whether the bytes before the next block are known to have no rare lead among them.
    plain: bool,
    /// How many blocks are to pass before the short check is tried again.
    rest: u8,
}

/// How many blocks that is: what is rare seldom comes alone.
const BACKOFF: u8 = 8;

impl Check {
    /// Whether the last `BLOCK` bytes of `window` go on validly from the first three, which belong
    /// to text found valid up to there.
    #[inline]
    fn is_valid(&mut self, window: &[u8; WINDOW]) -> bool {
        let (before, block) = window.split_at(BEFORE);
        self.ascii = before[BEFORE - 1].is_ascii() && block.is_ascii();
        if self.ascii {
            self.plain = true;
            return true;
        }
        if self.rest > 0 {
            self.rest -= 1;
        } else {
            self.plain = self.plain || before.iter().all(|&byte| rare(byte) < 0x80);
            if self.plain && is_plain(window) {
                return true;
            }
            self.rest = BACKOFF;
        }
        self.plain = false;
        block_is_valid(window)
    }
}

/// With its highest bit, whether a byte leads four bytes, narrows the one after it or is never
/// valid; but for E0 and ED, `E1` counts too.
#[inline]
fn rare(byte: u8) -> u8 {
    byte.saturating_sub(0x70) | mask(byte & 0xde == 0xc0) | mask(byte == 0xed)
}

/// Whether the block is valid and has nothing rare in it, nor the bytes before it: then this much
/// of [`block_is_valid`] is enough.
fn is_plain(window: &[u8; WINDOW]) -> bool {
    let mut bad = 0;
    for i in BEFORE..WINDOW {
        let (second, first, byte) = (window[i - 2], window[i - 1], window[i]);
        let is_continuation = mask((byte as i8) < 0xc0_u8 as i8);
        let must_continue = first.saturating_sub(0x40) | second.saturating_sub(0x60);
        bad |= (is_continuation ^ must_continue) | rare(byte);
    }
    bad < 0x80
}

/// The same for any block.
fn block_is_valid(window: &[u8; WINDOW]) -> bool {
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
mod tests;
