//! A server whose connections are sent to by a thread of the test's, and are listened to meanwhile.

use std::sync::Arc;
use std::thread;

use barews::{Connection, Sender, Server};

use crate::common::{TestServer, on_event_loop};

/// Each connection has `send` called on a thread of its own, or on that of its loop with `is_quick`.
pub fn start<F>(set_up: impl FnOnce(Server) -> Server, is_quick: bool, send: F) -> TestServer
where
    F: Fn(Sender) + Send + Sync + 'static,
{
    let send = Arc::new(send);
    let begin = move |sender| match is_quick {
        true => send(sender),
        false => {
            let send = Arc::clone(&send);
            thread::spawn(move || send(sender));
        }
    };
    #[cfg(feature = "event-loop")]
    if on_event_loop() {
        return TestServer::with_event_handler(set_up, event_loop::Silent(begin));
    }
    debug_assert!(!on_event_loop());
    TestServer::with_handler(set_up, move |conn: Connection| {
        let (mut receiver, sender) = conn.split();
        begin(sender);
        while receiver.recv(&mut Vec::new())?.is_some() {}
        Ok(())
    })
}

#[cfg(feature = "event-loop")]
mod event_loop {
    use barews::{BoxError, EventHandler, Message, Outbox, Reject, Request, Sender};

    /// A handler that says nothing by itself.
    pub struct Silent<F>(pub F);

    impl<F: Fn(Sender) + Send + Sync + 'static> EventHandler for Silent<F> {
        type State = ();

        fn open(&self, _: &Request, _: Sender) -> Result<(), Reject> {
            Ok(())
        }

        fn opened(&self, (): &mut (), out: &mut Outbox<'_>) -> Result<(), BoxError> {
            (self.0)(out.sender());
            Ok(())
        }

        fn message(&self, (): &mut (), _: Message<'_>, _: &mut Outbox<'_>) -> Result<(), BoxError> {
            Ok(())
        }
    }
}
