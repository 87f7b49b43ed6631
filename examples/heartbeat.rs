//! A server that only sends: how long it has been running, every second. What a client says is thrown
//! away, and one that has gone is noticed, though nothing is ever read from it.
//!
//! ```sh
//! cargo run --example heartbeat
//! python3 -m websockets ws://127.0.0.1:9001/    # or ws://127.0.0.1:9001/?every=100, in milliseconds
//! ```

use std::env;
use std::time::{Duration, Instant};

use barews::{Accept, Config, Reject, Request, Server, Status};

fn main() -> std::io::Result<()> {
    let addr = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut config = Config::default();
    // Asked after 5 s of silence, and gone after 15.
    config.timeouts.ping_interval = Duration::from_secs(5);
    config.timeouts.idle_timeout = Duration::from_secs(15);
    // Nobody has anything to say.
    config.limits.max_message_size = 1024;
    let server = Server::bind(addr)?.config(config).on_upgrade(|request| match interval(request) {
        Some(interval) => Ok(Accept::new().attach(interval)),
        None => Err(Reject::new(Status::BAD_REQUEST, "every=10 to every=60000, in milliseconds\n")),
    });
    eprintln!("listening on ws://{}", server.local_addr().expect("bound to an address"));
    let start = Instant::now();
    server.run(move |mut conn| {
        let interval = *conn.attached::<Duration>().ok_or("no interval")?;
        // Answers Pings and sends its own until it is time; false at the end.
        while conn.serve_control(interval)? {
            conn.send(&format!("{{\"uptime_ms\": {}}}", start.elapsed().as_millis()))?;
        }
        Ok(())
    })
}

/// How often it is to be told, if that is not too much.
fn interval(request: &Request) -> Option<Duration> {
    let Some(every) = request.query_value("every") else { return Some(Duration::from_secs(1)) };
    let every = every.parse().ok().filter(|every| (10..=60_000).contains(every))?;
    Some(Duration::from_millis(every))
}
