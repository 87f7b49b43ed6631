//! DEFLATE (RFC 1951) a second time, for messages that are there as a whole (RFC 7692 §7.2.2): bit by
//! bit, naive, and slow. It notes how far a message refers back.

/// How a message ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    Whole,
    /// Inside a block, or behind one that is not final: something is missing, or has too much.
    Short,
    /// It is no DEFLATE.
    Bad,
}

/// What a message says.
#[derive(Debug)]
pub struct Message {
    /// All that was said before its end, or before what is bad.
    pub bytes: Vec<u8>,
    pub end: End,
    /// The longest distance.
    pub farthest: usize,
}

/// Why no more blocks can be read.
enum Stop {
    /// No more bits.
    Short,
    /// No more bits, in the empty stored block whose last four bytes a message does without.
    Flushed,
    Bad,
}

/// Lengths 3 to 258 and distances: the least that a symbol stands for, and its extra bits (§3.2.5).
#[rustfmt::skip]
const LENGTHS: [(usize, usize); 29] = [
    (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1), (13, 1), (15, 1),
    (17, 1), (19, 2), (23, 2), (27, 2), (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4),
    (83, 4), (99, 4), (115, 4), (131, 5), (163, 5), (195, 5), (227, 5), (258, 0),
];
#[rustfmt::skip]
const DISTANCES: [(usize, usize); 30] = [
    (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3), (33, 4),
    (49, 4), (65, 5), (97, 5), (129, 6), (193, 6), (257, 7), (385, 7), (513, 8), (769, 8),
    (1025, 9), (1537, 9), (2049, 10), (3073, 10), (4097, 11), (6145, 11), (8193, 12), (12289, 12),
    (16385, 13), (24577, 13),
];
/// The order of the lengths that the code of lengths has (§3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Reads a message that may refer back to the last `window` bytes of what was said before. A stream
/// ends with a final block; what follows is another, and may refer back to as much.
pub fn read(message: &[u8], before: &[u8], window: usize) -> Message {
    let mut all = before.to_vec();
    let mut reader = Reader { bits: Bits { bytes: message, at: 0 }, said: Vec::new(), farthest: 0 };
    let end = loop {
        // RFC 7692 §7.2.3.4, and nothing at all: all that was begun is finished.
        if reader.bits.at == 8 * message.len() {
            break End::Whole;
        }
        reader.said = all[all.len() - all.len().min(window)..].to_vec();
        let had = reader.said.len();
        let stop = loop {
            match reader.block() {
                Ok(false) => {}
                Ok(true) => break None,
                Err(stop) => break Some(stop),
            }
        };
        all.extend(&reader.said[had..]);
        match stop {
            None => reader.bits.align(),
            Some(Stop::Flushed) => break End::Whole,
            Some(Stop::Short) => break End::Short,
            Some(Stop::Bad) => break End::Bad,
        }
    };
    Message { bytes: all.split_off(before.len()), end, farthest: reader.farthest }
}

struct Reader<'a> {
    bits: Bits<'a>,
    /// What may be referred to.
    said: Vec<u8>,
    farthest: usize,
}

impl Reader<'_> {
    /// §3.2.3: reads a block; whether it is the final one.
    fn block(&mut self) -> Result<bool, Stop> {
        let head = self.bits.take(3)?;
        match head / 2 {
            0 => self.stored()?,
            1 => {
                let literals = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
                self.coded(&Code::new(&literals), &Code::new(&[5; 32]))?;
            }
            2 => {
                let (literals, distances) = self.codes()?;
                self.coded(&literals, &distances)?;
            }
            _ => return Err(Stop::Bad),
        }
        Ok(head % 2 == 1)
    }

    /// §3.2.4.
    fn stored(&mut self) -> Result<(), Stop> {
        self.bits.align();
        if self.bits.at == 8 * self.bits.bytes.len() {
            return Err(Stop::Flushed);
        }
        let (low, high) = (self.bits.take(16)?, self.bits.take(16)?);
        refuse(low != high ^ 0xffff)?;
        for _ in 0..low {
            let byte = self.bits.take(8)?;
            self.said.push(byte as u8);
        }
        Ok(())
    }

    /// §3.2.7: the codes of a dynamic block.
    fn codes(&mut self) -> Result<(Code, Code), Stop> {
        let sizes = self.bits.take(14)?;
        let (literals, distances) = (257 + sizes % 32, 1 + sizes / 32 % 32);
        refuse(literals > 286 || distances > 30)?;
        let mut lengths = [0; 19];
        for place in &ORDER[..4 + sizes / 1024] {
            lengths[*place] = self.bits.take(3)?;
        }
        let code = Code::new(&lengths);
        if lengths == [0; 19] {
            // A code without a symbol is not wrong in itself, but none that it is for has an end.
            self.bits.take(literals + distances)?;
            return Err(Stop::Bad);
        }
        refuse(code.is_over || code.is_incomplete)?;
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match code.next(&mut self.bits)? {
                16 => {
                    let times = 3 + self.bits.take(2)?;
                    (*lengths.last().ok_or(Stop::Bad)?, times)
                }
                17 => (0, 3 + self.bits.take(3)?),
                18 => (0, 11 + self.bits.take(7)?),
                length => (length, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        refuse(lengths.len() > literals + distances || lengths[256] == 0)?;
        let codes = (Code::new(&lengths[..literals]), Code::new(&lengths[literals..]));
        // A code of one symbol has one bit; other codes leave no bits unused.
        let is_bad = |code: &Code| code.is_over || code.is_incomplete && !code.is_single;
        refuse(is_bad(&codes.0) || is_bad(&codes.1))?;
        Ok(codes)
    }

    /// §3.2.3: literals and references, up to the end of the block.
    fn coded(&mut self, literals: &Code, distances: &Code) -> Result<(), Stop> {
        loop {
            let symbol = literals.next(&mut self.bits)?;
            match symbol {
                0..256 => self.said.push(symbol as u8),
                256 => return Ok(()),
                _ => {
                    let &(least, extra) = LENGTHS.get(symbol - 257).ok_or(Stop::Bad)?;
                    let len = least + self.bits.take(extra)?;
                    let symbol = distances.next(&mut self.bits)?;
                    let &(least, extra) = DISTANCES.get(symbol).ok_or(Stop::Bad)?;
                    let distance = least + self.bits.take(extra)?;
                    refuse(distance > self.said.len())?;
                    self.farthest = self.farthest.max(distance);
                    for _ in 0..len {
                        self.said.push(self.said[self.said.len() - distance]);
                    }
                }
            }
        }
    }
}

fn refuse(is_bad: bool) -> Result<(), Stop> {
    if is_bad { Err(Stop::Bad) } else { Ok(()) }
}

/// A code, as the bits of each symbol (§3.2.2).
struct Code {
    /// The symbols in the order of their codes, by the length of these.
    symbols: Vec<Vec<usize>>,
    is_over: bool,
    /// Whether some bits mean nothing. So it is with a code that has no symbol, and no use.
    is_incomplete: bool,
    /// Whether it has one symbol of one bit, or none at all.
    is_single: bool,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let of = |bits| (0..lengths.len()).filter(|&symbol| lengths[symbol] == bits).collect();
        let symbols: Vec<Vec<usize>> = (1..16).map(of).collect();
        let weight = |(at, symbols): (usize, &Vec<usize>)| symbols.len() << (14 - at);
        let used: usize = symbols.iter().enumerate().map(weight).sum();
        let is_single = lengths.iter().sum::<usize>() < 2;
        Self { symbols, is_over: used > 1 << 15, is_incomplete: used < 1 << 15, is_single }
    }

    fn next(&self, bits: &mut Bits<'_>) -> Result<usize, Stop> {
        let (mut first, mut code) = (0, 0);
        for symbols in &self.symbols {
            code = 2 * code + bits.take(1)?;
            if let Some(&symbol) = symbols.get(code - first) {
                return Ok(symbol);
            }
            refuse(self.is_single)?;
            first = 2 * (first + symbols.len());
        }
        Err(Stop::Bad)
    }
}

/// §3.1.1: bits of bytes, the lowest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<usize, Stop> {
        let mut number = 0;
        for place in 0..count {
            let byte = *self.bytes.get(self.at / 8).ok_or(Stop::Short)?;
            number |= usize::from(byte >> (self.at % 8) & 1) << (place % 64);
            self.at += 1;
        }
        Ok(number)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}
