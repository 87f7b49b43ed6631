//! Texts that are compressed as a client does it, and replies that are compressed as they please.
//!
//! Servers compress the same text to different bytes, so a reply is told by its frames and, while it
//! is looked at, inflated and compared. What is sent is compressed beforehand, with what came before
//! if that was agreed on: each text once as it is the first time, when there is less before it, and
//! once as it is every time after that. No text refers further back than to the same one a round ago,
//! because a round is longer than any window.

use barews::proto::OpCode;
use barews_benches::deflate::{Compressor, RSV1, TAIL};
use barews_benches::sample;
use zlib_rs::{Inflate, InflateFlush, Status};

use crate::load::extension::Agreement;
use crate::load::script::Script;
use crate::outcome::Outcome;

/// Bytes of all texts together: four times the largest window.
const ROUND: usize = 128 << 10;

/// Texts over and over, compressed if that was agreed on.
pub(crate) struct Deflated {
    texts: Vec<Vec<u8>>,
    server_no_context_takeover: bool,
    /// The first round, the second, and the second again, so that what is in flight is one slice.
    frames: Vec<u8>,
    /// Where each frame of the first two rounds ends.
    ends: Vec<u64>,
}

/// What has come back on a connection.
#[derive(Default)]
pub(crate) struct Replies {
    done: u64,
    /// Of the frame that is coming: what has come of its header, and what is still to come of its
    /// payload once the header is there.
    header: Vec<u8>,
    left: Option<u64>,
    /// Of the message that is coming, once it has begun.
    message: Option<Message>,
    /// The state after all that was inflated so far; none before, and none where one was passed by.
    inflate: Option<Inflate>,
    is_blind: bool,
}

#[derive(Clone, Copy)]
struct Message {
    is_compressed: bool,
    /// Bytes of the text that have come.
    at: usize,
}

impl Deflated {
    pub(crate) fn new(size: usize, agreement: Option<Agreement>) -> Outcome<Self> {
        let count = ROUND.div_ceil(size);
        let texts: Vec<_> = (0..count).map(|i| sample::json(i, size)).collect();
        let mut compressor = match agreement {
            Some(agreed) if (9..=15).contains(&agreed.client_max_window_bits) => {
                Some(Compressor::new(agreed.client_max_window_bits))
            }
            Some(agreed) => return Err(format!("no window of {agreed:?} here").into()),
            None => None,
        };
        let forgets = agreement.is_some_and(|agreed| agreed.client_no_context_takeover);
        let (mut frames, mut ends) = (Vec::new(), Vec::new());
        for i in 0..2 * count {
            let (text, key) = (&texts[i % count], sample::key(i));
            frames.extend(match &mut compressor {
                Some(compressor) => {
                    if forgets {
                        compressor.forget();
                    }
                    compressor.frame(text, key)
                }
                None => sample::client_frame(OpCode::Text, text, key),
            });
            ends.push(frames.len() as u64);
        }
        frames.extend_from_within(ends[count - 1] as usize..);
        let server_no_context_takeover =
            agreement.is_some_and(|agreed| agreed.server_no_context_takeover);
        Ok(Self { texts, server_no_context_takeover, frames, ends })
    }

    /// Bytes of the first round, and of every other.
    fn rounds(&self) -> (u64, u64) {
        let first = self.ends[self.texts.len() - 1];
        (first, self.ends[self.ends.len() - 1] - first)
    }

    /// The header of a frame is there.
    fn begin(&self, replies: &mut Replies) -> Outcome<()> {
        let first = replies.header[0];
        if first & 0x0f < 0x8 {
            let begins = first & 0x0f != 0;
            if begins == replies.message.is_some() {
                return Err("a message in the middle of another, or the rest of none".into());
            }
            if begins {
                let is_compressed = first & RSV1 != 0;
                replies.message = Some(Message { is_compressed, at: 0 });
                if self.server_no_context_takeover {
                    replies.inflate = None;
                }
            }
        }
        Ok(())
    }

    /// Compares a part of a payload with what it must be.
    fn look_at(&self, replies: &mut Replies, bytes: &[u8]) -> Outcome<()> {
        let text = &self.texts[(replies.done % self.texts.len() as u64) as usize];
        let Some(message) = &mut replies.message else { return Ok(()) };
        let mut expect = |part: &[u8]| {
            let expected = text.get(message.at..message.at + part.len());
            message.at += part.len();
            match expected == Some(part) {
                true => Ok(()),
                false => Err("what came back is not what was sent"),
            }
        };
        if !message.is_compressed {
            return Ok(expect(bytes)?);
        }
        let inflate = replies.inflate.get_or_insert_with(|| Inflate::new(false, 15));
        let (mut bytes, mut out) = (bytes, [0; 4096]);
        loop {
            let (read, written) = (inflate.total_in(), inflate.total_out());
            let status = inflate
                .decompress(bytes, &mut out, InflateFlush::SyncFlush)
                .map_err(|e| e.as_str())?;
            bytes = &bytes[(inflate.total_in() - read) as usize..];
            let written = (inflate.total_out() - written) as usize;
            expect(&out[..written])?;
            if written < out.len() && bytes.is_empty() {
                return Ok(());
            }
            if status == Status::StreamEnd {
                return Err("the last block is no server's to send".into());
            }
        }
    }

    /// The payload of a frame is complete: whether it completes a message.
    fn end_frame(&self, replies: &mut Replies, check: bool) -> Outcome<bool> {
        let first = replies.header[0];
        replies.header.clear();
        replies.left = None;
        let (is_data, fin) = (first & 0x0f < 0x8, first & 0x80 != 0);
        let Some(message) = replies.message.filter(|_| is_data && fin) else { return Ok(false) };
        if check && message.is_compressed {
            self.look_at(replies, &TAIL)?;
        }
        let at = replies.message.take().map(|message| message.at);
        if check && at != Some(self.texts[0].len()) {
            return Err("what came back is shorter than what was sent".into());
        }
        replies.done += 1;
        Ok(true)
    }
}

impl Script for Deflated {
    type Replies = Replies;

    fn end(&self, messages: u64) -> u64 {
        let round = self.texts.len() as u64;
        let Some(last) = messages.checked_sub(1) else { return 0 };
        if last < round {
            return self.ends[last as usize];
        }
        let again = (last - round) / round;
        self.ends[(round + (last - round) % round) as usize] + again * self.rounds().1
    }

    fn frames(&self, from: u64, to: u64) -> &[u8] {
        let (first, other) = self.rounds();
        let start = if from < first { from } else { first + (from - first) % other };
        &self.frames[start as usize..(start + to - from) as usize]
    }

    fn receive(&self, replies: &mut Replies, mut bytes: &[u8], check: bool) -> Outcome<u64> {
        let mut completed = 0;
        while let Some(&next) = bytes.first() {
            let Some(left) = replies.left else {
                replies.header.push(next);
                bytes = &bytes[1..];
                replies.left = payload_len(&replies.header)?;
                if replies.left.is_some() {
                    self.begin(replies)?;
                }
                // What ends here has no payload.
                if replies.left == Some(0) {
                    let check = check && !replies.is_blind;
                    completed += u64::from(self.end_frame(replies, check)?);
                }
                continue;
            };
            let (payload, rest) = bytes.split_at(bytes.len().min(left as usize));
            bytes = rest;
            // What was not inflated is missing from the history of all that follows.
            replies.is_blind |= !check;
            let check = !replies.is_blind;
            if check && replies.header[0] & 0x0f < 0x8 {
                self.look_at(replies, payload)?;
            }
            replies.left = Some(left - payload.len() as u64);
            if replies.left == Some(0) {
                completed += u64::from(self.end_frame(replies, check)?);
            }
        }
        Ok(completed)
    }

    fn is_between(&self, replies: &Replies) -> bool {
        replies.header.is_empty() && replies.message.is_none()
    }
}

/// The length of the payload, once the header of a server's frame is complete (§5.2).
fn payload_len(header: &[u8]) -> Outcome<Option<u64>> {
    let be = |bytes: &[u8]| bytes.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    match (header.get(1).copied().unwrap_or(126), header.len()) {
        (128.., _) => Err("a server does not mask".into()),
        (126, 4) | (127, 10) => Ok(Some(be(&header[2..]))),
        (len @ 0..=125, _) => Ok(Some(len.into())),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barews::MessageType;
    use barews::proto::mask;

    const AGREED: Agreement = Agreement {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        client_max_window_bits: 15,
    };

    /// The payload of the frame at `from`, unmasked, and whether it is compressed.
    fn payload(script: &Deflated, message: u64) -> (Vec<u8>, bool) {
        let frame = script.frames(script.end(message), script.end(message + 1));
        let header = match frame[1] & 0x7f {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        let mut payload = frame[header + 4..].to_vec();
        mask::apply(&mut payload, frame[header..header + 4].try_into().unwrap(), 0);
        (payload, frame[0] & RSV1 != 0)
    }

    /// The frame of a server that has compressed in the same way.
    fn reply(script: &Deflated, message: u64) -> Vec<u8> {
        let (payload, is_compressed) = payload(script, message);
        let mut frame = sample::server_frame(MessageType::Text, &payload);
        frame[0] |= if is_compressed { RSV1 } else { 0 };
        frame
    }

    #[test]
    fn what_is_sent_can_be_sent_back_for_ever() {
        let without = Agreement {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            client_max_window_bits: 9,
        };
        for (size, agreement) in [(64, Some(AGREED)), (64 << 10, Some(without)), (1024, None)] {
            let script = Deflated::new(size, agreement).unwrap();
            let (mut replies, rounds) = (Replies::default(), 4 * script.texts.len() as u64);
            for message in 0..rounds {
                let reply = reply(&script, message);
                // In two parts, with a Ping before it.
                let (some, rest) = reply.split_at(message as usize % reply.len());
                let some = [&[0x89, 1, b'x'], some].concat();
                assert_eq!(script.receive(&mut replies, &some, true).unwrap(), 0);
                assert_eq!(script.receive(&mut replies, rest, true).unwrap(), 1);
                assert!(script.is_between(&replies));
            }
        }
    }

    #[test]
    fn texts_become_smaller_and_do_not_repeat_within_a_window() {
        for (size, most) in [(64, 32), (1024, 300), (64 << 10, 16 << 10)] {
            let script = Deflated::new(size, Some(AGREED)).unwrap();
            let (first, other) = script.rounds();
            let each = other / script.texts.len() as u64;
            assert!(each > most / 2 && each < most, "{size} bytes become {each}");
            assert!(other > first * 9 / 10, "the second round is {other} bytes, the first {first}");
        }
    }

    #[test]
    fn any_wrong_reply_shows_and_what_is_passed_by_is_counted() {
        // The same bytes may stand where a wrong distance leads to.
        for (agreement, unseen) in [(Some(AGREED), 9), (None, 0)] {
            let script = Deflated::new(1024, agreement).unwrap();
            let first = reply(&script, 0);
            let good = [&first[..], &reply(&script, 1)].concat();
            let received = |bytes: &[u8], check| {
                let mut replies = Replies::default();
                let completed = script.receive(&mut replies, bytes, check);
                completed.map(|completed| (completed, script.is_between(&replies)))
            };
            assert_eq!(received(&good, true).unwrap(), (2, true));
            assert_eq!(received(&good[..good.len() - 1], true).unwrap(), (1, false));
            // All but the header: a wrong bit there may only make it longer.
            let mut passed = 0;
            for at in 4..first.len() {
                let mut wrong = good.clone();
                wrong[at] ^= 0x10;
                passed += usize::from(received(&wrong, true).is_ok());
                assert_eq!(received(&wrong, false).unwrap(), (2, true));
            }
            assert!(passed <= unseen, "{passed} of {}", first.len());
            assert!(received(&good[first.len()..], true).is_err(), "the second text");
            assert!(received(&[0x80, 0], true).is_err(), "the rest of nothing");
            assert!(received(&[0x81, 0x80], true).is_err(), "masked");
        }
    }
}
