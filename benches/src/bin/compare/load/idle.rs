//! What a connection takes in memory that was opened and says nothing.

use std::thread;
use std::time::{Duration, Instant};

use crate::load::client;
use crate::outcome::Outcome;
use crate::results::Figures;
use crate::server::Server;

pub(crate) fn measure(server: &Server, count: usize) -> Outcome<Figures> {
    let before = server.resident_kib()?;
    let mut connections = Vec::with_capacity(count);
    let start = Instant::now();
    for _ in 0..count {
        connections.push(client::open(server)?);
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    // The server may still be busy with the last of them, and takes back what it can.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut resident = server.resident_kib()?;
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = server.resident_kib()?;
        if now == resident || Instant::now() > deadline {
            break;
        }
        resident = now;
    }
    let resident = server.resident_kib()?.saturating_sub(before) as f64;
    Ok(Figures { rate, idle_kib: Some(resident / count as f64), ..Figures::default() })
}
