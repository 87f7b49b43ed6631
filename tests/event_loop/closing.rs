use std::panic;

use barews::{BoxError, CloseCode, Deadline, Error, Outbox, TrySendError};

use super::common::*;
use super::server::{Call, Hooks, LoopServer, config, echo, fill, read_fill};

/// What a handler does when its time has come.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Deed {
    Close,
    Fail,
    Panic,
}

impl Deed {
    fn act(self, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        out.send("before")?;
        match self {
            Self::Close => {
                out.close(CloseCode(4000), "bye")?;
                assert!(out.is_closed());
                assert!(matches!(out.send("after"), Err(TrySendError::Closed)));
                assert!(matches!(out.ping(b"after"), Err(Error::Closed)));
                Ok(out.close(CloseCode(4001), "again")?)
            }
            Self::Fail => Err("it has failed".into()),
            Self::Panic => panic::panic_any("it has panicked"),
        }
    }
}

/// A handler that does it at the call of this name, and echoes.
fn server(deed: Deed, at: &'static str) -> LoopServer {
    let hooks = Hooks::new(move |call, conn, out| {
        let name = match call {
            Call::Opened => "opened",
            Call::Message(_) => "message",
            Call::Ping(_) => "ping",
            Call::Pong(_) => "pong",
            Call::Timer => "timer",
            Call::Drained => "drained",
            Call::Notified => "notified",
        };
        match call {
            Call::Opened if at == "timer" => out.set_timer(Some(ms(30))),
            Call::Message(_) if at == "drained" => {
                fill(out)?;
                return Ok(());
            }
            _ => {}
        }
        match name == at {
            true => deed.act(out),
            false => echo(call, conn, out),
        }
    });
    LoopServer::start(config(|_| ()), hooks)
}

/// What is sent to have the call made, and what comes of it before the deed.
fn trigger(at: &str) -> (Vec<u8>, Vec<Frame>) {
    match at {
        "opened" | "timer" => (Vec::new(), Vec::new()),
        "message" => (frame(TEXT, "now"), Vec::new()),
        "ping" => (frame(PING, "now"), vec![Frame::pong("now")]),
        "pong" => (frame(PONG, "now"), Vec::new()),
        "drained" => (frame(TEXT, "now"), Vec::new()),
        _ => panic!("{at}"),
    }
}

/// Reads the last message before the end, whatever had no room first.
fn expect_before(client: &mut RawClient) {
    assert_eq!(read_fill(client), Some(Frame::text("before")));
}

const CALLS: [&str; 6] = ["opened", "message", "ping", "pong", "timer", "drained"];

/// Messages of the same segment, and later ones, are thrown away; nothing is sent behind the Close; its
/// answer ends it.
#[test]
fn the_handler_closes_in_any_call() {
    for at in CALLS {
        println!("in {at}");
        let server = server(Deed::Close, at);
        let (sent, answers) = trigger(at);
        // With the timer nothing is late yet.
        let late = if at == "timer" { Vec::new() } else { frame(TEXT, "late") };
        let mut client = server.connect();
        client.send([r0().bytes(), sent, late].concat());
        client.expect_upgrade();
        for answer in answers {
            client.expect(&answer);
        }
        expect_before(&mut client);
        client.expect(&Frame::close(4000, "bye"));
        client.send([frame(0x01, "lat"), frame(CONT, "er"), close(4000, "")].concat());
        client.expect_eof();
        let (calls, closed) = server.until_closed(&client);
        assert!(!calls.iter().any(|call| call.contains("late")), "{calls:?}");
        assert!(closed.error.is_none() && closed.code == Some(4000), "{closed:?}");
    }
}

/// Behind our Close, Pings are not answered, and yet the handler hears of them, as it does of Pongs.
#[test]
fn control_frames_behind_a_close() {
    for discards in [false, true] {
        let hooks = Hooks::new(move |call, _, out| match call {
            Call::Message(_) if discards => Ok(out.close(CloseCode::NORMAL, "")?),
            Call::Message(_) => Ok(out.start_close(CloseCode::NORMAL, "")?),
            _ => Ok(()),
        });
        let server = LoopServer::start(config(|_| ()), hooks);
        let mut client = server.open();
        let late = [frame(PING, "late"), frame(PONG, "late")].concat();
        client.send([frame(TEXT, "now"), late.clone()].concat());
        client.expect(&Frame::close(1000, ""));
        client.send([late, close(1000, "")].concat());
        client.expect_eof();
        let (calls, _) = server.until_closed(&client);
        let heard = ["opened", "message now", "ping late", "pong late", "ping late", "pong late"];
        assert_eq!(calls, heard, "discards {discards}");
    }
}

/// An error and a panic cost their own connection and no other; `on_error` is told once.
#[test]
fn the_handler_fails_in_any_call() {
    for deed in [Deed::Fail, Deed::Panic] {
        for at in CALLS {
            let server = server(deed, at);
            let mut other = (at != "opened").then(|| server.open());
            let (sent, answers) = trigger(at);
            let late = if at == "timer" { Vec::new() } else { frame(TEXT, "late") };
            let mut client = server.connect();
            client.send([r0().bytes(), sent, late].concat());
            client.expect_upgrade();
            for answer in answers {
                client.expect(&answer);
            }
            expect_before(&mut client);
            assert_eq!(client.expect_close(1011), "", "{deed:?} in {at}");
            let (calls, closed) = server.until_closed(&client);
            let errors: Vec<_> = calls.iter().filter(|call| call.starts_with("error")).collect();
            let said = if deed == Deed::Fail { "it has failed" } else { "it has panicked" };
            assert!(errors.len() == 1 && errors[0].contains(said), "{deed:?} in {at}: {calls:?}");
            assert!(!calls.iter().any(|call| call.contains("late")), "{deed:?} in {at}: {calls:?}");
            assert!(closed.error.is_none() && closed.code.is_none(), "{closed:?}");
            assert!(server.next_within(client.addr, ms(20)).is_none());
            if let Some(other) = other.as_mut().filter(|_| !matches!(at, "timer" | "drained")) {
                let (sent, _) = trigger(if at == "message" { "ping" } else { "message" });
                other.send(sent);
                other.expect(&match at {
                    "message" => Frame::pong("now"),
                    _ => Frame::text("now"),
                });
            }
        }
    }
}

#[test]
fn a_code_that_may_not_be_sent_closes_nothing() {
    let hooks = Hooks::new(|call, conn, out| {
        if let Call::Message(_) = call {
            for code in [999, 1004, 1006, 1015] {
                let refused = out.close(CloseCode(code), "");
                assert!(
                    matches!(refused, Err(Error::InvalidCloseCode(CloseCode(it))) if it == code)
                );
            }
            assert!(matches!(out.ping(&[0; 126]), Err(Error::TooLong)));
        }
        echo(call, conn, out)
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.send(frame(TEXT, "still here"));
    client.expect(&Frame::text("still here"));
    client.finish();
}

/// A reason is cut at a character.
#[test]
fn a_reason_is_cut() {
    let hooks = Hooks::new(|call, _, out| match call {
        Call::Message(_) => Ok(out.close(CloseCode::NORMAL, &"\u{2603}".repeat(42))?),
        _ => Ok(()),
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    client.send(frame(TEXT, "now"));
    client.expect(&Frame::close(1000, &"\u{2603}".repeat(41)));
    client.send(close(1000, ""));
    client.expect_eof();
}

/// It has the close timeout, however much it sends meanwhile.
#[test]
fn a_peer_that_never_answers_a_close() {
    for sends in [false, true] {
        let server = LoopServer::start(
            config(|config| config.timeouts.close = ms(300)),
            Hooks::new(|call, _, out| match call {
                Call::Message(_) => Ok(out.close(CloseCode::NORMAL, "")?),
                _ => Ok(()),
            }),
        );
        let mut client = server.open();
        let start = std::time::Instant::now();
        client.send(frame(TEXT, "now"));
        client.expect(&Frame::close(1000, ""));
        while sends && start.elapsed() < ms(250) {
            client.send(frame(PING, "still here"));
            std::thread::yield_now();
        }
        assert!(client.read_rest().is_empty());
        assert!(start.elapsed() >= ms(300) && start.elapsed() < PATIENCE / 4);
        let (calls, closed) = server.until_closed(&client);
        assert!(
            matches!(closed.error, Some(Error::DeadlineExceeded(Deadline::Close))),
            "{closed:?}"
        );
        assert!(
            calls.contains(&"error the close was not answered in time".to_owned()) || {
                calls.iter().any(|call| call.starts_with("error"))
            }
        );
    }
}

/// What its Close said, and what comes of peers that say none.
#[test]
fn how_it_has_ended_is_told() {
    let server = LoopServer::echo();
    for (code, reason) in [(1000, ""), (1001, "leaving"), (3000, "x"), (1005, "")] {
        let mut client = server.open();
        let sent = if code == 1005 { frame(CLOSE, "") } else { close(code, reason) };
        // Nothing that follows counts.
        client.send([frame(TEXT, "last"), sent, frame(TEXT, "late")].concat());
        client.expect(&Frame::text("last"));
        assert_eq!(client.expect_close(code), reason);
        let (calls, closed) = server.until_closed(&client);
        assert_eq!(calls, ["opened", "message last"]);
        assert!(closed.error.is_none() && closed.code == Some(code));
    }
    let mut client = server.open();
    client.send_eof();
    client.expect_eof();
    let (_, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::Io(_))) && closed.code.is_none(), "{closed:?}");
    let mut client = server.open();
    client.send([0x81, 1, b'a']);
    client.expect_close(1002);
    let (_, closed) = server.until_closed(&client);
    assert!(matches!(closed.error, Some(Error::Protocol(_))), "{closed:?}");
    let client = server.open();
    server.expect_calls(&client, &["opened"]);
    let addr = client.addr;
    client.reset();
    while let Some(told) = server.next_within(addr, PATIENCE) {
        if let super::server::Told::Closed(closed) = told {
            assert!(matches!(closed.error, Some(Error::Io(_))), "{closed:?}");
            return;
        }
    }
    panic!("the end was not told");
}
