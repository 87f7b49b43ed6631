use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use barews::{
    CloseCode, Config, Deadline, Error, Message, MessageType, OwnedMessage, Sender, TrySendError,
    broadcast,
};

use super::common::*;
use super::server::{Call, Hooks, LoopServer, Told, config, echo, open, two_handles};

/// An echo on one loop, which hands out the sender of each connection.
fn server() -> (LoopServer, Receiver<Sender>) {
    server_with(Config::default)
}

fn server_with(base: fn() -> Config) -> (LoopServer, Receiver<Sender>) {
    let (tell, senders) = channel();
    let hooks = Hooks::new(move |call, conn, out| {
        if let Call::Opened = call {
            tell.send(out.sender())?;
        }
        echo(call, conn, out)
    });
    (LoopServer::start(Config { event_loops: Some(1), ..base() }, hooks), senders)
}

/// Reads so many messages that others send, of which each says whose it is and its number; control frames
/// may come between. Each one's come in their order, and the fragments of one together.
fn read_in_order(client: &mut RawClient, mut count: usize) -> HashMap<String, usize> {
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut message: Option<Vec<u8>> = None;
    while count > 0 {
        let frame = client.read_frame().expect("more to come");
        match (frame.opcode, message.take()) {
            (9 | 10, before) => {
                message = before;
                continue;
            }
            (0, Some(before)) => message = Some([before, frame.payload].concat()),
            (1 | 2, None) => message = Some(frame.payload),
            (opcode, _) => panic!("opcode {opcode} in the middle of another message"),
        }
        if frame.fin {
            let message = message.take().expect("it has just come");
            let start: Vec<u8> =
                message.iter().take_while(|byte| **byte != b';').copied().collect();
            let start = String::from_utf8(start).expect("text");
            let (who, number) = start.split_once(' ').expect("a number");
            let next = numbers.entry(who.to_owned()).or_default();
            assert_eq!(number.parse(), Ok(*next), "of {who}");
            *next += 1;
            count -= 1;
        }
    }
    numbers
}

/// All ways to send, each on a thread of its own, while the loop echoes.
#[test]
fn all_at_once() {
    const COUNT: usize = 300;
    let (server, senders) = server();
    let (client, sender) = open(&server, &senders);
    let Some((mut client, mut other)) = two_handles(client) else { return };
    let text = |who: &str, at: usize| format!("{who} {at};{}", "x".repeat(at * 37 % 5000));
    thread::scope(|scope| {
        let sender = &sender;
        scope.spawn(move || {
            for at in 0..COUNT {
                sender.send(text("send", at).as_str()).unwrap();
                sender.ping(b"?").unwrap();
            }
        });
        scope.spawn(move || {
            for at in (0..COUNT).step_by(10) {
                let texts: Vec<_> = (at..at + 10).map(|at| text("send_all", at)).collect();
                sender.send_all(texts.iter().map(|text| Message::from(text.as_str()))).unwrap();
            }
        });
        scope.spawn(move || {
            for at in 0..COUNT {
                let mut writer = sender.writer(MessageType::Text);
                for part in text("writer", at).as_bytes().chunks(500) {
                    writer.write_all(part).unwrap();
                    writer.flush().unwrap();
                }
                writer.finish().unwrap();
            }
        });
        scope.spawn(move || {
            for at in 0..COUNT {
                let text = text("send_sized", at);
                let len = text.len() as u64;
                sender.send_sized(MessageType::Text, len, text.as_bytes()).unwrap();
            }
        });
        scope.spawn(move || {
            let queue = sender.queued(64 << 10).unwrap();
            for at in 0..COUNT {
                queue.send(&OwnedMessage::from(text("queue", at)), PATIENCE).unwrap();
            }
            assert!(queue.flush(PATIENCE).unwrap());
        });
        scope.spawn(move || {
            for at in 0..COUNT {
                other.send(frame(TEXT, text("echo", at)));
                other.send(frame(PING, "?"));
            }
        });
        let numbers = read_in_order(&mut client, 6 * COUNT);
        assert_eq!(numbers.len(), 6);
    });
    let mut sent = frame(TEXT, "after all that");
    sent.extend(close(1000, ""));
    client.send(sent);
    loop {
        match client.read_frame().expect("a Close at least") {
            frame if frame.opcode >= 9 => {}
            frame if frame.opcode == 8 => break,
            frame => assert_eq!(frame, Frame::text("after all that")),
        }
    }
    client.expect_eof();
    assert!(sender.is_closed());
    assert!(matches!(sender.send("late"), Err(Error::Closed)));
    server.expect_clean_end(&client, 1000);
}

/// A thread sleeps in its write, and goes on when the peer reads; the loop's echo comes behind it.
#[test]
fn a_blocked_sender_goes_on_when_there_is_room() {
    const LEN: usize = 16 << 20;
    let (server, senders) = server();
    let (mut client, sender) = open(&server, &senders);
    let (tell, done) = channel();
    thread::scope(|scope| {
        let sender = &sender;
        scope.spawn(move || tell.send(sender.send(&vec![7; LEN][..])).unwrap());
        // Meanwhile others are served.
        let (mut quick, _) = open(&server, &senders);
        for _ in 0..100 {
            quick.send(frame(TEXT, "quick"));
            quick.expect(&Frame::text("quick"));
        }
        assert!(client.heard_within(PATIENCE));
        client.send(frame(TEXT, "echo"));
        client.send(frame(PING, "?"));
        assert!(done.recv_timeout(ms(200)).is_err(), "it is blocked");
        let first = client.read_frame().expect("the message");
        assert!(first.payload.iter().all(|byte| *byte == 7), "{first:?}");
        assert_eq!(first.payload.len(), LEN);
        assert!(matches!(done.recv_timeout(PATIENCE), Ok(Ok(()))));
        let mut rest = [client.read_frame(), client.read_frame()].map(Option::unwrap);
        rest.sort_by_key(|frame| frame.opcode);
        assert_eq!(rest, [Frame::text("echo"), Frame::pong("?")]);
    });
    client.finish();
}

/// A thread that sends one message behind the other leaves the loop its turn: of what was begun behind an answer,
/// next to nothing comes before it.
#[test]
fn an_answer_comes_beside_a_busy_sender() {
    let sent = Arc::new(AtomicU64::new(0));
    let (tell, senders) = channel();
    let count = Arc::clone(&sent);
    let hooks = Hooks::new(move |call, _, out| {
        match call {
            Call::Opened => tell.send(out.sender())?,
            Call::Message(_) => out.send(count.load(Ordering::SeqCst).to_string().as_str())?,
            _ => {}
        }
        Ok(())
    });
    let server = LoopServer::start(Config { event_loops: Some(1), ..Config::default() }, hooks);
    for len in [1000, 64 << 10] {
        sent.store(0, Ordering::SeqCst);
        let (mut client, sender) = open(&server, &senders);
        let is_over = AtomicBool::new(false);
        let mut later: Vec<u64> = thread::scope(|scope| {
            scope.spawn(|| {
                let mut message = vec![0; len];
                while !is_over.load(Ordering::Relaxed) {
                    let number = sent.load(Ordering::SeqCst);
                    message[..8].copy_from_slice(&number.to_be_bytes());
                    sender.send(&message[..]).unwrap();
                    sent.store(number + 1, Ordering::SeqCst);
                }
            });
            let ask = |_| {
                for _ in 0..20 {
                    assert_eq!(client.read_frame().expect("more to come").opcode, 2);
                }
                client.send(frame(TEXT, "?"));
                let mut next = 0;
                loop {
                    let frame = client.read_frame().expect("more to come");
                    match frame.opcode {
                        2 => next = u64::from_be_bytes(*frame.payload.first_chunk().unwrap()) + 1,
                        _ => {
                            let before: u64 =
                                String::from_utf8(frame.payload).unwrap().parse().unwrap();
                            break next.saturating_sub(before);
                        }
                    }
                }
            };
            let later = (0..31).map(ask).collect();
            is_over.store(true, Ordering::Relaxed);
            // What is on the way would fill the socket.
            while client.heard_within(ms(50)) {
                client.read_frame();
            }
            later
        });
        later.sort_unstable();
        // A machine that gives the loop no time may have more come before one or another.
        assert!(later[15] <= 4, "{len}: {later:?}");
        client.finish();
    }
}

/// Several wait for one, each for their turn.
#[test]
fn blocked_senders_wait_for_each_other() {
    let (server, senders) = server();
    let (mut client, sender) = open(&server, &senders);
    thread::scope(|scope| {
        for who in ["one", "two", "three", "four"] {
            let sender = &sender;
            scope.spawn(move || {
                for at in 0..4 {
                    let text = format!("{who} {at};{}", "x".repeat(2 << 20));
                    sender.send(text.as_str()).unwrap();
                }
            });
        }
        assert_eq!(read_in_order(&mut client, 16).len(), 4);
    });
    client.finish();
}

/// It is woken when there is nothing to wait for any more: by a reset, an abort, the write timeout.
#[test]
fn a_blocked_sender_fails_when_the_connection_ends() {
    for how in ["reset", "abort", "timeout"] {
        let (server, senders) = server_with(|| with_timeouts(|timeouts| timeouts.write = ms(100)));
        let (client, sender) = open(&server, &senders);
        let addr = client.addr;
        let mut client = Some(client);
        let (tell, done) = channel();
        let start = Instant::now();
        thread::scope(|scope| {
            let blocked = &sender;
            // A second for each 64 KiB: it would wait for long.
            let len = if how == "timeout" { 60 << 10 } else { 64 << 20 };
            scope.spawn(move || {
                loop {
                    if let Err(error) = blocked.send(&vec![7; len][..]) {
                        tell.send(error).unwrap();
                        break;
                    }
                }
            });
            // What has little time may have none left after a look.
            let is_looked_at = how != "timeout";
            assert!(!is_looked_at || done.recv_timeout(ms(50)).is_err(), "it is blocked");
            match how {
                "reset" => client.take().unwrap().reset(),
                "abort" => sender.abort(),
                _ => {}
            }
            let error = done.recv_timeout(PATIENCE).expect("it is woken");
            match how {
                "timeout" => {
                    assert!(matches!(error, Error::DeadlineExceeded(Deadline::Write)), "{error}");
                    assert!(start.elapsed() >= ms(100), "{:?}", start.elapsed());
                }
                _ => assert!(matches!(error, Error::Io(_) | Error::Closed), "{how}: {error}"),
            }
            assert!(start.elapsed() < PATIENCE / 4);
        });
        loop {
            match server.next_within(addr, PATIENCE).expect("it has ended") {
                Told::Closed(closed) => {
                    assert!(closed.error.is_some(), "{how}");
                    break;
                }
                Told::Call(call) => assert_eq!(call, "opened"),
                Told::Error(_) => {}
            }
        }
        assert!(sender.is_closed());
    }
}

#[test]
fn another_thread_closes() {
    let (server, senders) = server();
    let (mut client, sender) = open(&server, &senders);
    assert_eq!(sender.request().target(), "/");
    sender.send("last").unwrap();
    sender.close(CloseCode(4000), "bye").unwrap();
    assert!(matches!(sender.send("late"), Err(Error::Closed)));
    client.expect(&Frame::text("last"));
    client.expect(&Frame::close(4000, "bye"));
    // What was under way is still delivered, and its echo goes nowhere.
    client.send(close(4000, ""));
    client.expect_eof();
    server.expect_clean_end(&client, 4000);
}

/// Nothing wakes the loop for it, and it ends in time.
#[test]
fn another_thread_closes_and_the_peer_does_not_answer() {
    let (server, senders) = server_with(|| with_timeouts(|timeouts| timeouts.close = ms(200)));
    let (mut client, sender) = open(&server, &senders);
    let start = Instant::now();
    sender.close(CloseCode(4000), "bye").unwrap();
    client.expect(&Frame::close(4000, "bye"));
    client.read_rest();
    let (calls, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::DeadlineExceeded(Deadline::Close))), "{closed:?}");
    assert!(calls.iter().filter(|call| call.starts_with("error")).count() == 1, "{calls:?}");
    assert!(start.elapsed() >= ms(200) && awake(start) < ms(2000), "{:?}", start.elapsed());
}

/// Who had been silent for longer than the close timeout has all of that for the answer, also if something else
/// comes first: between messages, and in the middle of one.
#[test]
fn another_thread_closes_behind_a_silence() {
    for begun in [0, 100 << 10] {
        let (tell, senders) = channel();
        let hooks = Hooks::new(move |call, _, out| match call {
            Call::Opened => Ok(tell.send(out.sender())?),
            _ => Ok(()),
        });
        let server = LoopServer::start(config(|config| config.timeouts.close = 3 * PROMPT), hooks);
        let (mut client, sender) = open(&server, &senders);
        let message = frame(BINARY, vec![7; 200 << 10]);
        client.send(&message[..begun]);
        // It says nothing, which no event tells of.
        thread::sleep(3 * PROMPT + ms(200));
        sender.close(CloseCode(4000), "bye").unwrap();
        client.expect(&Frame::close(4000, "bye"));
        client.send(&message[begun..]);
        server.expect_calls(&client, &["opened", "message of 204800"]);
        assert!(!client.heard_within(ms(100)), "the answer is waited for");
        client.send(close(4000, ""));
        client.expect_eof();
        server.expect_clean_end(&client, 4000);
    }
}

#[test]
fn another_thread_aborts() {
    let (server, senders) = server();
    let (mut client, sender) = open(&server, &senders);
    sender.abort();
    assert!(client.read_rest().is_empty());
    let (_, closed) = server.until_closed(&client);
    assert!(closed.error.is_some() && closed.code.is_none(), "{closed:?}");
    assert!(sender.is_closed());
}

/// While a thread is blocked in a write, the handler closes: nothing more can be sent, by anybody.
#[test]
fn a_close_that_waits_for_a_blocked_sender_is_due() {
    let (tell, senders) = channel();
    let (tell_result, results) = channel();
    let hooks = Hooks::new(move |call, _, out| {
        match call {
            Call::Opened => tell.send(out.sender())?,
            Call::Message(_) => out.close(CloseCode::NORMAL, "")?,
            Call::Pong(_) => tell_result.send((out.is_closed(), out.send("late")))?,
            _ => {}
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let (mut client, sender) = open(&server, &senders);
    let (tell, done) = channel();
    thread::scope(|scope| {
        let sender = &sender;
        scope.spawn(move || tell.send(sender.send(&vec![7; 16 << 20][..])).unwrap());
        assert!(client.heard_within(PATIENCE));
        assert!(done.recv_timeout(ms(100)).is_err(), "it is blocked");
        client.send([frame(TEXT, "close"), frame(PONG, "")].concat());
        let (is_closed, sent) = results.recv_timeout(PATIENCE).expect("a Pong");
        assert_eq!(client.read_frame().map(|frame| frame.payload.len()), Some(16 << 20));
        assert!(matches!(done.recv_timeout(PATIENCE), Ok(Ok(()))));
        assert!(is_closed && matches!(sent, Err(TrySendError::Closed)), "{sent:?}");
    });
    client.expect(&Frame::close(1000, ""));
    client.send(close(1000, ""));
    client.expect_eof();
    server.expect_clean_end(&client, 1000);
}

/// What is for the loop to do is waited for in vain on the loop itself, and that costs no more than its time. A
/// queue waits for nobody.
#[test]
fn a_sender_on_its_own_loop() {
    let hooks = Hooks::echo().open(|_, sender| {
        let queue = sender.queued(1 << 10).expect("a queue");
        queue.try_send(&OwnedMessage::from("queued")).expect("room");
        let sent = sender.send("in vain");
        assert!(matches!(sent, Err(Error::DeadlineExceeded(Deadline::Write))), "{sent:?}");
        Ok(())
    });
    let server = LoopServer::start(config(|config| config.timeouts.write = ms(100)), hooks);
    let mut client = server.open();
    client.expect(&Frame::text("queued"));
    client.send(frame(TEXT, "a"));
    client.expect(&Frame::text("a"));
    client.finish();
}

/// One message for many, on two loops; one that does not read is told of, and holds up nobody.
#[test]
fn a_broadcast() {
    let (tell, senders) = channel();
    let hooks = Hooks::new(move |call, _, out| {
        if let Call::Opened = call {
            tell.send(out.sender())?;
        }
        Ok(())
    });
    let server = LoopServer::start(config(|config| config.event_loops = Some(2)), hooks);
    let (slow, slow_sender) = open(&server, &senders);
    let slow_queue = slow_sender.queued(1 << 20).unwrap();
    let mut clients = Vec::new();
    let mut queues = vec![slow_queue.clone()];
    for _ in 0..20 {
        let (client, sender) = open(&server, &senders);
        queues.push(sender.queued(64 << 20).unwrap());
        clients.push(client);
    }
    let message: Arc<[u8]> = vec![7; 128 << 10].into();
    let message = OwnedMessage::from(message.to_vec());
    let mut full = 0;
    for _ in 0..100 {
        full += broadcast(&queues, &message).full.len();
    }
    assert!(full > 0 && full < 100, "{full}");
    for client in &mut clients {
        for _ in 0..100 {
            assert_eq!(client.read_frame().map(|frame| frame.payload.len()), Some(128 << 10));
        }
        client.finish();
    }
    slow_queue.close_now(CloseCode::TRY_AGAIN_LATER, "too slow").unwrap();
    assert!(matches!(slow_queue.try_send(&message), Err(TrySendError::Closed)));
    drop(slow);
}

/// Nobody need keep a connection, and what a sender is left with says so.
#[test]
fn a_sender_outlives_its_connection() {
    let (server, senders) = server();
    let (mut client, sender) = open(&server, &senders);
    let queue = sender.queued(1000).unwrap();
    client.finish();
    server.expect_clean_end(&client, 1000);
    assert!(sender.is_closed() && queue.is_closed());
    assert!(matches!(sender.ping(b""), Err(Error::Closed)));
    assert!(matches!(queue.try_send(&"late".into()), Err(TrySendError::Closed)));
    sender.abort();
    // Another connection is another one's.
    let (mut other, other_sender) = open(&server, &senders);
    assert!(!sender.same_connection(&other_sender));
    other.finish();
}

/// A Ping that is due while a thread is in the middle of a long message waits with it, and not in its way
/// for the time that a write has to begin.
#[test]
fn a_ping_that_comes_due_behind_a_long_message() {
    const LEN: usize = 16 << 20;
    let (server, senders) = server_with(|| {
        config(|config| {
            config.timeouts.ping_interval = ms(300);
            config.timeouts.write = ms(100);
        })
    });
    let (mut client, sender) = open(&server, &senders);
    let sent = thread::spawn(move || sender.send(&vec![7; LEN]));
    // The message has 256 seconds more.
    thread::sleep(ms(1000));
    let mut message = client.read_frame().expect("a message");
    // The thread may have been late: another Ping comes due then.
    if message == Frame::new(PING, "") {
        client.send(frame(PONG, ""));
        message = client.read_frame().expect("a message");
    }
    assert!(message.payload.len() == LEN, "{}", message.payload.len());
    client.expect(&Frame::new(PING, ""));
    client.send(frame(PONG, ""));
    sent.join().expect("no panic").expect("sent");
    client.finish();
}

/// Whoever waits behind a long message has as much time as that.
#[test]
fn an_echo_behind_a_long_message() {
    const LEN: usize = 16 << 20;
    let (server, senders) = server_with(|| with_timeouts(|timeouts| timeouts.write = ms(200)));
    let (mut client, sender) = open(&server, &senders);
    let (tell, begun) = channel();
    thread::scope(|scope| {
        // It has a second for each 64 KiB.
        scope.spawn(|| {
            tell.send(()).unwrap();
            sender.send(&vec![7; LEN][..]).unwrap();
        });
        begun.recv_timeout(PATIENCE).expect("a thread");
        assert!(client.heard_within(PATIENCE), "the beginning of it");
        client.send(frame(TEXT, "echo"));
        thread::sleep(ms(500));
        assert_eq!(client.read_frame().expect("a message").payload.len(), LEN);
        client.expect(&Frame::text("echo"));
    });
    client.finish();
}

/// A thread sends to each of many in turn, and queues for all, while others are blocked in a send to peers
/// that do not read: nobody else waits for those, neither a thread nor the loop.
#[test]
fn many_receivers_and_ten_that_do_not_read() {
    const STUCK: usize = 10;
    const READERS: usize = 200;
    let base = || {
        let mut config = Config::default();
        // What anybody would wait who waits for one of them.
        config.timeouts.write = PATIENCE;
        config
    };
    let (server, senders) = server_with(base);
    let stuck: Vec<_> = (0..STUCK).map(|_| open(&server, &senders)).collect();
    let mut readers: Vec<_> = (0..READERS).map(|_| open(&server, &senders)).collect();
    let all = stuck.iter().chain(&readers).map(|(_, sender)| sender.queued(1 << 20).unwrap());
    let queues: Vec<_> = all.collect();
    thread::scope(|scope| {
        for (_, sender) in &stuck {
            scope.spawn(|| assert!(sender.send(&vec![0; 32 << 20][..]).is_err()));
        }
        let start = Instant::now();
        for round in 0..20 {
            let texts = ["sent", "queued", "echoed"].map(|how| format!("{how} {round}"));
            for (_, sender) in &readers {
                sender.send(&*texts[0]).unwrap();
            }
            let told = broadcast(&queues, &OwnedMessage::from(texts[1].clone()));
            assert_eq!((told.queued, told.closed), (STUCK + READERS, 0));
            for (client, _) in &mut readers {
                client.send(frame(TEXT, &texts[2]));
            }
            for (client, _) in &mut readers {
                client.expect(&Frame::text(&texts[0]));
                // The last two come by different ways.
                let mut rest = [(); 2].map(|()| client.read_frame().expect("more to come").payload);
                rest.sort();
                assert_eq!(rest, [texts[2].as_bytes(), texts[1].as_bytes()]);
            }
        }
        assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
        stuck.iter().for_each(|(_, sender)| sender.abort());
    });
    readers.iter_mut().for_each(|(client, _)| client.finish());
}
