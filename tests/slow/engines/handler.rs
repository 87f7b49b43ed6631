//! The same application for both engines: it does what a script says, and notes what it is called for.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::{iter, mem, thread};

use barews::{
    BoxError, CloseCode, CloseFrame, CloseInfo, Connection, Error, EventHandler, Message, Outbox,
    Reject, Request, Sender, TrySendError,
};

/// What was noted: calls of the handler, and errors that the operator is told of.
#[derive(Clone, Default)]
pub struct Handler(Arc<Mutex<[Vec<String>; 2]>>);

/// What it does next: first when it opens, and then for each message.
type Script = Box<dyn Iterator<Item = char>>;

fn script(request: &Request) -> Script {
    let letters: Vec<_> = request.target().chars().skip(1).collect();
    let first =
        letters.iter().find(|letter| letter.is_uppercase()).map_or('n', char::to_ascii_lowercase);
    let rest: Vec<_> = letters.into_iter().filter(|letter| letter.is_lowercase()).collect();
    Box::new(iter::once(first).chain(rest.into_iter().cycle()))
}

impl Handler {
    pub fn log(&self, which: usize, line: String) {
        self.0.lock().unwrap()[which].push(line);
    }

    pub fn take(&self) -> [Vec<String>; 2] {
        mem::take(&mut self.0.lock().unwrap())
    }

    fn call(&self, name: &str, payload: &[u8]) {
        self.log(0, format!("{name} {}", digest(payload)));
    }

    fn ended(&self, frame: Option<&CloseFrame>, error: Option<&Error>) {
        self.log(0, format!("closed {frame:?} {:?}", error.map(Error::to_string)));
    }

    fn acted(&self, letter: char, result: Result<(), Error>) {
        let result = result.map_err(|error| error.to_string());
        self.log(0, format!("{letter} {result:?}"));
    }

    /// The handler on a thread.
    pub fn serve(&self, mut conn: Connection) -> Result<(), BoxError> {
        let mut script = script(conn.request());
        let sender = conn.request().target().contains(['s', 't', 'S']).then(|| conn.sender());
        let (pings, pongs) = (self.clone(), self.clone());
        conn.on_ping(move |payload| pings.call("ping", payload));
        conn.on_pong(move |payload| pongs.call("pong", payload));
        let (mut message, mut buf) = (Message::from("hello").to_owned(), Vec::new());
        loop {
            let letter = script.next().unwrap_or('n');
            let result = match (letter, &sender) {
                ('e', _) => conn.send(&message),
                ('w', _) => conn.write(&message),
                ('m', _) => copies(message.len()).try_for_each(|_| conn.write(&message)),
                ('s', Some(sender)) => {
                    let flushed = conn.flush();
                    flushed.and_then(|()| sender.close(CloseCode(4001), "begun"))
                }
                ('t', Some(sender)) => on_thread(sender),
                ('c', _) => {
                    self.acted(letter, Ok(()));
                    let closed = conn.close(CloseCode(4000), "bye");
                    self.ended(conn.close_frame(), closed.as_ref().err());
                    return Ok(closed?);
                }
                ('f' | 'p', _) => {
                    self.ended(None, None);
                    return fail(letter);
                }
                _ => Ok(()),
            };
            self.acted(letter, result);
            let received = conn.recv(&mut buf).map(|next| next.map(|next| next.to_owned()));
            match received {
                Ok(Some(next)) => message = next,
                Ok(None) => {
                    self.ended(conn.close_frame(), None);
                    return Ok(());
                }
                Err(error) => {
                    self.ended(conn.close_frame(), Some(&error));
                    return Err(error.into());
                }
            }
            self.call(&format!("{:?}", message.kind()), message.as_bytes());
        }
    }

    /// The same on a loop, for one message.
    fn act(
        &self,
        state: &mut State,
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        let letter = state.script.next().unwrap_or('n');
        let full = |error| match error {
            TrySendError::Closed => Error::Closed,
            error => panic!("{error}"),
        };
        let result = match letter {
            'e' | 'w' => out.send(message).map_err(full),
            'm' => copies(message.len()).try_for_each(|_| out.send(message)).map_err(full),
            's' => out.start_close(CloseCode(4001), "begun"),
            't' => on_thread(&state.sender),
            'c' => out.close(CloseCode(4000), "bye"),
            'f' | 'p' => return fail(letter),
            _ => Ok(()),
        };
        self.acted(letter, result);
        Ok(())
    }
}

pub struct State {
    script: Script,
    sender: Sender,
}

impl EventHandler for Handler {
    type State = State;

    fn open(&self, request: &Request, sender: Sender) -> Result<State, Reject> {
        Ok(State { script: script(request), sender })
    }

    fn opened(&self, state: &mut State, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.act(state, "hello".into(), out)
    }

    fn message(
        &self,
        state: &mut State,
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        self.call(&format!("{:?}", message.kind()), message.as_bytes());
        self.act(state, message, out)
    }

    fn ping(&self, _: &mut State, payload: &[u8], _: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.call("ping", payload);
        Ok(())
    }

    fn pong(&self, _: &mut State, payload: &[u8], _: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.call("pong", payload);
        Ok(())
    }

    fn closed(&self, _: State, how: CloseInfo) {
        self.ended(how.close_frame.as_ref(), how.error.as_ref());
    }
}

/// How many copies of a message are sent: a loop keeps no more than a mebibyte for a peer, and a thread waits.
fn copies(len: usize) -> Range<usize> {
    0..if len < 100_000 { 3 } else { 1 }
}

fn on_thread(sender: &Sender) -> Result<(), Error> {
    thread::scope(|scope| scope.spawn(|| sender.send("of another thread")).join()).unwrap()
}

fn fail(letter: char) -> Result<(), BoxError> {
    if letter == 'p' {
        resume_unwind(Box::new("panicked"));
    }
    Err("failed".into())
}

/// A payload in short.
pub fn digest(payload: &[u8]) -> String {
    let sum = payload
        .iter()
        .fold(7_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    let start = payload[..payload.len().min(24)].escape_ascii();
    format!("{} \"{start}\" {sum:x}", payload.len())
}
