//! Where streams come from: several listeners, and those of another kind.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use barews::Server;

use crate::common::{Frame, PATIENCE, RawClient, TEXT, close, frame, is_unheard, r0, run_echo};

/// Two TCP listeners of one server: both accept, and one shutdown ends both.
#[test]
fn several_listeners() {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addrs = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    let [first, second] = listeners;
    let server = Server::from_listener(first).unwrap().with_listener(second).unwrap();
    assert_eq!(server.local_addr(), Some(addrs[0]));
    let handle = server.shutdown_handle();
    let thread = thread::spawn(move || run_echo(server, |_, _| ()));
    let mut clients = addrs.map(RawClient::open);
    for client in &mut clients {
        client.send(frame(TEXT, "a"));
        client.expect(&Frame::text("a"));
    }
    let closer = thread::spawn(move || handle.shutdown(PATIENCE));
    for mut client in clients {
        assert_eq!(client.read_frame().expect("a Close").close_parts().0, 1001);
        client.send(close(1001, ""));
        client.expect_eof();
    }
    closer.join().unwrap();
    thread.join().unwrap().unwrap();
    for addr in addrs {
        assert!(is_unheard(addr), "{addr} is still listened on");
    }
}

/// A Unix-domain listener serves and stops as a TCP one does; its peers have no address.
#[cfg(unix)]
#[test]
fn a_unix_listener() {
    use std::os::unix::net::{UnixListener, UnixStream};

    let path = std::env::temp_dir().join(format!("barews-test-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let server = Server::from_listener(listener).unwrap();
    assert_eq!(server.local_addr(), None);
    let handle = server.shutdown_handle();
    let thread = thread::spawn(move || run_echo(server, |peer, _| assert_eq!(peer, None)));
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&[r0().bytes(), frame(TEXT, "a")].concat()).unwrap();
    let mut head = [0; 129];
    client.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 101 ") && head.ends_with(b"\r\n\r\n"));
    assert_eq!(Frame::read(&mut client).unwrap(), Some(Frame::text("a")));
    let closer = thread::spawn(move || handle.shutdown(PATIENCE));
    let close = Frame::read(&mut client).unwrap().expect("a Close frame");
    assert_eq!(close.close_parts().0, 1001);
    drop(client);
    closer.join().unwrap();
    thread.join().unwrap().unwrap();
    std::fs::remove_file(path).unwrap();
}

/// A listener that will never accept again ends the server, and is not asked for ever: `run` tells
/// why, after it has closed what is open.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_is_broken_ends_the_server() {
    let broken = TcpListener::bind("127.0.0.1:0").unwrap();
    let same = broken.try_clone().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().with_listener(broken).unwrap();
    let addrs = [server.local_addr().unwrap(), same.local_addr().unwrap()];
    let thread = thread::spawn(move || run_echo(server, |_, _| ()));
    let clients = addrs.map(RawClient::open);
    // It listens no more.
    socket2::SockRef::from(&same).shutdown(std::net::Shutdown::Read).unwrap();
    for mut client in clients {
        assert_eq!(client.read_frame().expect("a Close").close_parts().0, 1001);
        client.send(close(1001, ""));
        client.expect_eof();
    }
    let error = thread.join().unwrap().expect_err("no listener, no server");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}
