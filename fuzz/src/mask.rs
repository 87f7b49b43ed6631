//! Masking equals the naive loop at any offset, alignment and split.
//!
//! First comes the key, then the offset, how far into memory to go, and a split; the data are the
//! rest.

use barews::proto::mask::apply;

use super::bytes::{Bytes, pieces};

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (key, offset, align) = (bytes.array(), offset(&mut bytes), bytes.below(64));
    let (seed, plain) = (bytes.short(), bytes.rest());
    let naive = plain.iter().zip(offset % 4..).map(|(byte, turn)| byte ^ key[turn % 4]);
    let naive: Vec<u8> = naive.collect();
    for seed in [0, 1, seed] {
        let mut memory = [&[0; 64][..align], plain].concat();
        let (mut rest, mut turn) = (&mut memory[align..], offset);
        for piece in pieces(seed, plain) {
            apply(rest.split_off_mut(..piece.len()).unwrap(), key, turn);
            turn = turn.wrapping_add(piece.len());
        }
        assert_eq!(memory[align..], naive);
    }
}

/// A small one, or one near the largest there is.
fn offset(bytes: &mut Bytes<'_>) -> usize {
    i16::from_be_bytes(bytes.array()) as usize
}
