//! Messages by the clock: `/tick` and `/count?every`.

use std::time::Instant;

use crate::common::{BINARY, Binary, CONT, Frame, PING, PONG, TEXT, close, frame, ms};
use crate::paths::open;
use crate::plain::metrics_at_rest;

#[test]
fn ticks_until_the_client_closes() {
    let binary = Binary::serve(&[]);
    // Before the first, which comes at once: the next test would wait an hour for it.
    let start = Instant::now();
    let mut client = open(&binary, "/tick/100");
    client.expect(&Frame::text("1"));
    for n in 2..=4 {
        client.expect(&Frame::text(n.to_string()));
        assert!(start.elapsed() >= ms(100 * (n - 1)), "{n}: {:?}", start.elapsed());
    }
    client.send(close(1000, "enough"));
    let mut last = client.read_frame().expect("a frame");
    while last.opcode == TEXT & 15 {
        last = client.read_frame().expect("a frame");
    }
    assert_eq!(last, Frame::close(1000, "enough"));
    client.expect_eof();
}

/// What comes is thrown away, and Pings are answered meanwhile.
#[test]
fn a_tick_hears_pings_and_nothing_else() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/tick/3600000");
    client.expect(&Frame::text("1"));
    client.send([frame(TEXT, "a"), frame(BINARY & 0x7f, "b"), frame(PING, "there?")].concat());
    client.expect(&Frame::new(PONG, "there?"));
    client.send(frame(CONT, vec![0; 1 << 20]));
    client.finish();
}

#[test]
fn counts_by_the_clock() {
    let binary = Binary::serve(&[]);
    for (target, least) in
        [("/count/3?every=100", 200), ("/count/3?every=0", 0), ("/count/1?every=60000", 0)]
    {
        let start = Instant::now();
        let mut client = open(&binary, target);
        let n = if target.starts_with("/count/3") { 3 } else { 1 };
        for number in 1..=n {
            client.expect(&Frame::text(number.to_string()));
        }
        client.expect(&Frame::close(1000, ""));
        // The last is followed at once.
        assert!(start.elapsed() >= ms(least) && start.elapsed() < ms(10_000), "{target}");
        client.send(close(1000, ""));
        client.expect_eof();
    }
    let mut client = open(&binary, "/count/0?every=60000");
    client.expect(&Frame::close(1000, ""));
}

/// Nothing of it is left, though the next message is an hour away.
#[cfg(target_os = "linux")]
#[test]
fn a_client_that_has_gone_is_noticed_at_once() {
    let binary = Binary::serve(&[]);
    let start = Instant::now();
    for leave in 0..3 {
        for target in ["/tick/3600000", "/count/9?every=60000"] {
            let mut client = open(&binary, target);
            client.expect(&Frame::text("1"));
            match leave {
                0 => client.finish(),
                1 => client.reset(),
                _ => drop(client),
            }
        }
    }
    metrics_at_rest(&binary);
    // Threads linger for a while, and no longer.
    binary.settle();
    assert!(start.elapsed() < ms(15_000), "{:?}", start.elapsed());
}

#[cfg(unix)]
#[test]
fn a_shutdown_ends_them_with_1001() {
    let binary = Binary::serve(&[]);
    let mut clients = ["/tick/3600000", "/count/9?every=60000"].map(|target| open(&binary, target));
    for client in &mut clients {
        client.expect(&Frame::text("1"));
    }
    let start = Instant::now();
    binary.signal("TERM");
    for client in &mut clients {
        client.expect(&Frame::close(1001, "the server is shutting down"));
        client.send(close(1001, ""));
        client.expect_eof();
    }
    drop(clients);
    assert_eq!(binary.wait().0.code(), Some(0));
    assert!(start.elapsed() < ms(3000), "{:?}", start.elapsed());
}

/// As many as tick costs nobody else their echo, whether they read or not.
#[test]
fn many_that_tick_cost_others_little() {
    let binary = Binary::serve(&[]);
    let mut ticking: Vec<_> = (0..50).map(|_| open(&binary, "/tick/1")).collect();
    for client in &mut ticking {
        client.expect(&Frame::text("1"));
    }
    let start = Instant::now();
    let mut echo = open(&binary, "/echo");
    for n in 0..100 {
        let text = n.to_string();
        echo.send(frame(TEXT, &text));
        echo.expect(&Frame::text(&text));
    }
    echo.finish();
    assert!(start.elapsed() < ms(10_000), "{:?}", start.elapsed());
    // They tick on meanwhile, in order and with none left out.
    let mut next = 2;
    while start.elapsed() < ms(200) || next < 20 {
        ticking[0].expect(&Frame::text(next.to_string()));
        next += 1;
    }
}
