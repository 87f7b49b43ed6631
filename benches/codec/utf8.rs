//! Checking text: in cache, and a short one.

use std::hint::black_box;
use std::{fmt, str};

use barews::proto::utf8::Utf8;
use barews_benches::sample::Payload;
use divan::Bencher;
use divan::counter::BytesCount;

#[derive(Clone, Copy)]
struct Text(Payload, usize);

const TEXTS: [Text; 6] = [
    Text(Payload::Ascii, 20),
    Text(Payload::Cjk, 60),
    Text(Payload::Ascii, 64 << 10),
    Text(Payload::Mixed, 64 << 10),
    Text(Payload::Cjk, 64 << 10),
    Text(Payload::Emoji, 64 << 10),
];

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            len if len < 1 << 10 => write!(f, "{:?}, {len} B", self.0),
            len => write!(f, "{:?}, {} KiB", self.0, len >> 10),
        }
    }
}

fn bench(bencher: Bencher, Text(payload, len): Text, is_utf8: fn(&[u8]) -> bool) {
    let text = payload.bytes(len);
    assert!(is_utf8(&text));
    for (at, byte) in [(0, 0xff), (len / 2, 0xc0), (len - 1, 0xe5)] {
        let mut wrong = text.clone();
        wrong[at] = byte;
        assert!(!is_utf8(&wrong));
    }
    bencher.counter(BytesCount::new(len)).bench_local(|| is_utf8(black_box(&text)));
}

#[divan::bench(args = TEXTS)]
fn barews(bencher: Bencher, text: Text) {
    bench(bencher, text, |bytes| {
        let mut utf8 = Utf8::new();
        utf8.feed(bytes).is_ok() && utf8.is_complete()
    });
}

/// A character at a time, by the table of RFC 3629 §4.
#[divan::bench(args = TEXTS)]
fn naive(bencher: Bencher, text: Text) {
    bench(bencher, text, |mut bytes| {
        while let [first, rest @ ..] = bytes {
            let (len, second) = match first {
                0x00..=0x7f => (0, 0x80..=0xbf),
                0xc2..=0xdf => (1, 0x80..=0xbf),
                0xe0 => (2, 0xa0..=0xbf),
                0xed => (2, 0x80..=0x9f),
                0xe1..=0xef => (2, 0x80..=0xbf),
                0xf0 => (3, 0x90..=0xbf),
                0xf1..=0xf3 => (3, 0x80..=0xbf),
                0xf4 => (3, 0x80..=0x8f),
                _ => return false,
            };
            let Some((next, rest)) = rest.split_at_checked(len) else { return false };
            let is_valid = match next {
                [] => true,
                [second_byte, others @ ..] => {
                    second.contains(second_byte) && others.iter().all(|b| b & 0xc0 == 0x80)
                }
            };
            if !is_valid {
                return false;
            }
            bytes = rest;
        }
        true
    });
}

#[divan::bench(args = TEXTS)]
fn std(bencher: Bencher, text: Text) {
    bench(bencher, text, |bytes| str::from_utf8(bytes).is_ok());
}

/// What `fastwebsockets` and `tokio-websockets` use.
#[divan::bench(args = TEXTS)]
fn simdutf8(bencher: Bencher, text: Text) {
    bench(bencher, text, |bytes| simdutf8::basic::from_utf8(bytes).is_ok());
}
