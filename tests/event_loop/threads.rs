use std::io::{Read, Write};
use std::sync::mpsc::channel;
#[cfg(target_os = "linux")]
use std::time::Instant;

use barews::{Accept, BoxError, EventHandler, Message, Outbox, Reject, Request, Response, Sender};

use super::common::*;
use super::server::{Hooks, LoopServer, bind, config};
#[cfg(target_os = "linux")]
use super::server::{over_tls, over_unix};

fn echo_on_thread(server: impl FnOnce(barews::Server) -> barews::Server) -> LoopServer {
    let hooks = Hooks::echo().thread(|mut conn| {
        assert_eq!(conn.request().target(), "/thread");
        let mut buf = Vec::new();
        while let Some(message) = conn.recv(&mut buf)? {
            conn.send(message)?;
            if message.as_bytes() == b"fail" {
                return Err("it has failed".into());
            }
        }
        Ok(())
    });
    LoopServer::with(|it| server(it.config(config(|_| ()))), hooks)
}

fn open(server: &LoopServer, behind: &[u8]) -> RawClient {
    let mut client = server.connect();
    client.send([&r0().target("/thread").bytes()[..], behind].concat());
    client.expect_upgrade();
    client
}

/// It may block, and the loop serves others meanwhile; what came behind the request is not lost.
#[test]
fn a_connection_that_needs_a_thread() {
    let server = echo_on_thread(|server| server);
    let mut other = server.open();
    let mut client = open(&server, &frame(TEXT, "behind the request"));
    client.expect(&Frame::text("behind the request"));
    let payload: Vec<u8> = noise(5).take(1 << 20).collect();
    client.send(frame(BINARY, &payload));
    client.expect(&Frame::binary(&payload));
    other.send(frame(TEXT, "on the loop"));
    other.expect(&Frame::text("on the loop"));
    client.finish();
    let mut client = open(&server, &[]);
    client.send(frame(TEXT, "fail"));
    client.expect(&Frame::text("fail"));
    client.expect_close(1011);
    assert_eq!(server.error(&client), "it has failed");
    other.finish();
    assert!(server.next_within(client.addr, ms(20)).is_none(), "it has no other calls");
}

/// It counts as the others do, and a shutdown waits for it.
#[test]
fn a_thread_is_waited_for_at_shutdown() {
    let server = echo_on_thread(|server| server);
    let mut client = open(&server, &[]);
    client.send(frame(TEXT, "there"));
    client.expect(&Frame::text("there"));
    let handle = server.running.shutdown_handle();
    assert_eq!(handle.connections(), 1);
    handle.start();
    assert!(!handle.wait(ms(50)));
    client.expect(&Frame::close(1001, "the server is shutting down"));
    client.send(close(1001, ""));
    client.expect_eof();
    assert!(handle.wait(PATIENCE));
    assert_eq!(handle.connections(), 0);
}

/// On a loop nobody could take the stream out; on a thread somebody does.
#[test]
fn hijacking_needs_a_thread() {
    let (tell, ended) = channel();
    let hooks = Hooks::echo().thread(move |conn| {
        let mut stream = conn.into_stream()?;
        stream.write_all(b"HTTP/1.1 101 \r\n\r\nhello")?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest)?;
        tell.send(rest)?;
        Ok(())
    });
    let server = LoopServer::with(
        |server| {
            let server = server.config(config(|_| ()));
            server.on_upgrade(|_| Ok::<_, Response>(Accept::new().hijack()))
        },
        hooks,
    );
    let mut client = server.connect();
    client.send(r0().bytes());
    client.expect_refusal(500);
    assert!(server.error(&client).contains("needs_thread"));
    let mut client = server.connect();
    client.send(r0().target("/thread").bytes());
    assert_eq!(client.read_bytes(21), b"HTTP/1.1 101 \r\n\r\nhello"[..21]);
    client.send("not a frame");
    client.send_eof();
    assert_eq!(ended.recv_timeout(PATIENCE).expect("an end"), b"not a frame");
}

/// As on the other engine, it is told so; and nothing but that request is lost to it.
#[test]
fn a_connection_for_which_there_is_no_thread() {
    // No machine has memory for one.
    let config = config(|config| config.stack_size = Some(usize::MAX / 2));
    let server = LoopServer::start(config, Hooks::echo().thread(|_| unreachable!("on no thread")));
    let mut other = server.open();
    for behind in [&[][..], &frame(TEXT, "behind the request")] {
        let mut client = server.connect();
        client.send([&r0().target("/thread").bytes()[..], behind].concat());
        let response = client.expect_turned_away().expect("an answer");
        assert_eq!(response.body, b"no thread for a connection\n");
        server.error(&client);
    }
    other.send(frame(TEXT, "on the loop"));
    other.expect(&Frame::text("on the loop"));
    other.finish();
}

/// The program that [`without_descriptors`] runs: a server that takes all but a few of its descriptors. It ends
/// with its input.
#[cfg(target_os = "linux")]
#[test]
fn a_server_without_descriptors() {
    if std::env::var_os(NO_DESCRIPTORS).is_none() {
        return println!("SKIPPED: it is run by another test");
    }
    let server = echo_on_thread(|server| server);
    // All its own are there by then.
    server.open().finish();
    let mut taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len() - FREE);
    println!("listening on {}", server.addr);
    let _ = std::io::stdin().read(&mut [0]);
}

#[cfg(target_os = "linux")]
const NO_DESCRIPTORS: &str = "BAREWS_TEST_NO_DESCRIPTORS";

/// How many it has for connections, and perhaps a few more of those that have just left.
#[cfg(target_os = "linux")]
const FREE: usize = 8;

/// Where there is none for a thread's handle of the stream, it is answered as if there were no thread; nothing
/// but that request is lost, and the next one finds what that has left.
#[cfg(target_os = "linux")]
#[test]
fn without_descriptors() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    if over_unix() || over_tls() {
        return println!("SKIPPED: once is enough");
    }
    let started = Command::new("prlimit")
        .args(["--nofile=64", "--"])
        .arg(std::env::current_exe().expect("the path of this test"))
        .args(["--exact", "threads::a_server_without_descriptors", "--nocapture"])
        .env(NO_DESCRIPTORS, "")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else { return println!("SKIPPED: there is no prlimit") };
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut lines = lines.map_while(Result::ok);
    let addr = lines.find_map(|line| line.split("listening on ").nth(1)?.parse().ok());
    let addr: std::net::SocketAddr = addr.expect("an address");
    // A connection takes one descriptor, and one on a thread two: sooner or later there is one left.
    let mut others = Vec::new();
    let response = loop {
        let mut client = RawClient::connect(addr);
        client.send(r0().target("/thread").bytes());
        let response = client.read_response();
        if response.status != 101 {
            client.expect_eof();
            break response;
        }
        client.finish();
        drop(client);
        others.push(RawClient::open(addr));
        assert!(others.len() < 2 * FREE, "there are too many");
    };
    assert_eq!((response.status, &*response.body), (503, &b"no thread for a connection\n"[..]));
    assert_eq!(response.header("retry-after"), Some("1"));
    for other in &mut others {
        other.send(frame(TEXT, "on the loop"));
        other.expect(&Frame::text("on the loop"));
        other.finish();
    }
    drop(others);
    // Those that have left are yet to be noticed.
    let start = Instant::now();
    loop {
        let mut client = RawClient::connect(addr);
        client.send([r0().target("/thread").bytes(), frame(TEXT, "on a thread")].concat());
        match client.read_response().status {
            101 => {
                client.expect(&Frame::text("on a thread"));
                break client.finish();
            }
            status => assert_eq!(status, 503),
        }
        assert!(start.elapsed() < PATIENCE);
    }
    drop(child.stdin.take());
    assert!(child.wait().expect("an end").success());
}

/// The handshake deadline, limits and callbacks are those of the server.
#[test]
fn a_thread_has_the_same_limits() {
    let server = echo_on_thread(|server| {
        let config = config(|config| {
            config.timeouts.message = ms(200);
            config.limits.max_message_size = 1000;
        });
        server.config(config).on_upgrade(|request| match request.header("Origin") {
            Some(_) => Err(Response::new(barews::Status::FORBIDDEN, "not you\n")),
            None => Ok(Accept::new()),
        })
    });
    let mut client = server.connect();
    client.send(r0().target("/thread").add("Origin: https://example.com").bytes());
    client.expect_refusal(403);
    let mut client = open(&server, &frame(0x01, "half"));
    client.expect_close(1008);
    let mut client = open(&server, &head(BINARY, 1001));
    client.expect_close(1009);
}

/// As on the other engine, one that is busy is not cut before it has had what came before our Close.
#[test]
fn a_busy_handler_is_not_cut_at_a_shutdown() {
    let hooks = Hooks::echo().thread(|mut conn| {
        std::thread::sleep(ms(1000));
        let mut buf = Vec::new();
        let message = conn.recv(&mut buf)?.map(|message| message.len());
        assert_eq!(message, Some(4));
        Ok(())
    });
    let server = LoopServer::start(config(|config| config.timeouts.close = ms(200)), hooks);
    let mut client = server.connect();
    client.send(r0().target("/thread").bytes());
    client.expect_upgrade();
    let handle = server.running.shutdown_handle();
    handle.start();
    assert_eq!(client.read_frame().map(|frame| frame.close_parts().0), Some(1001));
    std::thread::sleep(ms(500));
    client.send(frame(TEXT, "last"));
    assert!(handle.wait(PATIENCE));
    let told = server.next_within(client.addr, ms(100));
    assert!(told.is_none(), "{told:?}");
}

/// Nothing but that request is lost to it.
#[test]
fn a_panic_when_it_is_asked_for() {
    struct Asked;

    impl EventHandler for Asked {
        type State = ();

        fn open(&self, _: &Request, _: Sender) -> Result<(), Reject> {
            Ok(())
        }

        fn message(
            &self,
            (): &mut (),
            message: Message<'_>,
            out: &mut Outbox<'_>,
        ) -> Result<(), BoxError> {
            Ok(out.send(message)?)
        }

        fn needs_thread(&self, request: &Request) -> bool {
            assert_ne!(request.path(), "/panic", "a panic that is wanted");
            false
        }
    }

    let (tell, told) = channel();
    let server = bind();
    let server = server.on_error(move |_, error| drop(tell.send(error.to_string())));
    let server = server.spawn_event_loop(Asked).unwrap();
    let mut other = RawClient::connect_tls(server.addr()).opened();
    let mut client = RawClient::connect_tls(server.addr());
    client.send(r0().target("/panic").bytes());
    client.expect_refusal(500);
    assert!(told.recv_timeout(PATIENCE).unwrap().contains("a panic that is wanted"));
    other.send(frame(TEXT, "hello"));
    other.expect(&Frame::text("hello"));
}
