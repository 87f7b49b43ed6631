use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Instant;

use barews::{BoxError, CloseCode, MessageType, Outbox, Sender, TrySendError};

use super::common::*;
use super::server::{
    Call, Conn, Hooks, LoopServer, Told, config, fill, gated_or, handing_out, open, read_fill,
    while_held,
};

/// An echo that says how often it was notified, and sends nothing of what comes at `pause` before that.
fn telling(call: Call<'_>, conn: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
    match call {
        Call::Message(message) if message.as_bytes() == b"pause" => out.pause_reading(),
        Call::Message(message) => out.send(message)?,
        Call::Notified => {
            conn.messages += 1;
            out.send("notified")?;
            out.resume_reading();
        }
        _ => {}
    }
    Ok(())
}

fn telling_server() -> (LoopServer, Receiver<Sender>) {
    handing_out(config(|_| ()), Hooks::new(telling))
}

#[test]
fn a_handler_is_called_for_its_connection_and_no_other() {
    let (server, senders) = telling_server();
    let (mut client, sender) = open(&server, &senders);
    let (mut other, _) = open(&server, &senders);
    let times = [(); 3].map(|()| {
        let start = Instant::now();
        sender.notify();
        client.expect(&Frame::text("notified"));
        awake(start)
    });
    // One may come late on a busy machine. A loop that is not woken looks five times a second, so whoever comes
    // right behind such a look waits for all of that.
    assert!(times[1..].iter().any(|time| *time < ms(100)), "{times:?}");
    server.expect_calls(&client, &["opened", "notified", "notified", "notified"]);
    other.send(frame(TEXT, "x"));
    other.expect(&Frame::text("x"));
    server.expect_calls(&other, &["opened", "message x"]);
    client.finish();
    other.finish();
}

/// Those that come while the loop is busy are one call, and none is lost between two.
#[test]
fn many_are_one_until_it_is_called() {
    let gate = Arc::new(Barrier::new(2));
    let (server, senders) = handing_out(config(|_| ()), gated_or(&gate, telling));
    let (mut client, sender) = open(&server, &senders);
    let (mut busy, _) = open(&server, &senders);
    while_held(&mut busy, &gate, || {
        for _ in 0..1000 {
            sender.notify();
        }
    });
    client.expect(&Frame::text("notified"));
    sender.notify();
    client.expect(&Frame::text("notified"));
    server.expect_calls(&client, &["opened", "notified", "notified"]);
    client.finish();
    busy.finish();
}

/// Whatever is left before a notice is found by the last call.
#[test]
fn the_last_one_is_heard() {
    const COUNT: usize = 2000;
    let left = Arc::new(AtomicUsize::new(0));
    let hooks = Hooks::new({
        let left = Arc::clone(&left);
        move |call, conn, out| match call {
            Call::Notified if left.load(Ordering::SeqCst) == 4 * COUNT && conn.messages == 0 => {
                conn.messages = 1;
                Ok(out.send("all")?)
            }
            _ => Ok(()),
        }
    });
    let (server, senders) = handing_out(config(|config| config.event_loops = Some(2)), hooks);
    let mut clients: Vec<_> = (0..20).map(|_| open(&server, &senders)).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..COUNT {
                    left.fetch_add(1, Ordering::SeqCst);
                    clients.iter().for_each(|(_, sender)| sender.notify());
                }
            });
        }
    });
    for (client, _) in &mut clients {
        client.expect(&Frame::text("all"));
        client.finish();
    }
}

/// A handler notifies others, on its own loop and on the other, and itself.
#[test]
fn a_handler_may_do_it_too() {
    let all: Arc<Mutex<Vec<Sender>>> = Arc::default();
    let hooks = Hooks::new({
        let all = Arc::clone(&all);
        move |call, _, out| match call {
            Call::Message(_) => {
                all.lock().unwrap().iter().for_each(Sender::notify);
                Ok(out.send("done")?)
            }
            Call::Notified => Ok(out.send("notified")?),
            _ => Ok(()),
        }
    });
    let (server, senders) = handing_out(config(|config| config.event_loops = Some(2)), hooks);
    let mut clients: Vec<_> = (0..10).map(|_| server.open()).collect();
    all.lock().unwrap().extend(senders.iter().take(10));
    clients[0].send(frame(TEXT, "go"));
    clients[0].expect(&Frame::text("done"));
    for client in &mut clients {
        client.expect(&Frame::text("notified"));
        client.finish();
    }
}

/// Work on another thread: what comes meanwhile waits in the socket, and is read once that is done.
#[test]
fn it_ends_a_pause() {
    let (server, senders) =
        handing_out(config(|config| config.timeouts.idle_timeout = ms(1000)), Hooks::new(telling));
    let (mut client, sender) = open(&server, &senders);
    let (mut other, _) = open(&server, &senders);
    for _ in 0..3 {
        client.send([frame(TEXT, "pause"), frame(TEXT, "a")].concat());
        client.send(frame(TEXT, "b"));
        other.send(frame(TEXT, "c"));
        other.expect(&Frame::text("c"));
        assert!(!client.heard_within(ms(400)));
        sender.notify();
        for text in ["notified", "a", "b"] {
            client.expect(&Frame::text(text));
        }
        // The others have longer pauses in all than they may be silent.
        other.send(frame(PING, "?"));
        other.expect(&Frame::pong("?"));
    }
    client.finish();
    other.finish();
}

/// While the peer takes nothing, the handler is called and finds no room.
#[test]
fn backpressure_holds_it_up_not() {
    let hooks = Hooks::new(|call, _, out| {
        match call {
            Call::Message(_) => fill(out)?,
            Call::Notified => assert!(matches!(out.send("late"), Err(TrySendError::Full))),
            _ => {}
        }
        Ok(())
    });
    let (server, senders) = handing_out(config(|_| ()), hooks);
    let (mut client, sender) = open(&server, &senders);
    client.send(frame(TEXT, "go"));
    server.expect_calls(&client, &["opened", "message go"]);
    sender.notify();
    server.expect_calls(&client, &["notified"]);
    client.send(close(1000, ""));
    assert_eq!(read_fill(&mut client), Some(Frame::close(1000, "")));
    server.expect_calls(&client, &["drained"]);
}

/// An error or a panic of it closes this connection, and costs no other.
#[test]
fn it_may_fail() {
    let hooks = Hooks::new(|call, conn, _| match call {
        Call::Message(_) => {
            conn.messages = 2;
            Ok(())
        }
        Call::Notified if conn.messages > 0 => panic!("oh"),
        Call::Notified => Err("no".into()),
        _ => Ok(()),
    });
    let (server, senders) = handing_out(config(|_| ()), hooks);
    let ((mut first, failing), (mut second, panicking)) =
        (open(&server, &senders), open(&server, &senders));
    second.send(frame(TEXT, "x"));
    server.expect_calls(&second, &["opened", "message x"]);
    server.expect_calls(&first, &["opened"]);
    failing.notify();
    panicking.notify();
    for (client, error) in [(&mut first, "no"), (&mut second, "the handler panicked: oh")] {
        client.expect_close(1011);
        server.expect_calls(client, &["notified"]);
        assert_eq!(server.error(client), error);
        assert!(server.closed(client).error.is_none());
    }
    // Nobody is left.
    failing.notify();
    panicking.notify();
    let (mut client, sender) = open(&server, &senders);
    client.send(close(1000, ""));
    client.expect_close(1000);
    sender.notify();
}

/// Once a Close is due there is nothing to be called for; nor for who has the place later, or when nobody is
/// there at all.
#[test]
fn it_is_for_nobody_else() {
    let (server, senders) = telling_server();
    let mut kept = Vec::new();
    for by_peer in [true, false, true] {
        let (mut client, sender) = open(&server, &senders);
        if by_peer {
            client.send(close(4000, ""));
        } else {
            sender.close(CloseCode(4000), "").unwrap();
        }
        sender.notify();
        if by_peer {
            // Before its Close was read, it was not too late.
            let frame = client.read_frame();
            if frame != Some(Frame::text("notified")) {
                assert_eq!(frame, Some(Frame::close(4000, "")));
            }
        } else {
            client.expect(&Frame::close(4000, ""));
            client.send(close(4000, ""));
            client.expect_eof();
        }
        let (calls, _) = server.until_closed(&client);
        assert!(by_peer || calls == ["opened"], "{calls:?}");
        kept.push(sender);
    }
    let (mut client, _) = open(&server, &senders);
    kept.iter().for_each(Sender::notify);
    client.send(frame(TEXT, "x"));
    client.expect(&Frame::text("x"));
    server.expect_calls(&client, &["opened", "message x"]);
    client.finish();
    drop(server);
    kept.iter().for_each(Sender::notify);
}

/// One that is rejected has none.
#[test]
fn nor_for_who_was_rejected() {
    let (tell, senders) = channel();
    let tell = Mutex::new(tell);
    let hooks = Hooks::new(telling).open(move |_, sender| {
        let _ = tell.lock().unwrap().send(sender);
        Err(barews::Reject::new(barews::Status::FORBIDDEN, "no\n"))
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.connect();
    client.send(r0().bytes());
    assert_eq!(client.read_response().status, 403);
    senders.recv_timeout(PATIENCE).expect("a sender").notify();
    assert!(
        server.next_within(client.addr, ms(100)).is_none_or(|told| matches!(told, Told::Error(_)))
    );
}

/// A connection with a thread of its own has nobody to be called, and says so to nobody.
#[test]
fn threads_have_none() {
    let hooks = Hooks::new(telling).thread(|mut conn| {
        let sender = conn.sender();
        sender.notify();
        let mut buf = Vec::new();
        while let Some(message) = conn.recv(&mut buf)? {
            sender.notify();
            conn.send(message)?;
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.connect();
    client.send(r0().target("/thread").bytes());
    client.expect_upgrade();
    client.send(frame(TEXT, "x"));
    client.expect(&Frame::text("x"));
    client.finish();
}

/// A Close by another thread ends a pause, so that the peer's answer is read, in whatever order they come.
#[test]
fn a_close_ends_a_pause() {
    let (server, senders) = telling_server();
    for is_answered in [true, false] {
        let (mut client, sender) = open(&server, &senders);
        client.send([frame(TEXT, "pause"), frame(TEXT, "a")].concat());
        server.expect_calls(&client, &["opened", "message pause"]);
        let start = Instant::now();
        sender.close(CloseCode(4000), "over").unwrap();
        client.expect(&Frame::close(4000, "over"));
        if is_answered {
            client.send(close(4000, ""));
            client.expect_eof();
            assert!(awake(start) < ms(1000), "{:?}", start.elapsed());
        }
        drop(client);
    }
}

/// A Close that waits for who writes: nobody is called any more, and its answer is waited for once it is out.
#[test]
fn a_close_behind_a_long_write() {
    const LEN: usize = 32 << 20;
    let (server, senders) =
        handing_out(config(|config| config.timeouts.close = ms(400)), Hooks::new(telling));
    for is_answered in [true, false] {
        let (mut client, sender) = open(&server, &senders);
        thread::scope(|scope| {
            let writing = scope.spawn(|| sender.send(&vec![0; LEN]));
            // Whoever writes has found no room by then.
            assert_eq!(client.read_bytes(10).len(), 10);
            sender.close(CloseCode(4000), "").unwrap();
            sender.notify();
            assert_eq!(client.read_bytes(LEN).len(), LEN);
            writing.join().unwrap().unwrap();
        });
        let start = Instant::now();
        client.expect(&Frame::close(4000, ""));
        if is_answered {
            client.send(close(4000, ""));
        }
        assert_eq!(client.read_all(), []);
        let (calls, closed) = server.until_closed(&client);
        let late = ["opened", "error the close was not answered in time"];
        assert_eq!(calls, if is_answered { &late[..1] } else { &late });
        assert_eq!(closed.code, is_answered.then_some(4000), "{closed:?}");
        assert!(awake(start) < ms(400) + PROMPT, "{:?}", start.elapsed());
    }
}

/// The answer to a Close by another thread has its time from then on, however long the peer was silent
/// before.
#[test]
fn the_answer_to_a_close_has_its_time() {
    let config = config(|config| {
        config.timeouts.close = ms(400);
        config.timeouts.ping_interval = ms(60_000);
    });
    let (server, senders) = handing_out(config, Hooks::new(telling));
    let (mut client, sender) = open(&server, &senders);
    let (mut busy, _) = open(&server, &senders);
    // Longer than that.
    assert!(!client.heard_within(ms(600)));
    let start = Instant::now();
    sender.close(CloseCode::NORMAL, "").unwrap();
    client.expect(&Frame::close(1000, ""));
    // Others have turns meanwhile.
    while start.elapsed() < ms(200) {
        busy.send(frame(TEXT, "x"));
        busy.expect(&Frame::text("x"));
    }
    client.send(frame(PING, "still here"));
    client.expect_eof();
    let waited = start.elapsed();
    assert!(waited >= ms(400) && awake(start) < ms(400) + ms(400), "{waited:?}");
    busy.finish();
}

/// Nor behind a Close of `drained`, which comes first.
#[test]
fn it_is_not_called_behind_a_close_of_the_same_turn() {
    let gate = Arc::new(Barrier::new(2));
    let hooks = gated_or(&gate, |call, _, out| {
        match call {
            Call::Message(message) => out.send(message)?,
            Call::Drained => out.close(CloseCode(4000), "")?,
            _ => {}
        }
        Ok(())
    });
    let (server, senders) = handing_out(config(|_| ()), hooks);
    let (mut client, sender) = open(&server, &senders);
    let mut held = server.open();
    let mut message = sender.writer(MessageType::Binary);
    message.write_all(b"x").unwrap();
    client.send(frame(TEXT, "a"));
    // It waits for the message in parts.
    server.expect_calls(&client, &["opened", "message a"]);
    while_held(&mut held, &gate, || {
        message.finish().unwrap();
        sender.notify();
    });
    for expected in [Frame::new(0x02, "x"), Frame::new(CONT, ""), Frame::text("a")] {
        client.expect(&expected);
    }
    client.expect(&Frame::close(4000, ""));
    client.send(close(4000, ""));
    let (calls, _) = server.until_closed(&client);
    assert_eq!(calls, ["drained"]);
}
