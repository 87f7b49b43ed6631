//! Any bytes as compressed messages, cut anywhere and inflated into rooms of any size, are accepted
//! exactly if the naive reader accepts them, and say the same, message after message. Another inflater
//! agrees on what is accepted.
//!
//! The first byte chooses what is kept between messages, the next two a split, then four say how much
//! room there is. The rest are messages, each with its length ahead.

use barews::ProtocolError;
use barews::proto::deflate::{History, Inflater, Progress};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::blocks::{self, End};
use super::bytes::{Bytes, pieces};

/// Longer messages say nothing more, and take long in small rooms.
const MOST: usize = 1 << 16;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (kept, seed, rooms) = (bytes.byte(), bytes.short(), bytes.array::<4>());
    let (takeover, window) = (kept & 8 == 0, 256 << (kept % 8));
    let ways = [(0, [255; 4]), (1, [3; 4]), (seed, rooms)];
    let mut receivers = ways.map(|(seed, rooms)| Receiver::new(window, seed, rooms));
    let mut said = Vec::new();
    while !bytes.is_empty() {
        let len = usize::from(bytes.byte());
        let message = if len == 255 { bytes.rest() } else { bytes.take(len) };
        if !takeover {
            said.clear();
        }
        let wanted = blocks::read(message, &said, window);
        if wanted.end == End::Whole {
            assert_eq!(one_shot(message, &said, window, wanted.bytes.len()), wanted.bytes);
        }
        if wanted.bytes.len() > MOST {
            return;
        }
        for receiver in &mut receivers {
            receiver.receive(message, takeover, &wanted);
        }
        if wanted.end != End::Whole {
            return;
        }
        said.extend(&wanted.bytes);
    }
}

struct Receiver {
    inflater: Inflater,
    history: History,
    seed: u16,
    rooms: [u8; 4],
}

impl Receiver {
    fn new(window: usize, seed: u16, rooms: [u8; 4]) -> Self {
        Self { inflater: Inflater::new(), history: History::new(window), seed, rooms }
    }

    fn receive(&mut self, message: &[u8], takeover: bool, wanted: &blocks::Message) {
        if !takeover {
            self.history.clear();
        }
        let mut out = Vec::new();
        let verdict = self.inflate(message, &mut out);
        match wanted.end {
            End::Whole => assert_eq!((verdict, &out), (Ok(()), &wanted.bytes)),
            // All that can be told of it is told.
            End::Short => {
                assert_eq!((verdict, &out), (Err(ProtocolError::IncompleteDeflate), &wanted.bytes));
            }
            End::Bad => {
                assert_eq!(verdict, Err(ProtocolError::NotDeflate));
                assert!(wanted.bytes.starts_with(&out), "more than there was");
            }
        }
    }

    fn inflate(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        self.inflater.begin(&self.history);
        // No room at all is of no use for ever.
        let rooms = self.rooms.iter().map(|&room| usize::from(room).pow(2) / 4).chain([1]);
        let mut rooms = rooms.collect::<Vec<_>>().into_iter().cycle();
        let mut room = vec![0; 1 << 14];
        for mut piece in pieces(self.seed, message) {
            loop {
                let room = &mut room[..rooms.next().unwrap()];
                let Progress { read, written } =
                    self.inflater.inflate(piece, room, &mut self.history)?;
                out.extend(&room[..written]);
                piece = &piece[read..];
                if written < room.len() {
                    assert!(piece.is_empty(), "neither room nor input is used up");
                    break;
                }
            }
        }
        self.inflater.finish()
    }
}

/// What miniz makes of a message that is accepted, and says so many bytes.
fn one_shot(message: &[u8], before: &[u8], window: usize, len: usize) -> Vec<u8> {
    let input = [message, &[0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff]].concat();
    let flags = TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let (mut read, mut out) = (0, before.to_vec());
    while read < message.len() {
        let known = out.split_off(out.len().saturating_sub(window));
        let from = known.len();
        let mut room = known;
        room.resize(from + before.len() + len - out.len() - from + 1, 0);
        let mut state = DecompressorOxide::new();
        let (status, used, written) =
            decompress(&mut state, &input[read..], &mut room, from, flags);
        assert_eq!(status, TINFLStatus::Done, "at {read} of {}", message.len());
        read += used;
        room.truncate(from + written);
        out.append(&mut room);
    }
    // All of it, and with it what completes the last block, or the final one behind it.
    let ends = [0, 4, 9].map(|end| message.len() + end);
    assert!(ends.contains(&read) || message.is_empty(), "{read}");
    out.split_off(before.len())
}
