//! Compressed payloads that cost their sender little and whoever inflates them much.

use crate::codec;

/// The order in which the lengths of the code for lengths stand (RFC 1951 §3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// So many zeros: a thousandth of it. They begin with one and repeat it, so they mean the same
/// whatever was said before, and fit in any window.
pub(crate) fn zeros(len: usize) -> Vec<u8> {
    codec::alone(&vec![0; len])
}

/// So many bytes that repeat only after 20,000, a hundredth of it: what comes back from a server
/// whose window is small is three quarters as long as the whole.
pub(crate) fn far_repeats(len: usize) -> Vec<u8> {
    const APART: usize = 20_000;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let unit: Vec<u8> = (0..APART)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8 % 64
        })
        .collect();
    let plain: Vec<u8> = unit.into_iter().cycle().take(len).collect();
    codec::alone(&plain)
}

/// Final blocks with nothing in them, two bytes each: behind each a stream begins anew, which still
/// may refer to all that was said before (RFC 7692 §7.2.3.4). Where that is 32 KiB, nothing takes an
/// inflater longer, byte for byte: some 500 ns.
pub(crate) fn final_blocks(count: usize) -> Vec<u8> {
    [3, 0].repeat(count)
}

/// Nothing at all in about `len` bytes of blocks, each of which brings codes of its own (RFC 1951
/// §3.2.7). The codes' lengths go from 1 to 15, which makes the tables that follow from them large: 50 ns
/// a byte.
pub(crate) fn dynamic_blocks(len: usize) -> Vec<u8> {
    // Of literals: 240 are not in use, and the end of a block has the shortest code.
    let mut lens = [0; 257];
    lens[241] = 15;
    for (at, len) in lens[242..].iter_mut().enumerate() {
        *len = 15 - at;
    }
    let mut bits = Bits::default();
    while bits.bytes.len() < len {
        dynamic_block(&mut bits, &lens);
    }
    // A last block, empty and stored, less what a message does without.
    bits.put(0, 3);
    bits.pad();
    bits.bytes
}

fn dynamic_block(bits: &mut Bits, lens: &[usize; 257]) {
    /// "11 to 138 lengths of 0", in the code for lengths. The others that are used are 1 to 15, which
    /// are 16 in all, with 4 bits each.
    const ZEROS: usize = 18;
    bits.put(0b100, 3);
    // 257 codes of literals, 1 of distances, all 19 of lengths.
    bits.put(0, 5);
    bits.put(0, 5);
    bits.put(19 - 4, 4);
    for symbol in ORDER {
        bits.put(if symbol == ZEROS || (1..=15).contains(&symbol) { 4 } else { 0 }, 3);
    }
    // With one length for all, the codes count up: 1 has 0, 15 has 14, and `ZEROS` has 15.
    for zeros in [138, 241 - 138] {
        bits.put_code(15, 4);
        bits.put(zeros - 11, 7);
    }
    for len in &lens[241..] {
        bits.put_code(len - 1, 4);
    }
    bits.put_code(0, 4);
    // The end of the block: the only code of one bit is 0.
    bits.put_code(0, 1);
}

/// Bits in the order of DEFLATE (RFC 1951 §3.1.1).
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// How many bits of the last byte are used; 0 if all.
    used: usize,
}

impl Bits {
    /// A number, its lowest bit first.
    fn put(&mut self, number: usize, count: usize) {
        for at in 0..count {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let last = self.bytes.last_mut().expect("just pushed if need be");
            *last |= ((number >> at & 1) as u8) << self.used;
            self.used = (self.used + 1) % 8;
        }
    }

    /// A code, its highest bit first.
    fn put_code(&mut self, code: usize, count: usize) {
        for at in (0..count).rev() {
            self.put(code >> at & 1, 1);
        }
    }

    fn pad(&mut self) {
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use zlib_rs::{Inflate, InflateFlush, Status};

    use super::*;

    /// What `payload` and the end of a message inflate to.
    fn inflated(payload: &[u8]) -> Vec<u8> {
        let (mut inflate, mut out) = (Inflate::new(false, 15), vec![0; 20 << 20]);
        let whole = [payload, &[0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]].concat();
        let status = inflate.decompress(&whole, &mut out, InflateFlush::SyncFlush);
        assert_eq!(status, Ok(Status::StreamEnd));
        assert_eq!(inflate.total_in(), whole.len() as u64);
        out.truncate(inflate.total_out() as usize);
        out
    }

    #[test]
    fn payloads_are_what_they_say() {
        let bomb = zeros(16 << 20);
        assert!(bomb.len() < 17 << 10, "{}", bomb.len());
        assert_eq!(inflated(&bomb), vec![0; 16 << 20]);
        let far = far_repeats(256 << 10);
        assert!(far.len() < 26 << 10, "{}", far.len());
        let plain = inflated(&far);
        assert_eq!(plain.len(), 256 << 10);
        assert_eq!(plain[..1000], plain[20_000..21_000]);
        assert_eq!(inflated(&dynamic_blocks(10_000)), []);
        // Each block is a stream of its own.
        assert_eq!(final_blocks(2), [3, 0, 3, 0]);
    }
}
