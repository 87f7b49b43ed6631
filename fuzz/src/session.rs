//! A connection from its first byte to its end, driven by bytes and steps of a clock alone: a request
//! is answered once, the next deadline is never in the past, nothing follows a Close, and memory
//! charged is memory held.
//!
//! First come the budget, how messages are received, and the opening: what is wrong with the request,
//! and how it is cut. Then a byte a step: a frame, time that passes, a Close of ours, or the news that it
//! is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use barews::Timeouts;
use barews::http::{Accept, HeadLimits};
use barews::proto::{CloseCode, CloseFrame, DecoderLimits, Event, encoder};
use barews::session::assembler::Target;
use barews::session::opening::{Opening, Step};
use barews::session::receiving::{Next, Place};
use barews::session::{
    Budget, CloseAction, Closing, Deadline, MessageAssembler, Pending, ReadTimers, ReceiveError,
    Receiving, timers,
};

use super::bytes::{Bytes, pieces};
use super::conversation::next_frame;
use super::reference::{Item, assert_server_stream, judge};

const LIMITS: DecoderLimits = DecoderLimits { max_message_size: 1 << 20, max_fragments: 64 };

/// Memory that no budget is asked for, in bytes.
const FREE: usize = 64 << 10;

/// How far into its memory a longer one begins, which is not charged, in bytes.
const OFFSET: usize = 1536;

pub fn check(data: &[u8]) {
    let mut bytes = Bytes::new(data);
    let (budget, how) = (bytes.pick(&[0, 32 << 10, 1 << 20]), bytes.byte());
    if how > 3 && !opens(&mut bytes, how) {
        return;
    }
    let way = [Way::Whole, Way::Parts(100), Way::Put, Way::Parts(3)][usize::from(how % 4)];
    let mut engine = Engine::new(budget, way);
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

/// How messages are received.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By `next_message`, and every other time by `take_whole` first.
    Whole,
    /// By `feed`, which puts them together.
    Put,
    /// By `feed`, in parts of so many bytes at the most, which are handed on as they come.
    Parts(usize),
}

/// What a server does, without a socket, a thread or a clock.
struct Engine {
    timeouts: Timeouts,
    budget: Arc<Budget>,
    way: Way,
    receiving: Receiving,
    timers: ReadTimers,
    assembler: MessageAssembler,
    closing: Closing<()>,
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
    fn new(budget: u64, way: Way) -> Self {
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
            way,
            receiving: Receiving::new(LIMITS),
            timers: ReadTimers::default(),
            assembler: MessageAssembler::new(&budget, OFFSET),
            budget,
            closing: Closing::Open,
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
        let pending = self.pending();
        self.timers.read_done(Some(frame.len()), pending, true, || Duration::ZERO);
        let mut rest = &mut frame[..];
        while !self.ended {
            let used = match self.way {
                Way::Whole => self.next_message(rest),
                Way::Put => self.feed(rest, 0),
                Way::Parts(most) => self.feed(rest, most),
            };
            match used {
                Ok(Some(used)) => rest = &mut rest[used..],
                Ok(None) => break,
                Err(error) => {
                    self.overloaded |= error == ReceiveError::Overloaded;
                    self.assembler.clear();
                    self.fail(CloseAction::Abort(error.close_code(), String::new()));
                }
            }
        }
        self.poll(false);
    }

    /// How many bytes were used; `None` for all, with which nothing is whole.
    fn next_message(&mut self, input: &mut [u8]) -> Result<Option<usize>, ReceiveError> {
        if self.messages.len() % 2 == 1
            && self.receiving.unfinished().is_none()
            && let Some((used, _)) =
                self.receiving.take_whole(&mut self.timers, input, 125, &mut self.buf)
        {
            self.messages.push(self.buf.clone());
            return Ok(Some(used));
        }
        let (used, next) = self.receiving.next_message(
            &mut self.timers,
            input,
            &mut self.assembler,
            &mut self.buf,
        )?;
        match next {
            Next::NeedMore => {
                assert_eq!(used, input.len());
                return Ok(None);
            }
            Next::Yield => {}
            Next::Message(_, Place::Input(place)) => {
                assert_eq!(place.end, used);
                self.messages.push(input[place].to_vec());
            }
            Next::Message(_, Place::Buffer(start)) => {
                self.messages.push(self.buf[start..].to_vec());
                self.assembler.release();
            }
            Next::Ping => self.pinged(),
            Next::Pong => {}
            Next::Close(theirs) => self.closed(theirs),
        }
        Ok(Some(used))
    }

    /// The same by parts of at most so many bytes, or by messages if that is zero.
    fn feed(&mut self, input: &mut [u8], most: usize) -> Result<Option<usize>, ReceiveError> {
        let mut slice = [0; 100];
        let mut target = match most {
            0 => Target::Message(&mut self.assembler, &mut self.buf),
            most => Target::Slice(&mut self.assembler, &mut slice[..most]),
        };
        target.before_wait(self.receiving.payload_left());
        let (used, event) = self.receiving.feed(&mut self.timers, input, &mut target)?;
        match event {
            Event::NeedMore => {
                assert!(used == input.len() && !self.receiving.has_part());
                return Ok(None);
            }
            Event::Data { len, fin, .. } => {
                if most > 0 {
                    self.part.extend_from_slice(&slice[..len]);
                }
                if fin {
                    self.message_ended(most);
                }
            }
            Event::Ping => self.pinged(),
            Event::Pong => {}
            Event::Close(theirs) => self.closed(theirs),
            _ => panic!("compressed, though nothing was agreed on"),
        }
        Ok(Some(used))
    }

    fn message_ended(&mut self, most: usize) {
        if most == 0 {
            let start = self.assembler.finish(&mut self.buf);
            self.part.extend_from_slice(&self.buf[start..]);
        }
        self.messages.push(std::mem::take(&mut self.part));
        self.assembler.release();
    }

    fn pinged(&mut self) {
        if self.closing.may_send() {
            encoder::pong(self.receiving.control(), &mut self.out);
        }
    }

    fn closed(&mut self, theirs: CloseFrame) {
        self.fail(CloseAction::Reply(theirs));
    }

    /// So much time passes, in which nothing comes.
    fn pass(&mut self, time: Duration) {
        if !self.ended {
            self.now += time;
            let pending = self.pending();
            self.timers.read_done(None, pending, true, || time);
            self.poll(time >= self.wait);
        }
    }

    /// Does what is due now. If what was promised last has come, something is.
    fn poll(&mut self, mut is_due: bool) {
        while !self.ended {
            let pending = self.pending();
            match self.timers.next(&self.timeouts, pending, self.now, || false) {
                Ok(timers::Next::Wait(wait)) => {
                    assert!(wait > Duration::ZERO, "a deadline in the past");
                    assert!(!is_due, "nothing was due after {:?}", self.wait);
                    self.wait = wait;
                    return;
                }
                Ok(timers::Next::Ping) => {
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
        let message = self.receiving.unfinished();
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
        let most = OFFSET + FREE.max(2 * charged as usize + OFFSET);
        assert!(held <= most, "{held} held and {charged} charged");
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
