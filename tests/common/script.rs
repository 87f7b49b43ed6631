//! A transport in memory: what the client says is written down beforehand, and every fault that a
//! stream can have comes on request.

use std::cmp::min;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use barews::{Accept, Config, Transport, Upgrade, UpgradeError};

use super::{Ended, echo, r0};

/// What goes wrong, and when. By default nothing does.
#[derive(Debug, Clone, Copy)]
pub struct Faults {
    /// The most bytes that a read gives.
    pub read: usize,
    /// The most bytes that a write takes.
    pub write: usize,
    /// How a call fails in passing, by its number: the next call may work.
    pub hiccup: fn(usize) -> Option<ErrorKind>,
    /// From which call on all fail, and how.
    pub broken: Option<(usize, ErrorKind)>,
}

/// A stream from a client whose every byte is known, and which ends after the last.
#[derive(Clone)]
pub struct Script(Arc<Mutex<State>>);

struct State {
    input: Vec<u8>,
    /// How much of the input was read.
    read: usize,
    output: Vec<u8>,
    /// Lengths of the writes that worked.
    writes: Vec<usize>,
    faults: Faults,
    /// Reads and writes so far.
    calls: usize,
    /// Bytes read after the end of our side.
    drained: usize,
    ended: bool,
    cut: bool,
}

/// How a conversation with a [`Script`] came out.
pub struct Outcome {
    /// All that the server sent, the response included, but for the value of its date.
    pub output: Vec<u8>,
    pub result: Result<Ended, UpgradeError>,
    pub writes: Vec<usize>,
    pub calls: usize,
    /// How much of the input was read.
    pub read: usize,
    /// How much of that after the end of our side.
    pub drained: usize,
}

impl fmt::Debug for Outcome {
    /// Without most of the output.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { output, result, calls, drained, .. } = self;
        let start = output[..output.len().min(400)].escape_ascii();
        write!(f, "{} bytes \"{start}\", {result:?}, ", output.len())?;
        write!(f, "{calls} calls, {drained} drained")
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::NONE
    }
}

impl Faults {
    pub const NONE: Self =
        Self { read: usize::MAX, write: usize::MAX, hiccup: |_| None, broken: None };
    pub const ONE_BYTE_READS: Self = Self { read: 1, ..Self::NONE };
    pub const ONE_BYTE_WRITES: Self = Self { write: 1, ..Self::NONE };
    /// A signal comes whenever a call would wait, and then not.
    pub const INTERRUPTED: Self = Self {
        hiccup: |call| call.is_multiple_of(2).then_some(ErrorKind::Interrupted),
        ..Self::NONE
    };
    /// A multiplicative hash of the number of the call: no pattern that the server could share.
    pub const WOULD_BLOCK: Self = Self {
        hiccup: |call| match (call as u32).wrapping_mul(0x9e37_79b9) >> 29 {
            0 | 1 => Some(ErrorKind::WouldBlock),
            2 => Some(ErrorKind::TimedOut),
            3 => Some(ErrorKind::Interrupted),
            _ => None,
        },
        ..Self::NONE
    };
}

impl Script {
    pub fn new(input: Vec<u8>, faults: Faults) -> Self {
        Self(Arc::new(Mutex::new(State {
            input,
            read: 0,
            output: Vec::new(),
            writes: Vec::new(),
            faults,
            calls: 0,
            drained: 0,
            ended: false,
            cut: false,
        })))
    }

    /// A script that begins with a valid request.
    pub fn opened(then: &[u8]) -> Self {
        Self::new([&r0().bytes()[..], then].concat(), Faults::default())
    }

    /// What the server has sent so far.
    pub fn output(&self) -> Vec<u8> {
        self.state().output.clone()
    }

    /// Lengths of its writes so far.
    pub fn writes(&self) -> Vec<usize> {
        self.state().writes.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics under this lock")
    }
}

/// Serves the echo on a script.
pub fn run_script(input: Vec<u8>, faults: Faults) -> Outcome {
    let script = Script::new(input, faults);
    let result = Upgrade::handshake(script.clone(), &Config::default())
        .and_then(|upgrade| upgrade.accept(&Accept::new()))
        .map(|mut conn| echo(&mut conn));
    let state = script.state();
    Outcome {
        output: undated(state.output.clone()),
        result,
        writes: state.writes.clone(),
        calls: state.calls,
        read: state.read,
        drained: state.drained,
    }
}

/// Strikes out the date of a response, which may change between two that are to be the same.
fn undated(mut output: Vec<u8>) -> Vec<u8> {
    const NAME: &[u8] = b"\r\nDate: ";
    let head = &output[..min(output.len(), 400)];
    if let Some(at) = head.windows(NAME.len()).position(|bytes| bytes == NAME) {
        let value = output[at + NAME.len()..].iter_mut();
        value.take_while(|byte| **byte != b'\r').for_each(|byte| *byte = b'-');
    }
    output
}

/// Holds an input to the same output and the same result with these faults as without.
pub fn unchanged(name: &str, input: &[u8], faults: Faults) {
    let clean = run_script(input.to_vec(), Faults::NONE);
    let outcome = run_script(input.to_vec(), faults);
    assert!(outcome.output == clean.output, "{name}: {clean:?}, then {outcome:?}");
    let results = [&clean, &outcome].map(|outcome| format!("{:?}", outcome.result));
    assert_eq!(results[0], results[1], "{name}");
}

impl State {
    /// Counts a call, and fails it if that is its turn.
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        match self.faults.broken {
            Some((at, kind)) if call >= at => return Err(kind.into()),
            _ => {}
        }
        (self.faults.hiccup)(call).map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Transport for Script {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.call()?;
        if state.cut {
            return Ok(0);
        }
        let len = min(min(buf.len(), state.faults.read), state.input.len() - state.read);
        let from = state.read;
        buf[..len].copy_from_slice(&state.input[from..from + len]);
        state.read += len;
        if state.ended {
            state.drained += len;
        }
        Ok(len)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state();
        assert!(!state.ended, "a write after the end of our side of the stream");
        state.call()?;
        let mut len = 0;
        for buf in bufs {
            let taken = min(buf.len(), state.faults.write - len);
            state.output.extend(&buf[..taken]);
            len += taken;
        }
        assert!(len > 0, "a write of nothing");
        state.writes.push(len);
        Ok(len)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        assert_ne!(timeout, Some(Duration::ZERO), "std's sockets refuse this");
        Ok(())
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        assert_ne!(timeout, Some(Duration::ZERO), "std's sockets refuse this");
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut state = self.state();
        state.ended |= how != Shutdown::Read;
        state.cut |= how == Shutdown::Both;
        Ok(())
    }
}
