//! §4.2 under attack: heads that are meant to cost more than they should, and heads that stop.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use barews::Accept;
use barews::http::{self, HeadLimits, HeadParser};

use crate::common::{PROMPT, Request, TestServer, Unopened, accept, awake, ms, noise, r0};

#[test]
fn h68_5000_protocols() {
    let offers = |range: std::ops::Range<u32>| {
        let names: Vec<String> = range.map(|n| format!("p{n}")).collect();
        names.join(",")
    };
    let one = r0().add(format!("Sec-WebSocket-Protocol: {}", offers(0..5000)));
    // The same on several lines.
    let mut several = r0().add(format!("Sec-WebSocket-Protocol: {}", offers(0..1000)));
    for start in [1000, 2000, 3000, 4000] {
        several = several.add(format!("Sec-WebSocket-Protocol: {}", offers(start..start + 1000)));
    }
    accept([one, several]);
}

/// The longest that a head may take to be judged, in the build that is slowest.
const BOUND: Duration = ms(5);

/// The time that a hostile head takes: of several tries the first that is good enough, or else the
/// best. A loaded machine only adds.
fn time_to_judge(request: &Request) -> Duration {
    let bytes = request.bytes();
    let judge = || {
        let start = Instant::now();
        if let Ok((_, Some(head))) = HeadParser::new(HeadLimits::default()).feed(&bytes) {
            let handshake = http::check(&head);
            let _ = handshake.map(|handshake| handshake.encode(&head, &Accept::new(), None));
        }
        start.elapsed()
    };
    let mut best = judge();
    for _ in 0..20 {
        if best >= BOUND {
            best = best.min(judge());
        }
    }
    best
}

#[test]
fn h64_extensions_that_make_slow_parsers_backtrack() {
    let long = format!("a; b=\"{}", "\\c".repeat(4000));
    for (value, opens) in [(format!("{long}\""), true), (long, false)] {
        let request = r0().add(format!("Sec-WebSocket-Extensions: {value}"));
        let spent = time_to_judge(&request);
        assert!(spent < BOUND, "{spent:?}");
        let server = TestServer::start();
        let mut client = server.connect();
        client.send(request.bytes());
        match opens {
            true => drop(client.expect_upgrade()),
            false => drop(client.expect_refusal(400)),
        }
    }
}

#[test]
fn h65_hostile_headers_are_judged_in_linear_time() {
    for value in [
        format!("b{}x", " ".repeat(8000)),
        ",".repeat(8000),
        format!("a{}", " ,".repeat(4000)),
        "a;".repeat(4000),
        "a=".repeat(4000),
        "\"".repeat(8000),
    ] {
        for name in ["Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Sec-WebSocket-Key", "X"]
        {
            let spent = time_to_judge(&r0().add(format!("{name}: {value}")));
            assert!(spent < BOUND, "{name} took {spent:?}");
        }
        for name in ["Upgrade", "Connection", "Host", "Sec-WebSocket-Version"] {
            let spent = time_to_judge(&r0().set(name, &value));
            assert!(spent < BOUND, "{name} took {spent:?}");
        }
    }
}

#[test]
fn h69_end_of_stream_inside_the_head() {
    let server = TestServer::start();
    let request = r0().bytes();
    for cut in [0, 1, 10, 16, 40, request.len() - 2, request.len() - 1] {
        let mut client = server.connect();
        client.send(&request[..cut]);
        client.send_eof();
        let start = Instant::now();
        let expected = match cut {
            0 => Unopened::NoRequest,
            _ => Unopened::Io(ErrorKind::UnexpectedEof),
        };
        assert_eq!(server.unopened(client.addr), expected, "cut at {cut}");
        assert!(awake(start) < PROMPT, "cut at {cut}: {:?}", start.elapsed());
        client.expect_eof();
    }
}

/// Bytes that happen to be a request are as likely as any others: not at all.
#[test]
fn h63_random_bytes() {
    let server = TestServer::start();
    for seed in 1..=8 {
        let mut client = server.connect();
        let _ = client.try_send(noise(seed).take(64 << 10).collect::<Vec<u8>>());
        client.expect_refusal(400);
    }
}
