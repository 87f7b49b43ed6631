//! No message refers further back than its window allows, less what zlib keeps free of it, and none to
//! what the peer does not have, or what was to be forgotten.
//!
//! The bytes are a [`conversation`].

use super::blocks::{self, End};
use super::sending::conversation;

/// What zlib keeps free of a window: the longest match, a shorter one, and a byte (262).
const MARGIN: usize = 258 + 3 + 1;

pub fn check(data: &[u8]) {
    let conversation = conversation(data);
    // A window of 8 bits is never used, but one of 9, as if it were of 8.
    let most = (1 << conversation.window_bits.max(9)) - MARGIN;
    assert!(most < 1 << conversation.window_bits);
    let mut said = Vec::new();
    for message in conversation.messages {
        let before = if conversation.takeover { &said[..] } else { b"" };
        let read = blocks::read(&message.payload(), before, conversation.history);
        assert_eq!((read.end, &read.bytes), (End::Whole, &message.plain));
        assert!(read.farthest <= most, "{} in {}", read.farthest, conversation.window_bits);
        said.extend(message.plain);
    }
}
