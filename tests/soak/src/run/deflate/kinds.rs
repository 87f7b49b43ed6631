//! The ways to attack, and how each may end.
//!
//! Whatever wants memory may be told that there is none (1013). What else it may come to stands with
//! each. The beats are chosen so that each kind wants a few percent of a processor at the most.

use std::time::Duration;

use crate::frame::{self, BINARY, CONTINUATION, FIN, RSV1, TEXT};
use crate::hostile::{End, Kind};
use crate::payload;
use crate::plan::Plan;

const TRY_AGAIN: End = End::Close(1013);
const TOO_BIG: End = End::Close(1009);
/// The message deadline, and too many fragments.
const POLICY: End = End::Close(1008);

/// How many there are in all: as many as the server takes by default.
const ALL: usize = 8192;

/// The longest message that the server takes by default, in bytes.
const LONGEST: usize = 16 << 20;

/// Settings of all sorts, among them some that are declined and leave the next.
const ANY: &[&str] = &[
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; client_max_window_bits=15; server_max_window_bits=8",
    "permessage-deflate; client_max_window_bits=9; server_max_window_bits=\"9\"",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; client_no_context_takeover",
    "permessage-deflate; foo, permessage-deflate; server_max_window_bits=12",
];

/// The server has to keep 32 KiB of what comes.
const LARGEST: &[&str] = &["permessage-deflate"];

/// It may not refer back further than 250 bytes.
const SMALLEST: &[&str] = &["permessage-deflate; server_max_window_bits=8"];

/// Those with these deadlines.
pub(super) fn all(plan: &Plan<'_>, message: Duration, write: Duration) -> Vec<Kind> {
    let mut kinds = vec![bombs(), endless(), endless_fragments()];
    kinds.extend([silent(message), swollen(message), blocks(), final_blocks(), empty(message)]);
    kinds.extend([deaf(write), wave(message)]);
    let others: usize = kinds.iter().map(|kind| kind.count).sum();
    kinds.push(histories(ALL - others));
    for kind in &mut kinds {
        kind.count = plan.count(kind.count);
    }
    kinds
}

/// A kind that is not harmful yet.
fn kind(name: &'static str, count: usize, bytes: Vec<u8>, beat: u64) -> Kind {
    Kind {
        name,
        count,
        requests: ANY.iter().map(|offer| frame::request(offer)).collect(),
        bytes,
        beat: Duration::from_secs(beat),
        once: false,
        second_wave: false,
        deaf: false,
        ends: vec![TRY_AGAIN],
        must: None,
        echoes: false,
        deadline: None,
    }
}

/// A message of one frame.
fn message(payload: &[u8]) -> Vec<u8> {
    frame::frame(FIN | RSV1 | BINARY, payload)
}

/// One that goes on, in frames of so many bytes.
fn fragments(payload: &[u8], each: usize) -> Vec<u8> {
    let mut bytes = frame::frame(RSV1 | BINARY, b"");
    for part in payload.chunks(each) {
        bytes.extend(frame::frame(CONTINUATION, part));
    }
    bytes
}

/// Two a second, 32 KiB on the wire and as many MiB inflated.
fn bombs() -> Kind {
    Kind { echoes: true, ..kind("bombs of 16 MiB", 60, message(&payload::zeros(LONGEST)), 30) }
}

/// Bombs that are too large: only what shows it has to be inflated. 1 GiB was announced.
fn endless() -> Kind {
    let payload = payload::zeros(4 * LONGEST);
    let whole = frame::frame(RSV1 | FIN | BINARY, &payload);
    let key_and_payload = &whole[whole.len() - payload.len() - 4..];
    let mut bytes = frame::header(RSV1 | FIN | BINARY, 1 << 20);
    bytes.truncate(bytes.len() - 4);
    bytes.extend_from_slice(key_and_payload);
    Kind {
        ends: vec![TOO_BIG, TRY_AGAIN],
        must: Some(TOO_BIG),
        ..kind("endless bombs, one frame", 20, bytes, 20)
    }
}

fn endless_fragments() -> Kind {
    let bytes = fragments(&payload::zeros(4 * LONGEST), 1000);
    Kind {
        ends: vec![TOO_BIG, TRY_AGAIN],
        must: Some(TOO_BIG),
        ..kind("endless bombs, fragments", 20, bytes, 20)
    }
}

/// The first bytes of a message, and no more: an inflater is lent and does not come back.
fn silent(deadline: Duration) -> Kind {
    let bytes = frame::frame(RSV1 | TEXT, &payload::zeros(100)[..2]);
    Kind {
        once: true,
        ends: vec![POLICY, TRY_AGAIN],
        must: Some(POLICY),
        deadline: Some(deadline),
        ..kind("unfinished, silent", 1000, bytes, deadline.as_secs().max(1))
    }
}

/// More of them, until no inflater is left to be lent: these wait without one.
fn wave(deadline: Duration) -> Kind {
    Kind {
        name: "unfinished, second wave",
        count: 3000,
        beat: Duration::from_secs(3),
        second_wave: true,
        must: None,
        ..silent(deadline)
    }
}

/// The same with 4 MiB inflated so far.
fn swollen(deadline: Duration) -> Kind {
    let bytes = fragments(&payload::zeros(4 << 20), 1000);
    Kind {
        once: true,
        ends: vec![POLICY, TRY_AGAIN],
        must: Some(POLICY),
        deadline: Some(deadline),
        ..kind("unfinished, 4 MiB", 80, bytes, deadline.as_secs().max(1))
    }
}

/// What takes long to inflate, byte for byte: 400 KB a second.
fn blocks() -> Kind {
    let bytes = message(&payload::dynamic_blocks(32 << 10));
    Kind { echoes: true, ..kind("small dynamic blocks", 50, bytes, 4) }
}

/// Streams that end, a thousand in each message: what takes longest, byte for byte. 40 KB a second.
fn final_blocks() -> Kind {
    let bytes = message(&payload::final_blocks(1000));
    let requests = LARGEST.iter().map(|offer| frame::request(offer)).collect();
    Kind { requests, echoes: true, ..kind("empty final blocks", 40, bytes, 2) }
}

/// 200,000 a second, until there are too many or the time is up.
fn empty(deadline: Duration) -> Kind {
    let begun = |offer: &&str| [frame::request(offer), frame::frame(RSV1 | TEXT, b"")].concat();
    let bytes = frame::frame(CONTINUATION, b"").repeat(10_000);
    Kind {
        requests: ANY.iter().map(begun).collect(),
        ends: vec![POLICY, TRY_AGAIN],
        must: Some(POLICY),
        deadline: Some(deadline),
        ..kind("floods of empty fragments", 20, bytes, 1)
    }
}

/// Little that becomes much for a peer that does not read it.
fn deaf(write: Duration) -> Kind {
    const LEN: usize = 256 << 10;
    let beat = Duration::from_millis(250);
    Kind {
        requests: SMALLEST.iter().map(|offer| frame::request(offer)).collect(),
        deaf: true,
        ends: vec![End::Cut],
        must: Some(End::Cut),
        // A second for each 64 KiB of the message; 2.2 times as in the run "attack". The clock starts
        // when there is no room left here, and the system keeps ten messages for the server.
        deadline: Some((write + Duration::from_secs(LEN as u64 >> 16)) * 11 / 5 + 10 * beat),
        beat,
        ..kind("deaf, bombs echoed", 6, message(&payload::far_repeats(LEN)), 1)
    }
}

/// What came last is kept, 32 KiB for each.
fn histories(count: usize) -> Kind {
    let requests = LARGEST.iter().map(|offer| frame::request(offer)).collect();
    let bytes = message(&payload::zeros(33 << 10));
    Kind { requests, echoes: true, ..kind("full histories", count, bytes, 30) }
}
