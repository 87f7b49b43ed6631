use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use super::common::*;
use super::server::{Call, Hooks, LoopServer, config, echo};

/// The number of the socket that a server of this process has for a client.
#[cfg(target_os = "linux")]
fn socket_of(client: &RawClient) -> u64 {
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
    let (tell, senders) = channel();
    let hooks = Hooks::new(move |call, conn, out| {
        if let Call::Opened = call {
            tell.send(out.sender())?;
        }
        echo(call, conn, out)
    });
    let server = LoopServer::start(config(|_| ()), hooks);
    let mut client = server.open();
    let sender = senders.recv_timeout(PATIENCE).expect("a sender");
    let socket = socket_of(&client);
    assert!(is_heard_of(socket), "the test is blind");
    client.finish();
    drop(client);
    let start = Instant::now();
    while is_heard_of(socket) {
        assert!(start.elapsed() < PATIENCE, "it is kept");
        thread::sleep(ms(5));
    }
    assert!(sender.is_closed());
}
