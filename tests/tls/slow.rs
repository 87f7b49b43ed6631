//! Peers that take their time, or never read.

use std::io::{Read, Write};
use std::time::Instant;

use barews::{Deadline, Error};

use crate::common::tls::{CLIENT, session};
use crate::common::{BINARY, PATIENCE, Unopened, awake, head, ms, r0, with_timeouts};
use crate::{by_hand, ciphertext, dial, echo_server, encrypt};

/// The deadline of all tests here.
const DEADLINE: std::time::Duration = ms(300);

/// A ClientHello byte by byte is cut at the handshake deadline, and so is a request.
#[test]
fn a_handshake_byte_by_byte() {
    let server = echo_server(|server| {
        server.config(with_timeouts(|timeouts| {
            timeouts.handshake = DEADLINE;
            timeouts.close = DEADLINE;
        }))
    });
    let hello = ciphertext(&mut session(&CLIENT));
    let start = Instant::now();
    let mut tcp = dial(server.addr);
    let mut silent = dial(server.addr);
    tcp.set_read_timeout(Some(ms(20))).unwrap();
    let mut cut = false;
    for byte in hello.chunks(1) {
        // The answer is none, or an end.
        cut = tcp.write_all(byte).is_err() || matches!(tcp.read(&mut [0]), Ok(0));
        if cut {
            break;
        }
    }
    let spent = start.elapsed();
    assert!(cut && spent >= DEADLINE - ms(20) && spent < DEADLINE * 2 + ms(1500), "{spent:?}");
    assert_eq!(server.unopened(tcp.local_addr().unwrap()), Unopened::TimedOut);
    // So is one that says nothing at all.
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    assert_eq!(server.unopened(silent.local_addr().unwrap()), Unopened::TimedOut);

    // The handshake done, and the request byte by byte, each in a record.
    let start = Instant::now();
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.set_read_timeout(Some(ms(20))).unwrap();
    let request = r0().add("X: a").bytes();
    let heard = request.chunks(1).any(|byte| {
        tcp.write_all(&encrypt(&mut conn, byte)).is_err() || tcp.read(&mut [0]).is_ok()
    });
    let spent = start.elapsed();
    assert!(heard && spent >= DEADLINE - ms(20) && spent < DEADLINE * 2 + ms(1500), "{spent:?}");
    assert_eq!(server.unopened(tcp.local_addr().unwrap()), Unopened::TimedOut);
}

/// A record whose bytes come one by one keeps no connection alive: nothing was received of it.
#[test]
fn a_record_byte_by_byte_is_silence() {
    let server = echo_server(|server| {
        server.config(with_timeouts(|timeouts| {
            timeouts.ping_interval = DEADLINE / 2;
            timeouts.idle_timeout = DEADLINE;
        }))
    });
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.write_all(&encrypt(&mut conn, &r0().bytes())).unwrap();
    let record = encrypt(&mut conn, &[&head(BINARY, 1000)[..], &[0; 1000]].concat());
    let start = Instant::now();
    let mut cut = false;
    tcp.set_read_timeout(Some(ms(20))).unwrap();
    let mut buf = [0; 4096];
    for byte in record.chunks(1) {
        cut = tcp.write_all(byte).is_err() || matches!(tcp.read(&mut buf), Ok(0));
        if cut {
            break;
        }
    }
    assert!(cut, "{:?}", start.elapsed());
    assert!(awake(start) < DEADLINE * 2 + ms(1500), "{:?}", start.elapsed());
    let ended = server.ended(tcp.local_addr().unwrap());
    assert!(matches!(ended.result, Err(Error::DeadlineExceeded(Deadline::Idle))), "{ended:?}");
}

/// A peer that never reads what it asks for is cut at the write deadline.
#[test]
fn a_peer_that_never_reads() {
    let server =
        echo_server(|server| server.config(with_timeouts(|timeouts| timeouts.write = DEADLINE)));
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.write_all(&encrypt(&mut conn, &r0().bytes())).unwrap();
    let message = [&head(BINARY, 60_000)[..], &[0; 60_000]].concat();
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if tcp.write_all(&encrypt(&mut conn, &message)).is_err() {
            break;
        }
    }
    let ended = server.ended(tcp.local_addr().unwrap());
    assert!(matches!(ended.result, Err(Error::DeadlineExceeded(Deadline::Write))), "{ended:?}");
}
