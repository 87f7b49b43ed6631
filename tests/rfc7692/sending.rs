//! §7.2.1: what the server sends, read by an inflater that is strict about it.

use std::io::{BufWriter, Write};
use std::sync::mpsc::channel;
use std::thread;

use barews::{Connection, Deadline, Error, MessageType, OwnedMessage};

use crate::common::compressed::{
    beside, compressed_pair, compressing, open_compressed, read_message,
};
use crate::common::deflate::Inflater;
use crate::common::{
    BINARY, Frame, PATIENCE, PING, RawClient, TEXT, TestServer, close, frame, ms, noise,
};
use crate::frames::{AGAIN, DEFLATED, DEFLATED_PART, HZ};

pub const OFFER: &str = "permessage-deflate";
pub const ALONE: &str = "permessage-deflate; server_no_context_takeover";

/// Compresses whatever gets shorter by it.
pub fn all() -> barews::Config {
    compressing(|_, deflate| (deflate.threshold, deflate.threshold_no_context) = (0, 0))
}

/// A text that has something in common with others of its kind.
pub fn update(number: usize) -> String {
    let name = number.wrapping_mul(0x9e37_79b9) % 1000;
    format!(
        r#"{{"type":"update","number":{number},"name":"item {name}","price":{}.50}}"#,
        number % 97
    )
}

/// Reads a message, which must be this one; whether it was compressed.
pub fn expect(client: &mut RawClient, inflater: &mut Inflater, message: &Frame) -> bool {
    let (is_compressed, _, next) = read_message(client, inflater);
    assert!(next == *message, "expected {message:?}, got {next:?}");
    is_compressed
}

/// Ends it well.
pub fn finish(mut conn: Connection, mut client: RawClient) {
    client.send(close(1000, ""));
    thread::scope(|scope| {
        scope.spawn(move || client.expect_close(1000));
        conn.set_recv_timeout(None);
        assert_eq!(conn.recv(&mut Vec::new()).expect("the end"), None);
    });
}

#[test]
fn row_66_messages_of_no_bytes_and_few() {
    for (offer, takeover) in [(OFFER, true), (ALONE, false)] {
        let (mut conn, mut client) = compressed_pair(&all(), offer);
        let mut inflater = Inflater::new(15, takeover);
        for _ in 0..3 {
            conn.send("").unwrap();
            conn.send(b"").unwrap();
            conn.write("").unwrap();
            conn.flush().unwrap();
            expect(&mut client, &mut inflater, &Frame::text(""));
            expect(&mut client, &mut inflater, &Frame::binary(""));
            expect(&mut client, &mut inflater, &Frame::text(""));
        }
        for len in (0..40).chain([125, 126, 127, 128, 65_535, 65_536, 65_537]) {
            let message = "Hello, ".repeat(len / 7 + 1)[..len].to_owned();
            conn.send(&message).unwrap();
            let is_compressed = expect(&mut client, &mut inflater, &Frame::text(&message));
            assert!(is_compressed || len < 40, "{len}");
        }
        finish(conn, client);
    }
}

/// What does not get shorter is sent as it is, and nothing that follows refers to it.
#[test]
fn row_67_what_cannot_be_compressed() {
    for (offer, takeover) in [(OFFER, true), (ALONE, false)] {
        let (mut conn, mut client) = compressed_pair(&all(), offer);
        let mut inflater = Inflater::new(15, takeover);
        for round in 0..5 {
            for len in [1, 100, 1000, 20_000, 70_000] {
                let random: Vec<u8> = noise(round * 100_000 + len as u32).take(len).collect();
                // The second time it has not been said either.
                for _ in 0..2 {
                    conn.send(&random).unwrap();
                    assert!(!expect(&mut client, &mut inflater, &Frame::binary(&random)));
                }
                let text = update(round as usize);
                conn.send(&text).unwrap();
                expect(&mut client, &mut inflater, &Frame::text(&text));
                // What is random for a part of it only.
                let half = [&random[..len / 2], &[7; 300], &random[..len / 2]].concat();
                conn.send(&half).unwrap();
                assert!(expect(&mut client, &mut inflater, &Frame::binary(&half)));
            }
        }
        finish(conn, client);
    }
}

/// A message by a writer, each part in a write of its own, the last one by `finish_with` if there is
/// one.
fn write_parts(conn: &mut Connection, parts: &[&str], last: Option<&str>) {
    let mut writer = conn.writer(MessageType::Text);
    for part in parts {
        assert_eq!(writer.write(part.as_bytes()).unwrap(), part.len());
    }
    writer.flush().unwrap();
    match last {
        Some(last) => writer.finish_with(last.as_bytes()).unwrap(),
        None => writer.finish().unwrap(),
    }
}

#[test]
fn row_68_writers_in_all_ways() {
    for (offer, takeover) in [(OFFER, true), (ALONE, false)] {
        let (mut conn, mut client) = compressed_pair(&all(), offer);
        let mut inflater = Inflater::new(15, takeover);
        let long = "long ".repeat(20_000);
        let ways: [(&[&str], Option<&str>, usize); 14] = [
            (&[], None, 1),
            (&[], Some(""), 1),
            (&[], Some("Hello"), 1),
            (&["Hello"], None, 2),
            (&["Hello"], Some(""), 2),
            (&["Hello"], Some("Hello"), 2),
            (&[""], None, 1),
            (&["", ""], Some(""), 1),
            (&["", "Hello", ""], None, 2),
            (&["", "Hello", "", "Hello", ""], Some(""), 3),
            (&["H", "e", "l", "l", "o"], Some("!"), 6),
            (&[&long, &long], None, 3),
            (&[&long, "x", &long], Some(&long), 4),
            (&["\u{20ac}"; 5], None, 6),
        ];
        for _ in 0..2 {
            for (parts, last, frames) in ways {
                write_parts(&mut conn, parts, last);
                let text = [&parts.concat(), last.unwrap_or_default()].concat();
                let message = read_message(&mut client, &mut inflater);
                assert_eq!(message, (true, frames, Frame::text(&text)));
                assert_eq!(inflater.blocks.last(), Some(&0));
                // And whole messages between them.
                conn.send("Hello, Hello, Hello").unwrap();
                expect(&mut client, &mut inflater, &Frame::text("Hello, Hello, Hello"));
            }
        }
        finish(conn, client);
    }
}

/// Every fragment can be inflated as soon as it is there.
#[test]
fn row_68_nothing_of_a_fragment_is_held_back() {
    let (mut conn, mut client) = compressed_pair(&all(), OFFER);
    let mut writer = conn.writer(MessageType::Text);
    let mut payload = Vec::new();
    let mut said = String::new();
    for number in 0..50 {
        let part = update(number);
        writer.write_all(part.as_bytes()).unwrap();
        said += &part;
        let (is_marked, fragment) = client.read_marked_frame().expect("a fragment");
        assert_eq!((is_marked, fragment.fin), (number == 0, false));
        payload.extend(fragment.payload);
        // What has come ends with a sync flush: less its end it would be a message.
        let message = payload.strip_suffix(&[0, 0, 0xff, 0xff]).expect("a sync flush");
        assert_eq!(Inflater::new(15, true).message(message).unwrap(), said.as_bytes());
    }
    writer.finish().unwrap();
    let last = client.read_marked_frame().expect("the last fragment");
    assert_eq!(last, (false, Frame::new(0x80, [0])));
    finish(conn, client);
}

#[test]
fn row_68_writes_that_are_gathered() {
    let (mut conn, mut client) = compressed_pair(&all(), OFFER);
    let mut inflater = Inflater::new(15, true);
    for _ in 0..3 {
        let mut lines = BufWriter::with_capacity(1000, conn.writer(MessageType::Binary));
        let mut said = Vec::new();
        for number in 0..200 {
            let line = update(number);
            lines.write_all(line.as_bytes()).unwrap();
            said.extend(line.into_bytes());
        }
        lines.into_inner().map_err(drop).unwrap().finish().unwrap();
        expect(&mut client, &mut inflater, &Frame::binary(said));
    }
    finish(conn, client);
}

#[test]
fn row_69_a_writer_that_is_dropped() {
    for parts in [1, 3] {
        let (mut conn, client) = compressed_pair(&all(), OFFER);
        // One that has written nothing has said nothing.
        drop(conn.writer(MessageType::Text));
        let reads = move |client: &mut RawClient| {
            for part in 0..parts {
                let (is_marked, fragment) = client.read_marked_frame().expect("a fragment");
                assert_eq!((is_marked, fragment.fin), (part == 0, false));
            }
            client.expect_close(1011);
        };
        beside(client, reads, || {
            let mut writer = conn.writer(MessageType::Text);
            for part in 0..parts {
                writer.write_all(update(part).as_bytes()).unwrap();
            }
            drop(writer);
            assert!(matches!(conn.send("late"), Err(Error::Closed)));
        });
    }
}

/// Text that is cut inside a character is whole for the peer; what is no UTF-8 is never sent.
#[test]
fn row_69_text_that_is_not_utf_8() {
    let (mut conn, mut client) = compressed_pair(&all(), OFFER);
    let mut inflater = Inflater::new(15, true);
    let mut writer = conn.writer(MessageType::Text);
    for part in [&b"\xe2"[..], b"\x82", b"\xac"] {
        writer.write_all(part).unwrap();
    }
    writer.finish().unwrap();
    expect(&mut client, &mut inflater, &Frame::text("\u{20ac}"));
    let mut writer = conn.writer(MessageType::Text);
    assert!(writer.write(b"\xff").is_err());
    drop(writer);
    assert!(conn.writer(MessageType::Text).finish_with(b"\xe2").is_err());
    conn.send("next, next, next, next").unwrap();
    expect(&mut client, &mut inflater, &Frame::text("next, next, next, next"));
    finish(conn, client);
}

/// A message that is not to be compressed is not, and no other refers to it.
#[test]
fn row_70_messages_that_are_not_to_be_compressed() {
    let (mut conn, mut client) = compressed_pair(&all(), OFFER);
    let mut inflater = Inflater::new(15, true);
    let secret = "a secret, ".repeat(30);
    for _ in 0..3 {
        conn.send_uncompressed(&secret).unwrap();
        assert!(!expect(&mut client, &mut inflater, &Frame::text(&secret)));
        let mut writer = conn.writer(MessageType::Text).uncompressed();
        writer.write_all(secret.as_bytes()).unwrap();
        writer.finish_with(b"end").unwrap();
        assert!(!expect(&mut client, &mut inflater, &Frame::text([&secret, "end"].concat())));
        let other = [&secret[..100], "not a secret"].concat();
        conn.send(&other).unwrap();
        assert!(expect(&mut client, &mut inflater, &Frame::text(&other)));
    }
    let (_, sender) = {
        conn.write("queued, queued, queued, queued").unwrap();
        conn.split()
    };
    assert!(expect(&mut client, &mut inflater, &Frame::text("queued, queued, queued, queued")));
    // The receiver is gone, and the connection with it.
    assert!(matches!(sender.send_uncompressed(&secret), Err(Error::Closed)));
}

/// What is queued goes out in its order, whatever is compressed of it.
#[test]
fn messages_that_are_queued() {
    let (mut conn, mut client) = compressed_pair(&compressing(|_, _| ()), OFFER);
    let mut inflater = Inflater::new(15, true);
    let mut expected = Vec::new();
    for number in 0..300 {
        let message = match number % 5 {
            0 => "short".to_owned(),
            1 => update(number).repeat(200),
            _ => update(number),
        };
        match number % 7 {
            0 => conn.send(&message).unwrap(),
            1 => conn.send_uncompressed(&message).unwrap(),
            2 => {
                let mut writer = conn.writer(MessageType::Text);
                writer.write_all(message.as_bytes()).unwrap();
                writer.finish().unwrap();
            }
            _ => conn.write(&message).unwrap(),
        }
        expected.push(message);
        if number % 20 == 19 {
            conn.flush().unwrap();
            for message in expected.drain(..) {
                expect(&mut client, &mut inflater, &Frame::text(message));
            }
        }
    }
    finish(conn, client);
}

/// A text of so many bytes that is shorter when it is compressed, however short it is.
fn compressible(len: usize) -> String {
    "=".repeat(len)
}

#[test]
fn thresholds() {
    for (offer, threshold) in [(OFFER, 32), (ALONE, 256)] {
        let (mut conn, mut client) = compressed_pair(&compressing(|_, _| ()), offer);
        let mut inflater = Inflater::new(15, threshold == 32);
        for len in [0, 1, 31, 32, 33, 255, 256, 257, 20_000] {
            conn.send(&compressible(len)).unwrap();
            let expected = Frame::text(compressible(len));
            assert_eq!(expect(&mut client, &mut inflater, &expected), len >= threshold, "{len}");
            conn.write(&compressible(len)).unwrap();
            conn.flush().unwrap();
            assert_eq!(expect(&mut client, &mut inflater, &expected), len >= threshold, "{len}");
        }
        finish(conn, client);
    }
}

/// A sender that is blocked, since the client does not read, holds up nobody who receives, and no Pong.
#[test]
fn receiving_goes_on_while_a_sender_is_blocked() {
    const MESSAGES: usize = 48;
    // An eighth of it can be saved.
    let message: Vec<u8> = noise(1).take(256 << 10).map(|byte| byte & 0x7f).collect();
    let same = OwnedMessage::from(message.clone());
    let (sender, received) = channel();
    let server = TestServer::with_handler(
        |server| server.config(compressing(|_, deflate| deflate.level = 1)),
        move |conn| {
            let (mut receiver, sending) = conn.split();
            let same = same.clone();
            let thread =
                thread::spawn(move || (0..MESSAGES).try_for_each(|_| sending.send_owned(&same)));
            let mut buf = Vec::new();
            while let Some(message) = receiver.recv(&mut buf)? {
                sender.send(message.as_bytes().to_vec())?;
            }
            thread.join().expect("no panic")?;
            Ok(())
        },
    );
    let mut client = open_compressed(server.addr, OFFER);
    assert!(client.heard_within(PATIENCE), "the sender has begun");
    for payload in [&HZ[..], &AGAIN, &AGAIN] {
        client.send([frame(PING, "p"), frame(DEFLATED, payload)].concat());
        assert_eq!(received.recv_timeout(PATIENCE).expect("it is received at once"), b"Hello");
    }
    let mut inflater = Inflater::new(15, true);
    let (mut messages, mut pongs) = (0, 0);
    while messages < MESSAGES || pongs < 3 {
        let (is_marked, frame) = client.read_marked_frame().expect("a frame");
        if frame.opcode == 10 {
            pongs += 1;
            continue;
        }
        assert!(is_marked && frame.fin && frame.opcode == 2);
        // All are the same: it is enough to look at some of them.
        if messages % 16 == 0 {
            assert!(Inflater::new(15, true).message(&frame.payload).expect("DEFLATE") == message);
        }
        messages += 1;
    }
    inflater.longest = 0;
    client.finish();
}

/// A client that does not read ends the connection at the write deadline, as ever.
#[test]
fn the_write_deadline() {
    let (sender, ended) = channel();
    let server = TestServer::with_handler(
        |server| {
            server.config(compressing(|config, deflate| {
                (deflate.level, config.timeouts.write) = (1, ms(200));
            }))
        },
        move |mut conn| {
            let message: Vec<u8> = noise(1).take(64 << 10).map(|byte| byte & 0x7f).collect();
            let result = (0..10_000).try_for_each(|_| conn.send(&message));
            assert!(matches!(conn.send("late"), Err(Error::Closed | Error::DeadlineExceeded(_))));
            sender.send(result)?;
            Ok(())
        },
    );
    let client = open_compressed(server.addr, OFFER);
    let result = ended.recv_timeout(PATIENCE).expect("an end");
    assert!(matches!(result, Err(Error::DeadlineExceeded(Deadline::Write))), "{result:?}");
    drop(client);
}

/// In the middle of a message in either direction, a shutdown is the one that it is without compression.
#[test]
fn a_shutdown_within_messages() {
    let (sender, begun) = channel();
    let mut server = TestServer::with_handler(
        |server| server.config(all()),
        move |conn| {
            let (mut receiver, sending) = conn.split();
            let mut writer = sending.writer(MessageType::Text);
            writer.write_all(b"begun, begun, begun")?;
            sender.send(())?;
            assert_eq!(receiver.recv(&mut Vec::new())?, None);
            Ok(())
        },
    );
    let mut client = open_compressed(server.addr, OFFER);
    begun.recv_timeout(PATIENCE).expect("a fragment");
    client.send(frame(DEFLATED_PART, &HZ[..3]));
    let (is_marked, fragment) = client.read_marked_frame().expect("a fragment");
    assert_eq!((is_marked, fragment.fin), (true, false));
    let client = thread::spawn(move || {
        let last = client.read_frame().expect("a Close");
        assert_eq!(last.close_parts().0, 1001);
        client.send(close(1001, ""));
        client.expect_eof();
    });
    server.stop(PATIENCE);
    client.join().expect("no panic");
}

/// The kind of a message is its own, compressed or not.
#[test]
fn kinds() {
    let server = TestServer::echo(all());
    let mut client = open_compressed(server.addr, OFFER);
    let mut inflater = Inflater::new(15, true);
    for _ in 0..10 {
        for (first, message) in
            [(TEXT, "a text, a text, a text"), (BINARY, "no text, no text, no text")]
        {
            client.send(frame(first, message));
            assert!(expect(&mut client, &mut inflater, &Frame::new(first, message)));
        }
    }
    client.finish();
}

/// A stream that takes and gives what it likes changes nothing of what is said.
#[test]
fn streams_with_faults() {
    use barews::{Accept, Upgrade};

    use crate::common::compressed::Receive;
    use crate::common::{Faults, Script, r0};

    let texts: Vec<String> = (0..20).map(|number| update(number).repeat(1 + number % 3)).collect();
    let request = r0().add("Sec-WebSocket-Extensions: permessage-deflate").bytes();
    let sent = texts.iter().flat_map(|text| frame(TEXT, text)).collect::<Vec<u8>>();
    let sent = [request, sent, frame(PING, "p"), close(1000, "")].concat();
    for receive in [Receive::Whole, Receive::Parts(100), Receive::Split] {
        for faults in
            [Faults::NONE, Faults::ONE_BYTE_WRITES, Faults::WOULD_BLOCK, Faults::INTERRUPTED]
        {
            let script = Script::new(sent.clone(), faults);
            let upgrade = Upgrade::handshake(script.clone(), &all()).expect("a valid request");
            let ended = receive.echo(upgrade.accept(&Accept::new()).expect("a valid answer"));
            assert!(ended.result.is_ok(), "{ended:?}");
            let output = script.output();
            let head = output.windows(4).position(|end| end == b"\r\n\r\n").expect("a response");
            let mut rest = &output[head + 4..];
            let mut inflater = Inflater::new(15, true);
            for text in &texts {
                let next = Frame::read_marked(&mut rest).expect("a frame").expect("not the end");
                let (is_compressed, Frame { fin, payload, .. }) = next;
                let payload = match is_compressed {
                    true => inflater.message(&payload).expect("DEFLATE"),
                    false => payload,
                };
                assert!(fin && payload == text.as_bytes());
            }
            for last in [Frame::pong("p"), Frame::close(1000, "")] {
                assert_eq!(Frame::read(&mut rest).expect("a frame"), Some(last));
            }
            assert!(rest.is_empty() && inflater.longest > 0);
        }
    }
}

/// What has been compressed and inflated is counted, and nothing else.
#[test]
fn what_is_counted() {
    let (sender, handed) = channel();
    let server = TestServer::echo_with(|server| {
        let server = server.config(all());
        sender.send(server.stats_handle()).expect("a receiver");
        server
    });
    let stats = handed.recv_timeout(PATIENCE).expect("a handle");
    let mut client = open_compressed(server.addr, OFFER);
    let mut inflater = Inflater::new(15, true);
    client.send(frame(DEFLATED, HZ));
    expect(&mut client, &mut inflater, &Frame::text("Hello"));
    client.send(frame(DEFLATED, AGAIN));
    expect(&mut client, &mut inflater, &Frame::text("Hello"));
    client.send(frame(BINARY, noise(1).take(500).collect::<Vec<u8>>()));
    let random = Frame::binary(noise(1).take(500).collect::<Vec<u8>>());
    assert!(!expect(&mut client, &mut inflater, &random));
    let counted = stats.deflate();
    assert_eq!((counted.received_compressed, counted.received), (12, 10), "{counted:?}");
    assert!(counted.sent <= 10 && counted.sent_compressed <= counted.sent, "{counted:?}");
    client.finish();
}
