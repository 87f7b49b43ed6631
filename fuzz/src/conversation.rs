//! Whatever a client sends, what we send is a valid server stream with one Close at most, and just
//! what §5.5 and §7 call for; after a failure nothing more is delivered.
//!
//! First come the limits, the split, what our side does of its own accord between the pieces (four
//! bits a piece, for eight pieces and then again), and whether the rest is the stream itself or
//! chooses one, frame by frame.

use barews::proto::encoder::{self, FrameHeader};
use barews::proto::{CloseCode, Event, MessageType, OpCode, ProtocolError};
use barews::session::{CloseAction, Closing};

use super::bytes::{Bytes, pieces};
use super::receive_split::LIMITS;
use super::reference::{assert_server_stream, code_of, frame, judge};
use super::watch::Watch;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (limits, seed, plan) = (bytes.pick(&LIMITS), bytes.short(), bytes.array::<4>());
    let raw = bytes.byte() & 1 == 0;
    let stream = if raw { bytes.rest().to_vec() } else { frames(&mut bytes) };
    let (mut watch, mut server) = (Watch::new(limits), Server::default());
    for (i, piece) in pieces(seed, &stream).into_iter().enumerate() {
        server.act(plan[i / 2 % 4] >> (4 * (i % 2)) & 15);
        watch.feed(piece, |event, payload| server.react(event, payload));
    }
    watch.assert_is(&judge(&stream, limits));
    assert_eq!(server.out, server.wanted);
    assert_eq!(assert_server_stream(&server.out), usize::from(server.closed));
}

/// A server that echoes, and what it is to have sent, kept by hand.
#[derive(Default)]
struct Server {
    closing: Closing<()>,
    out: Vec<u8>,
    wanted: Vec<u8>,
    /// Whether a Close is in `wanted`.
    closed: bool,
    /// Whether a message of ours was begun and not finished.
    streaming: bool,
}

impl Server {
    /// What is done with an event or a violation.
    fn react(&mut self, event: Result<&Event, ProtocolError>, payload: &[u8]) {
        match event {
            Ok(Event::Data { kind, .. }) => {
                // §5.4: an echo would land between the fragments of our own message.
                if !self.streaming && self.closing.may_send() {
                    encoder::message(*kind, payload, &mut self.out);
                }
                if !self.streaming {
                    self.want(if *kind == MessageType::Text { 0x81 } else { 0x82 }, payload);
                }
            }
            Ok(event) => match event {
                Event::Ping => {
                    if self.closing.may_send() {
                        encoder::pong(payload, &mut self.out);
                    }
                    self.want(0x8a, payload);
                }
                Event::Close(theirs) => {
                    self.closing.close(CloseAction::Reply(theirs.clone()), &mut self.out);
                    self.want(0x88, payload);
                    assert!(matches!(self.closing, Closing::Closed { .. }));
                }
                _ => {}
            },
            Err(violation) => {
                let reason = violation.to_string();
                let action = CloseAction::Abort(violation.close_code(), reason.clone());
                self.closing.close(action, &mut self.out);
                let code = code_of(violation).to_be_bytes();
                self.want(0x88, &[&code, reason.as_bytes()].concat());
                assert!(matches!(self.closing, Closing::Closed { .. }));
            }
        }
        assert_eq!(self.closing.may_send(), !self.closed);
    }

    /// What our side does of its own accord.
    fn act(&mut self, what: u8) {
        let out = &mut self.out;
        let may_send = self.closing.may_send();
        let initiate = |code, reason: &str| CloseAction::Initiate(code, reason.to_owned());
        match what {
            8 if may_send => encoder::ping(b"there?", out),
            9 if may_send => encoder::pong(&[what; 125], out),
            10 if may_send && !self.streaming => {
                encoder::message(MessageType::Text, &[b'a'; 126], out)
            }
            11 if may_send => {
                let opcode = if self.streaming { OpCode::Continuation } else { OpCode::Binary };
                out.extend_from_slice(FrameHeader::new(false, opcode, 1).as_bytes());
                out.push(what);
            }
            12 if may_send && self.streaming => {
                out.extend_from_slice(FrameHeader::new(true, OpCode::Continuation, 0).as_bytes());
            }
            13 => {
                self.closing.close(initiate(CloseCode(1000), ""), out);
            }
            14 => {
                let action = initiate(CloseCode::NO_STATUS, "no room for words");
                self.closing.close(action, out);
            }
            15 => {
                let action = CloseAction::Abort(CloseCode(4999), "\u{2603}".repeat(42));
                self.closing.close(action, out);
            }
            _ => return,
        }
        match what {
            8 => self.want(0x89, b"there?"),
            9 => self.want(0x8a, &[what; 125]),
            10 if !self.streaming => self.want(0x81, &[b'a'; 126]),
            11 => {
                self.want(if self.streaming { 0x00 } else { 0x02 }, &[what]);
                self.streaming = true;
            }
            12 if self.streaming => {
                self.want(0x80, b"");
                self.streaming = false;
            }
            13 => self.want(0x88, &[0x03, 0xe8]),
            14 => self.want(0x88, b""),
            // §5.5: 125 bytes, less the code, have room for 41 snowmen of three.
            15 => self.want(0x88, &[&[0x13, 0x87], "\u{2603}".repeat(41).as_bytes()].concat()),
            _ => {}
        }
    }

    /// Notes that a frame is to be sent, unless a Close was.
    fn want(&mut self, first: u8, payload: &[u8]) {
        if !self.closed {
            self.wanted.extend(frame(first, None, payload));
            self.closed = first == 0x88;
        }
    }
}

/// A stream of frames, most of them good.
fn frames(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let (mut stream, mut open) = (Vec::new(), false);
    while !bytes.is_empty() && stream.len() < 1 << 16 {
        stream.extend(next_frame(bytes, &mut open));
    }
    stream
}

/// A frame, most often a good one; `open` is whether a message is.
pub fn next_frame(bytes: &mut Bytes<'_>, open: &mut bool) -> Vec<u8> {
    let what = bytes.byte();
    let fin = what & 16 != 0;
    let first = match what & 15 {
        // What continues a message, or begins one.
        0..=7 => {
            let opcode = if *open { 0 } else { 1 + what % 2 };
            *open = !fin;
            u8::from(fin) << 7 | opcode
        }
        8 | 9 => 0x89,
        10 => 0x8a,
        11 => 0x88,
        // Anything, good or bad.
        _ => bytes.byte(),
    };
    let payload = payload(bytes, first & 15);
    let key = Some(if what & 32 == 0 { [0; 4] } else { bytes.array() });
    let good = frame(first, key, &payload);
    if what >= 0xc0 { broken(bytes, first, good, &payload) } else { good }
}

fn payload(bytes: &mut Bytes<'_>, opcode: u8) -> Vec<u8> {
    if opcode == 8 {
        const CODES: [u16; 16] = [
            1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 1016, 2999, 3000,
            4999, 5000,
        ];
        let code = bytes.pick(&CODES).to_be_bytes();
        return match bytes.below(8) {
            0 => Vec::new(),
            1 => vec![code[0]],
            n => [&code, bytes.take(n - 2)].concat(),
        };
    }
    match bytes.below(8) {
        0 => Vec::new(),
        1 => b"Hello".to_vec(),
        // Characters that are cut, or go on from the fragment before.
        2 => "κόσμε\u{10ffff}".as_bytes()[bytes.below(7)..][..bytes.below(8)].to_vec(),
        3 => vec![b'x'; bytes.pick(&[124, 125, 126, 127, 64, 65])],
        4 if bytes.byte() >= 250 => vec![b'y'; 65_534 + bytes.below(4)],
        n => bytes.take(3 * n).to_vec(),
    }
}

/// A frame with something wrong with it.
fn broken(bytes: &mut Bytes<'_>, first: u8, good: Vec<u8>, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u64;
    let with_length = |second, length: &[u8]| [&[first, second], length, &[0; 4], payload].concat();
    match bytes.below(8) {
        // §5.2: reserved bits; §5.5: a control frame that is a fragment; §5.1: no mask.
        0 => [&[first | 16 << bytes.below(3)], &good[1..]].concat(),
        1 => [&[first & 0x7f], &good[1..]].concat(),
        2 => frame(first, None, payload),
        // §5.2: lengths of the wrong size, and too large.
        3 => with_length(0xfe, &(len as u16).to_be_bytes()),
        4 => with_length(0xff, &len.to_be_bytes()),
        5 => with_length(0xff, &(1_u64 << bytes.below(64)).to_be_bytes()),
        // One bit, or the end, is not what it was.
        6 => {
            let mut bad = good;
            let at = usize::from(bytes.short()) % bad.len();
            bad[at] ^= 1 << bytes.below(8);
            bad
        }
        _ => good[..usize::from(bytes.short()) % good.len()].to_vec(),
    }
}
