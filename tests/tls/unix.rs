//! Unix-domain sockets.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use barews::{Connection, Server};

use crate::common::tls::{CLIENT, SERVER, session};
use crate::common::{self, BINARY, PATIENCE, close, frame, r0};

/// TLS does not mind what it is spoken over.
#[test]
fn a_unix_socket() {
    let path = std::env::temp_dir().join(format!("barews-tls-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server = Server::from_listener(UnixListener::bind(&path).unwrap()).unwrap();
    let server = server.tls(SERVER.clone());
    let handle = server.shutdown_handle();
    let thread = thread::spawn(move || {
        common::run(server, |mut conn: Connection| {
            assert!(conn.request().tls().is_some());
            crate::common::echo(&mut conn);
            Ok(())
        })
    });
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut conn = session(&CLIENT);
    let mut tls = barews::rustls::Stream::new(&mut conn, &mut stream);
    let message = vec![5; 300_000];
    tls.write_all(&r0().bytes()).unwrap();
    let mut answer = vec![0; 129];
    tls.read_exact(&mut answer).unwrap();
    tls.write_all(&frame(BINARY, &message)).unwrap();
    let mut echo = vec![0; 10 + message.len()];
    tls.read_exact(&mut echo).unwrap();
    assert!(echo[10..] == message);
    tls.write_all(&close(1000, "")).unwrap();
    let mut rest = Vec::new();
    tls.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0x88, 2, 3, 232]);
    handle.shutdown(PATIENCE);
    thread.join().unwrap().unwrap();
    std::fs::remove_file(path).unwrap();
}
