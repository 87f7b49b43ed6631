use std::time::Instant;

use crate::common::{
    BINARY, Binary, CLOSE, CONT, Frame, PING, PONG, RawClient, TEXT, close, frame, ms, r0,
};
use crate::plain::{get, metric, metrics_at_rest};

/// An open connection to a path.
pub fn open(binary: &Binary, target: &str) -> RawClient {
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().target(target).bytes());
    client.expect_upgrade();
    client
}

/// Sends a text and expects it back.
fn echo(client: &mut RawClient, text: &str) {
    client.send(frame(TEXT, text));
    client.expect(&Frame::text(text));
}

/// Answers the server's Close, and sees the end.
fn expect_closing(client: &mut RawClient, code: u16, reason: &str) {
    client.expect(&Frame::close(code, reason));
    client.send(close(code, ""));
    client.expect_eof();
}

/// The next frame, a text that holds JSON.
pub fn read_text(client: &mut RawClient) -> String {
    let frame = client.read_frame().expect("a frame");
    assert_eq!(frame.opcode, TEXT & 15, "{frame:?}");
    String::from_utf8(frame.payload).expect("UTF-8")
}

#[test]
fn any_path_echoes() {
    let binary = Binary::serve(&[]);
    for target in ["/", "/echo", "/ws", "/any/other?x=1", "/stalled", "/counter/1"] {
        let mut client = open(&binary, target);
        echo(&mut client, "a");
        client.finish();
    }
}

#[test]
fn wrong_paths_are_refused_with_what_would_be_right() {
    let binary = Binary::serve(&[]);
    for (target, status, right) in [
        ("/close/999", 404, "1000 to 4999"),
        ("/close/1006", 404, "3000 to 4999"),
        ("/close/1000?reason=%ff", 400, "UTF-8"),
        ("/close/1000?delay=60001", 400, "0 to 60000"),
        ("/delay/x", 404, "/delay/x: ms is a number from 0 to 60000"),
        ("/Close/1000", 404, "there is no path /Close/1000: did you mean /close/1000?"),
        ("/dealy/5/", 404, "did you mean /delay/5?"),
        ("/fragment/0", 404, "1 to 16777216"),
        ("/ping/0", 404, "0.01 to 3600"),
        ("/count/", 404, "a number"),
        ("/broadcast", 404, "a room"),
        ("/broadcast/%ff", 404, "UTF-8"),
        ("/invalid/x", 404, "utf8, rsv"),
        ("/handshake/x", 404, "wrong-accept, no-accept"),
    ] {
        let mut client = RawClient::connect(binary.addr);
        client.send(r0().target(target).bytes());
        let refused = client.expect_refusal(status);
        assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
        let body = String::from_utf8(refused.body).unwrap();
        assert!(body.contains(right), "{target}: {body}");
        // Over plain HTTP it is the same.
        let plain = get(&binary, target);
        assert_eq!((plain.status, plain.body), (status, body.into_bytes()), "{target}");
    }
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().target("/invalid/utf8").bytes());
    let body = String::from_utf8(client.expect_refusal(403).body).unwrap();
    assert!(body.contains("--faults"), "{body}");
}

#[test]
fn closes_with_the_code_and_reason_asked_for() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/close/4001?reason=that%27s+it");
    expect_closing(&mut client, 4001, "that's it");
    let mut client = open(&binary, "/close/1000?after=2");
    echo(&mut client, "one");
    echo(&mut client, "two");
    expect_closing(&mut client, 1000, "");
    // The client may be first.
    let mut client = open(&binary, "/close/1000?after=2");
    client.finish();
}

/// The code that the server chose is the one that counts, whatever the client answers.
#[cfg(unix)]
#[test]
fn what_the_server_closed_with_is_told() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/close/4001?reason=enough");
    client.expect(&Frame::close(4001, "enough"));
    client.send(frame(CLOSE, ""));
    client.expect_eof();
    drop(client);
    let mut client = open(&binary, "/count/0");
    client.expect(&Frame::close(1000, ""));
    client.send(close(3000, "no"));
    client.expect_eof();
    drop(client);
    // One that does not answer at all has heard it too.
    let mut client = open(&binary, "/close/1011");
    client.expect(&Frame::close(1011, ""));
    client.reset();
    let text = metrics_at_rest(&binary);
    for code in ["4xxx", "1000", "1011"] {
        assert_eq!(metric(&text, &format!("barews_closed_total{{code=\"{code}\"}}")), 1.0);
    }
    let lines = binary.stop();
    for (path, end) in [
        ("/close/4001: ", "closed 4001 \"enough\", answered 1005 \"\""),
        ("/count/0: ", "closed 1000 \"\", answered 3000 \"no\""),
    ] {
        let line = lines.iter().find(|line| line.contains(path)).expect(path);
        assert!(line.ends_with(end), "{line}");
    }
}

#[test]
fn everyone_in_a_room_hears_everyone() {
    let binary = Binary::serve(&[]);
    let mut clients = [(); 3].map(|()| open(&binary, "/broadcast/a"));
    let mut elsewhere = open(&binary, "/broadcast/b");
    // Whoever has heard its own message is in the room.
    for n in 0..clients.len() {
        let text = n.to_string();
        clients[n].send(frame(TEXT, &text));
        for client in &mut clients[..=n] {
            while client.read_frame().expect("a message").payload != text.as_bytes() {}
        }
    }
    clients[1].send(frame(BINARY, [7; 1000]));
    for client in &mut clients {
        // The later ones were not there for the earlier messages, or they were.
        let mut next = client.read_frame().expect("a message");
        while next.opcode == TEXT & 15 {
            next = client.read_frame().expect("a message");
        }
        assert_eq!(next, Frame::binary([7; 1000]));
    }
    clients[0].finish();
    clients[2].send(frame(TEXT, "two left"));
    for client in &mut clients[1..] {
        client.expect(&Frame::text("two left"));
    }
    echo(&mut elsewhere, "alone");
}

/// One that does not read is sent away with 1013, and holds up nobody.
#[test]
fn a_slow_member_is_sent_away() {
    let binary = Binary::serve(&[]);
    let mut slow = open(&binary, "/broadcast/a");
    echo(&mut slow, "here");
    let mut other = open(&binary, "/broadcast/a");
    let big = Frame::binary(vec![b'x'; 1 << 20]);
    let sent = frame(BINARY, &big.payload);
    // More than a socket takes and may wait for one.
    for _ in 0..24 {
        other.send(&sent);
        other.expect(&big);
    }
    let mut last = slow.read_frame().expect("a message");
    let mut messages = 0;
    while last.opcode == BINARY & 15 {
        messages += 1;
        last = slow.read_frame().expect("a Close");
    }
    assert_eq!(last.close_parts().0, 1013);
    assert!((1..24).contains(&messages), "{messages}");
    slow.send(close(1013, ""));
    slow.expect_eof();
    other.finish();
    drop((slow, other));
    let text = metrics_at_rest(&binary);
    assert_eq!(metric(&text, "barews_closed_total{code=\"1013\"}"), 1.0);
}

/// A few threads write for all members of all rooms, and end when the last one has left.
#[cfg(target_os = "linux")]
#[test]
fn rooms_have_a_few_threads_in_all() {
    let binary = Binary::serve(&[]);
    let flushers = || -> usize {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", binary.pid())).expect("tasks");
        let names =
            tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("barews-flush")).count()
    };
    assert_eq!(flushers(), 0);
    let mut clients: Vec<_> =
        (0..50).map(|number| open(&binary, &format!("/broadcast/{}", number % 5))).collect();
    for client in &mut clients {
        client.send(frame(TEXT, "here"));
        while client.read_frame().expect("a message").payload != b"here" {}
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    assert!((1..=cores.min(16)).contains(&flushers()), "{}", flushers());
    drop(clients);
    let deadline = Instant::now() + crate::common::PATIENCE;
    while flushers() > 0 {
        assert!(Instant::now() < deadline);
        std::thread::yield_now();
    }
}

/// Many small messages in a row come back to one who reads, however many wait.
#[test]
fn a_quick_member_is_not() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/broadcast/a");
    let batch = frame(TEXT, "0123456789").repeat(1000);
    for _ in 0..50 {
        client.send(&batch);
        for _ in 0..1000 {
            client.expect(&Frame::text("0123456789"));
        }
    }
    client.finish();
}

#[test]
fn echoes_later_and_in_order() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/delay/300");
    let start = Instant::now();
    // Each is late by its own, not by what those before it waited: of so many that would be nine seconds.
    client.send([frame(TEXT, "a"), frame(BINARY, "b")].concat().repeat(15));
    client.expect(&Frame::text("a"));
    assert!(start.elapsed() >= ms(300), "{:?}", start.elapsed());
    client.expect(&Frame::binary("b"));
    for _ in 1..15 {
        client.expect(&Frame::text("a"));
        client.expect(&Frame::binary("b"));
    }
    assert!(start.elapsed() < ms(3000), "{:?}", start.elapsed());
    client.finish();

    let mut client = open(&binary, "/jitter/50");
    let sent: Vec<_> = (0..50).map(|n| format!("{n}")).collect();
    client.send(sent.iter().flat_map(|text| frame(TEXT, text)).collect::<Vec<_>>());
    for text in &sent {
        client.expect(&Frame::text(text));
    }
    client.finish();

    // One may be longer than what may wait.
    let mut client = open(&binary, "/delay/50");
    let big = vec![1; 2 << 20];
    client.send(frame(BINARY, &big));
    client.expect(&Frame::binary(&big));
    client.finish();
}

/// No more may wait than 1,000 messages, or what comes behind 1 MiB of them.
#[test]
fn too_many_to_echo_later() {
    let binary = Binary::serve(&[]);
    for (waiting, one_more) in [
        (frame(TEXT, "x").repeat(1000), frame(TEXT, "")),
        (frame(BINARY, vec![1; 400_000]).repeat(3), frame(TEXT, "")),
    ] {
        let mut client = open(&binary, "/delay/60000");
        // What is full hears Pings all the same.
        client.send([waiting, frame(PING, "there?")].concat());
        client.expect(&Frame::new(PONG, "there?"));
        client.send(one_more);
        expect_closing(&mut client, 1013, "too many messages wait");
    }
}

#[test]
fn echoes_in_fragments() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/fragment/3");
    client.send([frame(TEXT, "abcdefgh"), frame(BINARY, "abc"), frame(TEXT, "")].concat());
    client.expect(&Frame::new(TEXT & 0x7f, "abc"));
    client.expect(&Frame::new(CONT & 0x7f, "def"));
    client.expect(&Frame::new(CONT, "gh"));
    client.expect(&Frame::binary("abc"));
    client.expect(&Frame::text(""));
    // A character may be cut.
    client.send(frame(TEXT, "aaü"));
    client.expect(&Frame::new(TEXT & 0x7f, b"aa\xc3"));
    client.expect(&Frame::new(CONT, b"\xbc"));
    client.finish();
    let mut client = open(&binary, "/fragment/1");
    client.send(frame(BINARY, vec![0; 131_073]));
    client.expect(&Frame::close(1009, "that would be more than 131072 fragments"));
}

#[test]
fn pings_and_tells_the_round_trip_time() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/ping/0.05");
    for n in 1..=3 {
        let ping = client.read_frame().expect("a Ping");
        assert_eq!(ping.opcode, 9);
        client.send([frame(PONG, "not asked for"), frame(PONG, &ping.payload)].concat());
        let json = read_text(&mut client);
        let rtt = json.strip_prefix(&format!("{{\"ping\":{n},\"rtt_ms\":")).expect("the number");
        let rtt: f64 = rtt.strip_suffix('}').expect("an object").parse().expect("a number");
        assert!((0.0..20_000.0).contains(&rtt), "{json}");
    }
    let mut client = open(&binary, "/ping/3600");
    assert_eq!(client.read_frame().expect("a Ping").opcode, 9);
    echo(&mut client, "an echo besides");
    client.finish();
}

#[test]
fn counts() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/count/3");
    for n in ["1", "2", "3"] {
        client.expect(&Frame::text(n));
    }
    expect_closing(&mut client, 1000, "");
    let mut client = open(&binary, "/count/0");
    expect_closing(&mut client, 1000, "");
}

#[test]
fn floods_until_the_client_closes() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/flood/1000");
    for _ in 0..1000 {
        client.expect(&Frame::binary([0xba; 1000]));
    }
    client.send(close(1000, "enough"));
    let mut last = client.read_frame().expect("a frame");
    while last.opcode == BINARY & 15 {
        last = client.read_frame().expect("a frame");
    }
    assert_eq!(last, Frame::close(1000, "enough"));
    client.expect_eof();
}

#[test]
fn tells_the_head_of_the_request() {
    let binary = Binary::serve(&[]);
    let mut client = RawClient::connect(binary.addr);
    let request = r0().target("/headers?a=%22\"").add("X-Quote: \"\\");
    client.send(request.bytes());
    client.expect_upgrade();
    let json = read_text(&mut client);
    for part in [
        r#""method":"GET""#,
        r#""target":"/headers?a=%22\"""#,
        r#""path":"/headers""#,
        r#""query":"a=%22\"""#,
        r#""version":"HTTP/1.1""#,
        r#"["X-Quote","\"\\"]"#,
        &format!(r#""peer":"{}""#, client.addr),
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
    echo(&mut client, "then an echo");
    client.finish();
}

#[test]
fn agrees_to_the_first_subprotocol() {
    let binary = Binary::serve(&[]);
    for target in ["/subprotocol", "/echo"] {
        let mut client = RawClient::connect(binary.addr);
        client.send(r0().target(target).add("Sec-WebSocket-Protocol: b, a").bytes());
        let response = client.expect_upgrade();
        assert_eq!(response.header("sec-websocket-protocol"), Some("b"), "{target}");
        echo(&mut client, "a");
        client.finish();
    }
    open(&binary, "/subprotocol").finish();
}

#[test]
fn cuts_the_stream_without_a_close() {
    let binary = Binary::serve(&[]);
    open(&binary, "/drop/0").expect_eof();
    assert_eq!(open(&binary, "/reset/0").read_rest(), b"");
    for target in ["/drop/2", "/reset/2"] {
        let mut client = open(&binary, target);
        echo(&mut client, "one");
        echo(&mut client, "two");
        match target {
            "/drop/2" => client.expect_eof(),
            _ => assert_eq!(client.read_rest(), b""),
        }
        let mut client = open(&binary, target);
        echo(&mut client, "one");
        client.finish();
    }
}

/// Nothing is read, until the idle timeout.
#[test]
fn stalls() {
    let binary = Binary::serve(&["--idle-timeout", "300ms"]);
    let start = Instant::now();
    let mut client = open(&binary, "/stall");
    client.send(frame(TEXT, "unheard"));
    assert_eq!(client.read_rest(), b"");
    assert!(start.elapsed() >= ms(250), "{:?}", start.elapsed());
}

/// Each violation is the one that its name says, and what the client answers is logged.
#[cfg(unix)]
#[test]
fn violations() {
    let binary = Binary::serve(&["--faults"]);
    for (kind, bytes) in [
        ("utf8", &b"\x81\x01\xff"[..]),
        ("rsv", b"\xc1\x05Hello"),
        ("opcode", b"\x83\x05Hello"),
        ("masked", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("length", b"\x81\x7e\x00\x05Hello"),
        ("continuation", b"\x80\x05Hello"),
    ] {
        let mut client = open(&binary, &format!("/invalid/{kind}"));
        client.send([frame(TEXT, "meanwhile"), close(1002, kind)].concat());
        assert_eq!(client.read_rest(), bytes, "{kind}");
    }
    let lines = binary.stop();
    for kind in ["utf8", "continuation"] {
        let end = format!("closed 1002 {kind:?}");
        assert!(lines.iter().any(|line| line.ends_with(&end)), "{end} in {lines:?}");
    }
}
