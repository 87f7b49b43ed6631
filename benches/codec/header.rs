//! Frame headers: a thousand masked ones back to back.

use std::hint::black_box;
use std::io::Cursor;

use barews::proto::Header;
use barews_benches::sample;
use divan::Bencher;
use divan::counter::ItemsCount;
use tungstenite::protocol::frame::FrameHeader;

const COUNT: usize = 1000;
/// Payload lengths, which decide how the length is encoded; 0 is all three in turn.
const LENGTHS: [u64; 4] = [20, 1 << 10, 1 << 20, 0];

fn headers(len: u64) -> (Vec<u8>, u64) {
    let mut bytes = Vec::new();
    let mut sum = 0;
    for i in 0..COUNT {
        let len = if len == 0 { LENGTHS[i % 3] } else { len };
        sum += len;
        let opcode = barews::proto::OpCode::Binary;
        let header = Header { fin: true, opcode, mask: Some(sample::key(i)), len };
        let mut out = [0; 14];
        let used = header.encode(&mut out);
        bytes.extend_from_slice(&out[..used]);
    }
    (bytes, sum)
}

fn bench(bencher: Bencher, len: u64, decode: fn(&[u8]) -> u64) {
    let (bytes, sum) = headers(len);
    assert_eq!(decode(&bytes), sum);
    bencher.counter(ItemsCount::new(COUNT)).bench_local(|| decode(black_box(&bytes)));
}

#[divan::bench(args = LENGTHS)]
fn barews(bencher: Bencher, len: u64) {
    bench(bencher, len, |mut bytes| {
        let mut sum = 0;
        while let Some((header, used)) = Header::decode(bytes).expect("a valid header") {
            sum += header.len;
            bytes = &bytes[used..];
        }
        sum
    });
}

/// Byte by byte, with no rule looked at.
#[divan::bench(args = LENGTHS)]
fn naive(bencher: Bencher, len: u64) {
    bench(bencher, len, |bytes| {
        let (mut sum, mut at) = (0, 0);
        while at < bytes.len() {
            let (header, used) = naive_header(&bytes[at..]);
            black_box(header);
            sum += header.2;
            at += used;
        }
        sum
    });
}

/// FIN, opcode, length and key.
pub(crate) fn naive_header(bytes: &[u8]) -> ((bool, u8, u64, [u8; 4]), usize) {
    let (extra, mut len) = match bytes[1] & 0x7f {
        126 => (2, 0),
        127 => (8, 0),
        short => (0, u64::from(short)),
    };
    let mut at = 2;
    for _ in 0..extra {
        len = len << 8 | u64::from(bytes[at]);
        at += 1;
    }
    let key = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    ((bytes[0] & 0x80 != 0, bytes[0] & 0xf, len, key), at + 4)
}

#[divan::bench(args = LENGTHS)]
fn tungstenite(bencher: Bencher, len: u64) {
    bench(bencher, len, |bytes| {
        let mut cursor = Cursor::new(bytes);
        let mut sum = 0;
        while let Some((header, len)) = FrameHeader::parse(&mut cursor).expect("a valid header") {
            black_box(header);
            sum += len;
        }
        sum
    });
}
