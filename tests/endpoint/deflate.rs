//! Compression as a client sees it that offers it (RFC 7692), and what the program tells of it.

use std::time::Instant;

use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

use crate::common::deflate::bomb;
use crate::common::{
    BINARY, Binary, CLOSE, CONT, Frame, PATIENCE, PING, PONG, RawClient, TEXT, close, command,
    frame, hex, r0,
};
use crate::plain::{metric, metrics_at_rest, metrics_once};

/// The bit of a compressed message, on its first frame (RFC 7692 §6).
const RSV1: u8 = 0x40;

/// What a sync flush ends with (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// "Hello" (RFC 7692 §7.2.3.1), and the same again, which refers to the first (§7.2.3.2).
const HELLO: [&str; 2] = ["f2 48 cd c9 c9 07 00", "f2 00 11 00 00"];

/// What most browsers offer.
const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// A client that compresses all it sends, with a window of 9 bits, which every answer allows.
struct Compressing {
    client: RawClient,
    deflate: Deflate,
    inflate: Inflate,
    /// Whether the client or the server begins anew with each message.
    forgets: [bool; 2],
}

/// A message, inflated.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    opcode: u8,
    payload: Vec<u8>,
    compressed: bool,
    frames: usize,
}

/// Asks for a path, with an offer; what is answered to that.
fn offer(binary: &Binary, target: &str, offers: &str) -> (RawClient, Option<String>) {
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().target(target).add(format!("Sec-WebSocket-Extensions: {offers}")).bytes());
    let response = client.read_response();
    assert_eq!(response.status, 101, "{offers}: {response:?}");
    let answer = response.header("sec-websocket-extensions").map(str::to_owned);
    (client, answer)
}

/// The next frame: its first byte and its payload.
fn read_frame(client: &mut RawClient) -> (u8, Vec<u8>) {
    let start = client.read_bytes(2);
    let len = match start[1] {
        126 => u16::from_be_bytes(client.read_bytes(2).try_into().unwrap()).into(),
        127 => u64::from_be_bytes(client.read_bytes(8).try_into().unwrap()),
        // §5.1: a server does not mask.
        len @ 0..126 => len.into(),
        other => panic!("{other:02x} is no length"),
    };
    (start[0], client.read_bytes(len as usize))
}

impl Compressing {
    fn open(binary: &Binary, target: &str) -> Self {
        Self::with(binary, target, OFFER)
    }

    fn with(binary: &Binary, target: &str, offers: &str) -> Self {
        let (client, answer) = offer(binary, target, offers);
        let answer = answer.expect("an answer");
        let forgets = ["client_no_context_takeover", "server_no_context_takeover"];
        let forgets = forgets.map(|parameter| answer.contains(parameter));
        let (deflate, inflate) = (Deflate::new(6, false, 9), Inflate::new(false, 15));
        Self { client, deflate, inflate, forgets }
    }

    /// A message's payload, compressed.
    fn deflated(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![0; payload.len() + 1024];
        let before = self.deflate.total_out();
        let status = self.deflate.compress(payload, &mut out, DeflateFlush::SyncFlush);
        // Where there is nothing new, nothing is flushed.
        assert!(status == Ok(Status::Ok) || payload.is_empty(), "{status:?}");
        out.truncate((self.deflate.total_out() - before) as usize);
        if self.forgets[0] {
            self.deflate.reset();
        }
        // RFC 7692 §7.2.3.6.
        out.strip_suffix(&TAIL).unwrap_or(&[0]).to_vec()
    }

    fn send(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let payload = self.deflated(payload.as_ref());
        self.client.send(frame(first | RSV1, payload));
    }

    /// The next message.
    fn read(&mut self) -> Received {
        let (first, mut payload) = read_frame(&mut self.client);
        let (mut last, mut frames) = (first, 1);
        while last & 0x80 == 0 {
            let (next, more) = read_frame(&mut self.client);
            // RFC 7692 §6.1: the bit is on the first fragment alone.
            assert_eq!(next & 0x7f, CONT & 0x7f, "{next:02x}");
            payload.extend(more);
            (last, frames) = (next, frames + 1);
        }
        assert_eq!(first & 0x30, 0, "§5.2: reserved bits in {first:02x}");
        let compressed = first & RSV1 != 0;
        if compressed {
            payload = self.inflated(&payload);
        }
        Received { opcode: first & 0xf, payload, compressed, frames }
    }

    fn inflated(&mut self, payload: &[u8]) -> Vec<u8> {
        if self.forgets[1] {
            self.inflate = Inflate::new(false, 15);
        }
        let input = [payload, &TAIL].concat();
        let mut out = vec![0; 4 << 20];
        let before = self.inflate.total_out();
        let status = self.inflate.decompress(&input, &mut out, InflateFlush::SyncFlush);
        assert_eq!(status, Ok(Status::Ok), "{}", payload.escape_ascii());
        out.truncate((self.inflate.total_out() - before) as usize);
        out
    }

    /// Reads this message, in one frame; whether it was compressed.
    fn expect(&mut self, first: u8, payload: impl AsRef<[u8]>) -> bool {
        let next = self.read();
        assert_eq!((next.opcode, next.frames), (first & 0xf, 1));
        let expected = payload.as_ref();
        assert!(next.payload == expected, "{} instead", next.payload.escape_ascii());
        next.compressed
    }

    /// Sends messages of all lengths and expects them back.
    fn echo(&mut self) {
        for text in texts() {
            self.send(TEXT, &text);
            // Threshold or not, what would be longer is sent as it is.
            assert_eq!(self.expect(TEXT, &text), text.len() >= 300, "{text}");
        }
        self.send(BINARY, b"\xff".repeat(70_000));
        assert!(self.expect(BINARY, b"\xff".repeat(70_000)));
    }

    /// Closes, which nobody compresses (RFC 7692 §6.1).
    fn finish(&mut self) {
        self.client.finish();
    }
}

/// Some that are too short, and some that are not.
fn texts() -> [String; 4] {
    let json = |n: usize| format!("{{\"type\":\"update\",\"number\":{n},\"of\":\"ü\"}},");
    let long = |most: usize| (0..most).map(json).collect();
    ["".to_owned(), "short".to_owned(), long(10), long(1000)]
}

/// RFC 7692 §7.1: the first offer that can be accepted is, with what it asks for.
#[test]
fn what_is_answered_to_an_offer() {
    let binary = Binary::serve(&["--deflate"]);
    for (offers, answer) in [
        ("", Some("")),
        ("; client_max_window_bits", Some("; client_max_window_bits=12")),
        ("; client_max_window_bits=15", Some("; client_max_window_bits=12")),
        ("; client_max_window_bits=10", Some("; client_max_window_bits=10")),
        ("; server_max_window_bits=8", Some("; server_max_window_bits=8")),
        ("; server_max_window_bits=\"10\"", Some("; server_max_window_bits=10")),
        ("; server_no_context_takeover", Some("; server_no_context_takeover")),
        ("; client_no_context_takeover", Some("; client_no_context_takeover")),
        ("; mode=fast, permessage-deflate", Some("")),
        ("-frame, permessage-deflate", Some("")),
        ("; server_max_window_bits=9, permessage-deflate", Some("; server_max_window_bits=9")),
        // What is not known, or not valid, is declined.
        ("-frame", None),
        ("; mode=fast", None),
        ("; server_max_window_bits", None),
        ("; server_max_window_bits=16", None),
        ("; client_max_window_bits=08", None),
        ("; client_no_context_takeover=1", None),
        ("; server_no_context_takeover; server_no_context_takeover", None),
    ] {
        let (mut client, got) = offer(&binary, "/", &format!("permessage-deflate{offers}"));
        let answer = answer.map(|answer| format!("permessage-deflate{answer}"));
        assert_eq!(got, answer, "{offers}");
        client.send(frame(TEXT, "a"));
        client.expect(&Frame::text("a"));
        client.finish();
    }
    // Nothing is answered to one who offers nothing.
    RawClient::open(binary.addr).finish();
}

#[test]
fn the_answer_has_what_the_options_say() {
    let binary = Binary::serve(&[
        "--deflate",
        "--deflate-server-max-window-bits=10",
        "--deflate-client-max-window-bits=9",
        "--deflate-server-no-context-takeover",
        "--deflate-client-no-context-takeover",
    ]);
    let forgets = "server_no_context_takeover; client_no_context_takeover";
    for (asked, answered) in [
        ("", ""),
        ("; server_max_window_bits=15", "; server_max_window_bits=10"),
        (
            "; client_max_window_bits; server_max_window_bits=9",
            "; server_max_window_bits=9; client_max_window_bits=9",
        ),
    ] {
        let offers = format!("permessage-deflate{asked}");
        let answer = format!("permessage-deflate; {forgets}{answered}");
        assert_eq!(offer(&binary, "/", &offers).1, Some(answer));
        let mut client = Compressing::with(&binary, "/", &offers);
        client.echo();
        client.finish();
    }
}

/// Each byte of it: that of the RFC's examples, and of what comes back.
#[test]
fn an_echo_on_the_wire() {
    let binary = Binary::serve(&["--deflate"]);
    let (mut client, _) = offer(&binary, "/", OFFER);
    // Five bytes are shorter as they are.
    for hello in HELLO {
        client.send(frame(TEXT | RSV1, hex(hello)));
        client.expect(&Frame::text("Hello"));
    }
    // In fragments, with a Ping between; and a message that is not compressed, which the next one
    // does not refer to.
    let [start, end] = [&hex(HELLO[1])[..1], &hex(HELLO[1])[1..]];
    client.send(frame(TEXT & 0x7f | RSV1, start));
    client.send([frame(PING, "?"), frame(CONT, end), frame(TEXT, "plain")].concat());
    client.send(frame(TEXT | RSV1, hex(HELLO[1])));
    client.expect(&Frame::new(PONG, "?"));
    for text in ["Hello", "plain", "Hello"] {
        client.expect(&Frame::text(text));
    }
    // A run of one letter, and the same again.
    client.send(frame(TEXT, "a".repeat(100)).repeat(2));
    for payload in ["4a a4 03 00 00", "a2 07 00 00"] {
        assert_eq!(read_frame(&mut client), (TEXT | RSV1, hex(payload)));
    }
    client.finish();
}

#[test]
fn every_path_is_right_for_one_who_compresses() {
    let binary = Binary::serve(&["--deflate", "--subprotocol", "a"]);
    for target in ["/", "/ws", "/subprotocol", "/delay/1", "/jitter/3", "/close/1000?after=9"] {
        for offers in [
            OFFER,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits=9",
        ] {
            let mut client = Compressing::with(&binary, target, offers);
            client.echo();
            client.finish();
        }
    }
    let mut client = Compressing::open(&binary, "/close/4001?reason=enough&after=1");
    client.send(TEXT, "x".repeat(300));
    assert!(client.expect(TEXT, "x".repeat(300)));
    client.client.expect(&Frame::close(4001, "enough"));
    client.client.send(close(4001, ""));
    client.client.expect_eof();
    for target in ["/drop/1", "/reset/1"] {
        let mut client = Compressing::open(&binary, target);
        client.send(TEXT, "x".repeat(300));
        assert!(client.expect(TEXT, "x".repeat(300)));
        assert_eq!(client.client.read_rest(), b"");
    }
}

/// With the least that is compressed, and with the default.
#[test]
fn what_is_sent_unasked_is_right_too() {
    for options in [&["--deflate"][..], &["--deflate", "--deflate-threshold=1"]] {
        let binary = Binary::serve(options);
        let mut client = Compressing::open(&binary, "/count/2000");
        for n in 1..=2000 {
            client.expect(TEXT, n.to_string());
        }
        client.client.expect(&Frame::close(1000, ""));
        let mut client = Compressing::open(&binary, "/flood/1000");
        for _ in 0..1000 {
            assert!(client.expect(BINARY, [0xba; 1000]));
        }
        client.client.send(close(1000, ""));
        let mut last = client.read();
        while last.opcode == BINARY & 15 {
            last = client.read();
        }
        assert_eq!((last.opcode, last.compressed), (CLOSE & 15, false));
        let mut client = Compressing::open(&binary, "/ping/0.05");
        for n in 1..=3 {
            // The next one may come before the report on the last.
            let mut json = client.read();
            while json.opcode == PING & 15 {
                assert!(!json.compressed);
                client.client.send(frame(PONG, &json.payload));
                json = client.read();
            }
            let start = format!("{{\"ping\":{n},\"rtt_ms\":");
            assert!(json.opcode == 1 && json.payload.starts_with(start.as_bytes()), "{json:?}");
        }
    }
}

#[test]
fn fragments_are_compressed_one_by_one() {
    let binary = Binary::serve(&["--deflate"]);
    for offers in [OFFER, "permessage-deflate; server_no_context_takeover"] {
        let mut client = Compressing::with(&binary, "/fragment/100", offers);
        for (len, frames) in [(1000, 10), (1001, 11), (100, 1), (5, 1), (0, 1), (350, 4)] {
            let text = texts()[3].as_bytes()[..len].to_vec();
            client.send(BINARY, &text);
            let next = client.read();
            assert_eq!((next.opcode, next.frames), (BINARY & 15, frames), "{len}");
            assert!(next.payload == text, "{len}: {}", next.payload.escape_ascii());
            assert!(next.compressed || len < 256, "{len}");
        }
        client.finish();
    }
}

/// Each hears it as it has agreed to.
#[test]
fn a_room_of_all_kinds() {
    let binary = Binary::serve(&["--deflate"]);
    let mut compressing = [
        OFFER,
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_max_window_bits=9; client_no_context_takeover",
    ]
    .map(|offers| Compressing::with(&binary, "/broadcast/a", offers));
    let (mut plain, none) = offer(&binary, "/broadcast/a", "permessage-deflate; mode=fast");
    assert_eq!(none, None);
    // Whoever has heard its own message is in the room.
    plain.send(frame(TEXT, "in"));
    plain.expect(&Frame::text("in"));
    for n in 0..compressing.len() {
        let own = format!("in {n}");
        compressing[n].send(TEXT, &own);
        for client in &mut compressing[..=n] {
            while client.read().payload != own.as_bytes() {}
        }
        plain.expect(&Frame::text(own));
    }
    for round in 0..10 {
        for n in 0..compressing.len() {
            let text = format!("{n} {round} {}", texts()[2]);
            compressing[n].send(TEXT, &text);
            for client in &mut compressing {
                assert!(client.expect(TEXT, &text));
            }
            plain.expect(&Frame::text(text));
        }
    }
    plain.finish();
    compressing.iter_mut().for_each(Compressing::finish);
}

#[test]
fn headers_and_the_log_tell_what_was_agreed_on() {
    let mut binary = Binary::serve(&["--deflate"]);
    let mut client = Compressing::open(&binary, "/headers");
    let json = String::from_utf8(client.read().payload).unwrap();
    let agreed = "permessage-deflate; client_max_window_bits=12";
    assert!(json.contains(&format!("\"extensions\":\"{agreed}\"")), "{json}");
    client.echo();
    client.finish();
    let line = binary.line_with("/headers open");
    assert!(line.ends_with(&format!("/headers open, {agreed}")), "{line}");
    let (mut client, _) = offer(&binary, "/headers", "permessage-deflate; mode=fast");
    let json = String::from_utf8(client.read_frame().unwrap().payload).unwrap();
    assert!(json.contains("\"extensions\":null"), "{json}");
    let line = binary.line_with("/headers open");
    assert!(line.ends_with(", no permessage-deflate: its parameters are not valid"), "{line}");
    let mut program = Binary::start(&mut command(&["--deflate", "--log=json", "127.0.0.1:0"]));
    let line = program.line();
    let (_, addr) = line.split_once(r#""address":""#).expect(&line);
    program.addr = addr.split('"').next().unwrap().parse().unwrap();
    for (offers, fields) in [
        (OFFER, format!("\"extensions\":\"{agreed}\",\"deflate_declined\":null")),
        (
            "permessage-deflate; mode=fast",
            "\"extensions\":null,\"deflate_declined\":\"parameters\"".to_owned(),
        ),
        ("x-webkit-deflate-frame", "\"extensions\":null,\"deflate_declined\":null".to_owned()),
    ] {
        let _client = offer(&program, "/", offers);
        let line = program.line_with("\"event\":\"open\"");
        assert!(line.contains(&fields), "{fields} in {line}");
    }
}

#[test]
fn without_the_option_every_offer_is_declined() {
    let binary = Binary::serve(&[]);
    let (mut client, none) = offer(&binary, "/", OFFER);
    assert_eq!(none, None);
    client.send(frame(TEXT, "a".repeat(1000)));
    client.expect(&Frame::text("a".repeat(1000)));
    // §5.2: a bit that means nothing.
    client.send(frame(TEXT | RSV1, hex(HELLO[0])));
    client.expect_close(1002);
    drop(client);
    let text = metrics_at_rest(&binary);
    assert_eq!(metric(&text, "barews_deflate_offers_total{outcome=\"off\"}"), 1.0);
    assert_eq!(metric(&text, "barews_deflate_max_memory_bytes{of=\"codecs\"}"), 0.0);
    let line = binary.stop();
    assert!(line.iter().any(|line| line.ends_with("/ open")), "{line:?}");
}

#[test]
fn metrics_tell_what_was_saved() {
    let binary = Binary::serve(&["--deflate", "--deflate-memory=2M", "--faults"]);
    let mut client = Compressing::open(&binary, "/");
    let text = &texts()[3];
    let sent = client.deflated(text.as_bytes());
    client.client.send(frame(TEXT | RSV1, &sent));
    assert!(client.expect(TEXT, text));
    // An offer that is declined, none at all, and a path that is not compressed.
    offer(&binary, "/", "permessage-deflate; mode=fast").0.finish();
    RawClient::open(binary.addr).finish();
    let (mut invalid, none) = offer(&binary, "/invalid/rsv", OFFER);
    assert_eq!((none, invalid.read_bytes(7)), (None, b"\xc1\x05Hello".to_vec()));
    invalid.send(close(1002, ""));
    invalid.expect_eof();
    // What is sent is counted once it is out, compression by the library and messages by the binary.
    let told = metrics_once(&binary, |told| {
        let sent = ["barews_deflate_sent_bytes_total", "barews_sent_bytes_total"];
        metric(told, "barews_connections") == 1.0
            && sent.iter().all(|name| metric(told, name) == text.len() as f64)
    });
    for (name, value) in [
        ("offers_total{outcome=\"agreed\"}", 1),
        ("offers_total{outcome=\"parameters\"}", 1),
        ("offers_total{outcome=\"path\"}", 1),
        ("received_compressed_bytes_total", sent.len()),
        ("received_bytes_total", text.len()),
        ("sent_bytes_total", text.len()),
        ("memory_bytes{of=\"histories\"}", 6 << 10),
        ("memory_bytes{of=\"codecs\"}", 0),
        ("max_memory_bytes{of=\"histories\"}", 1 << 20),
        ("max_memory_bytes{of=\"codecs\"}", 1 << 20),
    ] {
        assert_eq!(metric(&told, &format!("barews_deflate_{name}")), value as f64, "{name}");
    }
    let sent = metric(&told, "barews_deflate_sent_compressed_bytes_total");
    assert!((1.0..text.len() as f64 / 4.0).contains(&sent), "{sent}");
    // `barews_sent_bytes_total`, above, counts messages as they are, compressed or not.
    client.finish();
    drop(client);
    // They are there until the stream has ended, which the client has done.
    metrics_once(&binary, |told| {
        metric(told, "barews_connections") == 0.0
            && metric(told, "barews_deflate_memory_bytes{of=\"histories\"}") == 0.0
    });
}

/// A message is as long as what is made of it, and bad ones are told from bad text.
#[test]
fn limits_and_bad_messages() {
    let binary = Binary::serve(&["--deflate", "--max-message=64K"]);
    let mut client = Compressing::open(&binary, "/");
    client.send(BINARY, vec![0; 64 << 10]);
    assert!(client.expect(BINARY, vec![0; 64 << 10]));
    client.send(BINARY, vec![0; (64 << 10) + 1]);
    client.client.expect_close(1009);
    for bad in ["06 00", "f2 48 cd c9 c9 07"] {
        let (mut client, _) = offer(&binary, "/", OFFER);
        client.send(frame(TEXT | RSV1, hex(bad)));
        client.expect_close(1007);
    }
    let text = metrics_at_rest(&binary);
    for kind in ["message_too_big", "not_deflate", "incomplete_deflate"] {
        let name = format!("barews_violations_total{{kind=\"{kind}\"}}");
        assert_eq!(metric(&text, &name), 1.0, "{kind}");
    }
}

/// When there is no memory for what was said before, each message is by itself.
#[test]
fn without_memory_connections_open_without_takeover() {
    // Half of it is for histories, of 2 and 4 KiB.
    let binary = Binary::serve(&["--deflate", "--deflate-memory=1200K"]);
    let mut clients: Vec<_> = (0..100).map(|_| Compressing::open(&binary, "/")).collect();
    assert!(clients.iter().all(|client| client.forgets == [false; 2]));
    let mut late = Compressing::open(&binary, "/");
    assert_eq!(late.forgets, [true; 2]);
    late.echo();
    clients[0].echo();
    late.finish();
    clients.pop().expect("some").finish();
    // What was given back can be had again.
    metrics_once(&binary, |text| metric(text, "barews_connections") == 99.0);
    // It is when the stream has ended on both sides, which may be a moment later.
    let deadline = Instant::now() + PATIENCE;
    while Compressing::open(&binary, "/").forgets != [false; 2] {
        assert!(Instant::now() < deadline, "it was not given back");
    }
}

#[test]
fn an_option_without_the_first_is_warned_about() {
    let args = ["--deflate-level=9", "--deflate-history=1K", "127.0.0.1:0"];
    let mut program = Binary::start(&mut command(&args));
    program.address();
    for name in ["--deflate-level", "--deflate-history"] {
        assert_eq!(program.line(), format!("barews: {name} does nothing without --deflate"));
    }
    for (name, value, wrong) in [
        ("BAREWS_DEFLATE", "perhaps", "\"perhaps\" is not 1 or 0"),
        ("BAREWS_DEFLATE_LEVEL", "0", "\"0\" is not a level from 1 to 9"),
    ] {
        let output = command(&[]).env(name, value).output().expect("run");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr.starts_with(&format!("barews: {name}: {wrong}")), "{stderr}");
    }
    let version = command(&["--version"]).output().expect("run").stdout;
    let version = String::from_utf8(version).expect("text");
    let (_, features) =
        version.trim_end().trim_end_matches(')').split_once(" (").expect("features");
    assert!(features.split(", ").any(|feature| feature == "deflate"), "{version}");
}

/// What a long message has left behind is not kept for as long as its connection is there, compressed or in
/// fragments with a byte of the next frame behind it.
#[cfg(target_os = "linux")]
#[test]
fn long_messages_leave_nothing_behind() {
    const CLIENTS: usize = 20;
    const LEN: usize = 15 << 20;
    let binary = Binary::serve(&["--deflate"]);
    let compressed = [frame(BINARY | RSV1, bomb(LEN >> 20)), frame(PING, "?")].concat();
    let mut parts = frame(0x02, [0; 60_000]);
    (0..LEN / 60_000).for_each(|_| parts.extend(frame(0x00, [0; 60_000])));
    parts.extend([frame(CONT, ""), frame(PING, "?"), vec![BINARY]].concat());
    let before = binary.memory();
    let mut clients: Vec<RawClient> = Vec::new();
    for at in 0..CLIENTS {
        let (mut client, _) = offer(&binary, "/tick/60000", if at % 2 == 0 { OFFER } else { "x" });
        client.send(if at % 2 == 0 { &compressed } else { &parts });
        while client.read_frame().expect("an answer").opcode != PONG & 15 {}
        clients.push(client);
    }
    let kept = binary.memory() - before;
    assert!(kept < 100 << 20, "{kept} bytes for {} connections", clients.len());
}
