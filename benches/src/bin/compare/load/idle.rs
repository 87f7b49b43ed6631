//! What a connection takes in memory that says nothing, from the start or after a while.

use std::thread;
use std::time::{Duration, Instant};

use crate::load::client;
use crate::load::deflate::Deflated;
use crate::load::traffic::Traffic;
use crate::load::wait::Waiter;
use crate::outcome::Outcome;
use crate::results::Figures;
use crate::server::Server;
use crate::work::Texts;

/// How long memory must have stayed the same. Ours is given back when it was not used for 2 s.
const QUIET: Duration = Duration::from_secs(4);

pub(crate) fn measure(server: &Server, count: usize) -> Outcome<Figures> {
    let (before, start) = (server.resident_kib()?, Instant::now());
    let connections =
        (0..count).map(|number| client::open(server, number)).collect::<Outcome<Vec<_>>>()?;
    let rate = count as f64 / start.elapsed().as_secs_f64();
    let figures = figures(server, before, count, rate);
    drop(connections);
    figures
}

/// The same where permessage-deflate was offered, after so many texts on each connection.
pub(crate) fn measure_deflate(
    server: &Server,
    texts: Texts,
    messages: u64,
    waiter: Waiter,
) -> Outcome<Figures> {
    let (before, start) = (server.resident_kib()?, Instant::now());
    let (streams, agreement) = client::open_offering(server, texts.connections)?;
    let rate = texts.connections as f64 / start.elapsed().as_secs_f64();
    let script = Deflated::new(texts.size, agreement)?;
    let mut traffic = Traffic::new(streams, script, 1, waiter)?;
    traffic.exchange(messages)?;
    let figures = figures(server, before, texts.connections, rate);
    drop(traffic);
    figures
}

fn figures(server: &Server, before: u64, count: usize, rate: f64) -> Outcome<Figures> {
    // The server may still be busy with the last of them, and takes back what it can.
    let deadline = Instant::now() + 3 * QUIET;
    let (mut resident, mut since) = (server.resident_kib()?, Instant::now());
    while since.elapsed() < QUIET && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(250));
        let now = server.resident_kib()?;
        if now != resident {
            (resident, since) = (now, Instant::now());
        }
    }
    let resident = server.resident_kib()?.saturating_sub(before) as f64;
    Ok(Figures { rate, idle_kib: Some(resident / count as f64), ..Figures::default() })
}
