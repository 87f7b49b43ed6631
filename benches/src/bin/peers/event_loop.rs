//! Our own event loop, with as little around it as the others have.

use std::io;

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

pub(crate) fn serve(addr: &str) -> io::Result<()> {
    let mut config = Config::default();
    config.limits.max_connections = 1 << 20;
    config.limits.max_connections_per_ip = 1 << 20;
    Server::bind(addr)?.config(config).run_event_loop(Echo)
}
