//! The same bytes mean the same to tungstenite, but for these known differences:
//!
//! | What tungstenite does | What decides it |
//! |---|---|
//! | takes lengths that are longer than they need be | §5.2: the minimal number of bytes must be used |
//! | judges a frame when all of it has come | §7.1.7 leaves the time open; §10.4 asks for limits that hold |
//! | answers a bad close code with 1002, and reports it as a Close | §7.4.1, §7.4.2: it is an error, and both refuse it |
//! | refuses code 1014 | §7.4.2: registered with IANA, hence valid |
//!
//! The first two bytes choose a split; the stream is the rest.

use std::io::{self, Read, Write};

use barews::proto::{DecoderLimits, MessageType, ProtocolError};
use tungstenite::error::ProtocolError as TheirError;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::bytes::{Bytes, pieces};
use super::reference::{End, Item, Verdict, judge};
use super::watch::Watch;

/// What is too long for both, for a message and for a frame.
const LIMITS: DecoderLimits = DecoderLimits { max_message_size: 1_000, max_fragments: u32::MAX };

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (pieces, stream) = (pieces(bytes.short(), bytes.rest()), &data[data.len().min(2)..]);
    let mut watch = Watch::new(LIMITS);
    pieces.iter().for_each(|piece| watch.feed(piece, |_, _| ()));
    let ours = judge(stream, LIMITS);
    watch.assert_is(&ours);
    let (items, end) = tungstenite(&pieces);
    let same = match (&ours.end, end) {
        (End::Open { .. }, Theirs::Open) | (End::Closed, Theirs::Closed) => items == ours.items,
        (End::Failed { .. }, Theirs::Refused) => items == ours.items,
        _ => false,
    };
    assert!(same || is_known(&ours, stream, &items, end), "{ours:?}\ntheirs: {items:?} {end:?}");
}

/// Whether a difference is one of those in the list above.
fn is_known(ours: &Verdict, stream: &[u8], items: &[Item], end: Theirs) -> bool {
    match (&ours.end, end) {
        // In a control frame such a length is also a sign of one that is too long (§5.5).
        (
            &End::Failed {
                violation: ProtocolError::LengthNotMinimal(_) | ProtocolError::OversizedControl(_),
                frame,
                ..
            },
            _,
        ) if length(&stream[frame..]).is_some_and(|(_, minimal)| !minimal) => {
            items.starts_with(&ours.items)
        }
        (&End::Failed { frame, .. }, Theirs::Open) => {
            let rest = &stream[frame..];
            let whole = length(rest).is_some_and(|(len, _)| len <= rest.len() as u64);
            items == ours.items && !whole
        }
        (End::Closed, Theirs::Refused) => match &ours.items[..] {
            [before @ .., Item::Close(1014, _)] => items == before,
            _ => false,
        },
        _ => false,
    }
}

/// The length of the frame that begins here, header and all, as it says itself; and whether it
/// says so in no more bytes than it must.
fn length(frame: &[u8]) -> Option<(u64, bool)> {
    let [_, second, after @ ..] = frame else { return None };
    let (long, least) = match second & 127 {
        126 => (2, 126),
        127 => (8, 65_536),
        _ => (0, 0),
    };
    let number =
        after.get(..long)?.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    let len = if long == 0 { u64::from(second & 127) } else { number };
    let header = 2 + long as u64 + u64::from(second >> 7) * 4;
    Some((len.saturating_add(header), number >= least))
}

#[derive(Debug, Clone, Copy)]
enum Theirs {
    Open,
    Closed,
    Refused,
}

/// What tungstenite makes of the pieces.
fn tungstenite(pieces: &[&[u8]]) -> (Vec<Item>, Theirs) {
    let config = WebSocketConfig::default()
        .read_buffer_size(256)
        .max_message_size(Some(LIMITS.max_message_size as usize))
        .max_frame_size(Some(LIMITS.max_message_size as usize));
    let pieces = pieces.iter().filter(|piece| !piece.is_empty()).copied().rev().collect();
    let mut socket = WebSocket::from_raw_socket(Socket { pieces }, Role::Server, Some(config));
    let mut items = Vec::new();
    let end = loop {
        items.push(match socket.read() {
            Ok(Message::Text(text)) => Item::Message(MessageType::Text, text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => Item::Message(MessageType::Binary, bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Item::Ping(bytes.to_vec()),
            Ok(Message::Pong(bytes)) => Item::Pong(bytes.to_vec()),
            Ok(Message::Close(None)) => Item::Close(1005, String::new()),
            // Its own words, for a code that it refuses.
            Ok(Message::Close(Some(close))) if close.reason.as_str() == "Protocol violation" => {
                break Theirs::Refused;
            }
            Ok(Message::Close(Some(close))) => {
                Item::Close(close.code.into(), close.reason.to_string())
            }
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(Error::ConnectionClosed) => break Theirs::Closed,
            Err(Error::Protocol(TheirError::ResetWithoutClosingHandshake)) => {
                break Theirs::Open;
            }
            Err(Error::Protocol(_) | Error::Capacity(_) | Error::Utf8(_)) => break Theirs::Refused,
            Err(error) => panic!("{error}"),
        });
    };
    (items, end)
}

/// Gives the pieces from the last to the first, one or less a read; takes all that is written.
struct Socket<'a> {
    pieces: Vec<&'a [u8]>,
}

impl Read for Socket<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.pieces.pop() else { return Ok(0) };
        let read = piece.read(out)?;
        if !piece.is_empty() {
            self.pieces.push(piece);
        }
        Ok(read)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
