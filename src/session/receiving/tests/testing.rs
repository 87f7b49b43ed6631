//! Ways to receive, and what is expected of all of them.

use std::sync::Arc;

use crate::proto::{CloseFrame, Decoder, DecoderLimits, Event, MessageType};
use crate::session::assembler::Target;
use crate::session::receiving::{Next, Place, ReceiveError, Receiving};
use crate::session::{Budget, MessageAssembler, ReadTimers};

pub(super) const LIMITS: DecoderLimits =
    DecoderLimits { max_message_size: 1 << 20, max_fragments: 16 };

/// How far into its memory a message may begin, in bytes.
const OFFSET: usize = 1000;

/// A frame as a client sends it; `first` is its first byte.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0xfe);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0xff);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(KEY);
    bytes.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

pub(super) fn frames(list: &[(u8, &[u8])]) -> Vec<u8> {
    list.iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}

pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// What a caller gets to know.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) enum Got {
    Message(MessageType, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(CloseFrame),
    Failed(ReceiveError),
}

/// Who receives, one way or another.
pub(super) struct Receiver {
    pub(super) receiving: Receiving,
    pub(super) timers: ReadTimers,
    pub(super) assembler: MessageAssembler,
    /// The caller's buffer.
    pub(super) buf: Vec<u8>,
    /// What has come of a message in parts.
    pub(super) part: Vec<u8>,
    pub(super) got: Vec<Got>,
}

/// Whether the rest of the stream is of no more use.
pub(super) type Over = bool;

impl Receiver {
    pub(super) fn new(receiving: Receiving, budget: u64) -> Self {
        let assembler = MessageAssembler::new(&Arc::new(Budget::new(budget)), OFFSET);
        Self {
            receiving,
            timers: ReadTimers::default(),
            assembler,
            buf: Vec::new(),
            part: Vec::new(),
            got: Vec::new(),
        }
    }

    pub(super) fn plain() -> Self {
        Self::new(Receiving::new(LIMITS), 1 << 30)
    }

    /// Takes a message that is over.
    pub(super) fn message(&mut self, kind: MessageType, payload: &[u8]) {
        self.got.push(Got::Message(kind, payload.to_vec()));
        self.assembler.release();
        self.assembler.rest(&mut self.buf);
        assert!(!self.receiving.has_part());
        assert_eq!(self.receiving.message_kind(), None);
    }

    pub(super) fn control(&mut self, next: Next) -> Over {
        let payload = self.receiving.control().to_vec();
        self.got.push(match next {
            Next::Ping => Got::Ping(payload),
            Next::Pong => Got::Pong(payload),
            Next::Close(frame) => Got::Close(frame),
            other => panic!("{other:?}"),
        });
        matches!(self.got.last(), Some(Got::Close(_)))
    }

    pub(super) fn failed(&mut self, error: impl Into<ReceiveError>) -> Over {
        self.got.push(Got::Failed(error.into()));
        true
    }

    /// By `next_message`, and by `take_whole` first, for messages up to `most` bytes.
    pub(super) fn whole(&mut self, piece: &[u8], most: Option<usize>) -> Over {
        let mut input = piece.to_vec();
        let mut at = 0;
        loop {
            let room = self.buf.capacity();
            if let Some(most) = most.filter(|_| self.receiving.unfinished().is_none())
                && let Some((used, kind)) =
                    self.receiving.take_whole(&mut self.timers, &input[at..], most, &mut self.buf)
            {
                at += used;
                assert!(self.buf.len() <= most.max(room));
                let message = self.buf.clone();
                self.message(kind, &message);
                continue;
            }
            let input = &mut input[at..];
            let next = self.receiving.next_message(
                &mut self.timers,
                input,
                &mut self.assembler,
                &mut self.buf,
            );
            let (used, next) = match next {
                Ok(next) => next,
                Err(error) => return self.failed(error),
            };
            at += used;
            match next {
                Next::NeedMore => {
                    assert_eq!(used, input.len());
                    return false;
                }
                Next::Yield => {}
                Next::Message(kind, Place::Input(place)) => {
                    assert_eq!(place.end, used);
                    let message = input[place].to_vec();
                    self.message(kind, &message);
                }
                Next::Message(kind, Place::Buffer(start)) => {
                    let message = self.buf[start..].to_vec();
                    self.message(kind, &message);
                }
                next => {
                    if self.control(next) {
                        return true;
                    }
                }
            }
        }
    }

    /// By `feed`, into a slice of `size` bytes, or put together if that is zero.
    pub(super) fn parts(&mut self, piece: &[u8], size: usize) -> Over {
        let mut input = piece.to_vec();
        let (mut at, mut slice) = (0, vec![0; size]);
        loop {
            let target = &mut match size {
                0 => Target::Message(&mut self.assembler, &mut self.buf),
                _ => Target::Slice(&mut self.assembler, &mut slice),
            };
            target.before_wait(self.receiving.payload_left());
            // All that is left of the input comes again, as it is now.
            let (used, event) =
                match self.receiving.feed(&mut self.timers, &mut input[at..], target) {
                    Ok(fed) => fed,
                    Err(error) => return self.failed(error),
                };
            at += used;
            match event {
                Event::NeedMore => {
                    assert!(at == input.len() && !self.receiving.has_part());
                    return false;
                }
                Event::Data { kind, len, fin } => {
                    if size > 0 {
                        self.part.extend_from_slice(&slice[..len]);
                    }
                    if fin {
                        if size == 0 {
                            let start = self.assembler.finish(&mut self.buf);
                            self.part.extend_from_slice(&self.buf[start..]);
                        }
                        let message = std::mem::take(&mut self.part);
                        self.message(kind, &message);
                    }
                }
                event => {
                    if self.control(Next::of(event)) {
                        return true;
                    }
                }
            }
        }
    }

    /// By reads straight to where the payload belongs, wherever there is one under way.
    pub(super) fn direct(&mut self, mut piece: &[u8]) -> Over {
        while self.receiving.payload_left() > 0 && !piece.is_empty() {
            let left = self.receiving.payload_left();
            let target = &mut Target::Message(&mut self.assembler, &mut self.buf);
            target.before_wait(left);
            let room = match target.room_behind(left, false) {
                Ok((room, _)) => room,
                Err(error) => return self.failed(error),
            };
            let len = room.len().min(piece.len());
            room[..len].copy_from_slice(&piece[..len]);
            let (kind, fin) =
                match self.receiving.take_direct(&mut self.timers, &mut room[..len], 0) {
                    Ok(taken) => taken,
                    Err(error) => return self.failed(error),
                };
            if let Err(error) = target.add(len) {
                return self.failed(error);
            }
            piece = &piece[len..];
            if fin {
                let start = self.assembler.finish(&mut self.buf);
                let message = self.buf[start..].to_vec();
                self.message(kind, &message);
            }
        }
        self.whole(piece, None)
    }
}

/// A way to receive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    Whole(Option<usize>),
    Parts(usize),
    Direct,
}

pub(super) const WAYS: [Way; 8] = [
    Way::Whole(None),
    Way::Whole(Some(usize::MAX)),
    Way::Whole(Some(4)),
    Way::Parts(0),
    Way::Parts(1),
    Way::Parts(7),
    Way::Parts(1 << 16),
    Way::Direct,
];

pub(super) fn receive<'a>(
    mut receiver: Receiver,
    way: Way,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<Got> {
    for piece in pieces {
        let over = match way {
            Way::Whole(most) => receiver.whole(piece, most),
            Way::Parts(size) => receiver.parts(piece, size),
            Way::Direct => receiver.direct(piece),
        };
        if over {
            break;
        }
    }
    receiver.got
}

/// What the decoder makes of a stream that is there as a whole.
pub(super) fn expected(stream: &[u8]) -> Vec<Got> {
    let (mut decoder, mut input) = (Decoder::new(LIMITS), stream.to_vec());
    let (mut got, mut part, mut at) = (Vec::new(), Vec::new(), 0);
    loop {
        let (used, event) = match decoder.feed(&mut input[at..]) {
            Ok(fed) => fed,
            Err(error) => {
                got.push(Got::Failed(error.into()));
                return got;
            }
        };
        at += used;
        match event {
            Event::NeedMore => return got,
            Event::Data { kind, len, fin } => {
                part.extend_from_slice(&input[at - len..at]);
                if fin {
                    got.push(Got::Message(kind, std::mem::take(&mut part)));
                }
            }
            Event::Ping => got.push(Got::Ping(decoder.control().to_vec())),
            Event::Pong => got.push(Got::Pong(decoder.control().to_vec())),
            Event::Close(frame) => {
                got.push(Got::Close(frame));
                return got;
            }
            #[cfg(feature = "deflate")]
            Event::Compressed { .. } => panic!("nothing was agreed on"),
        }
    }
}

/// Holds all ways, and all cuts, to what is expected.
pub(super) fn check(stream: &[u8], expected: &[Got], start: impl Fn() -> Receiver) {
    for way in WAYS {
        let got = receive(start(), way, [stream]);
        assert_eq!(got, expected, "{way:?} in one piece");
        for size in [1, 2, 3, 5, 64, 1000] {
            let got = receive(start(), way, stream.chunks(size));
            assert_eq!(got, expected, "{way:?} in pieces of {size}");
        }
        for at in (0..stream.len()).take(300) {
            let (first, second) = stream.split_at(at);
            let got = receive(start(), way, [first, second]);
            assert_eq!(got, expected, "{way:?} cut at {at}");
        }
    }
}

pub(super) fn agree(stream: &[u8]) -> Vec<Got> {
    let expected = expected(stream);
    check(stream, &expected, Receiver::plain);
    expected
}

pub(super) fn text(payload: &str) -> Got {
    Got::Message(MessageType::Text, payload.into())
}

pub(super) fn binary(payload: &[u8]) -> Got {
    Got::Message(MessageType::Binary, payload.into())
}
