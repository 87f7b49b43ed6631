//! Where the kernel copies to what it has received.
//!
//! On some processors the instruction that it copies with, `rep movsb`, is seven to twenty times slower
//! when the destination lies a few bytes ahead of the source, modulo the size of a page: 1 to 15 on an
//! AMD EPYC, 1 to 31 elsewhere. What has come from the same machine begins near the start of a page, and
//! so does the memory of a large allocation: glibc hands it out 16 bytes behind one, and a payload lies
//! 14 bytes behind its header. So what is large is read half a page away from there.
//!
//! ```text
//!   how far the destination is ahead of the source, modulo a page:
//!
//!   0  16..32          1024                2048                3072                  4095
//!   |slow|   near it    |         far enough: it stays          |       near it        |
//!     └─────────────────────── it is moved here ──▲ ◀── or, in the next page ──────┘
//! ```

/// The size of a page; where pages are larger, this is as good.
const PAGE: usize = 4096;

/// The most that [`read_offset`] asks for, in bytes.
pub(crate) const MAX_OFFSET: usize = PAGE / 4 * 3;

/// How far behind address `at` to read what has `before` bytes ahead of it in the stream, counted from
/// where the kernel's memory is likely to begin: 0 where `at` itself is good, or else some
/// [`MAX_OFFSET`] bytes at the most, and a quarter of a page at least.
#[must_use]
pub(crate) const fn read_offset(at: usize, before: usize) -> usize {
    match at.wrapping_sub(before) % PAGE {
        ahead @ ..1024 => PAGE / 2 - ahead,
        1024..=3072 => 0,
        ahead => PAGE + PAGE / 2 - ahead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_in_a_page_is_left_or_far_from_where_copies_are_slow() {
        for at in 0..3 * PAGE {
            for before in [0, 14, 100, PAGE + 14] {
                let offset = read_offset(at, before);
                let ahead = (at + offset + PAGE - before % PAGE) % PAGE;
                assert!((PAGE / 4..=PAGE / 4 * 3).contains(&ahead), "{at}: {offset}");
                assert!(offset == 0 || (PAGE / 4..=MAX_OFFSET).contains(&offset), "{at}: {offset}");
            }
        }
    }
}
