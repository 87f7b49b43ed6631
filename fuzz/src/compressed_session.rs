//! A connection that has agreed on compression, from the request to its end, over a stream in memory:
//! it receives what the naive reader finds in the client's bytes, however these are cut and however
//! much room there is, fails where that does and with what that finds, makes no more of a message than
//! a byte beyond the limit, and sends back each message so that it can be read. So does what receives
//! on an event loop, by whole messages.
//!
//! First come the limits, what is offered and demanded, a split, the room, and whether the rest is
//! the stream itself or chooses one, message by message.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barews::proto::deflate::{Deflater, History};
use barews::proto::{DecoderLimits, MessageType, ProtocolError};
use barews::session::codecs::Codecs;
use barews::session::compression::{Agreed, agree};
use barews::session::receiving::{Next, Place};
use barews::session::{Budget, MessageAssembler, ReadTimers, ReceiveError, Receiving};
use barews::{Accept, Config, Connection, Deflate, DeflateOffer, Error, Transport, Upgrade};

use super::blocks::{self, End};
use super::bytes::{Bytes, pieces};
use super::conversation::next_frame;
use super::reference::{Item, code_of, frame, header};
use super::rsv1::{Verdict, Window, judge};
use super::sending::content;

/// Generous ones, and some that are soon reached.
pub const LIMITS: [DecoderLimits; 4] = [
    DecoderLimits { max_message_size: 1 << 20, max_fragments: 1024 },
    DecoderLimits { max_message_size: 64, max_fragments: 4 },
    DecoderLimits { max_message_size: 5000, max_fragments: 1024 },
    DecoderLimits { max_message_size: 0, max_fragments: 1 },
];

/// What is offered, apart from what is demanded.
const OFFERS: [&str; 4] = [
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8",
    "permessage-deflate; client_max_window_bits=9; server_no_context_takeover",
];

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (limits, how) = (bytes.pick(&LIMITS), bytes.byte());
    let (seed, room) = (bytes.short(), usize::from(bytes.byte()));
    let raw = bytes.byte() & 1 == 0;
    let stream = if raw { bytes.rest().to_vec() } else { frames(&mut bytes) };
    let ways = [(0, 4096), (1, 0), (seed, 0), (seed, 1 + room * room)];
    for (seed, room) in if raw { &ways[..] } else { &ways[1..] } {
        let wire = Arc::new(Mutex::new(Wire::new(how, *seed, &stream)));
        let mut conn = open(&wire, limits, how);
        let window = window(&conn);
        let server = conn.compression().map(|params| Window {
            len: 1 << params.server_window_bits(),
            takeover: !params.server_no_context_takeover,
        });
        let offer = DeflateOffer::first(conn.request()).expect("a good offer");
        let (messages, error) = echo(&mut conn, limits, *room);
        drop(conn);
        if *room > 0 {
            next_messages(&offer, how, limits, window, &pieces(*seed, &stream));
        }
        let wire = wire.lock().unwrap();
        let (before, after) = (wire.handed.0, wire.handed.1);
        let verdict = judge(&stream[..after], limits, window);
        let received = verdict.items.iter().filter_map(|item| match item {
            Item::Message(kind, payload) => Some((*kind, payload.clone())),
            _ => None,
        });
        assert_eq!(messages, received.collect::<Vec<_>>());
        assert_ends(&verdict, &error);
        if verdict.closed || !verdict.wrong.is_empty() {
            let earlier = judge(&stream[..before], limits, window);
            assert!(earlier.wrong.is_empty() && !earlier.closed, "found late: {earlier:?}");
        } else {
            assert_eq!(after, stream.len());
        }
        assert_answers(&wire.out, &verdict, &error, server.unwrap());
    }
}

/// The two ends of it: the client's bytes, and the server's.
struct Wire {
    pieces: VecDeque<Vec<u8>>,
    /// Bytes behind the request that were handed out, ahead of the last read and with it.
    handed: (usize, usize),
    out: Vec<u8>,
}

impl Wire {
    fn new(how: u8, seed: u16, stream: &[u8]) -> Self {
        let offer = OFFERS[usize::from(how % 4)];
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Extensions: {offer}\r\n\r\n"
        );
        let pieces = pieces(seed, stream).into_iter().filter(|piece| !piece.is_empty());
        let pieces = [request.as_bytes()].into_iter().chain(pieces).map(<[u8]>::to_vec).collect();
        Self { pieces, handed: (0, 0), out: Vec::new() }
    }
}

struct Client(Arc<Mutex<Wire>>);

impl Transport for Client {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut wire = self.0.lock().unwrap();
        let Some(mut piece) = wire.pieces.pop_front() else { return Ok(0) };
        let len = piece.len().min(buf.len());
        buf[..len].copy_from_slice(&piece[..len]);
        if !wire.out.is_empty() {
            wire.handed = (wire.handed.1, wire.handed.1 + len);
        }
        piece.drain(..len);
        if !piece.is_empty() {
            wire.pieces.push_front(piece);
        }
        Ok(len)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let out = &mut self.0.lock().unwrap().out;
        let before = out.len();
        bufs.iter().for_each(|buf| out.extend_from_slice(buf));
        Ok(out.len() - before)
    }

    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    /// What has not been read by then counts for nothing.
    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        self.0.lock().unwrap().pieces.clear();
        Ok(())
    }
}

/// Opens a connection that has agreed on compression.
fn open(wire: &Arc<Mutex<Wire>>, limits: DecoderLimits, how: u8) -> Connection {
    let mut config = Config::default();
    config.limits.max_message_size = limits.max_message_size;
    config.limits.max_fragments = limits.max_fragments;
    config.compression = Some(settings(how));
    let upgrade = Upgrade::handshake(Client(Arc::clone(wire)), &config).expect("a good request");
    upgrade.accept(&Accept::new()).expect("a good answer")
}

fn settings(how: u8) -> Deflate {
    Deflate {
        level: 1 + how / 4 % 2 * 5,
        client_no_context_takeover: how & 8 != 0,
        server_no_context_takeover: how & 16 != 0,
        client_max_window_bits: 9 + how / 32 % 4,
        ..Deflate::default()
    }
}

/// Holds what `next_message` makes of the pieces, one by one, to what the naive reader finds in them.
fn next_messages(
    offer: &DeflateOffer,
    how: u8,
    limits: DecoderLimits,
    window: Window,
    pieces: &[&[u8]],
) {
    let codecs = Arc::new(Codecs::new(settings(how)));
    let Agreed { inflation, .. } = agree(&codecs, offer, limits.max_message_size);
    let mut receiving = Receiving::with_inflation(limits, inflation);
    let mut assembler = MessageAssembler::new(&Arc::new(Budget::new(1 << 30)), 1000);
    let (mut buf, mut items, mut came) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        let before = came.len();
        came.extend_from_slice(piece);
        let end = take(&mut receiving, &mut piece.to_vec(), &mut assembler, &mut buf, &mut items);
        if end == Ok(false) {
            continue;
        }
        let earlier = judge(&came[..before], limits, window);
        assert!(earlier.wrong.is_empty() && !earlier.closed, "found late: {earlier:?}");
        let verdict = judge(&came, limits, window);
        assert_eq!(items, verdict.items);
        return match end {
            Ok(_) => assert!(verdict.closed),
            Err(ReceiveError::Protocol(wrong)) => assert!(verdict.wrong.contains(&wrong)),
            Err(error) => panic!("{error:?}"),
        };
    }
    let verdict = judge(&came, limits, window);
    assert!(verdict.wrong.is_empty() && !verdict.closed, "not found: {verdict:?}");
    assert_eq!(items, verdict.items);
}

/// Takes what is in a piece; whether a Close is.
fn take(
    receiving: &mut Receiving,
    piece: &mut [u8],
    assembler: &mut MessageAssembler,
    buf: &mut Vec<u8>,
    items: &mut Vec<Item>,
) -> Result<bool, ReceiveError> {
    let (mut at, timers) = (0, &mut ReadTimers::default());
    loop {
        let (used, next) = receiving.next_message(timers, &mut piece[at..], assembler, buf)?;
        let input = &piece[at..];
        at += used;
        let control = receiving.control().to_vec();
        items.push(match next {
            Next::Yield => continue,
            Next::NeedMore => {
                assert_eq!(at, piece.len());
                return Ok(false);
            }
            Next::Message(kind, Place::Input(place)) => Item::Message(kind, input[place].to_vec()),
            Next::Message(kind, Place::Buffer(start)) => {
                assembler.release();
                Item::Message(kind, buf[start..].to_vec())
            }
            Next::Ping => Item::Ping(control),
            Next::Pong => Item::Pong(control),
            Next::Close(frame) => {
                items.push(Item::Close(frame.code.0, frame.reason));
                return Ok(true);
            }
        });
    }
}

/// What the client's messages may refer to. Within one that is by itself, to all of it.
fn window(conn: &Connection) -> Window {
    let params = conn.compression().expect("a good offer");
    match params.client_no_context_takeover {
        true => Window { len: 1 << 15, takeover: false },
        false => Window { len: 1 << params.client_window_bits().max(9), takeover: true },
    }
}

type Messages = Vec<(MessageType, Vec<u8>)>;

/// Sends back every message, and keeps it, until the end; received in parts if there is `room` for
/// them.
fn echo(conn: &mut Connection, limits: DecoderLimits, room: usize) -> (Messages, Option<Error>) {
    let (mut messages, mut whole) = (Vec::new(), Vec::new());
    loop {
        let received = match room {
            0 => {
                let message = conn.recv(&mut whole);
                message.map(|message| message.map(|message| message.kind()))
            }
            room => {
                whole.clear();
                receive_parts(conn, limits.max_message_size as usize, room, &mut whole)
            }
        };
        let kind = match received {
            Ok(Some(kind)) => kind,
            Ok(None) => return (messages, None),
            Err(error) => return (messages, Some(error)),
        };
        messages.push((kind, whole.clone()));
        let sent = match kind {
            MessageType::Text => conn.send(str::from_utf8(&whole).expect("it was checked")),
            MessageType::Binary => conn.send(&whole[..]),
        };
        sent.expect("the stream takes all");
    }
}

fn receive_parts(
    conn: &mut Connection,
    most: usize,
    room: usize,
    whole: &mut Vec<u8>,
) -> Result<Option<MessageType>, Error> {
    loop {
        let mut out = vec![0xa5; room];
        let result = conn.recv_chunk(&mut out);
        let left = (most - whole.len() + 1).min(room);
        assert!(out[left..].iter().all(|byte| *byte == 0xa5), "more than a byte beyond the limit");
        let Some(chunk) = result? else { return Ok(None) };
        whole.extend(&out[..chunk.len]);
        assert!(whole.len() <= most, "beyond the limit");
        if chunk.fin {
            return Ok(Some(chunk.kind));
        }
    }
}

fn assert_ends(verdict: &Verdict, error: &Option<Error>) {
    match error {
        None => assert!(verdict.closed, "the end of {verdict:?}"),
        Some(Error::Protocol(violation)) => {
            assert!(verdict.wrong.contains(violation), "{violation:?} in {verdict:?}");
        }
        Some(Error::Io(error)) => {
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(!verdict.closed && verdict.wrong.is_empty(), "the stream's end in {verdict:?}");
        }
        Some(error) => panic!("{error:?}"),
    }
}

/// Holds what was sent behind the 101 to what was received.
fn assert_answers(out: &[u8], verdict: &Verdict, error: &Option<Error>, window: Window) {
    let start = out.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    let (mut rest, mut sent, mut said) = (&out[start..], Vec::new(), Vec::new());
    while let Some(first) = rest.first() {
        let is_compressed = first & 0x40 != 0;
        let head: Vec<u8> = rest.iter().take(14).copied().collect();
        let head = [&[first & !0x40], &head[1..]].concat();
        let header = header(&head).expect("a good header").expect("all of it");
        let end = header.size + header.len as usize;
        let mut payload = rest[header.size..end].to_vec();
        rest = &rest[end..];
        assert!(header.fin && header.key.is_none() && (header.opcode < 8 || !is_compressed));
        if is_compressed {
            let before = if window.takeover { &said[..] } else { b"" };
            let read = blocks::read(&payload, before, window.len);
            assert!(read.end == End::Whole && read.farthest <= window.len);
            payload = read.bytes;
            said.extend(&payload);
        }
        sent.push((header.opcode, payload));
    }
    let answer = |item: &Item| match item {
        Item::Message(MessageType::Text, payload) => Some((1, payload.clone())),
        Item::Message(MessageType::Binary, payload) => Some((2, payload.clone())),
        Item::Ping(payload) => Some((10, payload.clone())),
        Item::Pong(_) => None,
        Item::Close(1005, _) => Some((8, Vec::new())),
        Item::Close(code, reason) => Some((8, [&code.to_be_bytes(), reason.as_bytes()].concat())),
    };
    let mut wanted: Vec<(u8, Vec<u8>)> = verdict.items.iter().filter_map(answer).collect();
    if let Some(Error::Protocol(violation)) = error {
        let reason = violation.to_string();
        wanted.push((8, [&code_of(*violation).to_be_bytes(), reason.as_bytes()].concat()));
    }
    assert_eq!(sent, wanted);
}

/// Payloads of compressed messages that are wrong, or all but wrong.
#[rustfmt::skip]
const PAYLOADS: [&[u8]; 12] = [
    &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07],
    &[0xf2, 0x00, 0x11, 0x00, 0x00], &[0x00], &[], &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
    &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], &[0x06, 0x00], &[0x4b, 0x04, 0x41, 0x00],
    &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
    &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
    // Text that goes on from the one before, cut inside a character.
    &[0x00, 0x01, 0x00, 0xfe, 0xff, 0xc3, 0x00],
];

/// A stream of frames, most of them good, and most of them compressed.
fn frames(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (mut stream, mut said, mut open) = (Vec::new(), Vec::new(), false);
    let (level, window_bits) = (1 + bytes.byte() % 9, 9 + bytes.byte() % 4);
    let mut deflater = Deflater::new(window_bits);
    let mut history = History::new(bytes.pick(&[512, 0, 4096, 256]));
    while !bytes.is_empty() && stream.len() < 1 << 15 && said.len() < 1 << 16 {
        let what = bytes.byte();
        let mut payload = match what % 8 {
            0..4 => {
                let plain = content(bytes, &said);
                let mut payload = vec![0; plain.len() + plain.len() / 8 + 64];
                deflater.begin(&history, level);
                let len = deflater.deflate(&plain, &mut payload).written;
                payload.truncate(len.saturating_sub(4));
                history.append(&plain);
                said.extend(plain);
                payload
            }
            4 => bytes.pick(&PAYLOADS).to_vec(),
            5 => {
                let len = bytes.below(64);
                bytes.take(len).to_vec()
            }
            _ => {
                stream.extend(next_frame(bytes, &mut open));
                continue;
            }
        };
        if what >= 0xf8 && !payload.is_empty() {
            let at = usize::from(bytes.short()) % payload.len();
            payload[at] ^= 1 << bytes.below(8);
        }
        let kind = if what & 8 != 0 { 0x41 } else { 0x42 };
        let seed = if what & 16 != 0 { bytes.short() } else { 0 };
        let mut parts = pieces(seed, &payload);
        if parts.is_empty() {
            parts.push(b"");
        }
        for (i, part) in parts.iter().enumerate() {
            let first = if i == 0 { kind } else { 0 };
            let fin = if i + 1 == parts.len() { 0x80 } else { 0 };
            stream.extend(frame(fin | first, Some([what; 4]), part));
            if what & 32 != 0 && i % 2 == 0 {
                stream.extend(frame(0x89, Some([7; 4]), b"between"));
            }
        }
    }
    stream
}

/// What the naive reader finds in a stream of a client that may use a window of 12 bits.
pub fn verdict(stream: &[u8], limits: DecoderLimits) -> (bool, Vec<ProtocolError>) {
    let verdict = judge(stream, limits, Window { len: 1 << 12, takeover: true });
    (verdict.closed, verdict.wrong)
}
