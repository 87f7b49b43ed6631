//! Choices made of a fuzzer's bytes, and cuts of a stream into pieces.

/// Choices, one or two bytes each, in the order of the bytes; all zero once there are no more.
pub struct Bytes<'a> {
    rest: &'a [u8],
}

impl<'a> Bytes<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// A number below `n`, which is at most 256.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// The next `n` bytes, or as many as there are.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    pub fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }
}

/// Cuts `stream` into pieces, some of them empty: 0 leaves it whole, 1 makes single bytes, and any
/// other seed makes pieces of all lengths up to one that it chooses. In long streams all pieces are
/// longer, so that there are not many thousands.
pub fn pieces(seed: u16, stream: &[u8]) -> Vec<&[u8]> {
    let grain = 1 + stream.len() / 2048;
    let most = match seed {
        0 => return vec![stream],
        1 => return stream.chunks(grain).collect(),
        _ => [2, 5, 16, 80, 300][usize::from(seed) % 5] * grain,
    };
    let (mut state, mut rest, mut pieces) = (u64::from(seed), stream, Vec::new());
    while !rest.is_empty() {
        // The generator of Knuth's MMIX; its high bits are the good ones.
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let (piece, tail) = rest.split_at(((state >> 33) as usize % (most + 1)).min(rest.len()));
        pieces.push(piece);
        rest = tail;
    }
    pieces
}
