//! An echo on event loops: one thread for each core, however many connections there are.
//!
//! `cargo run --release --features event-loop --example event_loop -- 127.0.0.1:9001`

use barews::{BoxError, Config, EventHandler, Message, Outbox, Reject, Request, Sender, Server};

struct Echo;

impl EventHandler for Echo {
    type State = ();

    fn open(&self, _: &Request, _: Sender) -> Result<(), Reject> {
        Ok(())
    }

    fn message(
        &self,
        (): &mut (),
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        Ok(out.send(message)?)
    }
}

fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut config = Config::default();
    config.limits.max_connections = 200_000;
    config.limits.max_connections_per_ip = 200_000;
    Server::bind(addr)?.config(config).run_event_loop(Echo)
}
