//! Messages that take many turns to compress.

use std::mem::MaybeUninit;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use barews::{BoxError, CloseCode, Config, Deflate, Error, Outbox, Sender};

use super::common::compressed::{OFFER, open_compressed, read_message};
use super::common::deflate::Inflater;
use super::common::*;
use super::server::{Call, Hooks, LoopServer, Told, config, echo};

fn compressing(change: impl FnOnce(&mut Config), hooks: Hooks) -> LoopServer {
    let compressing = |config: &mut Config| {
        config.compression = Some(Deflate { threshold: 0, ..Deflate::default() });
        change(config);
    };
    LoopServer::start(config(compressing), hooks)
}

/// Numbers in a row, of which deflate makes little, and slowly: so many MiB.
fn numbers(mib: usize) -> String {
    let mut digits = noise(5).map(|byte| char::from(b'0' + byte % 10));
    let mut text = String::with_capacity(mib << 20);
    while text.len() < mib << 20 {
        text.push_str("number: ");
        text.extend(digits.by_ref().take(24));
    }
    text
}

/// A handler that sends a long message for "long", and else echoes.
fn hooks(long: String) -> Hooks {
    Hooks::new(move |call, conn, out| match call {
        Call::Message(message) if message.as_bytes() == b"long" => Ok(out.send(long.as_str())?),
        call => echo(call, conn, out),
    })
}

fn open(server: &LoopServer) -> (RawClient, Inflater) {
    (open_compressed(server.addr, OFFER), Inflater::new(15, true))
}

#[test]
fn others_have_their_turn_meanwhile() {
    let long = numbers(8);
    // On a busy machine it takes longer than a client may be silent.
    let server =
        compressing(|config| config.timeouts.ping_interval = Duration::MAX, hooks(long.clone()));
    let ((mut client, mut inflater), mut other) = (open(&server), server.open());
    client.send([frame(TEXT, "long"), frame(TEXT, "behind it"), close(1000, "")].concat());
    server.expect_calls(&client, &["opened", "message long"]);
    for _ in 0..3 {
        other.send(frame(TEXT, "meanwhile"));
        other.expect(&Frame::text("meanwhile"));
    }
    assert!(!client.heard_within(ms(1)), "it was compressed in one turn");
    let (is_compressed, frames, message) = read_message(&mut client, &mut inflater);
    assert!(is_compressed && frames == 1 && message == Frame::text(&long));
    assert_eq!(read_message(&mut client, &mut inflater).2, Frame::text("behind it"));
    client.expect_close(1000);
    client.expect_eof();
    other.finish();
}

/// Many of them take no more of the time than a few do.
#[test]
fn many_at_once() {
    const LONG: usize = 32;
    let long = numbers(1)[..512 << 10].to_owned();
    let server = compressing(|_| (), hooks(long.clone()));
    let mut clients: Vec<_> = (0..LONG).map(|_| open(&server)).collect();
    let mut other = server.open();
    for (client, _) in &mut clients {
        client.send(frame(TEXT, "long"));
    }
    // Four parts each, of which there is time for one or two at once: not for one of each.
    let mut turns = 0;
    while !clients[LONG - 1].0.heard_within(ms(1)) {
        other.send(frame(TEXT, "meanwhile"));
        other.expect(&Frame::text("meanwhile"));
        turns += 1;
    }
    assert!(turns > 6, "others had {turns} turns");
    let (client, inflater) = &mut clients[LONG - 1];
    assert!(read_message(client, inflater).2 == Frame::text(&long));
    client.finish();
    other.finish();
}

/// A handler that waits for a while at "wait", and says so; and else sends what `on` does.
fn waiting(
    on: impl Fn(&str, &mut Outbox<'_>) -> Result<(), BoxError> + Send + Sync + 'static,
) -> (Hooks, Receiver<()>) {
    let (tell, told) = channel();
    let hooks = Hooks::new(move |call, _, out| match call {
        Call::Message(message) if message.as_bytes() == b"wait" => {
            tell.send(())?;
            thread::sleep(ms(300));
            Ok(())
        }
        Call::Message(message) => on(message.as_text().unwrap_or_default(), out),
        _ => Ok(()),
    });
    (hooks, told)
}

/// The same of those that are not long, but many.
#[test]
fn many_that_are_not_long() {
    const MANY: usize = 24;
    let text = numbers(1)[..200 << 10].to_owned();
    let long = text.clone();
    let (hooks, told) = waiting(move |message, out| match message {
        "long" => Ok(out.send(long.as_str())?),
        other => Ok(out.send(other)?),
    });
    let server = compressing(|_| (), hooks);
    let mut clients: Vec<_> = (0..MANY).map(|_| open(&server)).collect();
    let (mut first, mut other) = (server.open(), server.open());
    // So all that follows is found at once.
    first.send(frame(TEXT, "wait"));
    told.recv_timeout(PATIENCE).expect("a call");
    for (client, _) in &mut clients {
        client.send(frame(TEXT, "long"));
    }
    other.send(frame(TEXT, "meanwhile"));
    other.expect(&Frame::text("meanwhile"));
    let (last, inflater) = &mut clients[MANY - 1];
    assert!(!last.heard_within(ms(1)), "all were compressed in one turn");
    assert!(read_message(last, inflater).2 == Frame::text(&text));
    last.finish();
    other.finish();
}

/// The same of very short ones, of which each takes its time.
#[test]
fn many_short_ones() {
    const MANY: usize = 12_000;
    let (hooks, told) = waiting(|message, out| match message {
        "short" => (0..MANY).try_for_each(|at| Ok(out.send(&at.to_string()[..1])?)),
        other => Ok(out.send(other)?),
    });
    let server = compressing(|_| (), hooks);
    let ((mut client, mut inflater), mut other) = (open(&server), server.open());
    let mut first = server.open();
    first.send(frame(TEXT, "wait"));
    told.recv_timeout(PATIENCE).expect("a call");
    client.send(frame(TEXT, "short"));
    other.send(frame(TEXT, "meanwhile"));
    other.expect(&Frame::text("meanwhile"));
    // As they are, since none gets shorter: three bytes each.
    let stream = client.into_stream();
    let mut bytes = vec![MaybeUninit::new(0); 3 * MANY];
    stream.socket().set_nonblocking(true).unwrap();
    let there = stream.socket().peek(&mut bytes).unwrap_or(0);
    stream.socket().set_nonblocking(false).unwrap();
    assert!(there < 3 * MANY, "all were compressed in one turn");
    let mut client = RawClient::over(stream);
    for at in 0..MANY {
        assert_eq!(read_message(&mut client, &mut inflater).2, Frame::text(&at.to_string()[..1]));
    }
    client.finish();
    other.finish();
}

/// What comes behind it, of the loop and of other threads, may refer to it; and it to what came before.
#[test]
fn the_order_is_that_on_the_wire() {
    let (tell, senders) = channel::<Sender>();
    // Less than a mebibyte, so that there may be more behind it.
    let incompressible: Vec<u8> = noise(7).take(600 << 10).collect();
    let (long, twice) = (numbers(1), numbers(2));
    let texts = ["before", &long[..900 << 10], "between", &twice, &long[..300 << 10], "behind"];
    let expected = texts.map(str::to_owned);
    let (payload, sent) = (incompressible.clone(), expected.clone());
    let hooks = Hooks::new(move |call, _, out| match call {
        Call::Opened => Ok(tell.send(out.sender())?),
        Call::Message(message) => {
            let at = message.len() - 1;
            out.send(sent[2 * at].as_str())?;
            out.send(sent[2 * at + 1].as_str())?;
            if at == 0 {
                out.send(&payload[..10])?;
            }
            Ok(())
        }
        _ => Ok(()),
    });
    let server = compressing(|_| (), hooks);
    let (mut client, mut inflater) = open(&server);
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    thread::scope(|scope| {
        scope.spawn(|| {
            for at in 0..200 {
                sender.send(format!("beside, and beside again, {at}").as_str()).unwrap();
            }
            sender.send(&incompressible[..]).unwrap();
        });
        client.send([frame(TEXT, "1"), frame(TEXT, "22"), frame(TEXT, "333")].concat());
        let (mut next, mut beside) = (expected.iter(), 0);
        for _ in 0..200 + 1 + expected.len() + 1 {
            let (is_compressed, _, message) = read_message(&mut client, &mut inflater);
            let text = std::str::from_utf8(&message.payload).unwrap_or_default();
            if message.payload == incompressible {
                assert!(!is_compressed);
            } else if text.starts_with("beside") {
                assert_eq!(text, format!("beside, and beside again, {beside}"));
                beside += 1;
            } else if message.payload != incompressible[..10] {
                assert!(Some(text) == next.next().map(String::as_str), "{}", text.len());
            }
        }
        assert_eq!((beside, next.next()), (200, None));
    });
    client.finish();
}

/// It goes out as it is, whole, where that is shorter.
#[test]
fn what_does_not_get_shorter() {
    let server = compressing(|_| (), Hooks::echo());
    let (mut client, mut inflater) = open(&server);
    // At first it does.
    let payload = [numbers(1).into_bytes(), noise(3).take(1 << 20).collect()].concat();
    for message in [&payload[1 << 20..], &payload, &payload[1 << 20..]] {
        client.send(frame(BINARY, message));
        let (is_compressed, frames, answer) = read_message(&mut client, &mut inflater);
        assert_eq!((is_compressed, frames), (message.len() > 1 << 20, 1));
        assert!(answer == Frame::binary(message));
    }
    client.finish();
}

/// The Close that the handler wants comes behind it.
#[test]
fn a_close_behind_it() {
    let long = numbers(2);
    let sent = long.clone();
    let hooks = Hooks::new(move |call, _, out| {
        if let Call::Message(_) = call {
            out.send(sent.as_str())?;
            out.close(CloseCode::NORMAL, "that was all")?;
        }
        Ok(())
    });
    // The client takes its time to inflate it.
    let server = compressing(|config| config.timeouts.close = PATIENCE, hooks);
    let (mut client, mut inflater) = open(&server);
    client.send(frame(TEXT, "go"));
    assert!(read_message(&mut client, &mut inflater).2 == Frame::text(&long));
    client.expect(&Frame::close(1000, "that was all"));
    client.send(close(1000, ""));
    client.expect_eof();
}

/// Whoever ends the connection has it ended, and not once all of it is compressed; others who wait to send
/// are told.
#[test]
fn an_end_meanwhile() {
    let (tell, senders) = channel::<Sender>();
    let long = numbers(8);
    let hooks = Hooks::new(move |call, conn, out| match call {
        Call::Message(message) if message.as_bytes() == b"long" => {
            out.send(long.as_str())?;
            Ok(tell.send(out.sender())?)
        }
        call => echo(call, conn, out),
    });
    let server = compressing(|_| (), hooks);
    let ((mut client, _), mut other) = (open(&server), server.open());
    client.send(frame(TEXT, "long"));
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    server.expect_calls(&client, &["opened", "message long"]);
    let mut go_round = || {
        other.send(frame(TEXT, "meanwhile"));
        other.expect(&Frame::text("meanwhile"));
    };
    go_round();
    let beside = sender.clone();
    let beside = thread::spawn(move || beside.send("beside"));
    sender.abort();
    // All of it takes 64 turns.
    (0..2).for_each(|_| go_round());
    let told = server.next_within(client.addr, ms(0));
    assert!(matches!(told, Some(Told::Error(_))), "it goes on: {told:?}");
    assert!(matches!(server.closed(&client).error, Some(Error::Io(_))));
    assert!(beside.join().unwrap().is_err());
    client.expect_eof();
    other.finish();
}

/// When there is no memory for what waits behind it, it is given up half-way, and the peer is told.
#[test]
fn it_is_given_up() {
    let long = numbers(1);
    let hooks = Hooks::new(move |call, conn, out| match call {
        Call::Message(message) if message.as_bytes() == b"long" => {
            out.send(&long[..600 << 10])?;
            out.set_timer(Some(ms(1)));
            // So it is due when the first part is compressed, and the next is not.
            thread::sleep(ms(20));
            Ok(())
        }
        Call::Timer => Ok(out.send(&long[..1 << 20])?),
        call => echo(call, conn, out),
    });
    let limit = |config: &mut Config| config.limits.max_buffered_bytes = 3 << 19;
    let server = compressing(limit, hooks);
    let (mut client, mut inflater) = open(&server);
    client.send(frame(TEXT, "before"));
    assert_eq!(read_message(&mut client, &mut inflater).2, Frame::text("before"));
    client.send([frame(TEXT, "long"), frame(PING, "")].concat());
    client.expect_close(1013);
    client.send(close(1013, ""));
    client.expect_eof();
    let (_, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::Overloaded)), "{closed:?}");
}
