//! The README's program, to the letter, which is `examples/echo.rs` too, with somebody else's client.
//!
//! Its port is fixed, and a test must have one that is free. So the program is compiled in here, where
//! `barews` is this crate: the library, but for `Server::bind`.

extern crate barews as library;
extern crate self as barews;

use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use std::{fs, io, thread};

use library::ShutdownHandle;
use tungstenite::{Error, Message};

mod program {
    include!("../examples/echo.rs");

    pub(super) fn run() -> std::io::Result<()> {
        main()
    }
}

// What the program imports.
pub use library::Connection;
pub struct Server;

/// Whom the program tells where it listens, and how to stop it.
static STARTED: Mutex<Option<Sender<(SocketAddr, ShutdownHandle)>>> = Mutex::new(None);

const PATIENCE: Duration = Duration::from_secs(20);

impl Server {
    pub fn bind(addr: &str) -> io::Result<library::Server> {
        assert_eq!(addr, "127.0.0.1:9001");
        let server = library::Server::bind("127.0.0.1:0")?;
        let started = STARTED.lock().unwrap().take().expect("one program");
        started.send((server.local_addr().unwrap(), server.shutdown_handle())).unwrap();
        Ok(server)
    }
}

#[test]
fn the_program_of_the_readme_echoes() {
    let (sender, started) = channel();
    *STARTED.lock().unwrap() = Some(sender);
    let program = thread::spawn(program::run);
    let (addr, handle) = started.recv_timeout(PATIENCE).expect("it binds");
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (mut client, _) = tungstenite::client(format!("ws://{addr}/"), stream).unwrap();
    for message in [Message::text("h\u{e9}llo"), Message::binary(vec![0; 70_000])] {
        client.send(message.clone()).unwrap();
        assert_eq!(client.read().unwrap(), message);
    }
    client.close(None).unwrap();
    assert!(matches!(client.read(), Ok(Message::Close(_))));
    assert!(matches!(client.read(), Err(Error::ConnectionClosed)));
    handle.shutdown(Duration::from_millis(100));
    program.join().unwrap().unwrap();
}

#[test]
fn the_example_is_what_the_readme_has() {
    let read = |name: &str| fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR")));
    let (example, readme) = (read("examples/echo.rs").unwrap(), read("README.md").unwrap());
    let at = example.find("use barews").expect("a program");
    assert!(readme.contains(&format!("```rust,no_run\n{}```\n", &example[at..])));
}
