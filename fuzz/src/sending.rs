//! Messages of all kinds, as a server sends them to a client that has agreed on compression.
//!
//! The first bytes choose the window, the level, what is kept of what was sent, and how; then come
//! messages, each of some parts.

use std::sync::Arc;

use barews::Deflate;
use barews::http::DeflateOffer;
use barews::session::codecs::Codecs;
use barews::session::compression::agree;
use barews::session::deflation::Deflation;

use super::bytes::{Bytes, pieces};

/// What was agreed on, and what was sent then.
pub struct Conversation {
    pub window_bits: u8,
    pub takeover: bool,
    /// What messages are to refer back to of those before them, in bytes.
    pub history: usize,
    pub messages: Vec<Message>,
}

/// A message that was sent compressed.
pub struct Message {
    pub plain: Vec<u8>,
    /// What each fragment holds, and how much of the message it is the end of.
    pub fragments: Vec<(Vec<u8>, usize)>,
}

impl Message {
    /// The whole payload.
    pub fn payload(&self) -> Vec<u8> {
        self.fragments.iter().flat_map(|(payload, _)| payload.clone()).collect()
    }
}

pub fn conversation(data: &[u8]) -> Conversation {
    let mut bytes = Bytes::new(data);
    let (window_bits, how) = (8 + bytes.byte() % 8, bytes.byte());
    let settings = Deflate {
        level: 1 + bytes.byte() % 9,
        server_no_context_takeover: how & 1 != 0,
        server_max_window_bits: if how & 2 != 0 { window_bits.max(9) } else { 15 },
        history: bytes.pick(&[2 << 10, 0, 1, 250, 256, 257, 512, 32 << 10]),
        ..Deflate::default()
    };
    let asked = (how & 2 == 0).then_some(window_bits);
    let offer = DeflateOffer { server_max_window_bits: asked, ..DeflateOffer::default() };
    let history = settings.history;
    let codecs = Arc::new(Codecs::new(settings));
    let mut agreed = agree(&codecs, &offer, 0);
    let takeover = !agreed.params.server_no_context_takeover;
    assert_eq!(takeover, how & 1 == 0 && history > 0);
    let (mut said, mut messages) = (Vec::new(), Vec::new());
    // Enough to fill the window, and to forget some.
    let most = (3 << window_bits) / 2 + 1024;
    while !bytes.is_empty() && said.len() < most {
        let plain = content(&mut bytes, &said);
        said.extend(&plain);
        messages.extend(send(&mut agreed.deflation, &mut bytes, plain));
    }
    let window_bits = if how & 2 != 0 { window_bits.max(9) } else { window_bits };
    Conversation { window_bits, takeover, history, messages }
}

/// Sends a message in one way or another, and gives it back if it is compressed.
fn send(deflation: &mut Deflation, bytes: &mut Bytes<'_>, plain: Vec<u8>) -> Option<Message> {
    let how = bytes.byte();
    if how % 8 < 5 {
        let mut out = b"of the message before".to_vec();
        let _charge = deflation.deflate(&plain, &mut out)?;
        assert!(out.len() < plain.len(), "no shorter");
        // Some cannot be sent after all.
        return (how % 8 < 4).then(|| {
            deflation.sent(&plain, out.len());
            Message { fragments: vec![(out, plain.len())], plain }
        });
    }
    if how % 8 == 5 {
        return None;
    }
    let mut message = deflation.begin().expect("there is memory");
    let (mut out, mut fragments, mut end) = (Vec::new(), Vec::new(), 0);
    // Nobody writes a fragment of no bytes that is not the last one.
    let parts = pieces(bytes.short(), &plain).into_iter().filter(|part| !part.is_empty());
    let mut parts: Vec<&[u8]> = parts.collect();
    if how & 8 != 0 || parts.is_empty() {
        parts.push(b"");
    }
    for (i, part) in parts.iter().enumerate() {
        message.fragment(part, i + 1 == parts.len(), &mut out).expect("there is memory");
        deflation.sent(part, out.len());
        end += part.len();
        fragments.push((out.clone(), end));
    }
    Some(Message { plain, fragments })
}

/// A message of new bytes, of one byte many times, of noise, and of what was said before.
pub fn content(bytes: &mut Bytes<'_>, said: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    for _ in 0..=bytes.below(4) {
        match bytes.byte() {
            len @ 0..64 => content.extend(bytes.take(usize::from(len))),
            times @ 64..128 => {
                content.extend([bytes.byte()].repeat(usize::from(times - 64).pow(2)))
            }
            what @ 128..176 => {
                // Of few letters or of many, so that it is worth compressing or not.
                let (letters, mut state) = (u32::from(bytes.byte()), u32::from(what));
                content.extend((0..u32::from(what - 128) * 32).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    ((state >> 16) % (letters + 1)) as u8
                }));
            }
            len @ 176.. => {
                let back = 1 + usize::from(bytes.short());
                let len = usize::from(len - 176) * 4 + 3;
                let older =
                    &said[said.len() - back.saturating_sub(content.len()).min(said.len())..];
                let from = content.len().saturating_sub(back);
                let again = older.iter().chain(&content[from..]).take(len);
                content.extend(again.copied().collect::<Vec<_>>());
            }
        }
    }
    content
}
