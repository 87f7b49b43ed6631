//! What serves: a thread for each connection, or event loops where the tests are run on those.

use std::io;
use std::net::SocketAddr;

use barews::{BoxError, Connection, RunningServer, Server};

use super::server::{Ended, echo};

/// Whether the tests are run on event loops, as they are in a target of that name.
pub fn on_event_loop() -> bool {
    env!("CARGO_CRATE_NAME").contains("event_loop")
}

/// Serves with this handler. On event loops each connection has a thread of its own for it.
pub fn run<H>(server: Server, handler: H) -> io::Result<()>
where
    H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
{
    #[cfg(feature = "event-loop")]
    if on_event_loop() {
        return server.run_event_loop(event_loop::OnThreads(handler));
    }
    server.run(handler)
}

/// The same in the background.
pub fn spawn<H>(server: Server, handler: H) -> io::Result<RunningServer>
where
    H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
{
    #[cfg(feature = "event-loop")]
    if on_event_loop() {
        return server.spawn_event_loop(event_loop::OnThreads(handler));
    }
    server.spawn(handler)
}

/// Serves the echo, and tells of each that has ended.
pub fn run_echo<F>(server: Server, told: F) -> io::Result<()>
where
    F: Fn(Option<SocketAddr>, Ended) + Send + Sync + 'static,
{
    #[cfg(feature = "event-loop")]
    if on_event_loop() {
        return server.run_event_loop(event_loop::Echo(told));
    }
    server.run(on_thread(told))
}

/// The same in the background.
pub fn spawn_echo<F>(server: Server, told: F) -> io::Result<RunningServer>
where
    F: Fn(Option<SocketAddr>, Ended) + Send + Sync + 'static,
{
    #[cfg(feature = "event-loop")]
    if on_event_loop() {
        return server.spawn_event_loop(event_loop::Echo(told));
    }
    server.spawn(on_thread(told))
}

/// The echo as a handler that blocks.
fn on_thread<F>(told: F) -> impl Fn(Connection) -> Result<(), BoxError>
where
    F: Fn(Option<SocketAddr>, Ended),
{
    move |mut conn| {
        let peer = conn.peer_addr();
        let ended = echo(&mut conn);
        let result = match &ended.result {
            Ok(()) => Ok(()),
            Err(error) => Err(BoxError::from(error.to_string())),
        };
        told(peer, ended);
        result
    }
}

#[cfg(feature = "event-loop")]
mod event_loop {
    use std::net::SocketAddr;

    use barews::{
        BoxError, CloseInfo, Connection, Error, EventHandler, Message, Outbox, Reject, Request,
        Sender, TrySendError,
    };

    use super::Ended;

    /// A handler that blocks.
    pub struct OnThreads<H>(pub H);

    impl<H> EventHandler for OnThreads<H>
    where
        H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        type State = ();

        fn needs_thread(&self, _: &Request) -> bool {
            true
        }

        fn handle(&self, conn: Connection) -> Result<(), BoxError> {
            (self.0)(conn)
        }

        fn open(&self, _: &Request, _: Sender) -> Result<(), Reject> {
            unreachable!("it needs a thread")
        }

        fn message(&self, (): &mut (), _: Message<'_>, _: &mut Outbox<'_>) -> Result<(), BoxError> {
            unreachable!("it needs a thread")
        }
    }

    /// The echo.
    pub struct Echo<F>(pub F);

    pub struct Open {
        sender: Sender,
        messages: usize,
        /// Why no echo could be sent.
        failed: Option<Error>,
    }

    impl<F> EventHandler for Echo<F>
    where
        F: Fn(Option<SocketAddr>, Ended) + Send + Sync + 'static,
    {
        type State = Open;

        fn open(&self, _: &Request, sender: Sender) -> Result<Open, Reject> {
            Ok(Open { sender, messages: 0, failed: None })
        }

        fn message(
            &self,
            state: &mut Open,
            message: Message<'_>,
            out: &mut Outbox<'_>,
        ) -> Result<(), BoxError> {
            state.messages += 1;
            match out.send(message) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Closed) => state.failed = Some(Error::Closed),
                Err(error) => panic!("nothing comes while anything is kept: {error}"),
            }
            Err("it is closed".into())
        }

        /// When it is over, a sender must say so for ever.
        fn closed(&self, state: Open, how: CloseInfo) {
            for _ in 0..2 {
                assert!(state.sender.is_closed(), "{how:?}");
                assert!(matches!(state.sender.send("late"), Err(Error::Closed)), "{how:?}");
            }
            let peer = state.sender.peer_addr();
            let CloseInfo { close_frame, error, .. } = how;
            let result = state.failed.or(error).map_or(Ok(()), Err);
            (self.0)(peer, Ended { result, close_frame, messages: state.messages });
        }
    }
}
