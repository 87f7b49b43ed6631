//! §7.2.3: many messages, and what those that follow one another share: order, history and window.

use std::io::Write;
use std::sync::mpsc::channel;
use std::thread;

use barews::{Message, MessageType, OwnedMessage, Sender};

use crate::common::compressed::{compressed_pair, compressing, open, open_compressed};
use crate::common::deflate::Inflater;
use crate::common::{Frame, PATIENCE, PING, TEXT, TestServer, close, frame, noise};
use crate::sending::{ALONE, OFFER, all, expect, finish, update};

/// The order in which messages are compressed is that on the wire, also with control frames between.
#[test]
fn row_71_several_senders_at_once() {
    const MESSAGES: usize = 1_000;
    let server = TestServer::with_handler(
        |server| server.config(all()),
        |conn| {
            let (mut receiver, sender) = conn.split();
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let sender = sender.clone();
                    thread::spawn(move || send_many(&sender, thread, MESSAGES))
                })
                .collect();
            assert_eq!(receiver.recv(&mut Vec::new())?, Some(Message::from("go on")));
            assert_eq!(receiver.recv(&mut Vec::new())?, None);
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            Ok(())
        },
    );
    let mut client = open_compressed(server.addr, OFFER);
    let mut inflater = Inflater::new(15, true);
    let (mut next, mut pings, mut pongs) = ([0; 4], 0, 0);
    client.send(frame(PING, "p"));
    let mut part: Option<(bool, Frame)> = None;
    while next != [MESSAGES; 4] || pings < 2 * MESSAGES / 100 {
        let (is_marked, frame) = client.read_marked_frame().expect("a frame");
        match frame.opcode {
            9 => pings += 1,
            10 => {
                pongs += 1;
                client.send(crate::common::frame(PING, "p"));
            }
            _ => {
                let (is_compressed, mut message) =
                    part.take().unwrap_or((is_marked, Frame::text("")));
                message.payload.extend(frame.payload);
                if !frame.fin {
                    part = Some((is_compressed, message));
                    continue;
                }
                let payload = match is_compressed {
                    true => inflater.message(&message.payload).expect("DEFLATE"),
                    false => message.payload,
                };
                let text = String::from_utf8(payload).expect("text");
                let (thread, rest) = text.split_once(' ').expect("a thread's number");
                let thread: usize = thread.parse().expect("a number");
                assert_eq!(rest, update(next[thread]));
                next[thread] += 1;
            }
        }
    }
    assert!(pongs > 0);
    client.send([frame(TEXT, "go on"), close(1000, "")].concat());
    while let Some((_, frame)) = client.read_marked_frame() {
        assert!(matches!(frame.opcode, 8 | 10), "{frame:?}");
    }
}

/// The same where one of the two is the connection itself, which also queues: what was deflated to the
/// queue before there was a sender goes out first, and later nothing is deflated before its turn.
#[test]
fn a_sender_beside_a_connection_compresses_in_turn() {
    const MESSAGES: usize = 1_000;
    let server = TestServer::with_handler(
        |server| server.config(all()),
        |mut conn| {
            for number in 0..10 {
                conn.write(&format!("0 {}", update(number)))?;
            }
            let sender = conn.sender();
            let thread = thread::spawn(move || send_many(&sender, 1, MESSAGES));
            for number in 10..MESSAGES {
                let text = format!("0 {}", update(number));
                match number % 5 {
                    0 => conn.send(&text)?,
                    1 => conn.send_uncompressed(&text)?,
                    2 => conn.send_owned(&OwnedMessage::from(text))?,
                    _ => conn.write(&text)?,
                }
            }
            conn.flush()?;
            thread.join().expect("no panic");
            assert_eq!(conn.recv(&mut Vec::new())?, None);
            Ok(())
        },
    );
    let mut client = open_compressed(server.addr, OFFER);
    let mut inflater = Inflater::new(15, true);
    let (mut next, mut compressed) = ([0; 2], 0);
    let mut part: Option<(bool, Frame)> = None;
    while next != [MESSAGES; 2] {
        let (is_marked, frame) = client.read_marked_frame().expect("a frame");
        if frame.opcode == 9 {
            continue;
        }
        let (is_compressed, mut message) = part.take().unwrap_or((is_marked, Frame::text("")));
        message.payload.extend(frame.payload);
        if !frame.fin {
            part = Some((is_compressed, message));
            continue;
        }
        compressed += usize::from(is_compressed);
        let payload = match is_compressed {
            true => inflater.message(&message.payload).expect("DEFLATE"),
            false => message.payload,
        };
        let text = String::from_utf8(payload).expect("text");
        let (thread, rest) = text.split_once(' ').expect("a thread's number");
        let thread: usize = thread.parse().expect("a number");
        assert_eq!(rest, update(next[thread]));
        next[thread] += 1;
    }
    assert!(compressed > MESSAGES, "{compressed}");
    client.send(close(1000, ""));
    while client.read_marked_frame().is_some_and(|(_, frame)| frame.opcode != 8) {}
}

/// What one of them sends: two as they like, one through a queue, and one many at a time.
fn send_many(sender: &Sender, thread: usize, messages: usize) {
    let texts: Vec<_> =
        (0..messages).map(|number| format!("{thread} {}", update(number))).collect();
    match thread {
        2 => {
            let queue = sender.queued(100_000).expect("a thread");
            for text in texts {
                queue.send(&OwnedMessage::from(text), PATIENCE).expect("room");
            }
            assert!(queue.flush(PATIENCE).expect("sent"));
            return;
        }
        3 => {
            return texts.chunks(7).for_each(|texts| sender.send_all(texts).expect("sent"));
        }
        _ => {}
    }
    for number in 0..messages {
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
        if number % 100 == 0 {
            sender.ping(b"in between").expect("sent");
        }
    }
}

/// One message for all kinds of clients, with messages of their own before and behind it.
#[test]
fn row_72_one_message_for_many_clients() {
    let kinds = [
        (OFFER, 15, true),
        (ALONE, 15, false),
        ("permessage-deflate; server_max_window_bits=9", 9, true),
        ("permessage-deflate; server_max_window_bits=8", 8, true),
        ("permessage-deflate; server_max_window_bits=12; server_no_context_takeover", 12, false),
        ("foo", 15, true),
    ];
    let mut clients = Vec::new();
    let mut senders = Vec::new();
    let (hand_over, handed) = channel();
    let server = TestServer::with_handler(
        |server| server.config(compressing(|_, deflate| deflate.history = 32 << 10)),
        move |conn| {
            let (mut receiver, sender) = conn.split();
            hand_over.send(sender)?;
            while receiver.recv(&mut Vec::new())?.is_some() {}
            Ok(())
        },
    );
    for (offer, bits, takeover) in kinds {
        let (client, _) = open(server.addr, offer);
        clients.push((client, Inflater::new(bits, takeover)));
        let sender: Sender = handed.recv_timeout(PATIENCE).expect("a sender");
        let queue = sender.queued(1 << 20).expect("a thread");
        senders.push((sender, queue));
    }
    for round in 0..12 {
        let random: Vec<u8> = noise(round).take(3000).collect();
        let news = match round % 4 {
            0 => OwnedMessage::from(update(round as usize)),
            1 => OwnedMessage::from((0..300).map(update).collect::<String>()),
            2 => OwnedMessage::from(random),
            _ => OwnedMessage::from("short"),
        };
        for (number, (sender, queue)) in senders.iter().enumerate() {
            sender.send(&update(100 * number + round as usize).repeat(9)).unwrap();
            sender.send_owned(&news).unwrap();
            queue.try_send(&news.clone()).unwrap();
            assert!(queue.flush(PATIENCE).unwrap());
            sender.send(&update(round as usize)).unwrap();
        }
        for (number, (client, inflater)) in clients.iter_mut().enumerate() {
            let own = update(100 * number + round as usize).repeat(9);
            expect(client, inflater, &Frame::text(own));
            let news = match news.kind() {
                MessageType::Text => Frame::text(news.as_bytes()),
                MessageType::Binary => Frame::binary(news.as_bytes()),
            };
            let is_compressed = [(); 2].map(|()| expect(client, inflater, &news));
            let may_be = number < 5 && matches!(round % 4, 0 | 1);
            assert!(may_be || is_compressed == [false; 2], "client {number}, round {round}");
            assert!(round % 4 != 1 || is_compressed == [number < 5; 2], "client {number}");
            expect(client, inflater, &Frame::text(update(round as usize)));
        }
    }
    for (client, inflater) in &mut clients {
        assert!(inflater.longest <= 250 || inflater.longest > 300);
        client.finish();
    }
}

/// The longest distance that is ever sent, for every window and level.
#[test]
fn row_73_the_longest_distance() {
    let words: Vec<String> = (0..3000).map(|n| format!("w{:x}", n * 7919 % 65_521)).collect();
    let mut seeds = noise(1);
    let mut word = || {
        let at = usize::from(seeds.next().expect("noise")) << 8
            | usize::from(seeds.next().expect("noise"));
        words[at % words.len()].as_str()
    };
    let texts: Vec<String> =
        [300, 1200, 60, 12_000, 5].map(|len| (0..len).map(|_| word()).collect()).to_vec();
    for bits in 8..=15 {
        let mut longest = 0;
        for level in [1, 2, 3, 6, 9] {
            {
                let history = if level == 3 { 2 << 10 } else { 32 << 10 };
                let config = compressing(|_, deflate| {
                    (deflate.level, deflate.history) = (level, history);
                });
                let offer = format!("permessage-deflate; server_max_window_bits={bits}");
                let (mut conn, mut client) = compressed_pair(&config, &offer);
                let mut inflater = Inflater::new(bits, true);
                for text in texts.iter().chain(&texts[..2]) {
                    conn.send(text).unwrap();
                    expect(&mut client, &mut inflater, &Frame::text(text));
                }
                longest = longest.max(inflater.longest);
                finish(conn, client);
            }
        }
        let most = (1_usize << bits).saturating_sub(262).max(250);
        println!("{bits} bits: {longest} of {most}");
        assert!(longest <= most, "{bits} bits: {longest} is more than {most}");
        // Else the texts say nothing.
        assert!(longest > most / 2, "{bits} bits: only {longest} of {most}");
    }
}

/// Messages of all lengths and kinds, one after the other, for every window.
#[test]
fn messages_at_random() {
    for bits in 8..=15 {
        for takeover in ["", "; server_no_context_takeover"] {
            let config = compressing(|_, deflate| {
                (deflate.threshold, deflate.threshold_no_context) = (0, 0);
                deflate.level = [1, 2, 3, 4, 5, 6, 8, 9][bits as usize - 8];
                deflate.history = [256, 2048, 32 << 10][bits as usize % 3];
            });
            let offer = format!("permessage-deflate; server_max_window_bits={bits}{takeover}");
            let (mut conn, mut client) = compressed_pair(&config, &offer);
            let mut inflater = Inflater::new(bits, takeover.is_empty());
            let mut random = noise(bits + 1);
            let mut next = move |below: usize| {
                let high = usize::from(random.next().expect("noise without end"));
                (high << 8 | usize::from(random.next().expect("noise without end"))) % below
            };
            let mut before: Vec<u8> = Vec::new();
            let mut compressed = 0;
            for _ in 0..60 {
                let len = [10, 100, 700, 5000][next(4)];
                let len = next(len);
                let alphabet = [1, 2, 16, 100, 256][next(5)];
                let mut message: Vec<u8> = (0..len).map(|_| next(alphabet) as u8).collect();
                if next(2) == 0 {
                    let from = next(before.len() + 1);
                    message.extend(&before[from..]);
                    message.truncate(8000);
                }
                match next(5) {
                    0 => conn.send_uncompressed(&message).unwrap(),
                    1 => {
                        let mut writer = conn.writer(MessageType::Binary);
                        writer.write_all(&message[..message.len() / 2]).unwrap();
                        writer.finish_with(&message[message.len() / 2..]).unwrap();
                    }
                    2 => {
                        conn.write(&message).unwrap();
                        conn.flush().unwrap();
                    }
                    _ => conn.send(&message).unwrap(),
                }
                compressed +=
                    usize::from(expect(&mut client, &mut inflater, &Frame::binary(&message)));
                before = message;
            }
            assert!(compressed > 20, "{compressed}");
            finish(conn, client);
        }
    }
}
