use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::common::*;
use super::server::{Call, Hooks, LoopServer, config, echo, fill, read_fill};

const GOING: &str = "the server is shutting down";

/// All are told, on every loop; who answers ends cleanly, and the server with the last.
#[test]
fn all_are_told() {
    let hooks = Hooks::new(|call, conn, out| {
        // What comes behind our Close cannot be echoed, which is no failure of the handler's.
        let _ = echo(call, conn, out);
        Ok(())
    });
    let server = LoopServer::start(config(|config| config.event_loops = Some(2)), hooks);
    let mut clients: Vec<_> = (0..20).map(|_| server.open()).collect();
    for client in &mut clients {
        client.send(frame(TEXT, "there"));
        client.expect(&Frame::text("there"));
    }
    let mut in_handshake = server.connect();
    in_handshake.send(&r0().bytes()[..50]);
    let handle = server.running.shutdown_handle();
    while handle.connections() < 21 {
        std::thread::yield_now();
    }
    handle.start();
    for client in &mut clients {
        client.expect(&Frame::close(1001, GOING));
        client.send([frame(TEXT, "late"), close(1001, "")].concat());
        client.expect_eof();
        server.expect_clean_end(client, 1001);
    }
    assert!(in_handshake.read_rest().is_empty(), "it is cut");
    assert!(handle.wait(PATIENCE));
    assert!(is_unheard(server.addr));
    server.running.join().expect("a good end");
}

/// Who does not answer has the close timeout, and no more than the grace.
#[test]
fn those_who_do_not_answer_are_cut() {
    for (close_timeout, grace) in [(200, 5000), (5000, 200)] {
        let config = config(|config| config.timeouts.close = ms(close_timeout));
        let server = LoopServer::start(config, Hooks::echo());
        let mut client = server.open();
        let start = Instant::now();
        server.running.shutdown(ms(grace));
        assert!(start.elapsed() >= ms(200) && awake(start) < ms(2000), "{:?}", start.elapsed());
        client.expect(&Frame::close(1001, GOING));
        client.read_rest();
        let (_, closed) = server.until_closed(&client);
        assert!(closed.error.is_some() && closed.code.is_none(), "{closed:?}");
        server.running.join().expect("a good end");
    }
}

/// The Close waits for room behind what is queued; a peer that makes none is cut at the end of the grace.
#[test]
fn those_who_do_not_read() {
    for reads in [true, false] {
        let hooks = Hooks::new(|call, conn, out| match call {
            Call::Message(_) => fill(out),
            call => echo(call, conn, out),
        });
        let server = LoopServer::start(config(|_| ()), hooks);
        let mut client = server.open();
        client.send(frame(TEXT, "fill"));
        server.expect_calls(&client, &["opened", "message fill"]);
        // It is full once it is told to; the next call is none.
        assert!(server.next_within(client.addr, ms(100)).is_none());
        let handle = server.running.shutdown_handle();
        handle.start();
        if reads {
            let last = read_fill(&mut client);
            assert_eq!(last, Some(Frame::close(1001, GOING)));
            client.send(close(1001, ""));
            client.expect_eof();
            assert!(handle.wait(PATIENCE));
            server.expect_clean_end(&client, 1001);
        } else {
            let start = Instant::now();
            handle.shutdown(ms(300));
            assert!(awake(start) < ms(2000), "{:?}", start.elapsed());
            let (_, closed) = server.until_closed(&client);
            assert!(closed.error.is_some(), "{closed:?}");
            client.read_rest();
        }
        server.running.join().expect("a good end");
    }
}

#[test]
fn some_are_closed_and_others_go_on() {
    let server = LoopServer::echo();
    let mut clients: Vec<_> = (0..5).map(|_| server.open()).collect();
    for client in &clients {
        server.expect_calls(client, &["opened"]);
    }
    let handle = server.running.shutdown_handle();
    assert_eq!(handle.close_some(2), 3);
    let mut told = 0;
    for client in &mut clients {
        client.send(frame(PING, "?"));
        match client.read_frame().expect("an answer") {
            frame if frame.opcode == 8 => {
                assert_eq!(frame, Frame::close(1001, GOING));
                client.send(close(1001, ""));
                client.expect_eof();
                told += 1;
            }
            other => {
                assert_eq!(other, Frame::pong("?"));
                client.send(frame(TEXT, "on and on"));
                client.expect(&Frame::text("on and on"));
            }
        }
    }
    assert_eq!(told, 2);
    server.open().finish();
}

/// While a timer of its own would call.
#[test]
fn a_handler_that_is_called_by_the_clock() {
    let hooks = Hooks::new(|call, _, out| {
        match call {
            Call::Opened | Call::Timer => out.set_timer(Some(ms(1))),
            _ => {}
        }
        // It may find that nothing can be sent.
        let _ = out.send("tick");
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.expect(&Frame::text("tick"));
    server.running.shutdown_handle().start();
    loop {
        match client.read_frame().expect("a Close") {
            frame if frame.opcode == 8 => break,
            frame => assert_eq!(frame, Frame::text("tick")),
        }
    }
    client.send(close(1001, ""));
    client.expect_eof();
    server.expect_clean_end(&client, 1001);
    server.running.join().expect("a good end");
}

/// Whoever was turned away is waited for no more, however long that may be.
#[test]
fn nobody_waits_for_those_who_were_turned_away() {
    let config = config(|config| {
        config.limits.max_connections = 1;
        config.timeouts.close = Duration::MAX;
    });
    let server = LoopServer::start(config, Hooks::echo());
    let mut client = server.open();
    let mut other = server.connect();
    other.expect_turned_away();
    client.finish();
    server.expect_clean_end(&client, 1000);
    drop(client);
    server.running.shutdown_handle().start();
    let (tell, over) = channel();
    thread::spawn(move || tell.send(server.running.join().is_ok()));
    assert_eq!(over.recv_timeout(PATIENCE), Ok(true));
}
