use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use super::common::*;
use super::healthy::{assert_quick, healthy, server};
use super::server::{Call, Hooks, LoopServer, config};

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
