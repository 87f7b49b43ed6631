//! Both directions at once.

use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use barews::Message;

use crate::common::tls::SERVER;
use crate::common::{BINARY, PATIENCE, PING, frame, head, ms, r0};
use crate::{by_hand, ciphertext, connect, encrypt, read_plaintext, server_with};

/// The header of an unmasked binary frame with 64 MiB.
const BIG: [u8; 10] = [0x82, 127, 0, 0, 0, 0, 4, 0, 0, 0];
const LEN: usize = 64 << 20;

/// 64 MiB each way at once on one connection, with a thread on each half at both ends: nobody waits
/// for the other direction.
#[test]
fn sixty_four_mib_each_way_at_once() {
    let (sender, results) = channel();
    let server = crate::common::TestServer::with_handler(
        |server| {
            let mut config = barews::Config::default();
            config.limits.max_message_size = LEN as u64;
            server.tls(SERVER.clone()).config(config)
        },
        move |conn| {
            let (mut receiver, sending) = conn.split();
            let thread = thread::spawn(move || sending.send(&vec![0x5a; LEN]));
            let mut buf = Vec::new();
            let received = receiver.recv(&mut buf)?.map(|message| match message {
                Message::Binary(bytes) => bytes.len() == LEN && bytes.iter().all(|b| *b == 0xa5),
                Message::Text(_) => false,
            });
            let sent = thread.join().expect("no panic").is_ok();
            sender.send((received, sent)).expect("the test waits");
            Ok(())
        },
    );
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.write_all(&encrypt(&mut conn, &r0().bytes())).unwrap();
    read_plaintext(&mut tcp, &mut conn, 129);
    // All of it is encrypted before, since a session of rustls is one for both directions.
    let mut outgoing = encrypt(&mut conn, &head(BINARY, LEN as u64));
    for _ in 0..LEN / (64 << 10) {
        outgoing.extend(encrypt(&mut conn, &[0xa5; 64 << 10]));
    }
    let mut writing = tcp.try_clone().unwrap();
    let start = Instant::now();
    let writer = thread::spawn(move || writing.write_all(&outgoing));
    assert_eq!(read_plaintext(&mut tcp, &mut conn, BIG.len()), BIG);
    let mut left = LEN;
    while left > 0 {
        let bytes = read_plaintext(&mut tcp, &mut conn, left.min(1 << 20));
        assert!(bytes.iter().all(|byte| *byte == 0x5a));
        left -= bytes.len();
    }
    writer.join().expect("no panic").expect("all was taken");
    let (received, sent) = results.recv_timeout(PATIENCE).expect("both halves have ended");
    assert!(received == Some(true) && sent, "{received:?} {sent}");
    println!("64 MiB each way in {:?}", start.elapsed());
}

/// A sender that is blocked by a peer which does not read: what that sends is received all the
/// same, new keys among it, and what waits goes out in the end.
#[test]
fn a_blocked_sender_does_not_hold_up_the_receiver() {
    let (sender, received) = channel();
    let server = server_with(move |conn| {
        let (mut receiver, sending) = conn.split();
        let thread = thread::spawn(move || sending.send(&vec![7; 16 << 20]));
        let mut buf = Vec::new();
        while let Some(message) = receiver.recv(&mut buf)? {
            if let Message::Binary(bytes) = message {
                sender.send(bytes.to_vec())?;
            }
        }
        thread.join().expect("no panic")?;
        Ok(())
    });
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.write_all(&encrypt(&mut conn, &r0().bytes())).unwrap();
    // The sender has begun, and the socket is soon full.
    read_plaintext(&mut tcp, &mut conn, 129 + 10);
    thread::sleep(ms(100));
    for n in 0..20_u8 {
        // RFC 8446 §4.6.3: new keys, and the wish that the server take new ones too.
        if n % 5 == 0 {
            conn.refresh_traffic_keys().unwrap();
            tcp.write_all(&ciphertext(&mut conn)).unwrap();
        }
        let bytes = [frame(PING, [n]), frame(BINARY, [n; 100])].concat();
        tcp.write_all(&encrypt(&mut conn, &bytes)).unwrap();
        assert_eq!(received.recv_timeout(PATIENCE).expect("received"), [n; 100]);
    }
    // Now it reads: the message, and the Pongs that waited behind it.
    let mut left = 16 << 20;
    while left > 0 {
        let bytes = read_plaintext(&mut tcp, &mut conn, left.min(1 << 20));
        assert!(bytes.iter().all(|byte| *byte == 7));
        left -= bytes.len();
    }
    for n in 0..20_u8 {
        assert_eq!(read_plaintext(&mut tcp, &mut conn, 3), [0x8a, 1, n]);
    }
    tcp.write_all(&encrypt(&mut conn, &crate::common::close(1000, ""))).unwrap();
    assert_eq!(read_plaintext(&mut tcp, &mut conn, 4), [0x88, 2, 3, 232]);
}

/// The answer to a KeyUpdate comes ahead of what is sent next, and its keys hold from there on.
#[test]
fn new_keys_in_the_middle() {
    let server = crate::echo_server(|server| server);
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.write_all(&encrypt(&mut conn, &r0().bytes())).unwrap();
    read_plaintext(&mut tcp, &mut conn, 129);
    for n in 0..10_u8 {
        conn.refresh_traffic_keys().unwrap();
        tcp.write_all(&encrypt(&mut conn, &frame(BINARY, [n; 50]))).unwrap();
        let echo = read_plaintext(&mut tcp, &mut conn, 52);
        assert_eq!(echo[2..], [n; 50]);
    }
}

/// More KeyUpdates than anybody needs end the connection, and take no memory.
#[test]
fn a_flood_of_key_updates() {
    let server = crate::echo_server(|server| server);
    let (mut tcp, mut conn) = by_hand(server.addr);
    tcp.write_all(&encrypt(&mut conn, &r0().bytes())).unwrap();
    read_plaintext(&mut tcp, &mut conn, 129);
    for _ in 0..10_000 {
        conn.refresh_traffic_keys().unwrap();
        if tcp.write_all(&ciphertext(&mut conn)).is_err() {
            break;
        }
    }
    let ended = server.ended(tcp.local_addr().unwrap());
    assert!(
        matches!(&ended.result, Err(barews::Error::Io(error))
        if error.kind() == std::io::ErrorKind::InvalidData),
        "{ended:?}"
    );
}

/// A close_notify of the client's ends its direction only: what it asked for before is answered, and
/// ours comes behind.
#[test]
fn close_notify_both_ways() {
    let server = crate::echo_server(|server| server);
    let (mut tcp, mut conn) = by_hand(server.addr);
    let bytes = [r0().bytes(), frame(BINARY, "last")].concat();
    tcp.write_all(&encrypt(&mut conn, &bytes)).unwrap();
    conn.send_close_notify();
    tcp.write_all(&ciphertext(&mut conn)).unwrap();
    read_plaintext(&mut tcp, &mut conn, 129);
    assert_eq!(read_plaintext(&mut tcp, &mut conn, 6), b"\x82\x04last");
    // Not an end of TCP alone.
    let mut rest = Vec::new();
    tcp.read_to_end(&mut rest).unwrap();
    conn.read_tls(&mut &rest[..]).unwrap();
    assert!(conn.process_new_packets().unwrap().peer_has_closed());
    let ended = server.ended(tcp.local_addr().unwrap());
    assert!(
        matches!(&ended.result, Err(barews::Error::Io(error))
        if error.kind() == std::io::ErrorKind::UnexpectedEof),
        "{ended:?}"
    );

    // After a closing handshake, too.
    let (mut tcp, mut conn) = by_hand(server.addr);
    let bytes = [r0().bytes(), crate::common::close(1000, "")].concat();
    tcp.write_all(&encrypt(&mut conn, &bytes)).unwrap();
    read_plaintext(&mut tcp, &mut conn, 129 + 4);
    let mut rest = Vec::new();
    tcp.read_to_end(&mut rest).unwrap();
    conn.read_tls(&mut &rest[..]).unwrap();
    assert!(conn.process_new_packets().unwrap().peer_has_closed());
}

/// A shutdown that finds a writer blocked waits for nobody.
#[test]
fn a_shutdown_while_a_sender_is_blocked() {
    let mut server = server_with(|mut conn| {
        let _ = conn.send(&vec![0; 64 << 20]);
        Ok(())
    });
    let mut client = connect(server.addr).opened();
    assert!(client.heard_within(PATIENCE));
    thread::sleep(ms(50));
    assert!(server.stop(ms(300)) < ms(3000));
}
