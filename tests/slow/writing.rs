//! §10.4: how long a peer may take for what is sent to it, at the speed of a bad line.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use barews::{Deadline, Error, MessageType};

use crate::common::{PATIENCE, RawClient, awake, close, ms, with_timeouts};
use crate::senders;

/// An honest peer, above 64 KiB a second: it may not be cut, however much lies in the kernel. The
/// write timeout is shorter than what Linux takes to wake a writer who waits for room.
#[test]
fn edge_d_fragments_to_a_slow_but_honest_reader() {
    const LEN: usize = 12 << 20;
    const RATE: usize = 97 << 10;
    let (done, results) = channel();
    let server = senders::start(
        |server| server.config(with_timeouts(|timeouts| timeouts.write = ms(4000))),
        false,
        move |sender| {
            let part = [7; 4096];
            let mut writer = sender.writer(MessageType::Binary);
            let sent = (0..LEN / part.len()).try_for_each(|_| writer.write_all(&part));
            let finished = sent.map_err(|error| error.to_string());
            let finished = finished.and_then(|()| writer.finish().map_err(|e| e.to_string()));
            done.send(finished).expect("the test waits");
        },
    );
    let mut client = server.open();
    let start = Instant::now();
    let mut read = 0;
    // Long enough for every deadline, then as fast as it goes.
    while start.elapsed() < Duration::from_secs(20) {
        client.read_bytes(RATE / 10);
        read += RATE / 10;
        thread::sleep(ms(100));
    }
    let frames = LEN / 4096 * (4096 + 4);
    client.read_bytes(frames + 2 - read);
    assert_eq!(results.recv_timeout(PATIENCE).expect("the handler runs"), Ok(()));
    client.send(close(1000, ""));
    client.expect_close(1000);
}

/// The same for one that is not: all fragments of a message have the time of one message.
#[test]
fn edge_d_fragments_to_a_reader_that_is_too_slow() {
    let (done, results) = channel();
    let server = senders::start(
        |server| server.config(with_timeouts(|timeouts| timeouts.write = ms(1000))),
        false,
        move |sender| {
            let start = Instant::now();
            let mut writer = sender.writer(MessageType::Binary);
            let error = loop {
                if let Err(error) = writer.write_all(&[7; 4096]) {
                    break error;
                }
            };
            done.send((error.to_string(), start.elapsed())).expect("the test waits");
        },
    );
    let mut client = server.open();
    // What the kernel has taken at once is 4 MiB at the most, which are a minute.
    let (error, spent) = loop {
        client.read_bytes(512);
        match results.recv_timeout(ms(100)) {
            Ok(end) => break end,
            Err(error) => assert_eq!(error, RecvTimeoutError::Timeout),
        }
    };
    assert_eq!(error, Error::DeadlineExceeded(Deadline::Write).to_string());
    assert!(spent < Duration::from_secs(75), "{spent:?}");
}

/// A client of its own for each, half of which have no room for a Close, and nobody who writes to
/// them: the others have theirs at once.
#[test]
fn edge_k_stuck_peers_do_not_hold_up_the_others() {
    const PEERS: usize = 200;
    let mut server = senders::start(
        |server| server.config(with_timeouts(|timeouts| timeouts.write = PATIENCE)),
        false,
        |sender| while sender.request().path() == "/stuck" && sender.send(&[7; 60_000]).is_ok() {},
    );
    let open = |path: &str| {
        let mut client = RawClient::connect(server.addr);
        client.send(crate::common::r0().target(path).bytes());
        client.expect_upgrade();
        client
    };
    let stuck: Vec<_> = (0..PEERS).map(|_| open("/stuck")).collect();
    let mut others: Vec<_> = (0..PEERS).map(|_| open("/")).collect();
    let waiting = thread::spawn(move || {
        for client in &mut others {
            assert_eq!(client.read_frame().expect("a Close").close_parts().0, 1001);
            client.send(close(1001, ""));
        }
    });
    let start = Instant::now();
    let stopping = thread::spawn(move || server.stop(ms(2000)));
    waiting.join().expect("all were told");
    assert!(awake(start) < ms(1000), "{:?}", start.elapsed());
    stopping.join().expect("the end");
    drop(stuck);
}

/// Connections in two halves that wait are as quiet as whole ones: nothing wakes them now and then
/// to look whether somebody has closed.
#[cfg(target_os = "linux")]
#[test]
fn edge_q_split_connections_sleep() {
    use crate::common::{Binary, r0};

    const PEERS: usize = 100;
    // As often as that was how often they looked, and they have a thread more each.
    let binary = Binary::serve(&["--close-timeout", "100ms"]);
    let clients: Vec<_> = (0..PEERS)
        .map(|number| {
            let mut client = RawClient::connect(binary.addr);
            client.send(r0().target(&format!("/broadcast/{number}")).bytes());
            client.expect_upgrade();
            client
        })
        .collect();
    // Until all of them sleep.
    thread::sleep(ms(1000));
    let before = binary.wake_ups();
    thread::sleep(Duration::from_secs(3));
    let wake_ups = binary.wake_ups() - before;
    assert!(wake_ups < 100, "{wake_ups} wake-ups in 3 s");
    drop(clients);
}
