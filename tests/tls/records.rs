//! Bytes below the plaintext: cut anywhere, changed anywhere.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::common::{BINARY, CLOSE, close, frame, noise, r0};
use crate::{by_hand, echo_server, encrypt, read_plaintext};

/// Ciphertext that comes byte by byte, and records of one byte.
#[test]
fn byte_by_byte() {
    let server = echo_server(|server| server);
    // One byte a segment.
    let (mut tcp, mut conn) = by_hand(server.addr);
    let bytes = [r0().bytes(), frame(BINARY, [3; 300]), close(1000, "")].concat();
    for byte in encrypt(&mut conn, &bytes).chunks(1) {
        tcp.write_all(byte).unwrap();
    }
    let answer = read_plaintext(&mut tcp, &mut conn, 129 + 304 + 4);
    assert_eq!(answer[129..][..4], [0x82, 126, 1, 44]);
    assert_eq!(answer[129 + 304..], [CLOSE, 2, 3, 232]);

    // One byte a record, all of them in one write.
    let (mut tcp, mut conn) = by_hand(server.addr);
    let bytes = [r0().bytes(), frame(BINARY, vec![3; 70_000]), close(1000, "")].concat();
    let records: Vec<u8> = bytes.chunks(1).flat_map(|byte| encrypt(&mut conn, byte)).collect();
    tcp.write_all(&records).unwrap();
    let answer = read_plaintext(&mut tcp, &mut conn, 129 + 70_010 + 4);
    assert_eq!(answer[129 + 70_010..], [CLOSE, 2, 3, 232]);
}

/// Records of every length, and messages that begin and end anywhere in them.
#[test]
fn records_of_all_lengths() {
    let server = echo_server(|server| server);
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.write_all(&encrypt(&mut conn, &r0().bytes())).unwrap();
    read_plaintext(&mut tcp, &mut conn, 129);
    let messages: Vec<_> = (1..60_u32).map(|n| noise(n).take((n * n * 31) as usize)).collect();
    let messages: Vec<Vec<u8>> = messages.into_iter().map(Iterator::collect).collect();
    let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(BINARY, message)).collect();
    let mut rest = &bytes[..];
    let mut len = 1;
    let mut records = Vec::new();
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(len.min(rest.len()));
        records.extend(encrypt(&mut conn, piece));
        rest = more;
        len = len * 7 % 20_011;
    }
    let mut writing = tcp.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for piece in records.chunks(4099) {
            writing.write_all(piece).unwrap();
        }
    });
    for message in messages {
        let header = if message.len() < 126 {
            2
        } else if message.len() < 65_536 {
            4
        } else {
            10
        };
        let echo = read_plaintext(&mut tcp, &mut conn, header + message.len());
        assert!(echo[header..] == message, "{} bytes", message.len());
    }
    writer.join().unwrap();
}

/// Whatever stands in place of the ciphertext, at any point of a conversation: an error at the most,
/// and the server goes on.
#[test]
fn changed_bytes() {
    let server = echo_server(|server| server);
    for seed in 0..300_u32 {
        let (mut tcp, mut conn) = by_hand(server.addr);
        let mut bytes = encrypt(&mut conn, &r0().bytes());
        bytes.extend(encrypt(&mut conn, &frame(BINARY, [1; 500])));
        let mut random = noise(seed + 1);
        let mut next = || random.next().unwrap() as usize | (random.next().unwrap() as usize) << 8;
        match seed % 3 {
            // A bit, anywhere.
            0 => {
                let at = next() % bytes.len();
                bytes[at] ^= 1 << (next() % 8);
            }
            // Something of the header, which is not encrypted.
            1 => bytes[next() % 5] = next() as u8,
            // The end, anywhere, with noise behind it.
            _ => {
                bytes.truncate(next() % bytes.len());
                let len = next() % 2000;
                bytes.extend(noise(seed + 1000).take(len));
            }
        }
        let _ = tcp.write_all(&bytes);
        let _ = tcp.shutdown(Shutdown::Write);
        let _ = tcp.read_to_end(&mut Vec::new());
        // Opened or not, it has ended.
        let report = server.report(tcp.local_addr().unwrap());
        let text = format!("{report:?}");
        assert!(!text.contains("anick"), "{seed}: {text}");
    }
    crate::connect(server.addr).opened().finish();
}
