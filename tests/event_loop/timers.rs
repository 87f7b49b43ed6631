use std::time::{Duration, Instant};

use barews::TrySendError;

use super::common::*;
use super::server::{Call, Hooks, LoopServer, config, fill, read_fill};

/// Sets a timer for so many milliseconds at each message, or none; says when it is called.
fn server(start: Instant) -> LoopServer {
    let hooks = Hooks::new(move |call, _, out| match call {
        Call::Message(message) => {
            let after = message.as_text().expect("text").parse().ok().map(ms);
            out.set_timer(after);
            Ok(())
        }
        Call::Timer => Ok(out.send(start.elapsed().as_micros().to_string().as_str())?),
        _ => Ok(()),
    });
    LoopServer::start(config(|_| ()), hooks)
}

/// When it was called, after the start.
fn called_at(client: &mut RawClient) -> Duration {
    let frame = client.read_frame().expect("a frame");
    Duration::from_micros(String::from_utf8(frame.payload).unwrap().parse().expect("a number"))
}

/// How late it may be, on a machine that has other things to do.
const LATE: Duration = Duration::from_millis(150);

#[test]
fn they_are_called_in_time_and_in_order() {
    let start = Instant::now();
    let server = server(start);
    let times = [300, 1, 700, 20, 255, 256, 257, 20];
    let mut clients: Vec<_> = times.map(|time| (time, server.open())).into();
    for (time, client) in &mut clients {
        client.send(frame(TEXT, time.to_string()));
    }
    let sent = start.elapsed();
    clients.sort_by_key(|(time, _)| *time);
    let mut last = Duration::ZERO;
    let mut lateness = Vec::new();
    for (time, client) in &mut clients {
        let at = called_at(client);
        assert!(at >= ms(*time), "{time} ms came at {at:?}");
        lateness.push(at.saturating_sub(ms(*time)));
        assert!(at < sent + ms(*time) + LATE, "{time} ms came at {at:?}");
        assert!(at + ms(10) >= last, "out of order");
        last = at;
    }
    println!("late by {lateness:?}, {sent:?} of which it took to ask");
}

/// The documents say a few milliseconds.
#[test]
fn they_are_precise() {
    let start = Instant::now();
    let server = server(start);
    let mut client = server.open();
    let mut late: Vec<_> = (0..50)
        .map(|at| {
            let time = ms(at % 17);
            let asked = start.elapsed();
            client.send(frame(TEXT, time.as_millis().to_string()));
            let at = called_at(&mut client);
            assert!(at >= asked + time, "{time:?} came at {:?}", at - asked);
            at - asked - time
        })
        .collect();
    late.sort();
    println!("late by {:?} in the middle, by {:?} at the most", late[25], late[49]);
    assert!(late[25] < ms(10), "{late:?}");
}

#[test]
fn a_later_one_replaces_the_one_before() {
    let start = Instant::now();
    let server = server(start);
    let mut client = server.open();
    // Sooner, later, and never.
    for (times, at) in [(["60000", "30"], 30), (["1", "100"], 100), (["none", "5"], 5)] {
        let asked = Instant::now();
        client.send(times.map(|time| frame(TEXT, time)).concat());
        let at_last = called_at(&mut client) - (asked - start);
        assert!(at_last >= ms(at) && awake(asked) < ms(at) + LATE, "{times:?}: {at_last:?}");
    }
    client.send(["20", "none"].map(|time| frame(TEXT, time)).concat());
    assert!(!client.heard_within(ms(100)), "it was taken back");
    client.finish();
}

/// A timer that is set by a timer, on a connection that says nothing.
#[test]
fn it_may_set_itself_again() {
    let hooks = Hooks::new(|call, conn, out| {
        match call {
            Call::Opened => out.set_timer(Some(Duration::ZERO)),
            Call::Timer if conn.messages < 20 => {
                conn.messages += 1;
                out.send(conn.messages.to_string().as_str())?;
                out.set_timer(Some(ms(5)));
            }
            Call::Timer => out.send("done")?,
            _ => {}
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let start = Instant::now();
    let mut client = server.open();
    for at in 1..=20 {
        client.expect(&Frame::text(at.to_string()));
    }
    client.expect(&Frame::text("done"));
    assert!(start.elapsed() >= ms(100));
    client.finish();
}

/// It is called while the peer does not take what was sent.
#[test]
fn it_is_called_while_nothing_is_read() {
    let hooks = Hooks::new(|call, _, out| {
        match call {
            Call::Message(_) => {
                out.set_timer(Some(ms(50)));
                fill(out)?;
            }
            Call::Timer => assert!(matches!(out.send("late"), Err(TrySendError::Full))),
            _ => {}
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.send(frame(TEXT, "go"));
    server.expect_calls(&client, &["opened", "message go", "timer"]);
    client.send(close(1000, ""));
    assert_eq!(read_fill(&mut client), Some(Frame::close(1000, "")));
    server.expect_calls(&client, &["drained"]);
}
