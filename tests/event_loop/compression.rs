use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use barews::{Deflate, Error, Message, MessageType, OwnedMessage};

use super::common::compressed::{OFFER, read_message};
use super::common::deflate::{Inflater, bomb};
use super::common::*;
use super::server::{Call, Hooks, LoopServer, config, echo, fill, two_handles};

fn compressing(hooks: Hooks) -> LoopServer {
    let deflate = Deflate { threshold: 0, threshold_no_context: 0, ..Deflate::default() };
    LoopServer::start(config(|config| config.compression = Some(deflate)), hooks)
}

fn open(server: &LoopServer, offer: &str) -> (RawClient, Inflater) {
    let client = compressed::open_compressed(server.addr, offer);
    (client, Inflater::new(15, true))
}

/// What many say over and over.
fn text(who: &str, at: usize) -> String {
    format!("{who} {at};{}", "the same words, and the same words again; ".repeat(1 + at % 40))
}

/// Each message may refer to those that went out before, whoever has sent them: the loop, threads, queues,
/// in one frame and in many, compressed and not.
#[test]
fn the_order_of_history_is_that_on_the_wire() {
    const COUNT: usize = 200;
    let (tell, senders) = channel();
    let hooks = Hooks::new(move |call, conn, out| match call {
        Call::Opened => Ok(tell.send(out.sender())?),
        Call::Message(message) if conn.messages % 5 == 0 => Ok(out.send_uncompressed(message)?),
        call => echo(call, conn, out),
    });
    let server = compressing(hooks);
    let (client, mut inflater) = open(&server, OFFER);
    let Some((mut client, mut other)) = two_handles(client) else { return };
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut compressed = 0;
    thread::scope(|scope| {
        let sender = &sender;
        scope.spawn(move || {
            for at in 0..COUNT {
                sender.send(text("send", at).as_str()).unwrap();
            }
        });
        scope.spawn(move || {
            for at in (0..COUNT).step_by(4) {
                let texts: Vec<_> = (at..at + 4).map(|at| text("send_all", at)).collect();
                sender.send_all(texts.iter().map(|text| Message::from(text.as_str()))).unwrap();
            }
        });
        scope.spawn(move || {
            for at in 0..COUNT {
                let mut writer = sender.writer(MessageType::Text);
                for part in text("writer", at).as_bytes().chunks(300) {
                    writer.write_all(part).unwrap();
                    writer.flush().unwrap();
                }
                writer.finish().unwrap();
            }
        });
        scope.spawn(move || {
            let queue = sender.queued(64 << 10).unwrap();
            for at in 0..COUNT {
                queue.send(&OwnedMessage::from(text("queue", at)), PATIENCE).unwrap();
            }
        });
        scope.spawn(move || {
            for at in 0..COUNT {
                other.send(frame(TEXT, text("echo", at)));
            }
        });
        for _ in 0..5 * COUNT {
            let (is_compressed, _, message) = read_message(&mut client, &mut inflater);
            compressed += usize::from(is_compressed);
            let message = String::from_utf8(message.payload).expect("text");
            let (start, _) = message.split_once(';').expect("a number");
            let (who, number) = start.split_once(' ').expect("a number");
            let next = numbers.entry(who.to_owned()).or_default();
            assert_eq!(number.parse(), Ok(*next), "of {who}");
            assert!(message == text(who, *next), "{who} {next}");
            *next += 1;
        }
    });
    assert!(compressed > 4 * COUNT - 20 && compressed < 5 * COUNT, "{compressed}");
    client.finish();
}

/// What waits for room is compressed in its turn, also where it was held up by others.
#[test]
fn what_waits_is_compressed_too() {
    // However little room is left, the last of it is no mebibyte too much.
    const FILL: usize = 256 << 10;
    let hooks = Hooks::new(|call, conn, out| match call {
        Call::Message(message) if message.as_bytes() == b"fill" => {
            // Without a pattern, or it would never fill anything.
            let payload: Vec<u8> = noise(9).take(FILL).collect();
            while out.queued_bytes() < 64 << 10 {
                out.send_uncompressed(&payload[..])?;
            }
            for at in 0..100 {
                match at % 3 {
                    0 => out.send_uncompressed(text("fill", at).as_str())?,
                    _ => out.send(text("fill", at).as_str())?,
                }
            }
            Ok(())
        }
        call => echo(call, conn, out),
    });
    let server = compressing(hooks);
    let (mut client, mut inflater) = open(&server, OFFER);
    client.send(frame(TEXT, "fill"));
    server.expect_calls(&client, &["opened", "message fill"]);
    client.send((0..100).flat_map(|at| frame(TEXT, text("echo", at))).collect::<Vec<_>>());
    let (mut fills, mut echoes) = (0, 0);
    while echoes < 100 {
        let (is_compressed, _, message) = read_message(&mut client, &mut inflater);
        if message.payload.len() == FILL {
            assert!(!is_compressed && message.payload.iter().copied().eq(noise(9).take(FILL)));
        } else if fills < 100 {
            assert_eq!(message, Frame::text(text("fill", fills)));
            assert_eq!(is_compressed, fills % 3 != 0, "{fills}");
            fills += 1;
        } else {
            assert_eq!(message, Frame::text(text("echo", echoes)));
            echoes += 1;
        }
    }
    client.finish();
}

/// Compressed both ways, long and short, in fragments, with a history and without.
#[test]
fn compressed_messages_are_echoed() {
    let server = compressing(Hooks::echo());
    let offers = [
        OFFER,
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; \
        client_no_context_takeover; server_max_window_bits=9",
    ];
    for offer in offers {
        let (mut client, _) = open(&server, offer);
        let takeover = !offer.contains("server_no");
        let mut inflater = Inflater::new(15, takeover);
        // Hello, as RFC 7692 §7.2.3.1 has it, whole and in two.
        let hello = hex("f2 48 cd c9 c9 07 00");
        for sent in [
            frame(TEXT | RSV1, &hello),
            [frame(0x01 | RSV1, &hello[..3]), frame(PONG, ""), frame(CONT, &hello[3..])].concat(),
        ] {
            for size in [1, usize::MAX] {
                for piece in sent.chunks(size.min(sent.len())) {
                    client.send(piece);
                }
                let (_, _, message) = read_message(&mut client, &mut inflater);
                assert_eq!(message, Frame::text("Hello"), "{offer}");
            }
        }
        let long = "long and longer ".repeat(200_000);
        client.send(frame(TEXT, &long));
        let (is_compressed, _, message) = read_message(&mut client, &mut inflater);
        assert!(is_compressed && message == Frame::text(&long));
        client.finish();
    }
}

/// A peer that does not read has what it is to get queued, compressed or not.
#[test]
fn a_peer_that_does_not_read() {
    let (tell, filled) = channel();
    let hooks = Hooks::new(move |call, conn, out| match call {
        Call::Message(message) if message.as_bytes() == b"fill" => {
            let payload: Vec<u8> = noise(3).take(100 << 10).collect();
            while out.queued_bytes() < 1 << 20 {
                out.send(&payload[..])?;
            }
            assert!(fill(out).is_ok());
            Ok(tell.send(())?)
        }
        call => echo(call, conn, out),
    });
    let server = compressing(hooks);
    let (mut client, mut inflater) = open(&server, OFFER);
    client.send([frame(TEXT, "fill"), frame(TEXT, "echo")].concat());
    // Else one that reads faster than is compressed would have it go on for ever.
    filled.recv_timeout(PATIENCE).expect("it is full");
    loop {
        let (_, _, message) = read_message(&mut client, &mut inflater);
        match message.payload.len() {
            4 => break assert_eq!(message, Frame::text("echo")),
            _ => assert!(message.payload.iter().copied().eq(noise(3).take(100 << 10))),
        }
    }
    client.finish();
}

/// What waits is charged, whether it is to be compressed or not.
#[test]
fn what_waits_is_charged() {
    for plain in [false, true] {
        let hooks = Hooks::new(move |call, _, out| {
            let Call::Message(_) = call else { return Ok(()) };
            let payload: Vec<u8> = noise(3).take(4 << 20).collect();
            while out.queued_bytes() == 0 {
                out.send_uncompressed(&payload[..100 << 10])?;
            }
            match plain {
                true => out.send_uncompressed(&payload[..])?,
                false => out.send(&payload[..])?,
            }
            Ok(())
        });
        let server = LoopServer::start(
            config(|config| {
                config.compression = Some(Deflate::default());
                config.limits.max_buffered_bytes = 2 << 20;
            }),
            hooks,
        );
        let (mut client, _) = open(&server, OFFER);
        client.send(frame(TEXT, "fill"));
        let (_, closed) = server.until_closed(&client);
        assert!(matches!(closed.error, Some(Error::Overloaded)), "plain {plain}: {closed:?}");
    }
}

/// And so is a single message.
#[test]
fn a_bomb_lets_others_in_between() {
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let (tell, begun) = channel();
    let hooks = Hooks::new(move |call, _, out| {
        let Call::Message(message) = call else { return Ok(()) };
        match message.as_text() {
            Some("wait") => {
                tell.send(())?;
                // Time for the others to come.
                thread::sleep(ms(300));
            }
            Some("how many?") => out.send(TAKEN.load(Ordering::SeqCst).to_string().as_str())?,
            _ => {
                assert!(
                    message.len() == 4 << 20 && message.as_bytes().iter().all(|byte| *byte == 0)
                );
                TAKEN.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(())
    });
    let server = compressing(hooks);
    let (mut client, _) = open(&server, OFFER);
    let (mut first, mut other) = (server.open(), server.open());
    first.send(frame(TEXT, "wait"));
    begun.recv_timeout(PATIENCE).expect("the message");
    // Few enough bytes for its first turn.
    client.send(frame(BINARY | RSV1, bomb(4)));
    other.send(frame(TEXT, "how many?"));
    other.expect(&Frame::text("0"));
    client.send(frame(TEXT, "how many?"));
    let mut inflater = Inflater::new(15, true);
    let answer = read_message(&mut client, &mut inflater).2;
    assert!(answer == Frame::text("1"), "{answer:?}");
    client.finish();
}

/// A read that becomes many times what it was is taken a piece at a time: others have their turn in between,
/// and in the end all of it is there.
#[test]
fn bombs_that_came_together_let_others_in_between() {
    const BOMBS: usize = 40;
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let (tell, begun) = channel();
    let hooks = Hooks::new(move |call, _, out| {
        let Call::Message(message) = call else { return Ok(()) };
        if message.len() < 100 {
            return Ok(out.send(TAKEN.load(Ordering::SeqCst).to_string().as_str())?);
        }
        if TAKEN.fetch_add(1, Ordering::SeqCst) == 0 {
            tell.send(())?;
            // Time for the other message to come.
            thread::sleep(ms(300));
        }
        Ok(())
    });
    let server = compressing(hooks);
    let (mut client, _) = open(&server, OFFER);
    let mut other = server.open();
    client.send([frame(BINARY | RSV1, bomb(1)).repeat(BOMBS), frame(TEXT, "end")].concat());
    begun.recv_timeout(PATIENCE).expect("a bomb");
    other.send(frame(TEXT, "how many?"));
    let told = String::from_utf8(other.read_frame().expect("an answer").payload).unwrap();
    assert!(told.parse::<usize>().unwrap() < 5, "behind {told} of {BOMBS}");
    let mut inflater = Inflater::new(15, true);
    let answer = read_message(&mut client, &mut inflater).2;
    assert!(answer == Frame::text(BOMBS.to_string()), "{answer:?}");
    client.finish();
    other.finish();
}

/// What was agreed on is known when the sender is handed out: a queue made there counts by it, and what is in it
/// goes out compressed, behind the 101.
#[test]
fn what_was_agreed_on_is_known_from_the_first() {
    let (tell, told) = channel();
    let hooks = Hooks::echo().open(move |_, sender| {
        let queue = sender.queued(3_000).expect("a queue");
        let message = OwnedMessage::from(text("queued", 39));
        let len = message.len();
        assert!((1_500..2_000).contains(&len), "{len} bytes fit once, not twice");
        let counted = queue.try_send(&message).is_ok();
        queue.try_send(&OwnedMessage::from(text("queued", 1))).expect("it fits twice");
        tell.send((sender.compression().is_some(), counted, queue)).unwrap();
        Ok(())
    });
    let server = compressing(hooks);
    let (mut client, mut inflater) = open(&server, OFFER);
    let (is_known, counted, _queue) = told.recv_timeout(PATIENCE).expect("a queue");
    assert_eq!((is_known, counted), (true, false));
    let (is_compressed, _, message) = read_message(&mut client, &mut inflater);
    assert_eq!((is_compressed, message), (true, Frame::text(text("queued", 1))));
    // Who has offered nothing.
    let mut client = server.open();
    let (is_known, counted, _queue) = told.recv_timeout(PATIENCE).expect("a queue");
    assert_eq!((is_known, counted), (false, true));
    client.expect(&Frame::text(text("queued", 39)));
    client.expect(&Frame::text(text("queued", 1)));
}
