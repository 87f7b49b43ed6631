//! Clients that do nothing wrong, while others do.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use barews::{BoxError, EventHandler, Message, Outbox, Reject, Request, RunningServer, Sender};

use super::common::*;
use super::server::{bind, config};

/// The handler of the documentation, which tells nobody of anything.
struct Echo;

impl EventHandler for Echo {
    type State = ();

    fn open(&self, _: &Request, _: Sender) -> Result<(), Reject> {
        Ok(())
    }

    fn message(
        &self,
        _: &mut (),
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        Ok(out.send(message)?)
    }
}

/// An echo.
pub fn server() -> RunningServer {
    let server = bind().config(config(|_| ()));
    server.spawn_event_loop(Echo).expect("a server")
}

/// How long ten healthy clients wait for their echoes, one after the other.
pub fn healthy(addr: SocketAddr, rounds: usize) -> Vec<Duration> {
    let mut clients: Vec<_> = (0..10).map(|_| RawClient::connect_tls(addr).opened()).collect();
    let mut times = Vec::new();
    for round in 0..rounds {
        for client in &mut clients {
            let start = Instant::now();
            let text = format!("round {round}");
            client.send(frame(TEXT, &text));
            client.expect(&Frame::text(&text));
            times.push(start.elapsed());
        }
    }
    for client in &mut clients {
        client.finish();
    }
    times.sort();
    times
}

pub fn assert_quick(what: &str, times: &[Duration], most: Duration) {
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what}: median {median:?}, p99 {p99:?}, most {:?}", times[times.len() - 1]);
    assert!(p99 < most, "{what}: p99 {p99:?}");
}
