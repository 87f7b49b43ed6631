//! Paths whose server does what the library never would: each byte on the wire.

use std::io::ErrorKind;
use std::time::Instant;

use crate::common::{Binary, CONT, Frame, PING, PONG, RawClient, TEXT, close, frame, ms, r0};
use crate::paths::open;
use crate::plain::metrics_at_rest;

/// §1.3: what the key of `r0` becomes.
const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// The right answer.
fn right() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{ACCEPT}\r\n"
    )
}

/// Asks for a handshake of this kind.
fn ask(binary: &Binary, kind: &str) -> RawClient {
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().target(&format!("/handshake/{kind}")).bytes());
    client
}

fn read_text(client: &mut RawClient, len: usize) -> String {
    String::from_utf8(client.read_bytes(len)).expect("ASCII")
}

/// One thing wrong, and whoever goes on has an echo; the log tells.
#[test]
fn handshakes_with_one_thing_wrong() {
    let mut binary = Binary::serve(&["--faults"]);
    let wrong = "Sec-WebSocket-Accept: ";
    for (kind, answer) in [
        ("no-accept", right().replace(ACCEPT, "")),
        ("no-upgrade", right().replace("Upgrade: websocket\r\n", "")),
        ("no-connection", right().replace("Connection: Upgrade\r\n", "")),
        ("http10", right().replace("HTTP/1.1", "HTTP/1.0")),
        (
            "subprotocol",
            right().replace(ACCEPT, &format!("{ACCEPT}Sec-WebSocket-Protocol: not-offered\r\n")),
        ),
        (
            "extension",
            right()
                .replace(ACCEPT, &format!("{ACCEPT}Sec-WebSocket-Extensions: x-not-offered\r\n")),
        ),
        (
            "lower-case",
            right()
                .replace("Upgrade: ", "upgrade: ")
                .replace("Connection: Upgrade", "connection: upgrade")
                .replace("Sec-WebSocket-Accept", "sec-websocket-accept"),
        ),
        ("slow?every=0", right()),
    ] {
        let mut client = ask(&binary, kind);
        assert_eq!(read_text(&mut client, answer.len()), answer, "{kind}");
        client.send([frame(PING, "p"), frame(TEXT, "a")].concat());
        client.expect(&Frame::new(PONG, "p"));
        client.expect(&Frame::text("a"));
        client.finish();
        drop(client);
        let kind = kind.split('?').next().unwrap();
        let line = binary.line_with("the client went on");
        assert!(
            line.ends_with(&format!("/handshake/{kind} the client went on after {kind}")),
            "{line}"
        );
        let line = binary.line_with("peer closed 1000");
        assert!(line.contains("1 messages 1 bytes in, 1 messages 1 bytes out"), "{line}");
    }
    for kind in ["wrong-accept", "two-accepts"] {
        let mut client = ask(&binary, kind);
        client.send(close(1002, "no"));
        let answer = String::from_utf8_lossy(&client.read_rest()).into_owned();
        assert_eq!(answer.contains(ACCEPT), kind == "two-accepts", "{answer}");
        assert_eq!(answer.matches(wrong).count(), 1 + usize::from(kind == "two-accepts"));
        binary.line_with(&format!("the client closed with 1002 after {kind}"));
    }
}

/// The frame is in the same segment as the answer, or a client could not have both from one read.
#[test]
fn a_frame_in_the_segment_of_the_answer() {
    let binary = Binary::serve(&["--faults"]);
    let mut client = ask(&binary, "with-frame");
    assert_eq!(read_text(&mut client, right().len()), right());
    client.expect(&Frame::text("Hello"));
    client.finish();
}

#[test]
fn an_answer_that_is_cut() {
    let mut binary = Binary::serve(&["--faults"]);
    let mut client = ask(&binary, "cut");
    let right = right();
    let half = &right.as_bytes()[..right.len() / 2];
    assert_eq!(client.read_bytes(half.len()), half);
    client.expect_eof();
    drop(client);
    binary.line_with("ended without a Close");
    let client = ask(&binary, "reset");
    // What the client has not read goes with the reset, so only that is sure.
    let mut stream = client.into_stream();
    let error = std::io::copy(&mut stream, &mut std::io::sink()).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

/// The client that has enough of it costs no more time.
#[test]
fn an_answer_a_byte_at_a_time() {
    let mut binary = Binary::serve(&["--faults"]);
    let start = Instant::now();
    let mut client = ask(&binary, "slow?every=20");
    assert_eq!(read_text(&mut client, 40), right()[..40]);
    assert!(start.elapsed() >= ms(39 * 20), "{:?}", start.elapsed());
    // What comes early is not lost, nor taken for an answer to what is not yet there.
    client.send(frame(TEXT, "early"));
    assert_eq!(read_text(&mut client, right().len() - 40), right()[40..]);
    client.expect(&Frame::text("early"));
    client.finish();
    let mut client = ask(&binary, "slow?every=60000");
    assert_eq!(client.read_bytes(1), b"H");
    client.send_eof();
    client.expect_eof();
    binary.line_with("the client ended the stream after slow");
}

/// 1 MiB of headers: a client that takes them all has a connection.
#[test]
fn an_answer_with_far_too_much() {
    let mut binary = Binary::serve(&["--faults"]);
    let mut client = ask(&binary, "huge");
    let start = right().len() - 2;
    let head = read_text(&mut client, start + (1 << 20) + 2);
    assert_eq!(head[..start], right()[..start]);
    assert!(head[start..].starts_with("X-Padding: xxxx") && head.ends_with("xx\r\n\r\n"));
    assert_eq!(head.find("\r\n\r\n"), Some(head.len() - 4));
    client.send(frame(TEXT, "a"));
    client.expect(&Frame::text("a"));
    client.finish();
    binary.line_with("the client went on after huge");
    let mut client = ask(&binary, "huge");
    client.read_bytes(1);
    drop(client);
    binary.line_with("after huge");
}

#[test]
fn handshakes_are_right_without_faults() {
    let binary = Binary::serve(&[]);
    let mut client = ask(&binary, "wrong-accept");
    client.expect_refusal(403);
}

/// §7.1.1: nothing ends before our Close, which is late.
#[test]
fn a_close_that_is_late() {
    let binary = Binary::serve(&[]);
    let start = Instant::now();
    let mut client = open(&binary, "/close/4001?reason=late&delay=300");
    client.send([frame(TEXT, "a"), frame(PING, "p")].concat());
    client.expect(&Frame::text("a"));
    client.expect(&Frame::new(PONG, "p"));
    client.expect(&Frame::close(4001, "late"));
    assert!(start.elapsed() >= ms(300), "{:?}", start.elapsed());
    client.send(close(4001, ""));
    client.expect_eof();
    // Behind so many messages, the time counts from the last of them.
    let mut client = open(&binary, "/close/1000?after=2&delay=200");
    client.send([frame(TEXT, "a"), frame(TEXT, "b"), frame(TEXT, "c")].concat());
    for text in ["a", "b", "c"] {
        client.expect(&Frame::text(text));
    }
    client.expect(&Frame::close(1000, ""));
    client.send(close(1000, ""));
    client.expect_eof();
}

#[test]
fn an_answer_to_a_close_that_is_late() {
    let mut binary = Binary::serve(&[]);
    let mut client = open(&binary, "/close/4001?delay=300");
    let start = Instant::now();
    client.send(close(3000, "bye"));
    client.expect(&Frame::close(3000, ""));
    assert!(start.elapsed() >= ms(300), "{:?}", start.elapsed());
    client.expect_eof();
    drop(client);
    binary.line_with("peer closed 3000 \"bye\"");
    // One that has ended its own side still hears it.
    let mut client = open(&binary, "/close/4001?delay=300");
    client.send(close(3000, ""));
    client.send_eof();
    client.expect(&Frame::close(3000, ""));
    client.expect_eof();
    binary.line_with("peer closed 3000 \"\"");
}

#[test]
fn a_close_that_is_never_answered() {
    let mut binary = Binary::serve(&["--idle-timeout", "1s", "--ping-after", "500ms"]);
    let mut client = open(&binary, "/close/1000?reply=none");
    client.send([frame(TEXT, "a"), frame(PING, "p")].concat());
    client.expect(&Frame::text("a"));
    client.expect(&Frame::new(PONG, "p"));
    let start = Instant::now();
    client.send([close(1000, ""), frame(PING, "late")].concat());
    // Not a byte, until the idle timeout.
    assert_eq!(client.read_rest(), b"");
    assert!(start.elapsed() >= ms(900), "{:?}", start.elapsed());
    let line = binary.line_with("/close/1000: ");
    assert!(line.ends_with("peer closed 1000 \"\""), "{line}");
    // Ours is sent where it is asked for; it is the end of the stream that does not come.
    let mut client = open(&binary, "/close/4000?reply=none&after=1");
    client.send(frame(TEXT, "a"));
    client.expect(&Frame::text("a"));
    client.expect(&Frame::close(4000, ""));
    client.send(close(4000, ""));
    assert!(!client.heard_within(ms(300)));
    client.send_eof();
    client.expect_eof();
}

/// A shutdown finds all of them, and needs none of its grace.
#[test]
fn a_shutdown_ends_what_is_held() {
    let binary = Binary::serve(&["--faults", "--grace", "60s"]);
    let mut echo = ask(&binary, "no-accept");
    echo.read_bytes(right().len() - ACCEPT.len());
    let mut late = open(&binary, "/close/1000?delay=60000");
    let mut none = open(&binary, "/close/1000?reply=none");
    none.send([frame(PING, "p"), close(1000, "")].concat());
    none.expect(&Frame::new(PONG, "p"));
    let mut slow = ask(&binary, "slow?every=60000");
    slow.read_bytes(1);
    let mut rate = open(&binary, "/slow/1");
    let start = Instant::now();
    binary.signal("TERM");
    for client in [&mut echo, &mut late, &mut rate] {
        client.expect(&Frame::close(1001, "the server is shutting down"));
        client.send(close(1001, ""));
        client.expect_eof();
    }
    assert_eq!(none.read_rest(), b"");
    assert_eq!(slow.read_rest(), b"");
    assert_eq!(binary.wait().0.code(), Some(0));
    assert!(start.elapsed() < ms(20_000), "{:?}", start.elapsed());
}

/// What comes back is at the rate, and so is what is taken.
#[test]
fn an_echo_at_a_rate() {
    let binary = Binary::serve(&[]);
    let start = Instant::now();
    let mut client = open(&binary, "/slow/400");
    client.send([frame(PING, "p"), frame(TEXT, "x".repeat(200))].concat());
    client.expect(&Frame::new(PONG, "p"));
    let mut text = Vec::new();
    loop {
        let frame = client.read_frame().expect("a frame");
        assert_eq!(frame.opcode & 15, if text.is_empty() { TEXT & 15 } else { CONT & 15 });
        text.extend(frame.payload);
        if text.len() == 200 {
            break;
        }
    }
    // 7 bytes of a Ping, 208 of the text and its header.
    assert!(start.elapsed() >= ms(215 * 1000 / 400 - 60), "{:?}", start.elapsed());
    client.send(close(1000, ""));
    client.expect(&Frame::close(1000, ""));
    client.expect_eof();
}

/// A client that sends more fills its own buffers.
#[test]
#[cfg(target_os = "linux")]
fn a_slow_reader_holds_its_client_up() {
    let binary = Binary::serve(&[]);
    let mut client = open(&binary, "/slow/1000");
    client.set_write_timeout(ms(500));
    let sent = client.flood(&frame(TEXT, "x".repeat(60_000)), 64 << 20, ms(500));
    // What two sockets hold at the most on this machine; it would be everything.
    assert!(sent < 16 << 20, "{sent}");
    drop(client);
    binary.echoes();
}

/// §5.2, §8.1: what breaks the protocol is answered here too.
#[test]
fn the_protocol_holds_all_the_same() {
    let binary = Binary::serve(&["--faults"]);
    for target in ["/slow/100000", "/close/1000?reply=none", "/handshake/no-accept"] {
        let mut client = RawClient::connect(binary.addr);
        client.send(r0().target(target).bytes());
        let skip =
            if target.contains("no-accept") { right().len() - ACCEPT.len() } else { right().len() };
        client.read_bytes(skip);
        client.send(frame(TEXT, b"\xff"));
        client.expect_close(1007);
        client.expect_eof();
    }
}

/// What is off is no time that a clock would overflow with.
#[test]
fn timeouts_that_are_off() {
    let mut options = vec!["--faults"];
    for name in ["--close-timeout", "--idle-timeout", "--ping-after", "--write-timeout"] {
        options.extend([name, "off"]);
    }
    let mut binary = Binary::serve(&options);
    for target in ["/slow/100000", "/close/1000?delay=60000", "/handshake/slow?every=0", "/stall"] {
        let mut client = RawClient::connect(binary.addr);
        client.send(r0().target(target).bytes());
        client.read_bytes(right().len());
        if target == "/stall" {
            drop(client);
            continue;
        }
        client.send(frame(TEXT, "a"));
        client.expect(&Frame::text("a"));
        if !target.starts_with("/close") {
            client.send(close(3000, ""));
            client.expect(&Frame::close(3000, ""));
            client.expect_eof();
        }
        drop(client);
        let path = target.split('?').next().unwrap();
        let line = binary.line_with(&format!("{path}: "));
        assert!(!line.contains("panicked"), "{line}");
    }
    let mut client = open(&binary, "/close/4000?delay=1");
    client.expect(&Frame::close(4000, ""));
    client.send(close(4000, ""));
    client.expect_eof();
    drop(client);
    let line = binary.line_with("/close/4000: ");
    assert!(line.ends_with("closed 4000 \"\", answered 4000 \"\""), "{line}");
}

/// What it has sent and nobody has read yet does not hide that a client has gone.
#[test]
fn a_slow_path_whose_client_has_gone() {
    let binary = Binary::serve(&["--ping-after", "200ms"]);
    let mut client = open(&binary, "/slow/10");
    client.send(frame(PONG, "x".repeat(100)).repeat(100));
    drop(client);
    metrics_at_rest(&binary);
}
