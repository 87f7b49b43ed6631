//! DEFLATE streams (RFC 1951), made bit by bit, and read strictly: nothing here is the library's, nor
//! the codec's that it uses.

use std::collections::HashMap;

/// The bases of the lengths 257 to 285 stand for, and how many bits are added (RFC 1951 §3.2.5).
const LENGTHS: [(usize, u32); 29] = {
    let mut lengths = [(0, 0); 29];
    let (mut base, mut at) = (3, 0);
    while at < 28 {
        let extra = if at < 8 { 0 } else { (at as u32 - 4) / 4 };
        lengths[at] = (base, extra);
        base += 1 << extra;
        at += 1;
    }
    lengths[28] = (258, 0);
    lengths
};

/// The same for distances.
const DISTANCES: [(usize, u32); 30] = {
    let mut distances = [(0, 0); 30];
    let (mut base, mut at) = (1, 0);
    while at < 30 {
        let extra = if at < 4 { 0 } else { (at as u32 - 2) / 2 };
        distances[at] = (base, extra);
        base += 1 << extra;
        at += 1;
    }
    distances
};

/// The order of code lengths in the header of a dynamic block (RFC 1951 §3.2.7).
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The codes of a block, each as its bits, the first one lowest, and how many these are.
#[derive(Clone)]
struct Codes {
    literals: Vec<(usize, u32)>,
    distances: Vec<(usize, u32)>,
}

/// The lengths of the fixed codes (RFC 1951 §3.2.6).
fn fixed() -> [Vec<u8>; 2] {
    let literals = (0..288).map(|symbol| match symbol {
        0..=143 => 8,
        144..=255 => 9,
        256..=279 => 7,
        _ => 8,
    });
    [literals.collect(), vec![5; 32]]
}

/// The codes that have these lengths (RFC 1951 §3.2.2).
fn codes(lens: &[u8]) -> Vec<(usize, u32)> {
    let count = |len| lens.iter().filter(|&&other| other == len && len > 0).count();
    let mut next = [0; 16];
    for len in 1..16 {
        next[len] = (next[len - 1] + count(len as u8 - 1)) << 1;
    }
    let code = |&len: &u8| {
        let code = next[usize::from(len)];
        next[usize::from(len)] += 1;
        let reversed = (0..len).fold(0, |bits, at| bits << 1 | (code >> at & 1));
        (reversed, u32::from(len))
    };
    lens.iter().map(code).collect()
}

impl Codes {
    fn new([literals, distances]: [&[u8]; 2]) -> Self {
        Self { literals: codes(literals), distances: codes(distances) }
    }

    fn fixed() -> Self {
        let [literals, distances] = &fixed();
        Self::new([literals, distances])
    }
}

/// A DEFLATE stream in the making.
#[derive(Clone)]
pub struct Bits {
    bytes: Vec<u8>,
    /// How many bits of the last byte are taken; 0 if all are.
    used: u32,
    codes: Codes,
}

impl Default for Bits {
    fn default() -> Self {
        Self { bytes: Vec::new(), used: 0, codes: Codes::fixed() }
    }
}

impl Bits {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the lowest `count` bits, the lowest first.
    pub fn put(mut self, value: usize, count: u32) -> Self {
        self.add(value, count);
        self
    }

    fn add(&mut self, value: usize, count: u32) {
        for at in 0..count {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = (value.checked_shr(at).unwrap_or(0) & 1) as u8;
            *self.bytes.last_mut().expect("a byte") |= bit << self.used;
            self.used = (self.used + 1) % 8;
        }
    }

    /// Adds whole bytes, from a byte's border on.
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.used = 0;
        self.bytes.extend(bytes.as_ref());
        self
    }

    /// A stored block (RFC 1951 §3.2.4).
    pub fn stored(self, last: bool, data: impl AsRef<[u8]>) -> Self {
        let data = data.as_ref();
        let len = u16::try_from(data.len()).expect("a stored block holds no more");
        self.put(usize::from(last), 3).raw(len.to_le_bytes()).raw((!len).to_le_bytes()).raw(data)
    }

    /// The header of a block with fixed codes.
    pub fn fixed(mut self, last: bool) -> Self {
        self.codes = Codes::fixed();
        self.put(usize::from(last) | 0b010, 3)
    }

    /// The header of a block with codes of these lengths.
    pub fn dynamic(mut self, last: bool, literals: &[u8], distances: &[u8]) -> Self {
        self.codes = Codes::new([literals, distances]);
        let mut bits = self.dynamic_head(last, literals.len(), distances.len());
        let code = codes(&[4; 16]);
        for &len in literals.iter().chain(distances) {
            bits.code(code[usize::from(len)]);
        }
        bits
    }

    /// The header of a dynamic block up to its code lengths: these have 4 bits each, 0 to 15.
    pub fn dynamic_head(self, last: bool, literals: usize, distances: usize) -> Self {
        let head = self.put(usize::from(last) | 0b100, 3);
        let head = head.put(literals - 257, 5).put(distances - 1, 5).put(19 - 4, 4);
        ORDER.iter().fold(head, |head, &symbol| head.put(if symbol < 16 { 4 } else { 0 }, 3))
    }

    fn code(&mut self, (code, len): (usize, u32)) {
        assert!(len > 0, "a symbol that has no code");
        self.add(code, len);
    }

    fn symbol(&mut self, symbol: usize) {
        self.code(self.codes.literals[symbol]);
    }

    /// A symbol of the code of literals and lengths, whatever it means.
    pub fn literal_symbol(mut self, symbol: usize) -> Self {
        self.symbol(symbol);
        self
    }

    /// Literals.
    pub fn text(mut self, text: impl AsRef<[u8]>) -> Self {
        for &byte in text.as_ref() {
            self.symbol(usize::from(byte));
        }
        self
    }

    /// A reference to what was said before.
    pub fn copy(mut self, len: usize, distance: usize) -> Self {
        self.reference(len, distance);
        self
    }

    fn reference(&mut self, len: usize, distance: usize) {
        let at = LENGTHS.iter().rposition(|(base, _)| *base <= len).expect("3 at least");
        self.symbol(257 + at);
        self.add(len - LENGTHS[at].0, LENGTHS[at].1);
        let at = DISTANCES.iter().rposition(|(base, _)| *base <= distance).expect("1 at least");
        self.code(self.codes.distances[at]);
        self.add(distance - DISTANCES[at].0, DISTANCES[at].1);
    }

    /// The end of a block that is not stored.
    pub fn end(mut self) -> Self {
        self.symbol(256);
        self
    }

    /// The same bits so many times, from a byte's border to a byte's border.
    pub fn repeat(mut self, times: usize) -> Self {
        assert_eq!(self.used, 0, "the next copy would begin inside a byte");
        self.bytes = self.bytes.repeat(times);
        self
    }

    /// The bytes as they are, the last one filled up with zeros.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The payload of a message: the header of an empty stored block ends it (RFC 7692 §7.2.1).
    pub fn message(self) -> Vec<u8> {
        self.put(0, 3).bytes
    }
}

/// Zeros, 258 of them for 2 bits: `mib` MiB, as the payload of a message.
pub fn bomb(mib: usize) -> Vec<u8> {
    // Two bits for 0 and for the end of the block, one for a length of 258, one for a distance of 1:
    // a code of one symbol may leave half of its bits unused.
    let mut literals = [0; 286];
    (literals[0], literals[256], literals[285]) = (2, 2, 1);
    let mut bits = Bits::new().dynamic(false, &literals, &[1]);
    let total = mib << 20;
    let (copies, rest) = ((total - 1) / 258, (total - 1) % 258);
    bits.symbol(0);
    let mut copied = 0;
    while copied < copies && bits.used != 0 {
        bits.reference(258, 1);
        copied += 1;
    }
    let whole = (copies - copied) / 4;
    // 285 and the distance are a bit each, both 0.
    bits.bytes.resize(bits.bytes.len() + whole, 0);
    for _ in copied + 4 * whole..copies {
        bits.reference(258, 1);
    }
    for _ in 0..rest {
        bits.symbol(0);
    }
    bits.end().message()
}

/// A client's end of a compressed connection, as far as it sends.
pub struct Deflater {
    /// How far it refers back at the most.
    window: usize,
    takeover: bool,
    said: Vec<u8>,
}

impl Deflater {
    pub fn new(window_bits: u32, takeover: bool) -> Self {
        Self { window: 1 << window_bits, takeover, said: Vec::new() }
    }

    /// The payload of a message: references wherever three bytes were said before.
    pub fn message(&mut self, message: impl AsRef<[u8]>) -> Vec<u8> {
        let mut at = if self.takeover { self.said.len() } else { 0 };
        self.said.truncate(at);
        self.said.extend(message.as_ref());
        let said = &self.said;
        let mut bits = Bits::new().fixed(false);
        let mut seen: HashMap<[u8; 3], usize> = HashMap::new();
        let key = |at: usize| said.get(at..at + 3).map(|key| [key[0], key[1], key[2]]);
        for before in at.saturating_sub(self.window)..at {
            key(before).map(|key| seen.insert(key, before));
        }
        while at < said.len() {
            let found = key(at).and_then(|key| seen.get(&key).copied());
            let len = match found.filter(|before| at - before <= self.window) {
                Some(before) => {
                    let same = said[at..].iter().zip(&said[before..]).take(258);
                    let len = same.take_while(|(a, b)| a == b).count();
                    bits.reference(len, at - before);
                    len
                }
                None => {
                    bits.symbol(usize::from(said[at]));
                    1
                }
            };
            for passed in at..at + len {
                key(passed).map(|key| seen.insert(key, passed));
            }
            at += len;
        }
        bits.end().message()
    }
}

/// A client's end of a compressed connection, as far as it receives.
pub struct Inflater {
    /// How far the server may refer back.
    window: usize,
    takeover: bool,
    said: Vec<u8>,
    /// How far it has.
    pub longest: usize,
    /// The types of the blocks of the last message: 0 is stored, 1 fixed, 2 dynamic.
    pub blocks: Vec<usize>,
}

/// Where a stream is read.
struct Reader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, count: u32) -> Result<usize, &'static str> {
        let mut value = 0;
        for bit in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or("the stream ends inside a block")?;
            value |= usize::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Ok(value)
    }

    /// The next symbol of the code that has these lengths.
    fn symbol(&mut self, code: &Code) -> Result<usize, &'static str> {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            value |= self.take(1)?;
            if value < first + count {
                return Ok(code.symbols[index + value - first]);
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        Err("no such code")
    }
}

/// A code of symbols, shortest first.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    /// Whether lengths make a code is told by how much of it they leave unused.
    fn new(lens: &[u8], of_lengths: bool) -> Result<Self, &'static str> {
        let mut counts = [0; 16];
        lens.iter().for_each(|len| counts[usize::from(*len)] += 1);
        let mut left = 1_usize;
        for count in &counts[1..] {
            left = (2 * left).checked_sub(*count).ok_or("too many codes of one length")?;
        }
        let symbols = lens.len() - counts[0];
        // RFC 1951 §3.2.7: one distance may have a code of one bit, and none may have any.
        let may_be_incomplete = !of_lengths && symbols == counts[1];
        if left > 0 && symbols > 0 && !may_be_incomplete {
            return Err("codes that nothing has");
        }
        let mut symbols: Vec<_> = (0..lens.len()).filter(|&symbol| lens[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| lens[symbol]);
        counts[0] = 0;
        Ok(Self { counts, symbols })
    }
}

impl Inflater {
    pub fn new(window_bits: u32, takeover: bool) -> Self {
        let window = 1 << window_bits;
        Self { window, takeover, said: Vec::new(), longest: 0, blocks: Vec::new() }
    }

    /// What the payload of a message says.
    ///
    /// # Errors
    ///
    /// What is wrong with it: also an end that is not the header of an empty stored block.
    pub fn message(&mut self, payload: &[u8]) -> Result<Vec<u8>, &'static str> {
        if !self.takeover {
            self.said.clear();
        }
        let start = self.said.len();
        self.blocks.clear();
        let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
        let mut reader = Reader { bytes: &bytes, at: 0 };
        let mut said = start;
        while reader.at.div_ceil(8) < bytes.len() {
            said = self.said.len();
            self.block(&mut reader)?;
        }
        match self.blocks.last() {
            Some(0) if said == self.said.len() => Ok(self.said[start..].to_vec()),
            _ => Err("the last block is not an empty stored one"),
        }
    }

    fn block(&mut self, reader: &mut Reader<'_>) -> Result<(), &'static str> {
        let last = reader.take(1)?;
        let kind = reader.take(2)?;
        self.blocks.push(kind);
        let [literals, distances] = match kind {
            0 => return self.stored(reader),
            1 => fixed(),
            2 => Self::lengths(reader)?,
            _ => return Err("block type 11"),
        };
        if literals[256] == 0 {
            return Err("a block without an end");
        }
        let codes = [Code::new(&literals, false)?, Code::new(&distances, false)?];
        loop {
            match reader.symbol(&codes[0])? {
                literal @ 0..256 => self.said.push(literal as u8),
                256 => break,
                length => {
                    let (base, extra) = LENGTHS.get(length - 257).ok_or("no such length")?;
                    let len = base + reader.take(*extra)?;
                    let at = reader.symbol(&codes[1])?;
                    let (base, extra) = DISTANCES.get(at).ok_or("no such distance")?;
                    let distance = base + reader.take(*extra)?;
                    self.longest = self.longest.max(distance);
                    if distance > self.said.len() || distance > self.window {
                        return Err("a reference too far back");
                    }
                    for _ in 0..len {
                        self.said.push(self.said[self.said.len() - distance]);
                    }
                }
            }
        }
        if last == 1 {
            reader.at = reader.at.next_multiple_of(8);
        }
        Ok(())
    }

    fn stored(&mut self, reader: &mut Reader<'_>) -> Result<(), &'static str> {
        reader.at = reader.at.next_multiple_of(8);
        let (len, complement) = (reader.take(16)?, reader.take(16)?);
        if len != !complement & 0xffff {
            return Err("the length of a stored block is not the complement of its complement");
        }
        let at = reader.at / 8;
        self.said
            .extend(reader.bytes.get(at..at + len).ok_or("the end of a stored block is missing")?);
        reader.at += 8 * len;
        Ok(())
    }

    fn lengths(reader: &mut Reader<'_>) -> Result<[Vec<u8>; 2], &'static str> {
        let (literals, distances) = (257 + reader.take(5)?, 1 + reader.take(5)?);
        if literals > 286 || distances > 30 {
            return Err("more codes than symbols");
        }
        let mut own = [0; 19];
        for at in 0..4 + reader.take(4)? {
            own[ORDER[at]] = reader.take(3)? as u8;
        }
        let code = Code::new(&own, true)?;
        let mut lens: Vec<u8> = Vec::new();
        while lens.len() < literals + distances {
            let (len, times) = match reader.symbol(&code)? {
                16 => (*lens.last().ok_or("a repetition of nothing")?, 3 + reader.take(2)?),
                17 => (0, 3 + reader.take(3)?),
                18 => (0, 11 + reader.take(7)?),
                len => (len as u8, 1),
            };
            lens.resize(lens.len() + times, len);
        }
        if lens.len() > literals + distances {
            return Err("too many code lengths");
        }
        let distances = lens.split_off(literals);
        Ok([lens, distances])
    }
}
