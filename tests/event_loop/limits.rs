use std::time::{Duration, Instant};

use barews::{CloseCode, Deadline, Error};

use super::common::*;
use super::server::{Call, Hooks, LoopServer, Told, config, over_tls, over_unix};

/// One more is answered with 503, and told of; who leaves makes room.
#[test]
fn connections_and_those_of_one_source() {
    for of_one_source in [false, true] {
        if of_one_source && over_unix() {
            return println!("SKIPPED: there are no addresses to count by");
        }
        let config = config(|config| match of_one_source {
            true => config.limits.max_connections_per_ip = 2,
            false => config.limits.max_connections = 2,
        });
        let server = LoopServer::start(config, Hooks::echo());
        let mut first = server.open();
        let _silent = server.connect();
        // It says nothing, so it is known to have been accepted by those behind it.
        for _ in 0..5 {
            let mut more = server.connect();
            more.expect_turned_away();
            assert!(server.error(&more).contains("too many"), "{of_one_source}");
        }
        first.finish();
        server.expect_clean_end(&first, 1000);
        drop(first);
        // Its descriptor is closed once the end of its stream is noticed.
        let start = Instant::now();
        loop {
            let mut next = server.connect();
            next.send(r0().bytes());
            match next.read_response().status {
                101 => break next.finish(),
                status => assert_eq!(status, 503),
            }
            assert!(awake(start) < PROMPT);
        }
    }
}

/// However the bytes dribble in, and if none do.
#[test]
fn a_request_that_takes_too_long() {
    let config = config(|config| config.timeouts.handshake = ms(200));
    let server = LoopServer::start(config, Hooks::echo());
    for sent in [&r0().bytes()[..60], b"G", b""] {
        let start = Instant::now();
        let mut client = server.connect();
        client.send(sent);
        // Time goes on while bytes come.
        while !sent.is_empty() && start.elapsed() < ms(150) {
            let _ = client.try_send(b"");
            if client.heard_within(ms(20)) {
                break;
            }
        }
        client.expect_refusal(408);
        assert!(start.elapsed() >= ms(200), "{:?}", start.elapsed());
        assert!(awake(start) < ms(200) + PROMPT, "{:?}", start.elapsed());
        assert!(matches!(server.next(&client), Told::Error(_)));
    }
    // Who was quick has no such limit.
    let mut client = server.open();
    assert!(!client.heard_within(ms(300)));
    client.finish();
}

#[test]
fn a_silent_peer_is_asked_and_then_closed() {
    let config = config(|config| {
        config.timeouts.ping_interval = ms(100);
        config.timeouts.idle_timeout = ms(250);
    });
    let server = LoopServer::start(config, Hooks::echo());
    // Before what the silence follows: how late that is heard of is this side's.
    let mut start = Instant::now();
    let mut client = server.open();
    for _ in 0..3 {
        client.expect(&Frame::new(PING, ""));
        let asked = start.elapsed();
        assert!(asked >= ms(100) && awake(start) < ms(100) + PROMPT, "{asked:?}");
        start = Instant::now();
        client.send(frame(PONG, ""));
    }
    client.expect(&Frame::new(PING, ""));
    client.expect_close(1008);
    assert!(start.elapsed() >= ms(250) && awake(start) < ms(250) + PROMPT);
    let (calls, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::DeadlineExceeded(Deadline::Idle))), "{closed:?}");
    let wanted = ["opened", "pong ", "pong ", "pong "];
    assert_eq!(calls[..4], wanted);
}

/// Pings do not prolong it, nor does a byte now and then.
#[test]
fn a_message_that_takes_too_long() {
    let config = config(|config| config.timeouts.message = ms(200));
    let server = LoopServer::start(config, Hooks::echo());
    for pings in [false, true] {
        let mut client = server.open();
        let start = Instant::now();
        client.send(&frame(0x02, [0; 1000])[..100]);
        if pings {
            client.send(&frame(0x02, [0; 1000])[100..]);
            while start.elapsed() < ms(150) {
                client.send(frame(PING, "?"));
                client.expect(&Frame::pong("?"));
            }
        }
        client.expect_close(1008);
        assert!(start.elapsed() >= ms(200) && awake(start) < ms(200) + PROMPT);
        let (_, closed) = server.until_closed(&client);
        let error = closed.error;
        assert!(matches!(error, Some(Error::DeadlineExceeded(Deadline::Message))), "{error:?}");
    }
}

/// Many that are received at once are too much for the budget: 1013, for those that are longest.
#[test]
fn a_budget_for_all() {
    let config = config(|config| config.limits.max_buffered_bytes = 1 << 20);
    let server = LoopServer::start(config, Hooks::echo());
    let mut others: Vec<_> = (0..3)
        .map(|_| {
            let mut client = server.open();
            client.send(&frame(BINARY, vec![0; 400 << 10])[..100 << 10]);
            client
        })
        .collect();
    let mut client = server.open();
    client.send(frame(BINARY, vec![0; 900 << 10]));
    client.expect_close(1013);
    let (_, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::Overloaded)), "{closed:?}");
    // What the others have is theirs.
    for other in &mut others {
        assert!(!other.heard_within(ms(20)));
    }
    drop(others);
    let mut client = server.open();
    // The echo has to be queued where a socket has hardly any room.
    let len = if over_unix() { 500 << 10 } else { 900 << 10 };
    let start = Instant::now();
    loop {
        client.send(frame(BINARY, vec![1; len]));
        match client.read_frame().expect("an answer") {
            frame if frame.opcode == 2 => break,
            // Those that have left are yet to be noticed.
            frame => assert_eq!(frame.close_parts().0, 1013),
        }
        assert!(start.elapsed() < PATIENCE);
        client = server.open();
    }
}

/// Without descriptors for more, nobody who has one is the worse for it, and once there are some all is
/// well again.
#[cfg(target_os = "linux")]
#[test]
fn out_of_descriptors() {
    use std::process::{Command, Stdio};
    if over_unix() || over_tls() {
        return println!("SKIPPED: the example speaks plain TCP");
    }
    let test = std::env::current_exe().expect("the path of this test");
    let example = test.parent().and_then(|deps| deps.parent()).expect("a folder");
    let example = example.join("examples/event_loop");
    assert!(example.exists(), "it has to be built: cargo build --examples --features event-loop");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = listener.local_addr().expect("local_addr");
    drop(listener);
    let started = Command::new("prlimit")
        .args(["--nofile=40", "--"])
        .arg(&example)
        .arg(addr.to_string())
        .stdout(Stdio::null())
        .spawn();
    let Ok(mut child) = started else { return println!("SKIPPED: there is no prlimit") };
    let start = Instant::now();
    while std::net::TcpStream::connect(addr).is_err() {
        assert!(start.elapsed() < PATIENCE, "it does not listen");
        std::thread::yield_now();
    }
    let mut first = RawClient::open(addr);
    let mut clients: Vec<_> = (0..60).map(|_| RawClient::connect(addr)).collect();
    for client in &mut clients {
        client.send(r0().bytes());
    }
    let mut echo = |wait: Duration| {
        first.send(frame(TEXT, "still here"));
        assert!(first.heard_within(wait));
        first.expect(&Frame::text("still here"));
    };
    echo(5 * PROMPT);
    let opened = clients.iter_mut().filter_map(|client| client.heard_within(ms(20)).then_some(()));
    let opened = opened.count();
    assert!(opened > 5 && opened < 40, "{opened} were opened");
    // Nobody runs in a circle meanwhile.
    let before = cpu_time(child.id());
    assert!(!clients[59].heard_within(ms(500)));
    let spent = cpu_time(child.id()) - before;
    assert!(spent < ms(250), "{spent:?} of processor time");
    echo(5 * PROMPT);
    // The first ones make room for the last.
    let mut rest = clients.split_off(opened);
    drop(clients);
    for client in &mut rest[..5] {
        client.expect_upgrade();
        client.finish();
    }
    echo(5 * PROMPT);
    drop(rest);
    child.kill().expect("it runs");
    let _ = child.wait();
}

/// What a process has used so far; in hundredths of a second, as Linux has it.
#[cfg(target_os = "linux")]
fn cpu_time(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(") ").expect("its name in brackets");
    let ticks = fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    ms(10 * ticks.sum::<u64>())
}

/// What has come of peers that are not read is charged, too: not all of them get what they want.
#[test]
fn what_is_not_read_is_charged() {
    const CLIENTS: usize = 20;
    for pauses in [false, true] {
        let hooks = Hooks::new(move |call, _, out| match call {
            Call::Message(message) if message.as_bytes() == b"wait" => {
                // So that all has come that the others send.
                std::thread::sleep(ms(500));
                Ok(())
            }
            Call::Message(_) if pauses => {
                out.pause_reading();
                Ok(())
            }
            Call::Message(_) => {
                while out.queued_bytes() == 0 {
                    out.send(&[0; 60_000][..])?;
                }
                Ok(())
            }
            _ => Ok(()),
        });
        let config = config(|config| {
            config.limits.max_buffered_bytes = if pauses { 80 << 10 } else { 768 << 10 };
        });
        let server = LoopServer::start(config, hooks);
        let mut first = server.open();
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.open()).collect();
        first.send(frame(TEXT, "wait"));
        let many: Vec<u8> = (0..2000).flat_map(|_| frame(TEXT, [b'm'; 100])).collect();
        clients.iter_mut().for_each(|client| client.send(&many));
        let ends = clients.iter().map(|client| {
            let ended = |told: &Told| matches!(told, Told::Closed(_));
            std::iter::from_fn(|| server.next_within(client.addr, ms(100))).any(|told| ended(&told))
        });
        let ended = ends.filter(|ended| *ended).count();
        assert!(ended > CLIENTS / 4 && ended < CLIENTS, "{ended} ended, pauses {pauses}");
    }
}

/// Where there is no memory for what is to be sent: the peer hears of that behind what was begun, unless
/// that is what there is none for.
#[test]
fn what_waits_for_a_peer_is_too_much() {
    for is_begun in [false, true] {
        let hooks = Hooks::new(move |call, _, out| {
            let Call::Message(_) = call else { return Ok(()) };
            while is_begun && out.queued_bytes() == 0 {
                out.send(&[0; 60_000][..])?;
            }
            Ok(out.send(&vec![1; 16 << 20][..])?)
        });
        let config = config(|config| {
            config.limits.max_buffered_bytes = 1 << 20;
            // The answer comes in the time for what was begun.
            config.timeouts.close = ms(50);
        });
        let server = LoopServer::start(config, hooks);
        let mut client = server.open();
        client.send(frame(TEXT, "fill"));
        if is_begun {
            server.expect_calls(&client, &["opened", "message fill"]);
            // That there is none is known by then, and not yet said.
            assert!(server.next_within(client.addr, ms(200)).is_none());
            let last = std::iter::from_fn(|| client.read_frame()).find(|frame| frame.opcode == 8);
            assert_eq!(last.expect("a Close").close_parts().0, 1013);
        }
        let (_, closed) = server.until_closed(&client);
        assert!(matches!(closed.error, Some(Error::Overloaded)), "{is_begun}: {closed:?}");
    }
}

/// What was answered in the same turn comes before we say that there is no memory for more.
#[test]
fn answers_before_what_there_is_no_memory_for() {
    let hooks = Hooks::new(|call, _, out| {
        if let Call::Message(message) = call {
            if message.as_text() == Some("pause") {
                out.pause_reading();
            }
            out.send(message)?;
        }
        Ok(())
    });
    let server = LoopServer::start(config(|c| c.limits.max_buffered_bytes = 1 << 10), hooks);
    let mut client = server.open();
    client.send([frame(TEXT, "a"), frame(TEXT, "pause"), frame(TEXT, "x").repeat(500)].concat());
    client.expect(&Frame::text("a"));
    client.expect(&Frame::text("pause"));
    client.expect_close(1013);
    let (calls, closed) = server.until_closed(&client);
    assert_eq!(calls[..3], ["opened", "message a", "message pause"]);
    assert!(matches!(closed.error, Some(Error::Overloaded)), "{closed:?}");
}

/// Behind our Close messages are thrown away, and take no memory: one of any length, in parts, and one that
/// had begun before.
#[test]
fn what_is_thrown_away_takes_no_memory() {
    let hooks = Hooks::new(|call, _, out| match call {
        Call::Ping(_) => Ok(out.close(CloseCode::NORMAL, "")?),
        _ => Ok(()),
    });
    let config = config(|config| {
        config.limits.max_buffered_bytes = 256 << 10;
        config.timeouts.close = PATIENCE;
    });
    let server = LoopServer::start(config, hooks);
    let mut client = server.open();
    client.send([frame(0x02, [1; 100_000]), frame(PING, "now")].concat());
    client.expect(&Frame::pong("now"));
    client.expect(&Frame::close(1000, ""));
    client.send([frame(0x00, vec![1; 1 << 20]), frame(CONT, vec![1; 1 << 20])].concat());
    client.send([frame(BINARY, vec![1; 1 << 20]), close(1000, "")].concat());
    client.expect_eof();
    server.expect_clean_end(&client, 1000);
}
