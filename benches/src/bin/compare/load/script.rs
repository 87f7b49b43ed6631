//! What is sent on a connection, and what has to come back.

use barews_benches::sample::{self, Payload};

use crate::outcome::Outcome;

/// Messages without end, the same on every connection, as the bytes of their frames.
pub(crate) trait Script {
    /// What has come back on a connection; at first nothing.
    type Replies: Default;

    /// Where in the bytes to send the first so many messages end.
    fn end(&self, messages: u64) -> u64;

    /// The bytes from position `from` to `to` of what is sent; not more than is in flight.
    fn frames(&self, from: u64, to: u64) -> &[u8];

    /// Takes what came back next, and tells how many messages that completes. If they are not to be
    /// looked at, they are only counted.
    fn receive(&self, replies: &mut Self::Replies, bytes: &[u8], check: bool) -> Outcome<u64>;

    /// Whether nothing has come of another message.
    fn is_between(&self, replies: &Self::Replies) -> bool;
}

/// A few different messages over and over. All frames have one length, and so have all replies,
/// which are known to the byte.
pub(crate) struct Uniform {
    frames: Vec<u8>,
    replies: Vec<u8>,
    /// Bytes of one frame, and of one reply.
    frame: u64,
    reply: u64,
}

/// How many bytes have come back.
#[derive(Default)]
pub(crate) struct Counted(u64);

impl Uniform {
    /// At least `depth` messages, and more if they are small.
    pub(crate) fn new(payload: Payload, size: usize, depth: usize, is_raw: bool) -> Self {
        let count = ((128 << 10) / size).clamp(2, 64).max(depth);
        let (mut frames, mut replies) = (Vec::new(), Vec::new());
        let mut plain = payload.bytes(size);
        for i in 0..count {
            // Told apart by their first byte, if only binary; by their masking key in any case.
            if payload == Payload::Binary {
                plain[0] = i as u8;
            }
            let frame = sample::client_frame(payload.kind().opcode(), &plain, sample::key(i));
            match is_raw {
                true => replies.extend_from_slice(&frame),
                false => replies.extend(sample::server_frame(payload.kind(), &plain)),
            }
            frames.extend(frame);
        }
        let (frame, reply) = ((frames.len() / count) as u64, (replies.len() / count) as u64);
        // Twice, so that what is in flight is always one slice.
        frames.extend_from_within(..);
        Self { frames, replies, frame, reply }
    }

    /// Whether these bytes are right at position `at` of what comes back.
    pub(crate) fn is_reply(&self, at: u64, mut bytes: &[u8]) -> bool {
        let mut at = (at % self.replies.len() as u64) as usize;
        while !bytes.is_empty() {
            let n = bytes.len().min(self.replies.len() - at);
            if bytes[..n] != self.replies[at..at + n] {
                return false;
            }
            bytes = &bytes[n..];
            at = 0;
        }
        true
    }
}

impl Script for Uniform {
    type Replies = Counted;

    fn end(&self, messages: u64) -> u64 {
        messages * self.frame
    }

    fn frames(&self, from: u64, to: u64) -> &[u8] {
        let start = (from % (self.frames.len() as u64 / 2)) as usize;
        &self.frames[start..start + (to - from) as usize]
    }

    fn receive(&self, replies: &mut Counted, bytes: &[u8], check: bool) -> Outcome<u64> {
        if check && !self.is_reply(replies.0, bytes) {
            return Err("what came back is not what was sent".into());
        }
        let before = replies.0 / self.reply;
        replies.0 += bytes.len() as u64;
        Ok(replies.0 / self.reply - before)
    }

    fn is_between(&self, replies: &Counted) -> bool {
        replies.0.is_multiple_of(self.reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_goes_round_and_any_wrong_byte_shows() {
        for (raw, reply) in [(false, 22), (true, 26)] {
            let script = Uniform::new(Payload::Binary, 20, 1, raw);
            assert_eq!((script.frame, script.reply), (26, reply));
            let round = script.replies.len() as u64;
            // From the last of a round into the next.
            let at = round - 30;
            let mut bytes: Vec<_> =
                (at..at + 60).map(|i| script.replies[(i % round) as usize]).collect();
            assert!(script.is_reply(at, &bytes) && script.is_reply(at + round, &bytes));
            assert!(!script.is_reply(at + reply, &bytes), "the messages differ");
            for i in 0..bytes.len() {
                bytes[i] ^= 1;
                assert!(!script.is_reply(at, &bytes));
                bytes[i] ^= 1;
            }
            let sent = script.frames.len() as u64 / 2;
            assert_eq!(script.frames(sent - 26, sent + 26)[26..], *script.frames(0, 26));
        }
    }
}
