//! A connection from its first byte to its end, driven by bytes and steps of a clock alone: a request
//! is answered once, the next deadline is never in the past, nothing follows a Close, and memory
//! charged is memory held.
//!
//! First come the budget, how parts are received, and the opening: what is wrong with the request, and
//! how it is cut. Then a byte a step: a frame, time that passes, a Close of ours, or the news that it
//! is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use barews::Timeouts;
use barews::http::{Accept, HeadLimits};
use barews::proto::{CloseCode, Decoder, DecoderLimits, Event, encoder};
use barews::session::assembler::Target;
use barews::session::opening::{Opening, Step};
use barews::session::timers::Next;
use barews::session::{
    Budget, CloseAction, Closing, Deadline, MessageAssembler, Pending, ReadTimers,
};

use super::bytes::{Bytes, pieces};
use super::conversation::next_frame;
use super::reference::{Item, assert_server_stream, judge};

const LIMITS: DecoderLimits = DecoderLimits { max_message_size: 1 << 20, max_fragments: 64 };

/// Memory that no budget is asked for, in bytes.
const FREE: usize = 64 << 10;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (budget, how) = (bytes.pick(&[0, 32 << 10, 1 << 20]), bytes.byte());
    if how > 3 && !opens(&mut bytes, how) {
        return;
    }
    let mut engine = Engine::new(budget, how % 2 == 1);
    let mut open = false;
    while !bytes.is_empty() {
        match bytes.byte() {
            0..=0x7f => engine.receive(next_frame(&mut bytes, &mut open)),
            step @ 0x80..=0xdf => engine.pass(Duration::from_millis(1 << (step % 16))),
            0xe0..=0xef => engine.pass(engine.wait),
            0xf0..=0xf7 => engine.close(CloseAction::Initiate(CloseCode::NORMAL, String::new())),
            _ => engine.close_written(),
        }
        engine.assert_whole();
    }
    engine.assert_delivered();
    let budget = Arc::clone(&engine.budget);
    drop(engine);
    assert_eq!(budget.charged(), 0);
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Whether a request opens the connection. Whatever is wrong with it, it is answered once.
fn opens(bytes: &mut Bytes<'_>, how: u8) -> bool {
    let mut request = REQUEST.to_vec();
    if how & 4 != 0 {
        let at = usize::from(bytes.short()) % request.len();
        request[at] ^= 1 << (how >> 5);
    }
    if how & 8 != 0 {
        request.truncate(usize::from(bytes.short()) % request.len());
    }
    let mut opening = Opening::new(HeadLimits::default());
    let mut answer = None;
    for piece in pieces(bytes.short(), &request) {
        let (used, step) = opening.feed(piece, &[], None);
        assert!(used <= piece.len());
        answer = match step {
            Step::More => continue,
            Step::Upgrade(head) if how & 16 == 0 => {
                let reply =
                    opening.accept(&head, &Accept::new(), None, None).expect("a valid answer");
                Some(reply)
            }
            Step::Upgrade(_) => Some(opening.fail(None).bytes),
            Step::Plain(_) => Some(opening.decline(None).bytes),
            Step::Refused(answer, _) => Some(answer.bytes),
        };
        break;
    }
    let answer = answer.unwrap_or_else(|| opening.time_out(None).bytes);
    assert!(!answer.is_empty(), "no answer");
    let again = [opening.time_out(None), opening.fail(None), opening.decline(None)];
    assert!(again.iter().all(|answer| answer.bytes.is_empty()), "a second answer");
    assert!(matches!(opening.feed(REQUEST, &[], None), (0, Step::More)));
    answer.starts_with(b"HTTP/1.1 101 ")
}

/// What a server does, without a socket, a thread or a clock.
struct Engine {
    timeouts: Timeouts,
    budget: Arc<Budget>,
    /// Whether parts are handed on as they come.
    in_parts: bool,
    decoder: Decoder,
    assembler: MessageAssembler,
    closing: Closing<()>,
    timers: ReadTimers,
    now: Instant,
    /// What was promised last.
    wait: Duration,
    /// Whether nothing is received any more.
    ended: bool,
    /// All that came, and went.
    stream: Vec<u8>,
    out: Vec<u8>,
    messages: Vec<Vec<u8>>,
    /// The caller's buffer.
    buf: Vec<u8>,
    part: Vec<u8>,
    overloaded: bool,
}

impl Engine {
    fn new(budget: u64, in_parts: bool) -> Self {
        let second = Duration::from_secs(1);
        let timeouts = Timeouts {
            message: second * 4,
            ping_interval: second * 2,
            idle_timeout: second * 5,
            close: second,
            ..Timeouts::default()
        };
        let budget = Arc::new(Budget::new(budget));
        let mut engine = Self {
            timeouts,
            in_parts,
            decoder: Decoder::new(LIMITS),
            assembler: MessageAssembler::new(&budget),
            budget,
            closing: Closing::Open,
            timers: ReadTimers::default(),
            now: Instant::now(),
            wait: Duration::ZERO,
            ended: false,
            stream: Vec::new(),
            out: Vec::new(),
            messages: Vec::new(),
            buf: Vec::new(),
            part: Vec::new(),
            overloaded: false,
        };
        engine.poll(false);
        engine
    }

    fn receive(&mut self, mut frame: Vec<u8>) {
        if self.ended {
            return;
        }
        self.stream.extend_from_slice(&frame);
        self.timers.read_done(Some(frame.len()), self.pending(), true, || Duration::ZERO);
        let mut at = 0;
        while !self.ended {
            let (used, event) = match self.decoder.feed(&mut frame[at..]) {
                Ok(fed) => fed,
                Err(error) => {
                    return self.fail(CloseAction::Abort(error.close_code(), error.to_string()));
                }
            };
            at += used;
            match event {
                Event::NeedMore => break,
                Event::Data { len, fin, .. } => self.data(&frame[at - len..at], fin),
                Event::Ping if self.closing.may_send() => {
                    encoder::pong(self.decoder.control(), &mut self.out);
                }
                Event::Ping | Event::Pong => {}
                Event::Close(theirs) => self.fail(CloseAction::Reply(theirs)),
                _ => panic!("compressed, though nothing was agreed on"),
            }
        }
        self.poll(false);
    }

    fn data(&mut self, payload: &[u8], fin: bool) {
        self.timers.message_received();
        let mut slice = [0; 100];
        let mut rest = payload;
        loop {
            let left = self.decoder.payload_left();
            let mut target = match self.in_parts {
                true => Target::Slice(&mut self.assembler, &mut slice),
                false => Target::Message(&mut self.assembler, &mut self.buf),
            };
            target.before_wait(left);
            let Ok(len) = target.put(rest, left) else {
                self.overloaded = true;
                self.assembler.clear();
                return self.fail(CloseAction::Abort(CloseCode::TRY_AGAIN_LATER, String::new()));
            };
            if self.in_parts {
                self.part.extend_from_slice(&slice[..len]);
            }
            rest = &rest[len..];
            if rest.is_empty() {
                break;
            }
        }
        if fin {
            self.timers.message_ended();
            let message = match self.in_parts {
                true => std::mem::take(&mut self.part),
                false => {
                    self.assembler.finish(&mut self.buf);
                    self.buf.clone()
                }
            };
            self.messages.push(message);
            self.assembler.release();
        }
    }

    /// So much time passes, in which nothing comes.
    fn pass(&mut self, time: Duration) {
        if !self.ended {
            self.now += time;
            self.timers.read_done(None, self.pending(), true, || time);
            self.poll(time >= self.wait);
        }
    }

    /// Does what is due now. If what was promised last has come, something is.
    fn poll(&mut self, mut is_due: bool) {
        while !self.ended {
            match self.timers.next(&self.timeouts, self.pending(), self.now, || false) {
                Ok(Next::Wait(wait)) => {
                    assert!(wait > Duration::ZERO, "a deadline in the past");
                    assert!(!is_due, "nothing was due after {:?}", self.wait);
                    self.wait = wait;
                    return;
                }
                Ok(Next::Ping) => {
                    is_due = false;
                    if self.closing.may_send() {
                        encoder::ping(b"", &mut self.out);
                    }
                }
                Err(Deadline::Close) => {
                    assert!(self.closing.written_at().is_some(), "it has not begun");
                    self.closing.fail(());
                    self.ended = true;
                }
                Err(deadline) => {
                    let code = deadline.close_code().expect("it is told");
                    self.fail(CloseAction::Abort(code, deadline.reason().to_owned()));
                }
            }
        }
    }

    fn pending(&self) -> Pending {
        let message = self.decoder.is_unfinished().then_some(0);
        Pending { message, closing: self.closing.written_at().is_some() }
    }

    fn close(&mut self, action: CloseAction) {
        let (may_send, before) = (self.closing.may_send(), self.out.len());
        self.closing.close(action, &mut self.out);
        assert_eq!(self.out.len() > before, may_send, "one Close, and one at most");
        self.poll(false);
    }

    fn fail(&mut self, action: CloseAction) {
        self.ended = true;
        self.close(action);
        assert!(!self.closing.may_send());
    }

    fn close_written(&mut self) {
        let is_last = self.closing.close_written(self.now);
        assert_eq!(is_last, matches!(self.closing, Closing::Closed { .. }));
        self.poll(false);
    }

    fn assert_whole(&self) {
        let closes = assert_server_stream(&self.out);
        let has_failed = self.closing == Closing::Failed(());
        assert!(has_failed || closes == usize::from(!self.closing.may_send()));
        let (charged, held) = (self.assembler.charged(), self.assembler.capacity());
        assert_eq!(self.budget.charged(), charged);
        assert!(held <= FREE.max(2 * charged as usize), "{held} held and {charged} charged");
    }

    /// What was received is what was sent, as far as there was memory and time for it.
    fn assert_delivered(&self) {
        let verdict = judge(&self.stream, LIMITS);
        let sent = verdict.items.iter().filter_map(|item| match item {
            Item::Message(_, payload) => Some(payload),
            _ => None,
        });
        let sent: Vec<_> = sent.take(self.messages.len()).collect();
        assert_eq!(self.messages.iter().collect::<Vec<_>>(), sent);
        let all = verdict.items.iter().filter(|item| matches!(item, Item::Message(..))).count();
        assert!(self.overloaded || self.messages.len() == all, "{} of {all}", self.messages.len());
    }
}
