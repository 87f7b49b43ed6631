//! A server that only sends.

use std::time::Instant;

use crate::common::{BINARY, Binary, Frame, PING, RawClient, TEXT, close, frame, ms, r0};
use crate::program::start;

fn open(example: &Binary, target: &str) -> RawClient {
    let mut client = RawClient::connect(example.addr);
    client.send(r0().target(target).bytes());
    client.expect_upgrade();
    client
}

/// The milliseconds in a message.
fn uptime(frame: Option<Frame>) -> u64 {
    let frame = frame.expect("a message");
    assert_eq!((frame.fin, frame.opcode), (true, 1), "{frame:?}");
    let text = String::from_utf8(frame.payload).expect("text");
    let number = text.strip_prefix("{\"uptime_ms\": ").and_then(|rest| rest.strip_suffix('}'));
    number.expect(&text).parse().expect(&text)
}

#[test]
fn it_tells_the_time_and_hears_nothing_else() {
    let example = start("heartbeat", &[]);
    let before = Instant::now();
    let mut client = open(&example, "/?every=50");
    let first = uptime(client.read_frame());
    // What is said is thrown away, and delays nothing.
    client.send(frame(TEXT, "who are you?"));
    client.send(frame(BINARY, [0; 1024]));
    let mut last = first;
    for _ in 0..5 {
        let next = uptime(client.read_frame());
        assert!(next >= last + 50, "{last}, then {next}");
        last = next;
    }
    assert!(before.elapsed() >= ms(6 * 50));
    client.send(close(1000, ""));
    // One may be on its way.
    let last = std::iter::from_fn(|| client.read_frame()).find(|frame| frame.opcode != 1);
    assert_eq!(last, Some(Frame::close(1000, "")));
    let mut client = open(&example, "/");
    assert!(!client.heard_within(ms(500)), "by default it waits for a second");
    uptime(client.read_frame());
}

#[test]
fn a_ping_is_answered_meanwhile_and_a_close_at_once() {
    let example = start("heartbeat", &[]);
    let mut client = open(&example, "/?every=60000");
    client.send(frame(PING, "here?"));
    client.expect(&Frame::pong("here?"));
    client.finish();
    let mut client = open(&example, "/?every=60000");
    client.send(frame(TEXT, [b'x'; 1025]));
    client.expect_close(1009);
}

#[test]
fn no_other_interval_is_taken() {
    let example = start("heartbeat", &[]);
    for every in ["9", "60001", "-1", "", "x", "1e3", "99999999999999999999999"] {
        let mut client = RawClient::connect(example.addr);
        client.send(r0().target(&format!("/?every={every}")).bytes());
        client.expect_refusal(400);
    }
}
