//! The ways to attack.

use std::time::Duration;

use crate::attacker::{Clock, End, Kind, Wire};
use crate::frame::{self, BINARY, CONTINUATION, FIN, PING, REQUEST, TEXT};
use crate::plan::Plan;
use crate::run::attackers::{Deadlines, kind, relieved};

/// More KeyUpdates than anybody has a use for.
const MANY: usize = 40;

/// A record of the handshake with nothing that makes sense in it, and one of data that nobody has
/// encrypted (RFC 8446 §5.1).
const GARBAGE: &[u8] = &[0x16, 3, 1, 0, 8, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef];
const FORGED: &[u8] = b"\x17\x03\x03\x00\x20an abracadabra of 32 bytes, sure";

/// Those that take their time, a thousand of which never get as far as a WebSocket. `hello` is what a
/// client says first.
pub(super) fn slow(plan: &Plan<'_>, deadlines: &Deadlines, hello: &[u8]) -> Vec<Kind> {
    let slowloris = |name, wire, first: &[u8], then: &[u8]| Kind {
        wire,
        pace: (!then.is_empty()).then_some(1),
        deadline: deadlines.handshake.value,
        ..kind(name, plan.count(250), &[first], then.to_vec())
    };
    let fragments = Kind {
        wire: Wire::TinyRecords,
        pace: Some(7),
        // Often enough to hear soon that nobody listens any more.
        beat: Duration::from_millis(250),
        end: End::Whole,
        deadline: deadlines.message.value + deadlines.close.value,
        ..kind(
            "slow fragments in tiny records",
            plan.count(10),
            &[REQUEST, &frame::frame(TEXT, b"")],
            frame::frame(CONTINUATION, b"a"),
        )
    };
    vec![
        slowloris("slowloris, silent", Wire::Tcp, b"", b""),
        slowloris("slowloris, a byte of the ClientHello a second", Wire::Tcp, b"", hello),
        slowloris("slowloris, silent after the ClientHello", Wire::Tcp, hello, b""),
        slowloris("slowloris, a byte of the request a second", Wire::Tls, b"", REQUEST),
        fragments,
    ]
}

/// Those that send as fast as it goes, a hundred of which read nothing of what they have the server
/// send, and those that are ended at once and come again.
pub(super) fn fast(plan: &Plan<'_>, deadlines: &Deadlines) -> Vec<Kind> {
    let second = Duration::from_secs(1);
    let write = deadlines.write.value;
    let deaf = |name, wire, count, clock, allowed: Duration, first: &[u8], then| Kind {
        wire,
        clock,
        end: End::Whole,
        deadline: relieved(write + allowed),
        ..kind(name, plan.count(count), &[first], then)
    };
    let large = frame::frame(FIN | BINARY, &[7; 256 << 10]);
    let pings = frame::frame(FIN | PING, &[7; 125]).repeat(500);
    let flood = String::from_utf8_lossy(REQUEST).replace("/soak", "/flood/65536").into_bytes();
    let at_once = |name, wire, first: &[u8], then: &[u8]| Kind {
        wire,
        deadline: deadlines.close.value,
        ..kind(name, plan.count(15), &[first], then.to_vec())
    };
    vec![
        deaf("deaf sender", Wire::Tls, 40, Clock::Moved, 4 * second, REQUEST, large),
        Kind {
            // Or it would not hear that the other end is gone.
            pace: Some(6),
            ..deaf(
                "deaf to a flood",
                Wire::Tls,
                30,
                Clock::Start,
                3 * second,
                &flood,
                frame::frame(FIN | PING, b""),
            )
        },
        deaf("ping flood, deaf", Wire::Tls, 15, Clock::Taken, second, REQUEST, pings.clone()),
        deaf(
            "ping flood behind KeyUpdates, deaf",
            Wire::KeyUpdates(1),
            15,
            Clock::Taken,
            second,
            REQUEST,
            pings,
        ),
        Kind {
            wire: Wire::TinyRecords,
            end: End::Whole,
            deadline: deadlines.message.value + deadlines.close.value + 14 * second,
            ..kind(
                "flood of fragments in tiny records",
                plan.count(10),
                &[REQUEST, &frame::frame(TEXT, b"")],
                frame::frame(CONTINUATION, b"a").repeat(1000),
            )
        },
        at_once(
            "KeyUpdates without end",
            Wire::KeyUpdates(MANY),
            REQUEST,
            &frame::frame(FIN | PING, b""),
        ),
        at_once("forged records", Wire::Forged, REQUEST, FORGED),
        at_once("garbage for a ClientHello", Wire::Tcp, GARBAGE, b""),
        at_once("a request without TLS", Wire::Tcp, REQUEST, b""),
    ]
}
