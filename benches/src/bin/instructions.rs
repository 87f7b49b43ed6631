//! Work whose instructions are counted: `instructions CASE ITERATIONS`.
//!
//! The script `instructions` has callgrind count in functions called `measured_` only, and
//! divides by the iterations.

use std::hint::black_box;
use std::process::ExitCode;

use barews::http::{Accept, HeadLimits, HeadParser, check};
use barews::proto::{Decoder, DecoderLimits, Event, Header, OpCode, mask};
use barews::{Config, Connection, MessageType, Upgrade};
#[cfg(feature = "tls")]
use barews::{SelfSigned, TlsStream};
#[cfg(feature = "deflate")]
use barews_benches::deflate::Compressor;
use barews_benches::memory::Repeat;
#[cfg(feature = "deflate")]
use barews_benches::sample::json;
use barews_benches::sample::{ACCEPT_KEY, CHROME, KEY, Payload, client_frame};
#[cfg(feature = "tls")]
use barews_benches::tls;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [case, iterations] = args.as_slice() else { return ExitCode::from(2) };
    let Ok(iterations) = iterations.parse() else { return ExitCode::from(2) };
    match case.as_str() {
        "header-decode" => header_decode(iterations),
        "feed-binary-20" => feed(MessageType::Binary, iterations),
        "feed-text-20" => feed(MessageType::Text, iterations),
        "unmask-1024" => unmask(iterations),
        "handshake" => handshake(iterations),
        "echo-20" => echo(1, iterations),
        "echo-20-batch" => echo(64, iterations),
        "chunk-20" => chunks(iterations),
        #[cfg(feature = "deflate")]
        "deflate-echo-64" => deflate_echo(64, iterations),
        #[cfg(feature = "deflate")]
        "deflate-echo-1024" => deflate_echo(1024, iterations),
        #[cfg(feature = "tls")]
        "tls-echo-20" => tls_echo(20, iterations),
        #[cfg(feature = "tls")]
        "tls-echo-16384" => tls_echo(16 << 10, iterations),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}

/// The header of a masked frame of 20 bytes.
fn header_decode(iterations: usize) {
    let frame = client_frame(OpCode::Binary, &Payload::Ascii.bytes(20), KEY);
    for _ in 0..iterations {
        let header = measured_decode(black_box(&frame));
        assert!(matches!(header, Some((header, 6)) if header.len == 20));
    }
}

#[inline(never)]
fn measured_decode(bytes: &[u8]) -> Option<(Header, usize)> {
    Header::decode(bytes).expect("a valid header")
}

/// A whole message of 20 bytes, in one call. It is unmasked in place, so the next round finds it
/// as it was before masking: ASCII too, with this key.
fn feed(kind: MessageType, iterations: usize) {
    let mut frame = client_frame(kind.opcode(), &Payload::Ascii.bytes(20), KEY);
    let mut decoder =
        Decoder::new(DecoderLimits { max_message_size: 16 << 20, max_fragments: 131_072 });
    for _ in 0..iterations {
        let (used, event) = measured_feed(&mut decoder, black_box(&mut frame));
        assert_eq!(used, 26);
        assert_eq!(event, Event::Data { kind, len: 20, fin: true });
    }
}

#[inline(never)]
fn measured_feed(decoder: &mut Decoder, bytes: &mut [u8]) -> (usize, Event) {
    decoder.feed(bytes).expect("a valid frame")
}

fn unmask(iterations: usize) {
    let plain = Payload::Binary.bytes(1024);
    let mut data = plain.clone();
    for _ in 0..iterations {
        measured_unmask(black_box(&mut data));
    }
    // Every second time it is as it was.
    let key = if iterations.is_multiple_of(2) { [0; 4] } else { KEY };
    assert!(data.iter().enumerate().all(|(i, byte)| *byte == plain[i] ^ key[i % 4]));
}

#[inline(never)]
fn measured_unmask(data: &mut [u8]) {
    mask::apply(data, KEY, 0);
}

/// From the bytes of a browser's request to the bytes of the 101.
fn handshake(iterations: usize) {
    for _ in 0..iterations {
        let reply = measured_handshake(black_box(CHROME));
        let reply = String::from_utf8(reply).expect("ASCII");
        assert!(reply.starts_with("HTTP/1.1 101 ") && reply.contains(ACCEPT_KEY));
    }
}

#[inline(never)]
fn measured_handshake(request: &[u8]) -> Vec<u8> {
    let mut parser = HeadParser::new(HeadLimits::default());
    let (used, head) = parser.feed(request).expect("a valid head");
    assert_eq!(used, request.len());
    let head = head.expect("a whole head");
    let handshake = check(&head).expect("a valid handshake");
    handshake.encode(&head, &Accept::new(), None).expect("a valid reply")
}

/// A connection whose client sends binary messages of 20 bytes for ever, so many with each read.
fn connection(batch: usize) -> Connection {
    let frame = client_frame(OpCode::Binary, &Payload::Binary.bytes(20), KEY);
    connect(&frame.repeat(batch), &Config::default())
}

/// A connection whose client sends these frames for ever.
fn connect(frames: &[u8], config: &Config) -> Connection {
    let upgrade = Upgrade::handshake(Repeat::new(CHROME, frames), config);
    upgrade.expect("a valid handshake").accept(&Accept::new()).expect("an open connection")
}

/// Each message is received and queued, and what is queued sent before the next read.
fn echo(batch: usize, iterations: usize) {
    let (mut conn, mut buf) = (connection(batch), Vec::new());
    for _ in 0..iterations {
        assert_eq!(measured_echo(&mut conn, &mut buf), 20);
    }
}

/// The same with a text that comes compressed and is sent back compressed. It refers to none before
/// it, so that it can come again.
#[cfg(feature = "deflate")]
fn deflate_echo(len: usize, iterations: usize) {
    let frame = Compressor::new(12).frame(&json(0, len), KEY);
    let config = Config { compression: Some(barews::Deflate::default()), ..Config::default() };
    let (mut conn, mut buf) = (connect(&frame, &config), Vec::new());
    assert!(conn.compression().is_some());
    for _ in 0..iterations {
        assert_eq!(measured_echo(&mut conn, &mut buf), len);
    }
}

/// The same over TLS, a message in a record or two: both are decrypted, and what is sent encrypted.
#[cfg(feature = "tls")]
fn tls_echo(len: usize, iterations: usize) {
    let identity = SelfSigned::new(["127.0.0.1"]).expect("randomness");
    let frame = client_frame(OpCode::Binary, &Payload::Binary.bytes(len), KEY);
    let client = tls::Client::new(&identity, CHROME, &frame, iterations);
    let stream = TlsStream::new(client, identity.config()).expect("settings that can be used");
    let upgrade = Upgrade::handshake(stream, &Config::default()).expect("a valid handshake");
    let mut conn = upgrade.accept(&Accept::new()).expect("an open connection");
    let mut buf = Vec::new();
    for _ in 0..iterations {
        assert_eq!(measured_echo(&mut conn, &mut buf), len);
    }
}

#[inline(never)]
fn measured_echo(conn: &mut Connection, buf: &mut Vec<u8>) -> usize {
    let message = conn.recv(buf).expect("a valid message").expect("no end");
    conn.write(message).expect("room");
    message.len()
}

fn chunks(iterations: usize) {
    let (mut conn, mut out) = (connection(1), [0; 4096]);
    for _ in 0..iterations {
        assert_eq!(measured_chunk(&mut conn, &mut out), 20);
    }
}

#[inline(never)]
fn measured_chunk(conn: &mut Connection, out: &mut [u8]) -> usize {
    conn.recv_chunk(out).expect("a valid message").expect("no end").len
}
