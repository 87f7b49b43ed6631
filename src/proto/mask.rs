//! Payload masking (RFC 6455 §5.3).
//!
//! Masking is an XOR with a four-byte key repeated over the payload, so masking and unmasking
//! are the same operation. The key is rotated once to the phase at which the slice starts and
//! doubled to eight bytes; from there the payload is XORed a `u64` at a time, a loop the
//! compiler turns into vector code, and what is left of it, up to seven bytes, byte by byte.

/// Masks or unmasks `data` in place: byte `i` is XORed with `key[(offset + i) % 4]` (§5.3).
///
/// `offset` is the position of `data` within its frame's payload, so a payload can be worked
/// on in pieces; only its value modulo four matters.
pub fn apply(data: &mut [u8], key: [u8; 4], offset: usize) {
    // In little-endian order a right rotation by a byte moves `key[1]` to the front.
    let phase = 8 * (offset % 4) as u32;
    let key = u64::from(u32::from_le_bytes(key).rotate_right(phase));
    let key = key << 32 | key;

    let (words, tail) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_le_bytes(*word) ^ key).to_le_bytes();
    }
    let tail = match tail.split_first_chunk_mut::<4>() {
        Some((half, tail)) => {
            *half = (u32::from_le_bytes(*half) ^ key as u32).to_le_bytes();
            tail
        }
        None => tail,
    };
    for (byte, key) in tail.iter_mut().zip(key.to_le_bytes()) {
        *byte ^= key;
    }
}

/// Unmasks the bytes of `data` from byte `gap` on, and moves them to its start.
#[inline]
pub(crate) fn apply_behind(data: &mut [u8], gap: usize, key: [u8; 4]) {
    if gap == 0 {
        return apply(data, key, 0);
    }
    // A stretch may be as long as the gap before it reaches what it is yet to read, and a whole
    // number of keys, so that each begins with the first byte of one.
    let stretch = gap & !7;
    if stretch == 0 {
        apply(&mut data[gap..], key, 0);
        return data.copy_within(gap.., 0);
    }
    let len = data.len() - gap;
    for start in (0..len).step_by(stretch) {
        let (to, from) = data[start..].split_at_mut(gap);
        let len = stretch.min(len - start);
        copy(&from[..len], &mut to[..len], key);
    }
}

/// Unmasks a whole payload from one place to another, of the same length.
#[inline]
pub(crate) fn copy(from: &[u8], to: &mut [u8], key: [u8; 4]) {
    let key = u64::from(u32::from_le_bytes(key));
    let key = key << 32 | key;
    if let (Some(last), Some(to_last)) = (from.last_chunk::<8>(), to.last_chunk_mut::<8>()) {
        // The last eight bytes first, for the words after them may write some of them again.
        let turned = key.rotate_right(8 * (from.len() % 4) as u32);
        *to_last = (u64::from_le_bytes(*last) ^ turned).to_le_bytes();
        for (from, to) in from.as_chunks::<8>().0.iter().zip(to.as_chunks_mut::<8>().0) {
            *to = (u64::from_le_bytes(*from) ^ key).to_le_bytes();
        }
        return;
    }
    for ((from, to), key) in from.iter().zip(to).zip(key.to_le_bytes()) {
        *to = from ^ key;
    }
}

#[cfg(test)]
mod tests {
    use super::{apply, apply_behind, copy};

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn naive(data: &mut [u8], key: [u8; 4], offset: usize) {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte ^= key[(offset % 4 + i) % 4];
        }
    }

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 % 251) as u8).collect()
    }

    /// The masked text message of §5.7.
    #[test]
    fn rfc_example() {
        let mut data = *b"Hello";
        apply(&mut data, KEY, 0);
        assert_eq!(data, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
        apply(&mut data, KEY, 0);
        assert_eq!(&data, b"Hello");
    }

    #[test]
    fn equals_naive_at_every_length_offset_and_alignment() {
        let plain = sample(316);
        for align in 0..16 {
            for offset in 0..8 {
                for len in 0..=300 {
                    let (mut data, mut want) = (plain.clone(), plain.clone());
                    apply(&mut data[align..align + len], KEY, offset);
                    naive(&mut want[align..align + len], KEY, offset);
                    assert_eq!(data, want, "{len} bytes at {align}, offset {offset}");
                }
            }
        }
    }

    #[test]
    fn a_copy_equals_naive_at_every_length() {
        let plain = sample(316);
        for align in 0..16 {
            for len in 0..=300 {
                let from = &plain[align..align + len];
                let (mut to, mut want) = (vec![0xee; len], from.to_vec());
                copy(from, &mut to, KEY);
                naive(&mut want, KEY, 0);
                assert_eq!(to, want, "{len} bytes at {align}");
            }
        }
    }

    #[test]
    fn payload_behind_a_gap_equals_naive_for_every_gap_and_length() {
        let plain = sample(400);
        for gap in (0..=70).chain([100, 255, 256, 257]) {
            for len in (0..=300).take_while(|len| gap + len <= plain.len()) {
                let (mut data, mut want) = (plain.clone(), plain[gap..gap + len].to_vec());
                apply_behind(&mut data[..gap + len], gap, KEY);
                naive(&mut want, KEY, 0);
                assert_eq!(data[..len], want, "{len} bytes behind {gap}");
                assert_eq!(data[gap + len..], plain[gap + len..], "what lies behind them");
            }
        }
    }

    #[test]
    fn any_split_equals_whole() {
        let mut whole = sample(300);
        apply(&mut whole, KEY, 1);
        for split in 0..=whole.len() {
            let mut parts = sample(300);
            let (head, tail) = parts.split_at_mut(split);
            apply(head, KEY, 1);
            apply(tail, KEY, 1 + split);
            assert_eq!(parts, whole, "split at {split}");
        }
    }

    #[test]
    fn offset_near_the_top_of_its_range() {
        let mut data = sample(21);
        let mut want = data.clone();
        apply(&mut data, KEY, usize::MAX);
        naive(&mut want, KEY, 3);
        assert_eq!(data, want);
    }
}
