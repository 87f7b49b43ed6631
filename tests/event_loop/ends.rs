use std::error::Error;
use std::fmt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;

use barews::{
    Accept, BoxError, CloseCode, EventHandler, Message, Outbox, Reject, Request, Response, Sender,
    Status,
};

use super::common::*;
use super::server::{
    Call, Hooks, LoopServer, Told, bind, config, fill, handing_out, over_unix, read_fill,
};

/// The number of the socket that a server of this process has for a client.
#[cfg(target_os = "linux")]
fn socket_of(server: &LoopServer, client: &RawClient) -> u64 {
    if over_unix() {
        return super::common::unix::accepted(server.addr);
    }
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("a table");
    let [ours, theirs] =
        [client.server(), client.addr].map(|addr| format!("0100007F:{:04X}", addr.port()));
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[1] == ours && row[2] == theirs);
    row.expect("a row")[9].parse().expect("a number")
}

/// Whether a loop of this process hears of a socket.
#[cfg(target_os = "linux")]
fn is_heard_of(socket: u64) -> bool {
    let number = format!(" ino:{socket:x} ");
    let files = std::fs::read_dir("/proc/self/fdinfo").expect("a folder");
    // Another test may have closed one meanwhile.
    let mut texts = files.filter_map(|file| std::fs::read_to_string(file.ok()?.path()).ok());
    texts.any(|text| text.lines().any(|line| line.starts_with("tfd:") && line.contains(&number)))
}

/// Its token is another connection's, which would hear what is said of it.
#[cfg(target_os = "linux")]
#[test]
fn a_loop_forgets_a_stream_that_has_ended() {
    let (tell, senders) = std::sync::mpsc::channel();
    let hooks = Hooks::new(move |call, _, out| {
        if let Call::Opened = call {
            tell.send(out.sender())?;
        }
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    let socket = socket_of(&server, &client);
    // Read at first, and then heard of.
    let start = std::time::Instant::now();
    while !is_heard_of(socket) {
        assert!(start.elapsed() < PATIENCE, "the test is blind");
        thread::sleep(ms(5));
    }
    client.finish();
    drop(client);
    let start = std::time::Instant::now();
    while is_heard_of(socket) {
        assert!(start.elapsed() < PATIENCE, "it is kept");
        thread::sleep(ms(5));
    }
    assert!(sender.is_closed());
}

/// What is told where nothing can be sent any more would be told in vain.
#[test]
fn nothing_is_drained_behind_a_close() {
    for discards in [true, false] {
        let hooks = Hooks::new(move |call, _, out| match call {
            Call::Message(_) => {
                fill(out)?;
                match discards {
                    true => out.close(CloseCode::NORMAL, "")?,
                    false => out.start_close(CloseCode::NORMAL, "")?,
                }
                Ok(())
            }
            Call::Drained => Ok(out.send("more")?),
            _ => Ok(()),
        });
        let server = LoopServer::start(config(|_| ()), hooks);
        let mut client = server.open();
        client.send(frame(TEXT, "fill"));
        assert_eq!(read_fill(&mut client), Some(Frame::close(1000, "")));
        client.send(close(1000, ""));
        client.expect_eof();
        let (calls, closed) = server.until_closed(&client);
        assert_eq!(calls, ["opened", "message fill"]);
        assert!(closed.error.is_none() && closed.code == Some(1000), "{closed:?}");
    }
}

/// Something of the application's that panics when it is dropped.
struct Trap;

impl Drop for Trap {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("a panic that is wanted");
        }
    }
}

impl fmt::Debug for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a trap")
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a trap")
    }
}

impl Error for Trap {}

/// As in a handler, it costs no other connection anything: what a request was accepted with, a state that
/// was made in vain, an error.
#[test]
fn a_panic_when_something_is_dropped() {
    struct Dropped;

    impl EventHandler for Dropped {
        type State = Option<Trap>;

        fn open(&self, request: &Request, _: Sender) -> Result<Option<Trap>, Reject> {
            Ok((request.path() == "/state").then(|| Trap))
        }

        fn message(
            &self,
            _: &mut Option<Trap>,
            message: Message<'_>,
            out: &mut Outbox<'_>,
        ) -> Result<(), BoxError> {
            match message.as_bytes() {
                b"fail" => Err(Box::new(Trap)),
                _ => Ok(out.send(message)?),
            }
        }
    }

    let server = bind().config(config(|_| ()));
    let server = server.on_upgrade(|request| {
        Ok::<_, Response>(match request.path() {
            "/attached" => Accept::new().attach(Trap),
            "/hijacked" => Accept::new().attach(Trap).hijack(),
            // A state is made before that turns out to be no answer.
            "/state" => Accept::new().subprotocol("not offered"),
            _ => Accept::new(),
        })
    });
    let server = server.spawn_event_loop(Dropped).unwrap();
    let mut other = RawClient::connect_tls(server.addr()).opened();
    for path in ["/attached", "/hijacked", "/state", "/fail"] {
        let mut client = RawClient::connect_tls(server.addr());
        client.send(r0().target(path).bytes());
        match path {
            "/hijacked" | "/state" => drop(client.expect_refusal(500)),
            "/fail" => {
                client.expect_upgrade();
                client.send(frame(TEXT, "fail"));
                client.expect_close(1011);
            }
            _ => {
                client.expect_upgrade();
                client.finish();
            }
        }
        drop(client);
        for _ in 0..20 {
            other.send(frame(TEXT, "hello"));
            other.expect(&Frame::text("hello"));
            thread::sleep(ms(2));
        }
    }
    other.finish();
}

/// What a sender does before the 101 is out comes behind it, or is the end.
#[test]
fn a_sender_before_the_answer() {
    for aborts in [true, false] {
        let hooks = Hooks::new(|_, _, _| Ok(())).open(move |_, sender| {
            match aborts {
                true => sender.abort(),
                false => sender.close(CloseCode(4000), "already").unwrap(),
            }
            assert!(sender.is_closed() || !aborts);
            Ok(())
        });
        let server = LoopServer::start(config(|_| ()), hooks);
        let mut client = server.connect();
        client.send([r0().bytes(), frame(TEXT, "late")].concat());
        if aborts {
            assert!(client.read_rest().is_empty());
            let (_, closed) = server.until_closed(&client);
            assert!(closed.error.is_some(), "{closed:?}");
        } else {
            client.expect_upgrade();
            client.expect(&Frame::close(4000, "already"));
            client.send(close(4000, ""));
            client.expect_eof();
            server.expect_clean_end(&client, 4000);
        }
    }
}

/// What a sender has said for a connection that is refused goes nowhere: the answer is all there is.
#[test]
fn a_sender_before_a_refusal() {
    for closes in [true, false] {
        let (kept, senders) = std::sync::mpsc::channel();
        let hooks = Hooks::new(|_, _, _| Ok(())).open(move |_, sender| {
            sender.ping(b"early").unwrap();
            if closes {
                sender.close(CloseCode(4000), "already").unwrap();
            }
            kept.send(sender).unwrap();
            Err(Reject::new(Status::FORBIDDEN, "no\n"))
        });
        let server = LoopServer::start(config(|_| ()), hooks);
        let mut client = server.connect();
        client.send([r0().bytes(), frame(TEXT, "late")].concat());
        client.expect_refusal(403);
        let sender = senders.recv().unwrap();
        assert!(sender.send("too late").is_err());
        client.expect_eof();
    }
}

/// A client that has ended its side, and reads on, has all of an answer that is longer than a socket has room for.
#[test]
fn a_long_answer_to_a_half_closed_client() {
    const LEN: usize = 8 << 20;
    let page = |_: &Request| Response::new(Status::OK, vec![b'a'; LEN]);
    let server =
        LoopServer::with(|server| server.config(config(|_| ())).on_request(page), Hooks::echo());
    let mut client = server.connect();
    client.send("GET /page HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send_eof();
    // Another is served, so its end has been read as well.
    server.open().finish();
    let answer = client.read_all();
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
    assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.len() - body == LEN, "{}", answer.len());
}

/// Whom no 101 reaches was never connected: it is told as of a request that came to nothing, as on a thread.
#[test]
fn a_peer_that_is_gone_before_the_101() {
    let (asked, is_asked) = channel();
    let (go_on, may_go_on) = channel();
    let may_go_on = Mutex::new(may_go_on);
    let hooks = Hooks::echo().open(move |_, _| {
        asked.send(()).unwrap();
        may_go_on.lock().unwrap().recv().unwrap();
        Ok(())
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.connect();
    client.send(r0().bytes());
    is_asked.recv_timeout(PATIENCE).expect("a request");
    let peer = client.addr;
    client.reset_at_both_sides();
    go_on.send(()).unwrap();
    let told = server.next_within(peer, PATIENCE);
    assert!(matches!(told, Some(Told::Error(_))), "{told:?}");
    assert!(server.next_within(peer, ms(100)).is_none());
}

/// Whoever has the 101 was connected, however soon we cut it.
#[test]
fn a_connection_that_is_cut_behind_its_101() {
    let (server, senders) = handing_out(config(|_| ()), Hooks::echo());
    let until = Arc::new(());
    // Of these, and of the loop, one at a time has the processor.
    for _ in 0..2 {
        let until = Arc::downgrade(&until);
        thread::spawn(move || while until.strong_count() > 0 {});
    }
    for _ in 0..200 {
        let mut client = server.connect();
        client.send(r0().bytes());
        let sender = senders.recv_timeout(PATIENCE).expect("a sender");
        client.expect_upgrade();
        sender.abort();
        server.expect_calls(&client, &["opened"]);
        server.until_closed(&client);
    }
}
