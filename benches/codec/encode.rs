//! From messages to frames, appended to a buffer that is large enough.

use std::hint::black_box;

use barews::MessageType;
use barews::proto::encoder;
use barews_benches::sample::{Payload, server_frame};
use divan::Bencher;
use divan::counter::BytesCount;

const LENGTHS: [usize; 3] = [20, 1 << 10, 1 << 20];

/// `encode` appends a frame.
fn bench<P>(bencher: Bencher, len: usize, payload: P, encode: fn(&P, &mut Vec<u8>)) {
    let mut out = Vec::new();
    encode(&payload, &mut out);
    encode(&payload, &mut out);
    let frame = server_frame(MessageType::Binary, &Payload::Binary.bytes(len));
    assert!(out == [frame.as_slice(), &frame].concat());
    bencher.counter(BytesCount::new(len)).bench_local(|| {
        out.clear();
        encode(black_box(&payload), &mut out);
        out.len()
    });
}

#[divan::bench(args = LENGTHS)]
fn barews(bencher: Bencher, len: usize) {
    bench(bencher, len, Payload::Binary.bytes(len), |payload, out| {
        encoder::message(MessageType::Binary, payload, out);
    });
}

#[divan::bench(args = LENGTHS)]
fn naive(bencher: Bencher, len: usize) {
    bench(bencher, len, Payload::Binary.bytes(len), |payload, out| {
        out.push(0x82);
        let (short, bytes) = match payload.len() {
            len @ 0..=125 => (len, 0),
            0..=0xffff => (126, 2),
            _ => (127, 8),
        };
        out.push(short as u8);
        for i in (0..bytes).rev() {
            out.push((payload.len() >> (8 * i)) as u8);
        }
        for byte in payload {
            out.push(*byte);
        }
    });
}

#[divan::bench(args = LENGTHS)]
fn tungstenite(bencher: Bencher, len: usize) {
    use tungstenite::Bytes;
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};
    bench(bencher, len, Bytes::from(Payload::Binary.bytes(len)), |payload, out| {
        let frame = Frame::message(payload.clone(), OpCode::Data(Data::Binary), true);
        frame.format(out).expect("memory");
    });
}
