//! Floods, which take the processors from whatever runs beside: `.ci/run` runs them alone.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use super::common::*;
use super::healthy::{assert_quick, healthy, server};

/// Fifty clients send what takes the most of a loop for each byte; ten others have their turns.
#[test]
fn floods() {
    let floods: [(&str, Vec<u8>); 4] = [
        ("empty fragments", {
            let mut bytes = frame(0x01, "");
            bytes.extend(frame(0x00, "").repeat(4000));
            bytes.extend(frame(CONT, ""));
            bytes
        }),
        ("Pings", frame(PING, "").repeat(4000)),
        ("tiny messages", frame(TEXT, "x").repeat(4000)),
        ("Pongs", frame(PONG, [7; 125]).repeat(200)),
    ];
    for (what, bytes) in floods {
        let server = server();
        let addr = server.addr();
        let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| sent.store(flood(addr, &bytes, &begun, &over), Ordering::Relaxed));
            begun.wait();
            let times = healthy(addr, 30);
            over.store(true, Ordering::Relaxed);
            assert_quick(what, &times, ms(1000));
        });
        println!("{} MiB of {what}", sent.load(Ordering::Relaxed) >> 20);
        RawClient::connect_tls(addr).opened().finish();
    }
}

/// Fifty connections of one thread: as many threads would show how the system shares its processors out.
/// How many bytes were taken of all of them.
fn flood(addr: SocketAddr, bytes: &[u8], begun: &Barrier, over: &AtomicBool) -> u64 {
    let mut clients: Vec<_> = (0..50)
        .map(|_| {
            let stream = RawClient::connect_tls(addr).opened().into_stream();
            stream.socket().set_nonblocking(true).expect("a mode");
            (stream, 0)
        })
        .collect();
    begun.wait();
    let (mut sent, mut answers) = (0, vec![0; 256 << 10]);
    let start = Instant::now();
    while !over.load(Ordering::Relaxed) && start.elapsed() < PATIENCE {
        let before = sent;
        for (stream, at) in &mut clients {
            while stream.read(&mut answers).is_ok_and(|len| len > 0) {}
            if let Ok(len) = stream.write(&bytes[*at..]) {
                sent += len as u64;
                *at = (*at + len) % bytes.len();
            }
        }
        if sent == before {
            thread::sleep(ms(1));
        }
    }
    sent
}
