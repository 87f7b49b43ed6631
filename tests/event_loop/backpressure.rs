use std::io::Write;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use barews::{
    BoxError, CloseCode, Deadline, Error, MessageType, MessageWriter, Outbox, Sender, Timeouts,
    TrySendError,
};

use super::common::*;
use super::server::{Call, Conn, Hooks, LoopServer, Told, config, echo, fill, read_fill};

/// What it sends is queued, but not without end; nothing is read of it until it reads; the handler is told
/// once; nothing is lost.
#[test]
fn a_peer_that_does_not_read() {
    for answers in [true, false] {
        let hooks = Hooks::new(move |call, conn, out| match call {
            Call::Message(message) if message.as_bytes() == b"fill" => {
                assert_eq!(out.queued_bytes(), 0);
                fill(out)?;
                assert!(out.queued_bytes() >= 1 << 20 && out.queued_bytes() < 4 << 20);
                assert!(matches!(out.send("more"), Err(TrySendError::Full)));
                // What is short, and ours, has room.
                Ok(out.ping(b"there?")?)
            }
            Call::Drained => {
                assert_eq!(out.queued_bytes(), 0);
                match answers {
                    true => send_drained(conn, out),
                    false => Ok(()),
                }
            }
            call => echo(call, conn, out),
        });
        let server = LoopServer::start(config(|_| ()), hooks);
        let mut client = server.open();
        client.send(frame(TEXT, "fill"));
        server.expect_calls(&client, &["opened", "message fill"]);
        client.send([frame(TEXT, "one"), frame(PING, "two"), frame(0x01, "thr")].concat());
        client.send([frame(CONT, "ee"), frame(PONG, "there?")].concat());
        assert!(server.next_within(client.addr, ms(100)).is_none(), "it is not read");
        assert_eq!(read_fill(&mut client), Some(Frame::new(PING, "there?")));
        if answers {
            client.expect(&Frame::text("drained"));
        }
        for answer in [Frame::text("one"), Frame::pong("two"), Frame::text("three")] {
            client.expect(&answer);
        }
        client.finish();
        let (mut calls, closed) = server.until_closed(&client);
        assert!(calls[0] == "drained" && (answers || calls[1] != "drained"), "{calls:?}");
        // Of each answer that found the socket full to the last byte, too.
        calls.retain(|call| call != "drained");
        assert_eq!(calls, ["message one", "ping two", "message three", "pong there?"]);
        assert!(closed.error.is_none());
    }
}

/// Says once that all is taken. Where that has filled the socket to the last byte, the answer has to wait
/// itself, and is told of in turn.
fn send_drained(conn: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
    if !mem::replace(&mut conn.is_drained, true) {
        out.send("drained")?;
    }
    Ok(())
}

/// What is queued gets less as the peer takes it, not only once it has all.
#[test]
fn what_is_queued_gets_less() {
    const LEN: usize = 32 << 20;
    let queued = Arc::new(AtomicUsize::new(usize::MAX));
    let told = Arc::clone(&queued);
    let hooks = Hooks::new(move |call, _, out| {
        match call {
            Call::Message(_) => out.send(&vec![7; LEN][..])?,
            Call::Timer | Call::Drained => {}
            _ => return Ok(()),
        }
        told.store(out.queued_bytes(), Ordering::SeqCst);
        out.set_timer(Some(ms(5)));
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.send(frame(TEXT, "go"));
    let read = LEN - (10 << 20);
    client.read_bytes(read);
    let (left, start) = (10 + LEN - read, Instant::now());
    while queued.load(Ordering::SeqCst) > left {
        assert!(awake(start) < PROMPT, "{queued:?} are queued, of {left}");
        thread::yield_now();
    }
    client.read_bytes(left);
    client.finish();
}

/// Its own messages, too: a flood that nobody reads the answers to is not read for long.
#[test]
fn a_flood_without_reading() {
    let server = LoopServer::echo();
    let mut client = server.open();
    let message = frame(BINARY, vec![7; 32 << 10]);
    let sent = client.flood(&message, 1 << 30, ms(500));
    assert!(sent < 64 << 20, "{sent} bytes were taken");
    let (calls, _) = (server.next(&client), ());
    assert!(matches!(calls, Told::Call(_)));
}

/// The write timeout ends it, with no word of ours, which it would not read.
#[test]
fn a_peer_that_never_reads() {
    let config = config(|config| config.timeouts.write = ms(200));
    let hooks = Hooks::new(|call, _, out| match call {
        // Nothing is longer than 64 KiB, which would have a second more. A system may find some room
        // later that it did not have at first.
        Call::Message(_) | Call::Drained => {
            while out.queued_bytes() < 64 << 10 {
                out.send(&vec![0; 60 << 10][..])?;
            }
            Ok(())
        }
        _ => Ok(()),
    });
    let server = LoopServer::start(config, hooks);
    let mut client = server.open();
    let start = Instant::now();
    client.send(frame(TEXT, "fill"));
    let (calls, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::DeadlineExceeded(Deadline::Write))), "{closed:?}");
    let (last, calls) = calls.split_last().expect("some calls");
    assert!(last.starts_with("error"), "{last}");
    assert!(calls[2..].iter().all(|call| call == "drained"), "{calls:?}");
    assert!(start.elapsed() >= ms(200) && awake(start) < Duration::from_secs(5));
    // What it reads now ends, in the middle of a frame perhaps.
    client.read_rest();
}

/// A handler that has failed is not called any more, however long its last words take to go out, and it
/// is told of once.
#[test]
fn a_failure_while_the_peer_does_not_read() {
    for reads in [true, false] {
        let config = config(|config| config.timeouts.write = ms(300));
        let hooks = Hooks::new(|call, _, out| match call {
            Call::Message(_) => {
                while out.queued_bytes() < 64 << 10 {
                    out.send(&vec![0; 60 << 10][..])?;
                }
                out.set_timer(Some(ms(20)));
                Err("it has failed".into())
            }
            _ => Ok(()),
        });
        let server = LoopServer::start(config, hooks);
        let mut client = server.open();
        client.send(frame(TEXT, "fill"));
        server.expect_calls(&client, &["opened", "message fill"]);
        assert_eq!(server.error(&client), "it has failed");
        if reads {
            assert!(server.next_within(client.addr, ms(100)).is_none(), "nothing is called");
            loop {
                let frame = client.read_frame().expect("a Close at least");
                if frame.opcode == 8 {
                    assert_eq!(frame.close_parts().0, 1011);
                    break;
                }
            }
        }
        let closed = server.closed(&client);
        assert!(closed.error.is_none(), "{closed:?}");
        assert!(server.next_within(client.addr, ms(20)).is_none());
    }
}

/// An echo whose connection has a message in fragments under way, of a thread's; and what tells that a
/// message was echoed.
struct HeldUp {
    server: LoopServer,
    client: RawClient,
    sender: Sender,
    echoed: Receiver<()>,
}

fn kept_waiting() -> HeldUp {
    kept_waiting_with(|_| ())
}

fn kept_waiting_with(change: impl FnOnce(&mut Timeouts)) -> HeldUp {
    let (tell, senders) = channel();
    let (tell_echoed, echoed) = channel();
    let hooks = Hooks::new(move |call, conn, out| {
        match call {
            Call::Opened => tell.send(out.sender())?,
            Call::Message(_) => {
                echo(call, conn, out)?;
                tell_echoed.send(())?;
            }
            _ => {}
        }
        Ok(())
    });
    let server = LoopServer::start(config(|config| change(&mut config.timeouts)), hooks);
    let client = server.open();
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    HeldUp { server, client, sender, echoed }
}

/// Begins a message in fragments.
fn begin<'a>(sender: &'a Sender, client: &mut RawClient) -> MessageWriter<'a> {
    let mut writer = sender.writer(MessageType::Text);
    writer.write_all(b"a part").unwrap();
    writer.flush().unwrap();
    client.expect(&Frame::new(0x01, "a part"));
    writer
}

/// Our Close does away with what was held up. What had come of the peer by then still counts: its answer.
#[test]
fn what_was_not_looked_at_counts_behind_our_close() {
    let HeldUp { server, mut client, sender, echoed } = kept_waiting();
    let writer = begin(&sender, &mut client);
    // Too long to be gathered with others, it has to wait at once.
    client.send([frame(BINARY, [0; 20 << 10]), close(1001, "")].concat());
    echoed.recv_timeout(PATIENCE).expect("an echo");
    sender.close(CloseCode::NORMAL, "").unwrap();
    client.expect_close(1000);
    drop(writer);
    server.expect_clean_end(&client, 1001);
}

/// What was sent before the peer's Close came goes out before the answer, also if others write.
#[test]
fn an_echo_before_a_close_goes_out_first() {
    let HeldUp { server, mut client, sender, echoed } = kept_waiting();
    let writer = begin(&sender, &mut client);
    // In one batch with its Close, the echo is yet to be written when that is found.
    client.send([frame(TEXT, "echo"), close(1001, ""), frame(TEXT, "late")].concat());
    echoed.recv_timeout(PATIENCE).expect("an echo");
    writer.finish().unwrap();
    client.expect(&Frame::new(CONT, ""));
    client.expect(&Frame::text("echo"));
    client.expect_close(1001);
    server.expect_clean_end(&client, 1001);
}

/// The same before something that is wrong.
#[test]
fn an_echo_before_an_error_goes_out_first() {
    let HeldUp { server, mut client, sender, echoed } = kept_waiting();
    let writer = begin(&sender, &mut client);
    client.send([frame(TEXT, "echo"), frame(0x83, "?"), frame(TEXT, "late")].concat());
    echoed.recv_timeout(PATIENCE).expect("an echo");
    assert!(!client.heard_within(ms(50)), "its answer waits for the echo");
    writer.finish().unwrap();
    client.expect(&Frame::new(CONT, ""));
    client.expect(&Frame::text("echo"));
    client.expect_close(1002);
    let (calls, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::Protocol(_))), "{closed:?}");
    assert_eq!(calls.iter().filter(|call| call.starts_with("error")).count(), 1, "{calls:?}");
    assert!(!calls.iter().any(|call| call.contains("late")), "{calls:?}");
}

/// The peer's Close has come, or what is wrong, and the writer never ends: the write timeout is over.
#[test]
fn an_echo_that_never_goes_out_before_the_end() {
    for sent in [close(1001, ""), frame(0x83, "?")] {
        let HeldUp { server, mut client, sender, echoed } =
            kept_waiting_with(|timeouts| (timeouts.write, timeouts.close) = (ms(500), ms(100)));
        let writer = begin(&sender, &mut client);
        let start = Instant::now();
        client.send([frame(TEXT, "echo"), sent].concat());
        echoed.recv_timeout(PATIENCE).expect("an echo");
        client.read_rest();
        assert!(start.elapsed() >= ms(500) && start.elapsed() < PATIENCE / 4);
        assert!(server.until_closed(&client).1.error.is_some());
        drop(writer);
    }
}

/// A Pong that nobody is at any more has the write timeout, too, whether or not more is asked for.
#[test]
fn a_peer_that_never_reads_its_pongs() {
    // Seven mebibytes of answers: Linux keeps four, and what the peer's side has room for. A shorter buffer there,
    // set when that room was promised, has it throw away the acknowledgements of what it sends, too.
    const ENOUGH: usize = 60_000;
    for count in [ENOUGH, usize::MAX] {
        let HeldUp { server, mut client, sender, .. } =
            kept_waiting_with(|timeouts| timeouts.write = ms(300));
        // So Pongs do not wait behind what the loop sends.
        let writer = begin(&sender, &mut client);
        let pings = frame(PING, [b'p'; 120]).repeat(100);
        // The system may take late what is kept of them: then once more.
        let closed = (0..5).find_map(|_| {
            let start = Instant::now();
            for _ in 0..count / 100 {
                if client.try_send(&pings).is_err() {
                    break;
                }
                assert!(start.elapsed() < PATIENCE, "it is kept");
            }
            let closed = server.closed_within(&client, ms(4000))?;
            // Else it is the first Ping of this round that has found the time of the last one over.
            assert!(start.elapsed() >= ms(300), "{:?}", start.elapsed());
            Some(closed)
        });
        let error = closed.expect("not all is taken, each time").error;
        assert!(matches!(error, Some(Error::DeadlineExceeded(Deadline::Write))), "{error:?}");
        drop(writer);
    }
}

/// However quick the peer is, others have their turn before all of a long message is written, or of many;
/// what is left goes on, of which no socket tells.
#[test]
fn a_quick_reader_leaves_time_to_others() {
    const MIB: usize = 1 << 20;
    let hooks = Hooks::new(|call, conn, out| {
        match call {
            Call::Message(message) if message.as_bytes() == b"long" => {
                out.send(&vec![7; 64 * MIB][..])?;
                let queued = out.queued_bytes();
                // Eight, and as many again if the peer had no room for all of those at first.
                assert!(queued >= 48 * MIB, "{queued} bytes are queued");
            }
            Call::Message(_) => {
                let (mut sent, message) = (0, vec![7; MIB]);
                while sent < 1024 && out.send(&message[..]).is_ok() {
                    sent += 1;
                }
                assert!(sent <= 17, "{sent} MiB were sent");
            }
            Call::Drained => send_drained(conn, out)?,
            _ => {}
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    for what in ["long", "many"] {
        let mut client = server.open();
        client.send(frame(TEXT, what));
        let mut frames = std::iter::repeat_with(|| client.read_frame().expect("more to come"));
        let last = frames.find(|frame| frame.payload.len() < MIB);
        assert_eq!(last, Some(Frame::text("drained")), "{what}");
        client.finish();
    }
}

/// How long an echo takes while others have the loop keep what they do not read, beside one of a loop without
/// others.
#[test]
fn others_are_not_kept_waiting() {
    let hooks = Hooks::new(|call, conn, out| match call {
        Call::Message(message) if message.as_bytes() == b"fill" => fill(out),
        call => echo(call, conn, out),
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let congested: Vec<_> = (0..20)
        .map(|_| {
            let mut client = server.open();
            client.send([frame(TEXT, "fill"), frame(TEXT, "more").repeat(1000)].concat());
            client
        })
        .collect();
    let quiet = LoopServer::echo();
    let mut clients = [quiet.open(), server.open()];
    let mut times = [const { Vec::new() }; 2];
    for _ in 0..500 {
        for (client, times) in clients.iter_mut().zip(&mut times) {
            let start = Instant::now();
            client.send(frame(TEXT, "quick"));
            client.expect(&Frame::text("quick"));
            times.push(start.elapsed());
        }
    }
    let [quiet, times] = times.map(|mut times| {
        times.sort();
        println!("median {:?}, p99 {:?}, most {:?}", times[250], times[495], times[499]);
        times
    });
    let most = 10 * quiet[495].max(ms(5));
    assert!(times[495] < most, "p99 {:?}, of {most:?}", times[495]);
    clients.iter_mut().for_each(RawClient::finish);
    // All of them are served once they read.
    thread::scope(|scope| {
        for mut client in congested {
            scope.spawn(move || {
                assert_eq!(read_fill(&mut client), Some(Frame::text("more")));
                for _ in 1..1000 {
                    client.expect(&Frame::text("more"));
                }
                client.finish();
            });
        }
    });
}
