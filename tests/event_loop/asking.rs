use std::panic::panic_any;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Instant;

use barews::{Accept, Config, Reject, Server, Status};

use super::common::*;
use super::server::{Call, Hooks, LoopServer, Told, bind, config, echo, gated, while_held};

/// A server whose `on_upgrade` waits for the test, which says what becomes of `/asked`.
struct Asking {
    server: LoopServer,
    /// One message is: somebody asks.
    asked: Receiver<()>,
    gate: Arc<Barrier>,
}

/// What `on_upgrade` says, by the query of the request.
fn verdict(query: Option<&str>) -> Result<Accept, Reject> {
    match query {
        Some("no") => Err(Reject::new(Status::UNAUTHORIZED, "who are you?\n")),
        Some("panic") => panic_any("oh"),
        _ => Ok(Accept::new().subprotocol("known").attach("somebody")),
    }
}

fn start(base: Config) -> Asking {
    let gate = Arc::new(Barrier::new(2));
    let (tell, asked) = channel();
    let tell = Mutex::new(tell);
    let hooks = Hooks::new(|call, conn, out| match call {
        Call::Opened => match out.request().attached::<&str>() {
            Some(who) => Ok(out.send(*who)?),
            None => Ok(()),
        },
        call => echo(call, conn, out),
    });
    let set_up = {
        let gate = Arc::clone(&gate);
        move |server: Server| {
            server.config(base).on_upgrade(move |request| {
                if request.path() != "/asked" {
                    return Ok(Accept::new());
                }
                tell.lock().unwrap().send(()).unwrap();
                gate.wait();
                verdict(request.query())
            })
        }
    };
    Asking { server: LoopServer::with(set_up, hooks), asked, gate }
}

impl Asking {
    /// Sends this request, and waits until somebody asks about it.
    fn ask(&self, target: &str, behind: &[u8]) -> RawClient {
        let mut client = self.server.connect();
        let request = r0().target(target).add("Sec-WebSocket-Protocol: known").bytes();
        client.send([&request[..], behind].concat());
        self.asked.recv_timeout(PATIENCE).expect("it is asked about");
        client
    }
}

/// Others are served meanwhile; what comes behind the request waits, and comes in its order.
#[test]
fn a_loop_goes_on_while_a_thread_asks() {
    let asking = start(config(|_| ()));
    let mut other = asking.server.open();
    let mut client = asking.ask("/asked", &frame(TEXT, "a"));
    client.send([frame(TEXT, "b"), frame(PING, "c")].concat());
    other.send(frame(TEXT, "x"));
    other.expect(&Frame::text("x"));
    assert!(!client.heard_within(ms(50)));
    asking.gate.wait();
    assert_eq!(client.expect_upgrade().header("sec-websocket-protocol"), Some("known"));
    for text in ["somebody", "a", "b"] {
        client.expect(&Frame::text(text));
    }
    client.expect(&Frame::pong("c"));
    asking.server.expect_calls(&client, &["opened", "message a", "message b", "ping c"]);
    client.finish();
    other.finish();
}

#[test]
fn it_may_be_refused() {
    let asking = start(config(|_| ()));
    let mut client = asking.ask("/asked?no", &[]);
    asking.gate.wait();
    let response = client.read_response();
    assert_eq!((response.status, &response.body[..]), (401, &b"who are you?\n"[..]));
    client.expect_eof();
    assert!(asking.server.error(&client).contains("401"));
    assert!(asking.server.next_within(client.addr, ms(20)).is_none());
}

#[test]
fn it_may_panic() {
    let asking = start(config(|_| ()));
    let mut client = asking.ask("/asked?panic", &[]);
    asking.gate.wait();
    assert_eq!(client.read_response().status, 500);
    client.expect_eof();
    assert!(asking.server.error(&client).contains("oh"));
}

/// No deadline of the handshake passes meanwhile, and those of the connection begin with the 101.
#[test]
fn its_time_is_not_the_peers() {
    let asking = start(config(|config| {
        config.timeouts.handshake = ms(100);
        config.timeouts.ping_interval = ms(200);
        config.timeouts.idle_timeout = ms(300);
    }));
    let mut client = asking.ask("/asked", &[]);
    assert!(!client.heard_within(ms(500)));
    let start = Instant::now();
    asking.gate.wait();
    client.expect_upgrade();
    client.expect(&Frame::text("somebody"));
    client.expect(&Frame::new(PING, ""));
    assert!(start.elapsed() >= ms(200), "{:?}", start.elapsed());
    client.send(frame(PONG, ""));
    client.finish();
}

/// Whoever has gone meanwhile is found out with the answer, and leaves nothing.
#[test]
fn the_peer_may_go_meanwhile() {
    let asking = start(config(|_| ()));
    for is_reset in [false, true] {
        let client = asking.ask("/asked", &[]);
        let addr = client.addr;
        match is_reset {
            true => client.reset(),
            false => drop(client),
        }
        asking.gate.wait();
        let handle = asking.server.running.shutdown_handle();
        let start = Instant::now();
        while handle.connections() > 0 {
            assert!(start.elapsed() < PATIENCE);
            std::thread::yield_now();
        }
        // The application may have had the connection for a moment.
        while let Some(told) = asking.server.next_within(addr, ms(20)) {
            assert!(!matches!(told, Told::Call(name) if name != "opened"));
        }
    }
    asking.server.open().finish();
}

/// A shutdown waits for the answer, as it does for a handler, and has no connection come of it.
#[test]
fn a_shutdown_meanwhile() {
    let asking = start(config(|_| ()));
    let mut client = asking.ask("/asked", &[]);
    let handle = asking.server.running.shutdown_handle();
    assert_eq!(handle.connections(), 1);
    handle.start();
    assert!(!handle.wait(ms(50)));
    asking.gate.wait();
    assert!(handle.wait(PATIENCE));
    assert_eq!(client.read_rest(), []);
}

/// A shutdown whose grace is over waits for no answer, and tells which request had none.
#[test]
fn a_shutdown_that_waits_no_longer() {
    let gate = Arc::new(Barrier::new(2));
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let server = bind().config(config(|_| ()));
    let server = server.on_upgrade({
        let gate = Arc::clone(&gate);
        move |_| {
            gate.wait();
            gate.wait();
            Ok::<_, Reject>(Accept::new())
        }
    });
    let server = server.on_error(move |context, _| {
        let target = context.request().map(|request| request.target().to_owned());
        tell.lock().unwrap().send(target).unwrap();
    });
    let running = server.spawn_event_loop(Hooks::echo()).expect("a server");
    let mut client = RawClient::connect_tls(running.addr());
    client.send(r0().target("/asked").bytes());
    gate.wait();
    client.send(frame(TEXT, "behind the request"));
    running.shutdown_handle().shutdown(ms(50));
    assert_eq!(client.read_rest(), []);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(Some("/asked".to_owned())));
    gate.wait();
}

/// What is attached to an answer that nobody hears is the application's, and may panic: that is nobody else's end.
#[test]
fn an_answer_that_panics_where_it_is_dropped() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    let (gate, asked) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let set_up = {
        let asked = Arc::clone(&asked);
        move |server: Server| {
            server.config(config(|_| ())).on_upgrade(move |request| match request.path() {
                "/asked" => {
                    asked.wait();
                    asked.wait();
                    Ok::<_, Reject>(Accept::new().attach(Arc::new(Panics)))
                }
                _ => Ok(Accept::new()),
            })
        }
    };
    let server = LoopServer::with(set_up, gated(&gate));
    let mut client = server.connect();
    client.send(r0().target("/asked").bytes());
    asked.wait();
    // Cut behind the one before, and so heard of behind it.
    let mut other = server.open();
    while_held(&mut other, &gate, || {
        server.running.shutdown_handle().shutdown(ms(20));
        asked.wait();
        // Mostly it is there when the loop looks; else this shows nothing.
        std::thread::sleep(ms(50));
    });
    server.until_closed(&other);
}

/// Many are asked about at once, each on a thread of its own, and for a while only.
#[test]
fn many_at_once() {
    const COUNT: usize = 40;
    let all = Arc::new(Barrier::new(COUNT));
    let server = {
        let all = Arc::clone(&all);
        LoopServer::with(
            move |server| {
                server.config(config(|_| ())).on_upgrade(move |_| {
                    // It is over once all of them have come so far.
                    all.wait();
                    Ok(Accept::new())
                })
            },
            Hooks::echo(),
        )
    };
    let mut clients: Vec<_> = (0..COUNT)
        .map(|at| {
            let mut client = server.connect();
            client.send([r0().target("/asked").bytes(), frame(TEXT, at.to_string())].concat());
            client
        })
        .collect();
    for (at, client) in clients.iter_mut().enumerate() {
        client.expect_upgrade();
        client.expect(&Frame::text(at.to_string()));
        client.finish();
    }
}
