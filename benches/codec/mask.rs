//! Unmasking in place.

use std::hint::black_box;

use barews::proto::mask;
use barews_benches::sample::{KEY, Payload};
use divan::Bencher;
use divan::counter::BytesCount;

const LENGTHS: [usize; 4] = [20, 1 << 10, 16 << 10, 1 << 20];

fn bench(bencher: Bencher, len: usize, apply: fn(&mut [u8])) {
    let plain = Payload::Binary.bytes(len);
    let mut data = plain.clone();
    apply(&mut data);
    assert!(data.iter().enumerate().all(|(i, byte)| *byte == plain[i] ^ KEY[i % 4]));
    bencher.counter(BytesCount::new(len)).bench_local(|| apply(black_box(&mut data)));
}

#[divan::bench(args = LENGTHS)]
fn barews(bencher: Bencher, len: usize) {
    bench(bencher, len, |data| mask::apply(data, KEY, 0));
}

#[divan::bench(args = LENGTHS)]
fn naive(bencher: Bencher, len: usize) {
    bench(bencher, len, |data| {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte ^= KEY[i % 4];
        }
    });
}

#[divan::bench(args = LENGTHS)]
fn fastwebsockets(bencher: Bencher, len: usize) {
    bench(bencher, len, |data| fastwebsockets::unmask(data, KEY));
}
