//! What a client says: right in most places, and wrong in some.

use barews::{Config, Deflate};

use crate::common::deflate::{Deflater, bomb};
use crate::common::{BINARY, CLOSE, CONT, PING, PONG, RSV1, TEXT, close, frame, head, r0};

/// Numbers without a pattern, the same for the same seed (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) as usize % most
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }

    fn pick_mut<'t, T>(&mut self, of: &'t mut [T]) -> &'t mut T {
        &mut of[self.below(of.len())]
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// The settings of both servers.
pub fn config(random: &mut Random) -> Config {
    let mut config = Config::default();
    let limits = &mut config.limits;
    limits.max_message_size = random.pick(&[16 << 20, 16 << 20, 100_000, 65_535, 1_000, 0]);
    limits.max_fragments = random.pick(&[131_072, 131_072, 3, 1]);
    config.compression = (!random.one_in(3)).then(|| Deflate {
        server_max_window_bits: random.pick(&[15, 9]),
        client_max_window_bits: random.pick(&[15, 12, 9]),
        server_no_context_takeover: random.one_in(3),
        client_no_context_takeover: random.one_in(3),
        threshold: random.pick(&[0, 32, 1_000]),
        max_memory: random.pick(&[256 << 20, 256 << 20, 0]),
        ..Deflate::default()
    });
    config
}

/// A client's side of a connection.
pub struct Session {
    /// What is written, and how much of it at once.
    pub bytes: Vec<u8>,
    pub cuts: Vec<usize>,
    /// What the handler does at first, in upper case, and for each message, again and again.
    pub script: String,
}

impl Session {
    pub fn new(random: &mut Random) -> Self {
        let letters = random.pick(&["e", "ew", "wm", "emncsfpt"]);
        let letters: Vec<_> = letters.chars().collect();
        let mut script: String = (0..3).map(|_| random.pick(&letters)).collect();
        if random.one_in(5) {
            script.insert(0, random.pick(&['E', 'C', 'F', 'S']));
        }
        let mut bytes = request(random, &script);
        Frames::new(random).write(&mut bytes);
        let most = random.pick(&[1, 30, 1_000, usize::MAX]).max(bytes.len() / 300);
        let (mut cuts, mut left) = (Vec::new(), bytes.len());
        while left > 0 {
            cuts.push(1 + random.below(most.min(left)));
            left -= cuts[cuts.len() - 1];
        }
        Self { bytes, cuts, script }
    }
}

fn request(random: &mut Random, script: &str) -> Vec<u8> {
    let offers = [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
        "permessage-deflate; foo=1",
    ];
    let offer = format!("Sec-WebSocket-Extensions: {}", random.pick(&offers));
    let request = r0().target(&format!("/{script}")).add(offer);
    if !random.one_in(8) {
        return request.bytes();
    }
    let request = match random.below(13) {
        0 => request.set("Upgrade", "nothing"),
        1 => request.set("Sec-WebSocket-Version", "12"),
        2 => request.set("Sec-WebSocket-Key", "short"),
        3 => request.without("Host"),
        4 => request.line("GET / HTTP/1.0"),
        5 => request.line("POST / HTTP/1.1"),
        6 => request.add(" folded"),
        7 => request.target("/REJECT"),
        8 => request.target("/PANIC"),
        9 => request.target("/PANIC").without("Upgrade"),
        10 => request.line("HEAD / HTTP/1.1").without("Upgrade"),
        11 => request.add("Content-Length: 5"),
        _ => request.add(format!("X: {}", "x".repeat(40_000))),
    };
    let mut bytes = request.bytes();
    match random.below(3) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => *random.pick_mut(&mut bytes) ^= 1 << 5,
        _ => {}
    }
    bytes
}

/// The frames of a session.
struct Frames<'r> {
    random: &'r mut Random,
    deflater: Deflater,
    /// Whether a message is under way.
    open: bool,
}

impl<'r> Frames<'r> {
    fn new(random: &'r mut Random) -> Self {
        let deflater = Deflater::new(random.pick(&[9, 15]), random.one_in(2));
        Self { random, deflater, open: false }
    }

    fn write(mut self, out: &mut Vec<u8>) {
        for _ in 0..self.random.pick(&[0, 1, 3, 6, 12]) {
            out.extend(self.frame());
        }
        match self.random.below(6) {
            0 => {
                let half = self.frame();
                out.extend(&half[..self.random.below(half.len())]);
            }
            1 => {}
            2 => out.extend([self.close(), self.frame(), b"junk".to_vec()].concat()),
            _ => out.extend(self.close()),
        }
    }

    fn frame(&mut self) -> Vec<u8> {
        match self.random.below(100) {
            0..=12 => frame(self.random.pick(&[PING, PONG]), self.payload(&[0, 1, 20, 125])),
            13 => self.close(),
            14..=16 => self.bad(),
            17..=30 => self.compressed(),
            _ => self.data(),
        }
    }

    fn payload(&mut self, lens: &[usize]) -> Vec<u8> {
        let (len, step) = (self.random.pick(lens), self.random.pick(&[0, 1, 7]));
        (0..len).map(|at| b'a' + ((at + at / 100) * step % 26) as u8).collect()
    }

    fn data(&mut self) -> Vec<u8> {
        let lens: &[usize] = match self.random.below(30) {
            0 => &[65_534, 65_535, 65_536, 70_000, 150_000],
            1..=10 => &[0, 124, 125, 126, 127, 1_000, 1_001, 3_000],
            _ => &[0, 1, 2, 10, 30],
        };
        let mut payload = self.payload(lens);
        let text = "\u{10348}\u{e9}".as_bytes();
        match self.random.below(60) {
            // Cut anywhere, which is right where the other part was, or in what is binary.
            0..=5 => payload.extend(&text[..self.random.below(7)]),
            6..=11 => drop(payload.splice(..0, text[self.random.below(7)..].to_vec())),
            12 => payload.push(self.random.pick(&[0xff, 0xc0, 0xed, 0xf5])),
            _ => {}
        }
        let fin = if self.random.one_in(3) { 0 } else { CONT };
        let kind = self.random.pick(&[TEXT, TEXT, BINARY]) & 0xf;
        let first = fin | if self.open { 0 } else { kind };
        self.open = fin == 0;
        frame(first, payload)
    }

    fn compressed(&mut self) -> Vec<u8> {
        let plain = self.payload(&[0, 1, 10, 100, 1_000, 20_000]);
        let mut payload = match self.random.below(20) {
            0 => bomb(1),
            1 => Vec::new(),
            _ => self.deflater.message(&plain),
        };
        let mut kind = self.random.pick(&[TEXT, BINARY]);
        if self.random.one_in(20) && !payload.is_empty() {
            // No text, which would be wrong in two ways: it depends which is found first.
            kind = BINARY;
            *self.random.pick_mut(&mut payload) ^= 1;
        }
        let first = if self.open { CONT } else { kind | RSV1 };
        self.open = false;
        if !self.random.one_in(3) {
            return frame(first, payload);
        }
        let (start, rest) = payload.split_at(self.random.below(payload.len() + 1));
        [frame(first & !CONT, start), frame(PING, "between"), frame(CONT, rest)].concat()
    }

    fn close(&mut self) -> Vec<u8> {
        let codes = [1000, 1001, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000, 0, 999];
        match self.random.below(12) {
            0 => frame(CLOSE, []),
            1 => frame(CLOSE, [3]),
            2 => close(1000, [0xc3, 0x28]),
            3..=5 => close(self.random.pick(&codes), "r".repeat(123)),
            _ => close(1000, ""),
        }
    }

    fn bad(&mut self) -> Vec<u8> {
        match self.random.below(10) {
            0 => frame(BINARY | RSV1, "not deflated"),
            1 => frame(self.random.pick(&[TEXT | 0x20, TEXT | 0x10, PING | RSV1]), "reserved bits"),
            2 => frame(self.random.pick(&[0x83, 0x87, 0x8b, 0x8f]), "opcode"),
            3 => vec![TEXT, 2, b'n', b'o'],
            4 => frame(if self.open { TEXT } else { CONT }, "order"),
            5 => frame(self.random.pick(&[PING & 0xf, CLOSE & 0xf]), "fragment"),
            6 => frame(PING, [7; 126]),
            7 => [&[BINARY, 0xfe, 0, 5, 0, 0, 0, 0][..], b"12345"].concat(),
            _ => head(BINARY, self.random.pick(&[u64::MAX, (1 << 63) - 1, 1 << 30])),
        }
    }
}
