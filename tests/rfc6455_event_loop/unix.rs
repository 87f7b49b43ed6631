//! The conversations and the refused requests of the tables, over a Unix-domain socket.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use barews::{RunningServer, Server, UpgradeError};

use crate::common::{Ended, Frame, PATIENCE, TEXT, Unopened, close, frame, ms, r0, spawn_echo};

/// More than this is not sent one byte a write.
const DRIBBLED: usize = 2 << 10;

struct UnixServer {
    path: PathBuf,
    ended: Receiver<Ended>,
    unopened: Receiver<Unopened>,
    /// Dropped before its path is removed.
    server: Option<RunningServer>,
}

impl UnixServer {
    fn start(name: &str) -> Self {
        let path = format!("barews-loop-{name}-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(path);
        let _ = std::fs::remove_file(&path);
        let ((told, ended), (refused, unopened)) = (channel(), channel());
        let listener = UnixListener::bind(&path).expect("a path");
        let server =
            Server::from_listener(listener).expect("a listener").on_error(move |context, error| {
                assert_eq!(context.peer_addr(), None);
                if let Some(error) = error.downcast_ref::<UpgradeError>() {
                    let _ = refused.send(Unopened::new(error));
                }
            });
        let server = spawn_echo(server, move |peer, ended| {
            assert_eq!(peer, None);
            let _ = told.send(ended);
        });
        Self { path, ended, unopened, server: Some(server.expect("a server")) }
    }

    fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).expect("a server");
        client.set_read_timeout(Some(PATIENCE)).expect("an option");
        client
    }
}

impl Drop for UnixServer {
    fn drop(&mut self) {
        self.server = None;
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Sends bytes, one a write if `dribbled`; the server may have heard enough before the end.
fn send(client: &mut UnixStream, bytes: &[u8], dribbled: bool) {
    let slow = if dribbled { bytes.len().min(DRIBBLED) } else { 0 };
    let _ = bytes[..slow].chunks(1).try_for_each(|byte| client.write_all(byte));
    let _ = client.write_all(&bytes[slow..]);
}

/// What comes until the stream ends. With something of ours unread it is reset, behind all that was
/// said.
fn read_rest(client: &mut UnixStream) -> Vec<u8> {
    let mut rest = Vec::new();
    if let Err(error) = client.read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    rest
}

#[test]
fn conversations() {
    let server = UnixServer::start("conversations");
    let all = [crate::framing::all(), crate::closing::all(), crate::text::all()].concat();
    for (name, case) in all {
        for dribbled in [false, true] {
            println!("{name}, dribbled {dribbled}: {}", case.sent.len());
            let mut client = server.connect();
            client.write_all(&r0().bytes()).expect("room");
            let mut head = [0; 129];
            client.read_exact(&mut head).expect("an answer");
            assert!(head.starts_with(b"HTTP/1.1 101 ") && head.ends_with(b"\r\n\r\n"));
            // Who writes must also read, or neither goes on.
            let mut writing = client.try_clone().expect("a descriptor");
            let sent = case.sent.clone();
            let writer = std::thread::spawn(move || send(&mut writing, &sent, dribbled));
            let answers: Vec<u8> =
                case.answers().iter().flat_map(|answer| answer.encode()).collect();
            assert!(read_rest(&mut client) == answers, "{name}");
            drop(client);
            case.check(&server.ended.recv_timeout(PATIENCE).expect("an end"));
            writer.join().expect("no panic");
        }
    }
}

#[test]
fn requests_that_are_refused() {
    let server = UnixServer::start("refusals");
    let all = [crate::opening::all(), crate::request::all(), crate::limits::all()].concat();
    for (name, case) in all {
        for dribbled in [false, true] {
            let mut client = server.connect();
            send(&mut client, &case.request, dribbled);
            let answer = read_rest(&mut client);
            let status = format!("HTTP/1.1 {} ", case.status);
            assert!(answer.starts_with(status.as_bytes()), "{name}: {}", answer.escape_ascii());
            drop(client);
            case.check(&server.unopened.recv_timeout(PATIENCE).expect("a refusal"));
        }
    }
}

/// A peer that reads late is waited for, and has all of it.
#[test]
fn a_peer_that_reads_late() {
    let server = UnixServer::start("late");
    let mut client = server.connect();
    let messages = frame(TEXT, "x".repeat(100_000)).repeat(100);
    let mut writing = client.try_clone().expect("a descriptor");
    let writer = std::thread::spawn(move || {
        writing.write_all(&[r0().bytes(), messages, close(1000, "")].concat()).expect("room");
    });
    std::thread::sleep(ms(200));
    client.read_exact(&mut [0; 129]).expect("an answer");
    let echo = Frame::text("x".repeat(100_000)).encode();
    let mut bytes = vec![0; echo.len()];
    for _ in 0..100 {
        client.read_exact(&mut bytes).expect("an echo");
        assert!(bytes == echo);
    }
    assert_eq!(read_rest(&mut client), Frame::close(1000, "").encode());
    writer.join().expect("no panic");
    let ended = server.ended.recv_timeout(PATIENCE).expect("an end");
    assert!(ended.result.is_ok() && ended.messages == 100, "{ended:?}");
}
