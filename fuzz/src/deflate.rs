//! What is deflated is what another inflater makes of it, one that remembers exactly the window that
//! was agreed on: message after message, and each fragment by itself.
//!
//! The bytes are a [`conversation`].

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::sending::conversation;

pub fn check(data: &[u8]) {
    let conversation = conversation(data);
    let mut peer = Peer { window: vec![0; 1 << conversation.window_bits], at: 0 };
    for message in conversation.messages {
        if !conversation.takeover {
            peer.window.fill(0xaa);
            peer.at = 0;
        }
        let (mut state, mut out) = (DecompressorOxide::new(), Vec::new());
        for (payload, end) in &message.fragments {
            assert_eq!(peer.inflate(&mut state, payload, &mut out), TINFLStatus::NeedsMoreInput);
            assert_eq!(out, message.plain[..*end], "a fragment tells all there is of it");
        }
        // RFC 7692 §7.2.1: all blocks are whole then, and none is final.
        let tail = [0x00, 0x00, 0xff, 0xff];
        assert_eq!(peer.inflate(&mut state, &tail, &mut out), TINFLStatus::NeedsMoreInput);
        let end = [0x01, 0x00, 0x00, 0xff, 0xff];
        assert_eq!(peer.inflate(&mut state, &end, &mut out), TINFLStatus::Done);
        assert_eq!(out, message.plain);
    }
}

/// A client, with its window.
struct Peer {
    window: Vec<u8>,
    at: usize,
}

impl Peer {
    fn inflate(
        &mut self,
        state: &mut DecompressorOxide,
        mut input: &[u8],
        out: &mut Vec<u8>,
    ) -> TINFLStatus {
        loop {
            let window = &mut self.window;
            let (status, read, written) =
                decompress(state, input, window, self.at, TINFL_FLAG_HAS_MORE_INPUT);
            out.extend(&window[self.at..self.at + written]);
            self.at = (self.at + written) % window.len();
            input = &input[read..];
            if status != TINFLStatus::HasMoreOutput {
                assert!(input.is_empty(), "{status:?}");
                return status;
            }
        }
    }
}
