use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use barews::{
    Accept, BoxError, CloseCode, ConnectionLimits, Error, Outbox, Response, Sender, Server,
};

use super::common::*;
use super::server::{Call, Conn, Hooks, LoopServer, Told, config, fill, read_fill};

/// An echo that at `pause` reads nothing for 300 ms, and at `pause for ever` never again. It looks every 50
/// ms whether it is closed, which ends that.
fn pausing(call: Call<'_>, conn: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
    match call {
        Call::Message(message) => {
            if let Some(text @ ("pause" | "pause for ever")) = message.as_text() {
                // How often it is yet to look.
                conn.messages = if text == "pause" { 5 } else { usize::MAX };
                out.pause_reading();
                out.set_timer(Some(ms(50)));
            }
            out.send(message)?;
        }
        Call::Timer if conn.messages > 0 && !out.is_closed() => {
            conn.messages -= 1;
            out.set_timer(Some(ms(50)));
        }
        Call::Timer => out.resume_reading(),
        _ => {}
    }
    Ok(())
}

/// What came in the same segment waits too, and the end of the peer.
#[test]
fn nothing_is_read_meanwhile() {
    let server = LoopServer::start(config(|_| ()), Hooks::new(pausing));
    let mut client = server.open();
    let start = Instant::now();
    let together = [frame(TEXT, "a"), frame(TEXT, "pause"), frame(TEXT, "b"), frame(PING, "c")];
    client.send(together.concat());
    client.expect(&Frame::text("a"));
    client.expect(&Frame::text("pause"));
    client.send([frame(TEXT, "d"), close(1000, "")].concat());
    client.send_eof();
    client.expect(&Frame::text("b"));
    assert!(start.elapsed() >= ms(300), "{:?}", start.elapsed());
    client.expect(&Frame::pong("c"));
    client.expect(&Frame::text("d"));
    client.expect_close(1000);
    server.expect_clean_end(&client, 1000);
}

/// Others have their turn, and no deadline of what is received passes.
#[test]
fn it_costs_nobody_anything() {
    let is_over = Arc::new(AtomicBool::new(false));
    let hooks = Hooks::new({
        let is_over = Arc::clone(&is_over);
        move |call, conn, out| match call {
            Call::Timer if is_over.load(Ordering::SeqCst) => {
                out.resume_reading();
                Ok(())
            }
            call => pausing(call, conn, out),
        }
    });
    let hurried = |server: Server| {
        server.config(config(|_| ())).on_upgrade(|request| {
            let mut own = ConnectionLimits::default();
            if request.path() == "/hurried" {
                own.idle_timeout = Some(ms(200));
                own.ping_interval = Some(ms(100));
                own.message = Some(ms(100));
            }
            Ok::<_, Response>(Accept::new().limits(own))
        })
    };
    let server = LoopServer::with(hurried, hooks);
    let (mut client, mut other) = (server.connect(), server.open());
    // The beginning of a message is behind it, at once: this side may have no time for more in theirs.
    let request = r0().target("/hurried").bytes();
    client.send([request, frame(TEXT, "pause for ever"), vec![0x81]].concat());
    client.expect_upgrade();
    client.expect(&Frame::text("pause for ever"));
    for at in 0..10 {
        other.send(frame(TEXT, at.to_string()));
        other.expect(&Frame::text(at.to_string()));
    }
    // Longer than each of them.
    server.expect_calls(&client, &["opened", "message pause for ever"]);
    server.expect_calls(&client, &["timer"; 6]);
    client.send([&frame(TEXT, "x")[1..], &close(1000, "")].concat());
    is_over.store(true, Ordering::SeqCst);
    client.expect(&Frame::text("x"));
    client.expect_close(1000);
    other.finish();
}

/// One that ends in the same call was none, and a Close of ours ends one.
#[test]
fn what_ends_a_pause() {
    let server = LoopServer::start(
        config(|_| ()),
        Hooks::new(|call, _, out| {
            if let Call::Message(message) = call {
                out.pause_reading();
                match message.as_text() {
                    Some("close") => out.close(CloseCode(4000), "")?,
                    _ => out.resume_reading(),
                }
                out.send(message).or_else(|_| Ok::<_, BoxError>(()))?;
            }
            Ok(())
        }),
    );
    let mut client = server.open();
    let many = frame(TEXT, "x").repeat(10_000);
    client.send([&many[..], &frame(TEXT, "close"), &close(4000, "")].concat());
    for _ in 0..10_000 {
        client.expect(&Frame::text("x"));
    }
    client.expect(&Frame::close(4000, ""));
    client.expect_eof();
    server.expect_clean_end(&client, 4000);
}

/// A shutdown, or another thread's Close, is noticed by who looks.
#[test]
fn a_close_from_elsewhere_ends_it() {
    let senders = Arc::new(Mutex::new(Vec::<Sender>::new()));
    let hooks = Hooks::new(pausing).open({
        let senders = Arc::clone(&senders);
        move |_, sender| {
            senders.lock().unwrap().push(sender);
            Ok(())
        }
    });
    // So nothing else ends it, and no look is too late.
    let server = LoopServer::start(config(|config| config.timeouts.close = PATIENCE), hooks);
    let mut client = server.open();
    client.send(frame(TEXT, "pause for ever"));
    client.expect(&Frame::text("pause for ever"));
    senders.lock().unwrap()[0].close(CloseCode(4001), "enough").unwrap();
    client.expect(&Frame::close(4001, "enough"));
    client.send(close(4001, ""));
    client.expect_eof();
    server.expect_clean_end(&client, 4001);
}

/// A peer that takes nothing either: the pause outlasts that, and what came first is first.
#[test]
fn beside_backpressure() {
    let server = LoopServer::start(
        config(|_| ()),
        Hooks::new(|call, _, out| match call {
            Call::Message(message) if message.as_text() == Some("fill") => {
                out.pause_reading();
                fill(out)
            }
            Call::Message(message) => Ok(out.send(message)?),
            Call::Drained => {
                out.set_timer(Some(ms(100)));
                Ok(())
            }
            Call::Timer => {
                out.resume_reading();
                Ok(())
            }
            _ => Ok(()),
        }),
    );
    let mut client = server.open();
    client.send([frame(TEXT, "fill"), frame(TEXT, "a"), frame(TEXT, "b")].concat());
    assert_eq!(read_fill(&mut client), Some(Frame::text("a")));
    client.expect(&Frame::text("b"));
    client.finish();
}

/// A Close that is only started: what still comes is delivered, and nothing more is sent.
#[test]
fn messages_behind_a_close_that_was_started() {
    let server = LoopServer::start(
        config(|_| ()),
        Hooks::new(|call, _, out| {
            if let Call::Opened = call {
                out.send("first")?;
                out.start_close(CloseCode(4000), "enough")?;
                assert!(out.is_closed() && out.send("late").is_err());
            }
            Ok(())
        }),
    );
    let mut client = server.open();
    client.expect(&Frame::text("first"));
    client.expect(&Frame::close(4000, "enough"));
    client.send([frame(TEXT, "a"), frame(TEXT, "b"), close(4000, "")].concat());
    client.expect_eof();
    let (calls, closed) = server.until_closed(&client);
    assert_eq!(calls, ["opened", "message a", "message b"]);
    assert!(closed.error.is_none() && closed.code == Some(4000), "{closed:?}");
}

/// A peer that is gone is not noticed until something is sent to it, as a Ping at each look is.
#[test]
fn a_peer_that_goes_meanwhile() {
    let hooks = Hooks::new(|call, _, out| {
        match call {
            Call::Message(_) => out.pause_reading(),
            Call::Timer => out.ping(b"there?")?,
            _ => return Ok(()),
        }
        out.set_timer(Some(ms(20)));
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.send(frame(TEXT, "pause"));
    server.expect_calls(&client, &["opened", "message pause"]);
    let addr = client.addr;
    drop(client);
    loop {
        match server.next_within(addr, PATIENCE).expect("it is noticed") {
            Told::Call(name) => assert_eq!(name, "timer"),
            Told::Error(_) => {}
            Told::Closed(closed) => {
                assert!(closed.error.as_ref().is_some_and(Error::is_disconnect), "{closed:?}");
                break;
            }
        }
    }
}

/// Who is not read is cut all the same, by a shutdown or another thread, and its handler hears of it.
#[test]
fn a_pause_does_not_outlive_the_stream() {
    for is_shutdown in [false, true] {
        let (tell, senders) = channel();
        let hooks = Hooks::new(move |call, _, out| {
            if let Call::Opened = call {
                out.pause_reading();
                tell.send(out.sender())?;
            }
            Ok(())
        });
        let server = LoopServer::start(config(|config| config.timeouts.close = ms(200)), hooks);
        let client = server.open();
        let sender = senders.recv_timeout(PATIENCE).expect("a sender");
        server.expect_calls(&client, &["opened"]);
        match is_shutdown {
            true => server.running.shutdown_handle().start(),
            false => sender.abort(),
        }
        let told = server.next_within(client.addr, 5 * PROMPT);
        assert!(matches!(told, Some(Told::Error(_) | Told::Closed(_))), "{is_shutdown}: {told:?}");
    }
}

/// What came before the cut is heard whole, though a part of it had to wait: the rest of a message is not
/// taken for a frame, of which the log would tell as of the client's fault.
#[test]
fn what_waited_comes_before_what_lies_in_the_socket() {
    let (tell, senders) = channel();
    let hooks = Hooks::new(move |call, _, out| {
        if let Call::Message(_) = call {
            out.pause_reading();
            tell.send(out.sender())?;
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    let message = frame(TEXT, "x".repeat(1000));
    let (begun, rest) = message.split_at(10);
    client.send([&frame(TEXT, "pause"), begun].concat());
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    client.send(rest);
    sender.abort();
    let (calls, closed) = server.until_closed(&client);
    assert_eq!(calls[..3], ["opened", "message pause", "message of 1000"]);
    assert!(matches!(closed.error, Some(Error::Io(_))), "{closed:?}");
}
