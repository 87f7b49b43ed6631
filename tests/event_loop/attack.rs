use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use barews::{BoxError, EventHandler, Message, Outbox, Reject, Request, RunningServer, Sender};

use super::common::*;
use super::server::{Call, Hooks, LoopServer, bind, config};

/// The handler of the documentation, which tells nobody of anything.
struct Echo;

impl EventHandler for Echo {
    type State = ();

    fn open(&self, _: &Request, _: Sender) -> Result<(), Reject> {
        Ok(())
    }

    fn message(
        &self,
        _: &mut (),
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        Ok(out.send(message)?)
    }
}

fn server() -> RunningServer {
    let server = bind().config(config(|_| ()));
    server.spawn_event_loop(Echo).expect("a server")
}

/// How long ten healthy clients wait for their echoes, one after the other.
fn healthy(addr: SocketAddr, rounds: usize) -> Vec<Duration> {
    let mut clients: Vec<_> = (0..10).map(|_| RawClient::connect_tls(addr).opened()).collect();
    let mut times = Vec::new();
    for round in 0..rounds {
        for client in &mut clients {
            let start = Instant::now();
            let text = format!("round {round}");
            client.send(frame(TEXT, &text));
            client.expect(&Frame::text(&text));
            times.push(start.elapsed());
        }
    }
    for client in &mut clients {
        client.finish();
    }
    times.sort();
    times
}

fn assert_quick(what: &str, times: &[Duration], most: Duration) {
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what}: median {median:?}, p99 {p99:?}, most {:?}", times[times.len() - 1]);
    assert!(p99 < most, "{what}: p99 {p99:?}");
}

/// They hold a descriptor each, and no more.
#[test]
fn two_hundred_slow_handshakes() {
    let server = server();
    // A machine that has other things to do is slow without them, too.
    let quiet = healthy(server.addr(), 30);
    let most = 10 * quiet[quiet.len() * 99 / 100].max(ms(10));
    let request = r0().bytes();
    let mut slow: Vec<_> = (0..200).map(|_| RawClient::connect_tls(server.addr())).collect();
    for byte in request[..40].chunks(1) {
        for client in &mut slow {
            client.send(byte);
        }
    }
    assert_quick("slow handshakes", &healthy(server.addr(), 30), most);
    // They are served, should they ever come to their end.
    for mut client in slow.drain(..5) {
        client.send(&request[40..]);
        client.expect_upgrade();
        client.finish();
    }
}

/// Fifty clients send what takes the most of a loop for each byte; ten others have their turns.
#[test]
#[ignore = "it takes the processors from the tests beside it; .ci/run runs it alone"]
fn floods() {
    let floods: [(&str, Vec<u8>); 4] = [
        ("empty fragments", {
            let mut bytes = frame(0x01, "");
            bytes.extend(frame(0x00, "").repeat(4000));
            bytes.extend(frame(CONT, ""));
            bytes
        }),
        ("Pings", frame(PING, "").repeat(4000)),
        ("tiny messages", frame(TEXT, "x").repeat(4000)),
        ("Pongs", frame(PONG, [7; 125]).repeat(200)),
    ];
    for (what, bytes) in floods {
        let server = server();
        let addr = server.addr();
        let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| sent.store(flood(addr, &bytes, &begun, &over), Ordering::Relaxed));
            begun.wait();
            let times = healthy(addr, 30);
            over.store(true, Ordering::Relaxed);
            assert_quick(what, &times, ms(1000));
        });
        println!("{} MiB of {what}", sent.load(Ordering::Relaxed) >> 20);
        RawClient::connect_tls(addr).opened().finish();
    }
}

/// Fifty connections of one thread: as many threads would show how the system shares its processors out.
/// How many bytes were taken of all of them.
fn flood(addr: SocketAddr, bytes: &[u8], begun: &Barrier, over: &AtomicBool) -> u64 {
    let mut clients: Vec<_> = (0..50)
        .map(|_| {
            let stream = RawClient::connect_tls(addr).opened().into_stream();
            stream.socket().set_nonblocking(true).expect("a mode");
            (stream, 0)
        })
        .collect();
    begun.wait();
    let (mut sent, mut answers) = (0, vec![0; 256 << 10]);
    let start = Instant::now();
    while !over.load(Ordering::Relaxed) && start.elapsed() < PATIENCE {
        let before = sent;
        for (stream, at) in &mut clients {
            while stream.read(&mut answers).is_ok_and(|len| len > 0) {}
            if let Ok(len) = stream.write(&bytes[*at..]) {
                sent += len as u64;
                *at = (*at + len) % bytes.len();
            }
        }
        if sent == before {
            thread::sleep(ms(1));
        }
    }
    sent
}

/// Those who send long messages, one and all, have their turns behind one who says little.
#[test]
fn many_long_messages_at_once_let_others_in_between() {
    const SENDERS: usize = 20;
    const MESSAGES: usize = 8;
    static TAKEN: AtomicUsize = AtomicUsize::new(0);
    let (tell, begun) = channel();
    let hooks = Hooks::new(move |call, _, out| {
        let Call::Message(message) = call else { return Ok(()) };
        if message.len() < 100 {
            return Ok(out.send(TAKEN.load(Ordering::SeqCst).to_string().as_str())?);
        }
        if TAKEN.fetch_add(1, Ordering::SeqCst) == 0 {
            tell.send(())?;
            // Time for all the others to come.
            thread::sleep(ms(300));
        }
        thread::sleep(ms(1));
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut other = server.open();
    let mut senders: Vec<_> = (0..SENDERS).map(|_| server.open()).collect();
    for sender in &mut senders {
        sender.send(frame(BINARY, vec![0; 16 << 10]).repeat(MESSAGES));
    }
    begun.recv_timeout(PATIENCE).expect("a message");
    // Some, where a busy machine took all of that time to send.
    let before = TAKEN.load(Ordering::SeqCst);
    other.send(frame(TEXT, "how many?"));
    let told = String::from_utf8(other.read_frame().expect("an answer").payload).unwrap();
    let behind = told.parse::<usize>().unwrap() - before;
    assert!(behind <= 2 * MESSAGES, "behind {behind}");
    // All of them have theirs.
    for sender in &mut senders {
        sender.send(frame(TEXT, "end"));
        sender.read_frame().expect("an answer");
    }
    assert_eq!(TAKEN.load(Ordering::SeqCst), SENDERS * MESSAGES);
    other.finish();
}

/// Requests that came together, and take long, do not hold up those that are open.
#[test]
fn many_requests_at_once_let_others_in_between() {
    const COUNT: usize = 50;
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    let (tell, begun) = channel();
    let hooks = Hooks::new(move |call, _, out| match call {
        Call::Message(message) if message.as_text() == Some("wait") => {
            tell.send(())?;
            // Time for all that follows to come.
            thread::sleep(ms(500));
            Ok(())
        }
        Call::Message(_) => Ok(out.send(OPENED.load(Ordering::SeqCst).to_string().as_str())?),
        _ => Ok(()),
    });
    let hooks = hooks.open(|request, _| {
        if request.path() == "/slow" {
            OPENED.fetch_add(1, Ordering::SeqCst);
            thread::sleep(ms(5));
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let (mut first, mut other) = (server.open(), server.open());
    let mut many: Vec<_> = (0..COUNT).map(|_| server.connect()).collect();
    // They are accepted by then, or their requests would not come together.
    thread::sleep(ms(100));
    first.send(frame(TEXT, "wait"));
    begun.recv_timeout(PATIENCE).expect("the message");
    for client in &mut many {
        client.send(r0().target("/slow").bytes());
    }
    other.send(frame(TEXT, "how many?"));
    let told = String::from_utf8(other.read_frame().expect("an answer").payload).unwrap();
    assert!(told.parse::<usize>().unwrap() < 5, "behind {told} of {COUNT}");
    for client in &mut many {
        client.expect_upgrade();
        client.finish();
    }
}

/// Nor are they held up by those who have much to do, each of them little at once.
#[test]
fn requests_have_their_share_beside_others() {
    const BUSY: usize = 32;
    const REQUESTS: usize = 60;
    static TIMERS: AtomicUsize = AtomicUsize::new(0);
    let hooks = Hooks::new(|call, _, out| {
        match call {
            Call::Message(_) => {}
            Call::Timer => {
                TIMERS.fetch_add(1, Ordering::SeqCst);
                thread::sleep(ms(2));
            }
            _ => return Ok(()),
        }
        out.set_timer(Some(ms(1)));
        Ok(())
    });
    let hooks = hooks.open(|request, _| {
        if request.path() == "/slow" {
            thread::sleep(ms(1));
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut busy: Vec<_> = (0..BUSY).map(|_| server.open()).collect();
    let mut clients: Vec<_> = (0..REQUESTS).map(|_| server.connect()).collect();
    busy.iter_mut().for_each(|client| client.send(frame(TEXT, "begin")));
    let start = Instant::now();
    while TIMERS.load(Ordering::SeqCst) < 2 * BUSY {
        assert!(start.elapsed() < PATIENCE, "nothing goes on");
        thread::sleep(ms(1));
    }
    let before = TIMERS.load(Ordering::SeqCst);
    for client in &mut clients {
        client.send(r0().target("/slow").bytes());
    }
    clients.iter_mut().for_each(|client| drop(client.expect_upgrade()));
    let between = TIMERS.load(Ordering::SeqCst) - before;
    assert!(between < 10 * BUSY, "{between} timers came between");
}
