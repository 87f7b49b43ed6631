//! Queues before thousands of connections.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use barews::{Config, OwnedMessage, SendQueue, TrySendError, broadcast};

use crate::common::{Frame, PATIENCE, RawClient, TestServer, ms};
use crate::senders;

const RECEIVERS: usize = 2000;
const STUCK: usize = 50;
const MAX_QUEUED: usize = 256 << 10;

fn config() -> Config {
    let mut config = Config::default();
    config.limits.max_connections_per_ip = usize::MAX;
    config.timeouts.close = ms(100);
    config.stack_size = Some(64 << 10);
    config
}

/// A server, and the queue of each connection.
fn server(config: Config, max_queued: usize) -> (TestServer, Receiver<SendQueue>) {
    let (say, said) = channel();
    let server = senders::start(
        |server| server.config(config),
        true,
        move |sender| {
            // The test may have seen enough.
            let _ = say.send(sender.queued(max_queued).expect("threads that write"));
        },
    );
    (server, said)
}

/// A few threads write for all, and those who never read hold up nobody: neither who sends nor the
/// others, and they hold no more memory than their queues may.
#[test]
fn thousands_of_receivers_and_fifty_that_never_read() {
    let (server, said) = server(config(), MAX_QUEUED);
    let open = || (server.open(), said.recv_timeout(PATIENCE).expect("a queue"));
    let stuck: Vec<(RawClient, SendQueue)> = (0..STUCK).map(|_| open()).collect();
    let mut readers: Vec<_> = (0..RECEIVERS).map(|_| open()).collect();
    let filler = OwnedMessage::from(vec![0; 16 << 10]);
    let is_full = |queue: &SendQueue| queue.try_send(&filler) == Err(TrySendError::Full);
    while !stuck.iter().all(|(_, queue)| is_full(queue))
        || stuck[0].1.wait_for_room(MAX_QUEUED / 2, ms(500))
    {}
    for round in 0..30 {
        let message = OwnedMessage::from(format!("round {round}"));
        let start = Instant::now();
        let told = broadcast(stuck.iter().chain(&readers).map(|(_, queue)| queue), &message);
        let told_after = start.elapsed();
        assert!(told.queued >= RECEIVERS && told.closed == 0, "{told:?}");
        for (client, queue) in &mut readers {
            client.expect(&Frame::text(message.as_bytes()));
            assert!(queue.queued_bytes() <= MAX_QUEUED);
        }
        println!("round {round}: queued after {told_after:?}, read after {:?}", start.elapsed());
        // One who is waited for takes ten seconds.
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    assert!(
        stuck.iter().all(|(_, queue)| !queue.is_closed() && queue.queued_bytes() <= MAX_QUEUED)
    );
}

/// A peer that takes a little now and then is not cut, and gets all of it; its queue is tried again
/// soon each time that something has moved.
#[test]
fn a_slow_peer_gets_all_of_it() {
    const LEN: usize = 8 << 20;
    let (server, said) = server(Config::default(), 2 * LEN);
    let mut client = server.open();
    let queue = said.recv_timeout(PATIENCE).expect("a queue");
    for part in 0..LEN / 4096 {
        queue.try_send(&vec![part as u8; 4096].into()).expect("room");
    }
    let start = Instant::now();
    for part in 0..LEN / 4096 {
        client.expect(&Frame::binary(vec![part as u8; 4096]));
        if part % 16 == 0 {
            thread::sleep(ms(20));
        }
    }
    // 128 pauses of 20 ms, and no more than as much again.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(queue.flush(PATIENCE).expect("sent"));
}
