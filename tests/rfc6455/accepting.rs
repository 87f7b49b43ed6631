//! Before a connection: how streams are accepted, who is let in, and who hears of those who are
//! not.

use std::io::{self, ErrorKind};
#[cfg(unix)]
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use barews::{
    Accept, BoxError, ErrorContext, Listener, Reject, Response, Server, ShutdownHandle, Status,
    UpgradeError,
};
use socket2::{Domain, Socket, Type};

use crate::common::{
    Frame, PATIENCE, PROMPT, RawClient, TEXT, TestServer, Unopened, awake, frame, is_unheard, ms,
    r0, run, run_echo, with_limits,
};

/// What `on_error` was told.
#[derive(Debug, PartialEq)]
struct Heard {
    peer: Option<SocketAddr>,
    /// `None` for a handler's error.
    kind: Option<Unopened>,
    /// Of the request, where there was one.
    target: Option<String>,
    text: String,
}

impl Heard {
    fn new(context: &ErrorContext<'_>, error: &BoxError) -> Self {
        Self {
            peer: context.peer_addr(),
            kind: error.downcast_ref::<UpgradeError>().map(Unopened::new),
            target: context.request().map(|request| request.target().to_owned()),
            text: error.to_string(),
        }
    }
}

/// A server whose handler fails, and whose errors come to the test.
fn overheard(set_up: impl FnOnce(Server) -> Server) -> (TestServer, Receiver<Heard>) {
    let (sender, heard) = channel();
    let server = TestServer::with_handler(
        |server| {
            set_up(server).on_error(move |context, error| {
                // The test may have heard enough.
                let _ = sender.send(Heard::new(context, error));
            })
        },
        |mut conn| {
            conn.recv(&mut Vec::new())?;
            Err("handler's own".into())
        },
    );
    (server, heard)
}

fn plain(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// Every error comes with the request that it is about, if its request line could be read.
#[test]
fn edge_n_errors_come_with_their_request() {
    let (server, heard) = overheard(|server| {
        server.on_upgrade(|request| match request.path() {
            "/rejected" => Err(Reject::new(Status::NOT_FOUND, "no\n")),
            "/unfit" => Ok(Accept::new().subprotocol("never offered")),
            _ => Ok(Accept::new()),
        })
    });
    for (request, status, target) in [
        (r0().target("/rejected").bytes(), 404, Some("/rejected")),
        (r0().target("/unfit").bytes(), 500, Some("/unfit")),
        (r0().target("/old").set("Sec-WebSocket-Version", "8").bytes(), 426, Some("/old")),
        (r0().target("/nobody").without("Host").bytes(), 400, Some("/nobody")),
        (plain("/page"), 400, Some("/page")),
        (b"GET /half HTTP/1.1\r\nbroken\r\n\r\n".to_vec(), 400, Some("/half")),
        (b"GET /none HTTP/1\r\n\r\n".to_vec(), 400, None),
    ] {
        let mut client = server.connect();
        client.send(request);
        client.expect_refusal(status);
        let peer = client.addr;
        drop(client);
        let heard = heard.recv_timeout(PATIENCE).expect("an error");
        assert_eq!((heard.peer, heard.target.as_deref()), (Some(peer), target), "{heard:?}");
        assert!(heard.kind.is_some(), "{heard:?}");
    }
    let mut client = server.connect();
    client.send(r0().target("/handled").bytes());
    client.expect_upgrade();
    client.send(frame(TEXT, "a"));
    client.expect_close(1011);
    let peer = client.addr;
    drop(client);
    let heard = heard.recv_timeout(PATIENCE).expect("an error");
    assert_eq!((heard.peer, heard.target.as_deref()), (Some(peer), Some("/handled")));
    assert_eq!((heard.kind, &*heard.text), (None, "handler's own"));
}

/// A page that was served is no error, and a rejection is one whatever its status.
#[test]
fn edge_n_success_is_no_error() {
    let (mut server, heard) = overheard(|server| {
        server.on_upgrade(|_| Err(Reject::new(Status::OK, "no\n"))).on_request(|request| {
            match request.path() {
                "/page" => Response::new(Status::OK, "a page\n"),
                "/moved" => {
                    Response::new(Status::new(302).expect("a status"), "\n").header("Location", "/")
                }
                _ => Response::new(Status::NOT_FOUND, "no\n"),
            }
        })
    });
    for (request, status) in [
        (plain("/page"), 200),
        (plain("/moved"), 302),
        (plain("/page"), 200),
        (plain("/none"), 404),
        (r0().target("/rejected").bytes(), 200),
    ] {
        let mut client = server.connect();
        client.send(request);
        assert_eq!(client.read_response().status, status);
        client.expect_eof();
    }
    server.stop(PATIENCE);
    drop(server);
    let heard = heard.iter().map(|heard| (heard.kind, heard.target));
    let mut heard: Vec<_> = heard.map(|(kind, target)| (kind.unwrap(), target.unwrap())).collect();
    heard.sort_by(|a, b| a.1.cmp(&b.1));
    let expected = [(404, "/none"), (200, "/rejected")]
        .map(|(code, at)| (Unopened::Answered(code), at.into()));
    assert_eq!(heard, expected);
}

/// What a callback said as it panicked is passed on, and the peer gets 500.
#[test]
fn edge_n_a_callback_that_panics_keeps_its_words() {
    let (server, heard) = overheard(|server| {
        server
            .on_upgrade(|request| panic!("no table for {}", request.path()))
            .on_request(|_| panic!("no page"))
    });
    for (request, target, words) in
        [(r0().target("/a").bytes(), "/a", "no table for /a"), (plain("/b"), "/b", "no page")]
    {
        let mut client = server.connect();
        client.send(request);
        client.expect_refusal(500);
        let peer = client.addr;
        drop(client);
        let heard = heard.recv_timeout(PATIENCE).expect("an error");
        assert_eq!(heard.kind, Some(Unopened::Panicked(words.to_owned())));
        assert_eq!((heard.peer, heard.target.as_deref()), (Some(peer), Some(target)));
        assert!(heard.text.contains(words), "{heard:?}");
    }
}

/// A stream that brings nothing is closed in silence, and told apart from a request cut short.
#[test]
fn edge_ac_a_stream_without_a_byte_asks_for_nothing() {
    let (server, heard) = overheard(|server| server);
    for reset in [false, true] {
        let mut client = server.connect();
        let peer = client.addr;
        if reset {
            client.reset();
        } else {
            client.send_eof();
            // Not even a 4xx.
            client.expect_eof();
        }
        let heard = heard.recv_timeout(PATIENCE).expect("an error");
        assert_eq!((heard.peer, heard.kind), (Some(peer), Some(Unopened::NoRequest)));
        assert_eq!(heard.target, None);
    }
}

/// An echo server on this listener.
fn serve(listener: impl Into<Listener>) -> (ShutdownHandle, JoinHandle<io::Result<()>>) {
    let server = Server::from_listener(listener).expect("a listener");
    let handle = server.shutdown_handle();
    (handle, thread::spawn(move || run_echo(server, |_, _| ())))
}

/// Stops a server with nobody connected, which must be soon: `grace` is what it may take.
fn stops(handle: &ShutdownHandle, server: JoinHandle<io::Result<()>>, grace: Duration) {
    let start = Instant::now();
    handle.shutdown(grace);
    server.join().expect("no panic").expect("no error");
    assert!(awake(start) < grace + PROMPT, "{:?}", start.elapsed());
}

/// The path of a Unix-domain listener need not last: nobody has to connect to it.
#[cfg(unix)]
#[test]
fn edge_g_a_server_stops_though_its_path_is_gone() {
    use std::os::unix::net::{UnixListener, UnixStream};

    for replaced in [false, true] {
        let path = std::env::temp_dir().join(format!("barews-gone-{}.sock", std::process::id()));
        let (handle, server) = serve(UnixListener::bind(&path).expect("a path"));
        // Once it has answered, it waits for the next.
        let mut client = UnixStream::connect(&path).expect("a server");
        client.write_all(b"\n\n\n").expect("room");
        client.read_exact(&mut [0; 12]).expect("a refusal");
        drop(client);
        std::fs::remove_file(&path).expect("our own file");
        // Somebody else is there now, who takes nobody.
        let other = replaced.then(|| UnixListener::bind(&path).expect("the same path"));
        stops(&handle, server, ms(0));
        if let Some(other) = other {
            other.set_nonblocking(true).expect("a flag");
            let next = other.accept().expect_err("nobody is there");
            assert_eq!(next.kind(), ErrorKind::WouldBlock);
            std::fs::remove_file(&path).expect("our own file");
        }
    }
}

/// Of several listeners on one port the system chooses: what a server does to stop must not depend
/// on which, and nothing of it may come to another.
#[cfg(target_os = "linux")]
#[test]
fn edge_g_a_server_stops_beside_others_on_its_port() {
    let listener = |addr: SocketAddr| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_port(true).expect("an option");
        socket.bind(&addr.into()).expect("a port");
        socket.listen(16).expect("a listener");
        TcpListener::from(socket)
    };
    for _ in 0..4 {
        let ours = listener("127.0.0.1:0".parse().expect("an address"));
        let addr = ours.local_addr().expect("an address");
        let (handle, server) = serve(ours);
        // Once it has served, it waits for the next.
        RawClient::open(addr).finish();
        let others = [(); 3].map(|()| listener(addr));
        stops(&handle, server, ms(0));
        for other in others {
            other.set_nonblocking(true).expect("a flag");
            let next = other.accept().expect_err("nobody is there");
            assert_eq!(next.kind(), ErrorKind::WouldBlock);
        }
    }
}

/// Another owner of the listener takes all that comes, takes our waiting's bound away, and makes
/// it non-blocking: the server stops all the same, and serves as long as it does not.
#[test]
fn edge_g_a_server_stops_beside_another_owner_of_its_listener() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let other = listener.try_clone().expect("a descriptor");
    let (handle, server) = serve(listener);
    RawClient::open(addr).finish();
    let meddling = thread::spawn(move || {
        #[cfg(unix)]
        {
            let fd = std::os::fd::OwnedFd::from(other.try_clone().expect("a descriptor"));
            std::net::TcpStream::from(fd).set_read_timeout(None).expect("an option");
        }
        other.set_nonblocking(true).expect("a flag");
        other
    });
    let other = meddling.join().expect("no panic");
    RawClient::open(addr).finish();
    let (done, stopped) = channel::<()>();
    let (begin, begun) = channel();
    let greedy = thread::spawn(move || {
        let mut taken = Vec::new();
        while stopped.try_recv().is_err() {
            taken.extend(other.accept().map(|(_, peer)| peer));
            let _ = begin.send(());
        }
        taken
    });
    begun.recv_timeout(PATIENCE).expect("it has begun");
    stops(&handle, server, ms(0));
    done.send(()).expect("it waits for this");
    // An event loop, which needs what the other has set, leaves the listener as it found it: blocking.
    let wake = std::net::TcpStream::connect(addr).and_then(|wake| wake.local_addr()).ok();
    let taken = greedy.join().expect("no panic");
    assert!(taken.iter().all(|peer| Some(*peer) == wake), "nobody else had come: {taken:?}");
}

/// Two servers may share a listener, as an old process and the new one do: what the first leaves behind, or
/// another owner does, is no hindrance to the second.
#[test]
fn edge_g_a_server_goes_on_when_another_on_its_listener_stops() {
    for nonblocking in [None, Some(false), Some(true)] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let [next, owner] = [(); 2].map(|()| listener.try_clone().expect("a descriptor"));
        let (first, first_server) = serve(listener);
        RawClient::open(addr).finish();
        let (second, second_server) = serve(next);
        RawClient::open(addr).finish();
        stops(&first, first_server, ms(100));
        if let Some(nonblocking) = nonblocking {
            owner.set_nonblocking(nonblocking).expect("a flag");
        }
        let mut client = RawClient::open(addr);
        for _ in 0..20 {
            RawClient::open(addr).finish();
            client.send(frame(TEXT, "still here"));
            client.expect(&Frame::text("still here"));
        }
        client.finish();
        drop(client);
        stops(&second, second_server, ms(0));
    }
}

/// Another owner of the listener may shut it down, too. Nobody can come from then on, so the server ends, and
/// says why; who is there already is told.
#[cfg(target_os = "linux")]
#[test]
fn edge_g_a_listener_that_another_owner_shuts_down() {
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let other = Socket::from(listener.try_clone().expect("a descriptor"));
    let (_, server) = serve(listener);
    let mut client = RawClient::open(addr);
    other.shutdown(Shutdown::Both).expect("it listens");
    client.expect(&Frame::close(1001, "the server is shutting down"));
    drop(client);
    let error = server.join().expect("no panic").expect_err("it ends");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    for how in [Shutdown::Read, Shutdown::Both] {
        let path = std::env::temp_dir().join(format!("barews-shut-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a path");
        let other = listener.try_clone().expect("a descriptor");
        let (handle, server) = serve(listener);
        // Once it has answered, it waits for the next.
        let mut client = UnixStream::connect(&path).expect("a server");
        client.write_all(b"\n\n\n").expect("room");
        client.read_exact(&mut [0; 12]).expect("a refusal");
        drop(client);
        Socket::from(OwnedFd::from(other)).shutdown(how).expect("it listens");
        let refused = UnixStream::connect(&path).expect_err("nobody listens");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        let start = Instant::now();
        while !server.is_finished() && start.elapsed() < PATIENCE {
            thread::sleep(ms(10));
        }
        let is_over = server.is_finished();
        handle.shutdown(ms(0));
        let error = server.join().expect("no panic").expect_err("it ends");
        assert!(is_over, "{how:?}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        std::fs::remove_file(&path).expect("our own file");
    }
}

/// A stream that comes as the server stops is answered, or is left to the next owner.
#[test]
fn edge_g_a_stream_that_comes_late_is_answered_or_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let next = listener.try_clone().expect("a descriptor");
    let (handle, server) = serve(listener);
    RawClient::open(addr).finish();
    // By now each accept waits for long.
    thread::sleep(ms(250));
    let stopping = thread::spawn(move || handle.shutdown(PATIENCE));
    stopping.join().expect("no panic");
    let mut clients: Vec<_> = (0..8).map(|_| RawClient::connect(addr)).collect();
    server.join().expect("no panic").expect("no error");
    next.set_nonblocking(true).expect("a flag");
    let mut left = Vec::new();
    while let Ok((stream, peer)) = next.accept() {
        left.push((stream, peer));
    }
    for client in &mut clients {
        if left.iter().all(|(_, peer)| *peer != client.addr) {
            client.send(r0().bytes());
            let response = client.expect_refusal(503);
            assert_eq!(response.header("retry-after"), Some("1"));
            assert_eq!(response.body, b"the server is shutting down\n");
        }
    }
}

/// A handle that was taken early stops the listeners that came later, too.
#[test]
fn edge_p_a_handle_stops_listeners_that_were_added_later() {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    let addrs = listeners.each_ref().map(|listener| listener.local_addr().expect("an address"));
    let [first, second, third] = listeners;
    let server = Server::from_listener(first).expect("a listener");
    let handle = server.shutdown_handle();
    let server = server.with_listener(second).and_then(|server| server.with_listener(third));
    let server = server.expect("listeners");
    let server = thread::spawn(move || run_echo(server, |_, _| ()));
    for addr in addrs {
        RawClient::open(addr).finish();
    }
    stops(&handle, server, ms(0));
    for addr in addrs {
        assert!(is_unheard(addr), "{addr} is still listened on");
    }
}

/// One connection too many: the client may send all that it has, and then reads why.
#[test]
fn edge_ae_who_is_turned_away_can_read_why() {
    let server = TestServer::echo(with_limits(|limits| limits.max_connections = 1));
    let mut first = server.open();
    // More than wait for the end of their clients at once.
    for _ in 0..3 {
        let mut client = server.connect();
        assert!(client.heard_within(PATIENCE));
        // Without somebody who reads it, the first piece brings a reset, and the next one fails.
        for _ in 0..64 {
            client.send([b'x'; 16 << 10]);
        }
        client.expect_turned_away();
        let peer = client.addr;
        drop(client);
        assert_eq!(server.unopened(peer), Unopened::TooManyConnections);
    }
    first.send(frame(TEXT, "a"));
    first.expect(&Frame::text("a"));
    first.finish();
}

/// However many are turned away, few threads see to them; the others are answered all the same.
#[cfg(target_os = "linux")]
#[test]
fn edge_ae_few_threads_linger_on_those_who_are_turned_away() {
    use crate::common::Binary;

    let binary = Binary::serve(&["--max-connections", "1", "--close-timeout", "1s"]);
    let first = RawClient::open(binary.addr);
    let mut others: Vec<_> = (0..200).map(|_| RawClient::connect(binary.addr)).collect();
    for client in &mut others {
        assert!(client.heard_within(PATIENCE));
    }
    // The one that is served takes the place of one that accepts.
    let threads = binary.threads();
    assert!(threads <= Binary::IDLE + 1 + 64, "{threads} threads");
    for mut client in others {
        client.expect_refusal(503);
    }
    drop(first);
    binary.settle();
}

/// A configuration that contradicts itself starts no server, and reads nothing of a stream.
#[test]
fn edge_z_a_wrong_configuration_is_refused_at_the_start() {
    use barews::{Config, Upgrade};

    let mut config = Config::default();
    config.timeouts.ping_interval = config.timeouts.idle_timeout;
    let server = Server::bind("127.0.0.1:0").expect("a port").config(config.clone());
    let error = run(server, |_| Ok(())).expect_err("it makes no sense");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("ping sooner"), "{error}");

    config = Config { origins: vec!["https://a/".to_owned()], ..Config::default() };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = RawClient::connect(listener.local_addr().expect("an address"));
    client.send(r0().bytes());
    let (stream, _) = listener.accept().expect("a stream");
    let keep = stream.try_clone().expect("a descriptor");
    match Upgrade::handshake(stream, &config).map(drop) {
        Err(UpgradeError::Io(error)) => assert_eq!(error.kind(), ErrorKind::InvalidInput),
        other => panic!("{other:?}"),
    }
    let mut first = [0; 4];
    assert_eq!(keep.peek(&mut first).expect("all is there"), 4);
    assert_eq!(&first, b"GET ");
}
