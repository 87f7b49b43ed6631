//! What no server should do, for clients that must be ready for it.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use barews::proto::{Decoder, DecoderLimits, Event};
use barews::{CloseFrame, Connection, Error, RawStream};

use crate::metrics::Tally;
#[cfg(unix)]
use crate::os::socket::reset_when_closed;
use crate::routes::echo;
use crate::routes::route::Invalid;
use crate::session::End;

/// How much is read of a client after it was sent nonsense, in bytes.
const DRAIN: usize = 64 << 10;

/// How long it is waited for an answer to nonsense, if other things come meanwhile.
const ANSWER: Duration = Duration::from_secs(60);

/// How a stream may end without a Close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As at the end of a process: TCP is closed in order.
    End,
    /// With a reset of TCP; a stream without such a thing just ends.
    Reset,
}

/// Sends so many messages back, and cuts the stream.
#[inline(never)]
pub(crate) fn cut(mut conn: Connection, tally: &Tally, after: u64, how: Cut) -> End {
    let mut buf = Vec::new();
    for _ in 0..after {
        let result = match conn.recv(&mut buf) {
            Ok(Some(message)) => {
                tally.count_received(message);
                echo::reply(&mut conn, tally, message)
            }
            Ok(None) => return End::of(&conn, Ok(())),
            Err(error) => Err(error),
        };
        if result.is_err() {
            return End::of(&conn, result);
        }
    }
    let result = conn.into_stream().map(|raw| {
        if how == Cut::Reset {
            reset(&raw);
        }
    });
    End { result, close: None }
}

/// Has the stream reset when it is dropped.
#[cfg(unix)]
fn reset(raw: &RawStream) {
    // Where that cannot be, it ends all the same.
    let _ = raw.as_fd().map(reset_when_closed);
}

/// There is no call for it here.
#[cfg(not(unix))]
fn reset(raw: &RawStream) {
    raw.shutdown(std::net::Shutdown::Both);
}

/// Breaks the protocol, and tells in the log what the client said to that.
#[inline(never)]
pub(crate) fn violate(conn: Connection, kind: Invalid) -> End {
    let answer = || -> Result<Option<CloseFrame>, Error> {
        let mut raw = conn.into_stream()?;
        raw.write_all(kind.bytes())?;
        // Nothing is kept, so nothing is too long.
        let limits = DecoderLimits { max_message_size: u64::MAX, max_fragments: u32::MAX };
        let mut core = Decoder::new(limits);
        let mut bytes = [0; 4096];
        let (mut read, start) = (0, Instant::now());
        while read < DRAIN && start.elapsed() < ANSWER {
            let len = raw.read(&mut bytes)?;
            if len == 0 {
                break;
            }
            read += len;
            let mut rest = &mut bytes[..len];
            while !rest.is_empty() {
                let (used, event) = core.feed(rest)?;
                if let Event::Close(frame) = event {
                    return Ok(Some(frame));
                }
                rest = &mut rest[used..];
            }
        }
        Ok(None)
    };
    match answer() {
        Ok(close) => End { result: Ok(()), close },
        Err(error) => End { result: Err(error), close: None },
    }
}

impl Invalid {
    /// A frame that no client should let pass, or none behind this one.
    fn bytes(self) -> &'static [u8] {
        match self {
            // §8.1: text that is not UTF-8.
            Self::Utf8 => b"\x81\x01\xff",
            // §5.2: RSV1, though no extension was agreed upon.
            Self::Rsv => b"\xc1\x05Hello",
            // §5.2: opcode 3 is reserved.
            Self::OpCode => b"\x83\x05Hello",
            // §5.1: a server masks nothing.
            Self::Masked => b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            // §5.2: a length of 5 fits 7 bits.
            Self::Length => b"\x81\x7e\x00\x05Hello",
            // §5.4: there is nothing to continue.
            Self::Continuation => b"\x80\x05Hello",
        }
    }
}
