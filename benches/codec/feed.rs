//! From a stream of frames to messages.
//!
//! barews unmasks bytes where they lie. The others read from a stream and copy, so it is
//! measured with such a copy as well, in pieces of 64 KiB.

use std::fmt;

use barews::proto::{Decoder, DecoderLimits, Event};
use barews_benches::sample::{Payload, client_frame, key};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use futures_util::{FutureExt, StreamExt};

use crate::header::naive_header;
use crate::memory::Memory;

#[derive(Clone, Copy)]
enum Size {
    B20,
    KiB1,
    MiB1,
}

const SIZES: [Size; 3] = [Size::B20, Size::KiB1, Size::MiB1];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Size::B20 => "20 B",
            Size::KiB1 => "1 KiB",
            Size::MiB1 => "1 MiB",
        })
    }
}

impl Size {
    /// Bytes of a payload, and how many there are.
    fn shape(self) -> (usize, usize) {
        match self {
            Size::B20 => (20, 1000),
            Size::KiB1 => (1 << 10, 200),
            Size::MiB1 => (1 << 20, 2),
        }
    }

    fn stream(self) -> Vec<u8> {
        let (len, count) = self.shape();
        let payload = Payload::Binary.bytes(len);
        let opcode = barews::proto::OpCode::Binary;
        (0..count).flat_map(|i| client_frame(opcode, &payload, key(i))).collect()
    }
}

/// Takes a part of a message, and whether it is the last one.
type Each<'a> = dyn FnMut(&[u8], bool) + 'a;

fn bench(bencher: Bencher, size: Size, receive: fn(&mut [u8], &mut Each)) {
    let (len, count) = size.shape();
    let (stream, expected) = (size.stream(), Payload::Binary.bytes(len));
    let (mut message, mut messages) = (Vec::new(), 0);
    receive(&mut stream.clone(), &mut |part, end| {
        message.extend_from_slice(part);
        if end {
            assert!(message == expected);
            message.clear();
            messages += 1;
        }
    });
    assert_eq!(messages, count);
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(len * count))
        .with_inputs(|| stream.clone())
        .bench_local_refs(|stream| {
            let mut bytes = 0;
            receive(stream, &mut |part, _| bytes += part.len());
            assert_eq!(bytes, len * count);
        });
}

fn decoder() -> Decoder {
    Decoder::new(DecoderLimits { max_message_size: 16 << 20, max_fragments: 131_072 })
}

#[divan::bench(args = SIZES)]
fn barews(bencher: Bencher, size: Size) {
    bench(bencher, size, |stream, each| feed(&mut decoder(), stream, each));
}

#[divan::bench(args = SIZES)]
fn barews_with_copy(bencher: Bencher, size: Size) {
    bench(bencher, size, |stream, each| {
        let (mut decoder, mut buf) = (decoder(), [0; 64 << 10]);
        for piece in stream.chunks(buf.len()) {
            let buf = &mut buf[..piece.len()];
            buf.copy_from_slice(piece);
            feed(&mut decoder, buf, each);
        }
    });
}

fn feed(decoder: &mut Decoder, mut input: &mut [u8], each: &mut Each) {
    while !input.is_empty() {
        let (used, event) = decoder.feed(input).expect("valid frames");
        let (done, rest) = input.split_at_mut(used);
        if let Event::Data { len, fin, .. } = event {
            each(&done[used - len..], fin);
        }
        input = rest;
    }
}

/// Byte by byte into a new vector for each message.
#[divan::bench(args = SIZES)]
fn naive(bencher: Bencher, size: Size) {
    bench(bencher, size, |stream, each| {
        let mut at = 0;
        while at < stream.len() {
            let ((fin, _, len, key), used) = naive_header(&stream[at..]);
            at += used;
            let mut message = Vec::new();
            for i in 0..len as usize {
                message.push(stream[at + i] ^ key[i % 4]);
            }
            at += len as usize;
            each(&message, fin);
        }
    });
}

#[divan::bench(args = SIZES)]
fn tungstenite(bencher: Bencher, size: Size) {
    use tungstenite::protocol::Role;
    bench(bencher, size, |stream, each| {
        let memory = Memory::new(stream);
        let mut socket = tungstenite::WebSocket::from_raw_socket(memory, Role::Server, None);
        // The end of the stream is an error: there was no closing handshake.
        while let Ok(message) = socket.read() {
            each(&message.into_data(), true);
        }
    });
}

#[divan::bench(args = SIZES)]
fn fastwebsockets(bencher: Bencher, size: Size) {
    use fastwebsockets::{FragmentCollector, Role, WebSocket};
    bench(bencher, size, |stream, each| {
        let memory = tokio::io::join(&*stream, tokio::io::sink());
        let socket = WebSocket::after_handshake(memory, Role::Server);
        let mut socket = FragmentCollector::new(socket);
        while let Ok(frame) = socket.read_frame().now_or_never().expect("memory is ready") {
            each(&frame.payload, true);
        }
    });
}

#[divan::bench(args = SIZES)]
fn tokio_websockets(bencher: Bencher, size: Size) {
    use tokio_websockets::ServerBuilder;
    bench(bencher, size, |stream, each| {
        let memory = tokio::io::join(&*stream, tokio::io::sink());
        let mut socket = ServerBuilder::new().serve(memory);
        while let Some(Ok(message)) = socket.next().now_or_never().expect("memory is ready") {
            each(message.as_payload(), true);
        }
    });
}
