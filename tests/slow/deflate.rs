//! RFC 7692: many messages, and what a peer may make the server hold and do.

use std::time::{Duration, Instant};

use barews::{Message, MessageType, OwnedMessage, Sender};

use crate::common::compressed::{OFFER, compressing, inflating, open_compressed, read_message};
use crate::common::deflate::{Bits, Inflater, bomb};
use crate::common::{
    BINARY, CONT, Frame, PING, RSV1, TEXT, TestServer, close, frame, noise, on_event_loop,
};

/// First bytes of frames of compressed messages.
const DEFLATED_BINARY: u8 = BINARY | RSV1;
const DEFLATED_BINARY_PART: u8 = 0x02 | RSV1;

/// A text that has something in common with others of its kind.
fn update(number: usize) -> String {
    let name = number.wrapping_mul(0x9e37_79b9) % 1000;
    format!(
        r#"{{"type":"update","number":{number},"name":"item {name}","price":{}.50}}"#,
        number % 97
    )
}

/// Row 71: the order in which messages are compressed is that on the wire.
#[test]
fn row_71_two_senders_of_10_000_messages() {
    use std::io::Write;
    use std::thread;

    const MESSAGES: usize = 10_000;
    let send_many = |sender: &Sender, thread: usize| {
        for number in 0..MESSAGES {
            let text = format!("{thread} {}", update(number));
            match number % 10 {
                0 => {
                    let mut writer = sender.writer(MessageType::Text);
                    for part in text.as_bytes().chunks(20) {
                        writer.write_all(part).expect("sent");
                    }
                    writer.finish().expect("sent");
                }
                1 => sender.send_uncompressed(&text).expect("sent"),
                2 => sender.send_owned(&OwnedMessage::from(text)).expect("sent"),
                _ => sender.send(&text).expect("sent"),
            }
            if number % 50 == 0 {
                sender.ping(b"in between").expect("sent");
            }
        }
    };
    let config = compressing(|_, deflate| deflate.threshold_no_context = 64);
    let server = TestServer::with_handler(
        |server| server.config(config),
        move |conn| {
            let (mut receiver, sender) = conn.split();
            thread::scope(|scope| {
                for thread in 0..2 {
                    let sender = sender.clone();
                    scope.spawn(move || send_many(&sender, thread));
                }
                assert_eq!(receiver.recv(&mut Vec::new())?, Some(Message::from("go on")));
                assert_eq!(receiver.recv(&mut Vec::new())?, None);
                Ok(())
            })
        },
    );
    let mut client = open_compressed(server.addr, OFFER);
    let mut inflater = Inflater::new(15, true);
    let (mut next, mut part) = ([0; 2], None);
    while next != [MESSAGES; 2] {
        let (is_marked, frame) = client.read_marked_frame().expect("a frame");
        if frame.opcode == 9 {
            client.send(crate::common::frame(PING, "p"));
        }
        if frame.opcode > 2 {
            continue;
        }
        let (is_compressed, mut payload): (bool, Vec<u8>) =
            part.take().unwrap_or((is_marked, vec![]));
        payload.extend(frame.payload);
        if !frame.fin {
            part = Some((is_compressed, payload));
            continue;
        }
        let payload = match is_compressed {
            true => inflater.message(&payload).expect("DEFLATE"),
            false => payload,
        };
        let text = String::from_utf8(payload).expect("text");
        let (thread, rest) = text.split_once(' ').expect("a thread's number");
        let thread: usize = thread.parse().expect("a number");
        assert_eq!(rest, update(next[thread]));
        next[thread] += 1;
    }
    client.send([frame(TEXT, "go on"), close(1000, "")].concat());
    while let Some((_, frame)) = client.read_marked_frame() {
        assert!(frame.opcode >= 8, "{frame:?}");
    }
}

/// Rows 40 and 46: what is held is what has been inflated, and never more than may be.
#[cfg(target_os = "linux")]
#[test]
fn row_40_bombs_of_1_gib() {
    let server = crate::common::Binary::serve(&["--deflate"]);
    let payload = bomb(1024);
    let mut client = open_compressed(server.addr, OFFER);
    client.send(frame(DEFLATED_BINARY, bomb(1)));
    let mut inflater = Inflater::new(15, true);
    assert!(read_message(&mut client, &mut inflater).2 == Frame::binary(vec![0; 1 << 20]));
    let before = server.peak_memory();
    let in_two = |cut: usize| {
        [frame(DEFLATED_BINARY_PART, &payload[..cut]), frame(CONT, &payload[cut..])].concat()
    };
    for sent in [frame(DEFLATED_BINARY, &payload), in_two(10_000), in_two(17_000)] {
        let start = Instant::now();
        let mut client = open_compressed(server.addr, OFFER);
        let _ = client.try_send(sent);
        // Behind so much unread, a reset may overtake it.
        if let Some(close) = client.try_read_frame() {
            assert_eq!(close.close_parts().0, 1009);
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
    let grown = server.peak_memory() - before;
    assert!(grown < 34 << 20, "{grown} bytes for a message of at most 16 MiB");
}

/// Row 46, a sixteenth of it: each has inflated 4 MiB of a message that goes on.
#[cfg(target_os = "linux")]
#[test]
fn row_46_many_unfinished_messages() {
    let server = crate::common::Binary::serve(&["--deflate", "--max-assembling", "64M"]);
    let before = server.peak_memory();
    let payload = bomb(4);
    let part = frame(DEFLATED_BINARY_PART, &payload[..payload.len() - 1]);
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut client = open_compressed(server.addr, OFFER);
        client.send([&part[..], &frame(PING, "")].concat());
        let answer = client.read_frame().expect("a Pong or a Close");
        match answer.opcode {
            10 => held.push(client),
            _ => assert_eq!(answer.close_parts().0, 1013),
        }
    }
    assert!((8..=16).contains(&held.len()), "{} are held", held.len());
    let grown = server.peak_memory() - before;
    assert!(grown < 96 << 20, "{grown} bytes where 64 MiB may be held");
}

/// Final blocks in a row: each ends a DEFLATE stream, and nothing of the message, so an inflater is told
/// of the whole history again. That is what each message costs too, and it may cost no more.
#[test]
fn final_blocks_in_a_row() {
    if on_event_loop() {
        // They have the same inflaters, and messages that cost less than these are to be compared with.
        return;
    }
    const MESSAGES: u32 = 10_000;
    const BLOCKS: u32 = 10 * MESSAGES;
    let server = TestServer::echo(inflating(|_, deflate| deflate.client_max_window_bits = 15));
    let mut client = open_compressed(server.addr, OFFER);
    let said: Vec<u8> = noise(1).take(32 << 10).collect();
    client.send(frame(DEFLATED_BINARY, Bits::new().stored(false, &said).message()));
    client.expect(&Frame::binary(&said));
    // The best of three, or a machine at work would be measured.
    let mut time = |sent: Vec<u8>, messages: u32| {
        let once = |_| {
            let start = Instant::now();
            client.send(&sent);
            (0..messages).for_each(|_| client.expect(&Frame::binary("")));
            start.elapsed()
        };
        [(); 3].map(once).into_iter().min().expect("three")
    };
    let message = time(frame(DEFLATED_BINARY, [0]).repeat(MESSAGES as usize), MESSAGES) / MESSAGES;
    for block in [&[0x03, 0x00][..], &[0x01, 0x00, 0x00, 0xff, 0xff]] {
        let payload = [&block.repeat(BLOCKS as usize)[..], &[0]].concat();
        let last = time(frame(DEFLATED_BINARY, payload), 1) / BLOCKS;
        assert!(last < 2 * message, "{last:?} a block, and {message:?} a message");
    }
}

/// What long messages take while they are sent is given back, whoever has had it for that.
#[cfg(target_os = "linux")]
#[test]
fn memory_of_long_messages_is_given_back() {
    let server = crate::common::Binary::serve(&["--deflate"]);
    server.echoes();
    let before = server.memory();
    for _ in 0..8 {
        let mut client = open_compressed(server.addr, OFFER);
        client.send(frame(DEFLATED_BINARY, bomb(16)));
        let mut inflater = Inflater::new(15, true);
        assert!(read_message(&mut client, &mut inflater).2 == Frame::binary(vec![0; 16 << 20]));
        client.finish();
    }
    let start = Instant::now();
    let mut grown = server.memory().saturating_sub(before);
    while grown > 8 << 20 && start.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(100));
        grown = server.memory().saturating_sub(before);
    }
    assert!(grown <= 8 << 20, "{grown} bytes are kept");
}
