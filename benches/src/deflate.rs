//! Messages that a client compresses (RFC 7692).

use barews::proto::OpCode;
use zlib_rs::{Deflate, DeflateFlush};

use crate::sample;

/// What the sender takes off each compressed message (RFC 7692 §7.2.1).
pub const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// The bit of a frame's first byte that says that its message is compressed.
pub const RSV1: u8 = 0x40;

/// The level of zlib, for want of another.
const LEVEL: i32 = 6;

/// Compresses one text after the other.
pub struct Compressor(Deflate);

impl Compressor {
    /// For a window of 9 to 15 bits.
    #[must_use]
    pub fn new(window_bits: u8) -> Self {
        Self(Deflate::new(LEVEL, false, window_bits))
    }

    /// The text as a frame, masked with `key`. It refers to those before it.
    ///
    /// # Panics
    ///
    /// If the text does not become smaller: nobody would compress it.
    pub fn frame(&mut self, text: &[u8], key: [u8; 4]) -> Vec<u8> {
        let (mut payload, before) = (vec![0; text.len() + TAIL.len()], self.0.total_out());
        self.0.compress(text, &mut payload, DeflateFlush::SyncFlush).expect("no error");
        payload.truncate((self.0.total_out() - before) as usize);
        let payload = payload.strip_suffix(&TAIL).expect("fewer bytes than before");
        let mut frame = sample::client_frame(OpCode::Text, payload, key);
        frame[0] |= RSV1;
        frame
    }

    /// What comes refers to nothing that came before.
    pub fn forget(&mut self) {
        self.0.reset();
    }
}
