//! What no server should do, for clients that must be ready for it.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use barews::proto::{Decoder, DecoderLimits, Event};
use barews::{CloseFrame, Connection, Error, RawStream};

use super::echo;
use crate::metrics::Counters;
use crate::os::socket::reset_when_closed;
use crate::session::End;

/// Frames that no client should let pass, or none behind such a one, by the name in the path.
pub const INVALID_FRAMES: [(&str, &[u8]); 6] = [
    // §8.1: text that is not UTF-8.
    ("utf8", b"\x81\x01\xff"),
    // §5.2: RSV1, though no extension was agreed upon.
    ("rsv", b"\xc1\x05Hello"),
    // §5.2: opcode 3 is reserved.
    ("opcode", b"\x83\x05Hello"),
    // §5.1: a server masks nothing.
    ("masked", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
    // §5.2: a length of 5 fits 7 bits.
    ("length", b"\x81\x7e\x00\x05Hello"),
    // §5.4: there is nothing to continue.
    ("continuation", b"\x80\x05Hello"),
];

/// How much is read of a client after it was sent nonsense, in bytes.
const MAX_DRAINED_BYTES: usize = 64 << 10;

/// How long it is waited for an answer to nonsense, if other things come meanwhile.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends so many messages back, and ends the stream without a Close frame: as at the end of a
/// process, or with a reset of TCP. A stream without such a thing just ends.
#[inline(never)]
pub fn abort(mut conn: Connection, counters: &Counters, after: u64, reset: bool) -> End {
    match echo_some(&mut conn, counters, after) {
        Ok(true) => {}
        result => return End::of(&conn, result.map(drop)),
    }
    let result = conn.into_stream().map(|raw| {
        if reset {
            reset_when_closed(&raw);
        }
    });
    End { result, received: None }
}

/// Sends so many messages back; whether they came.
fn echo_some(conn: &mut Connection, counters: &Counters, count: u64) -> Result<bool, Error> {
    let mut buf = Vec::new();
    for _ in 0..count {
        let Some(message) = conn.recv(&mut buf)? else { return Ok(false) };
        counters.count_received(message);
        echo::reply(conn, counters, message)?;
    }
    Ok(true)
}

/// Breaks the protocol, and takes note of what the client says to that.
#[inline(never)]
pub fn send_invalid(conn: Connection, frame: &[u8]) -> End {
    match conn.into_stream().and_then(|raw| exchange(raw, frame)) {
        Ok(received) => End { result: Ok(()), received },
        Err(error) => End { result: Err(error), received: None },
    }
}

/// Sends a frame, and waits for the client's Close or its end.
fn exchange(mut raw: RawStream, frame: &[u8]) -> Result<Option<CloseFrame>, Error> {
    raw.write_all(frame)?;
    // Nothing is kept, so nothing is too long.
    let limits = DecoderLimits { max_message_size: u64::MAX, max_fragments: u32::MAX };
    let mut decoder = Decoder::new(limits);
    let mut bytes = [0; 4096];
    let (mut drained, start) = (0, Instant::now());
    while drained < MAX_DRAINED_BYTES && start.elapsed() < ANSWER_TIMEOUT {
        let len = raw.read(&mut bytes)?;
        if len == 0 {
            break;
        }
        drained += len;
        let mut rest = &mut bytes[..len];
        while !rest.is_empty() {
            let (used, event) = decoder.feed(rest)?;
            if let Event::Close(frame) = event {
                return Ok(Some(frame));
            }
            rest = &mut rest[used..];
        }
    }
    Ok(None)
}
