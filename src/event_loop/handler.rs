//! What an application does on an event loop.

use crate::connection::{Connection, Message, Request, Sender};
use crate::error::Error;
use crate::http::Reject;
use crate::proto::CloseFrame;
use crate::server::BoxError;

mod outbox;

pub use outbox::Outbox;

/// What to do with the connections of a server on event loops
/// ([`Server::run_event_loop`](crate::Server::run_event_loop)).
///
/// One thread calls it for many connections, one after the other. **A call that blocks holds up all
/// of them.** What has to wait, for a file, a database, a lock or a peer, belongs on a thread of its own,
/// which answers by the connection's [`Sender`]; or the whole connection does, see
/// [`needs_thread`](Self::needs_thread). The calls of a `Sender` wait for the peer: here, send by the
/// [`Outbox`], or by a [`SendQueue`](crate::SendQueue).
///
/// An `Err`, or a panic, of any of these closes the connection with 1011, and costs no other.
///
/// ```no_run
/// use barews::{BoxError, EventHandler, Message, Outbox, Reject, Request, Sender, Server};
///
/// struct Echo;
///
/// impl EventHandler for Echo {
///     type State = ();
///
///     fn open(&self, _: &Request, _: Sender) -> Result<(), Reject> {
///         Ok(())
///     }
///
///     fn message(&self, _: &mut (), message: Message<'_>, out: &mut Outbox<'_>) -> Result<(), BoxError> {
///         Ok(out.send(message)?)
///     }
/// }
///
/// fn main() -> std::io::Result<()> {
///     Server::bind("127.0.0.1:9001")?.run_event_loop(Echo)
/// }
/// ```
pub trait EventHandler: Send + Sync + 'static {
    /// What is kept for each connection. It stays on one thread, and need not be `Send`.
    type State: 'static;

    /// A request for a connection has passed [`on_upgrade`](crate::Server::on_upgrade): its state, or
    /// an answer in place of the 101. The `sender` is for other threads, and can send once the 101 is
    /// out; a connection whose sender nobody keeps takes less memory.
    ///
    /// # Errors
    ///
    /// The answer that the peer gets.
    fn open(&self, request: &Request, sender: Sender) -> Result<Self::State, Reject>;

    /// The 101 is out. By default, nothing is sent before a message has come.
    ///
    /// # Errors
    ///
    /// Any: it closes the connection with 1011.
    fn opened(&self, state: &mut Self::State, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        let _ = (state, out);
        Ok(())
    }

    /// A whole message has come. While the peer does not take what was sent, no other is delivered.
    ///
    /// # Errors
    ///
    /// As for [`opened`](Self::opened).
    fn message(
        &self,
        state: &mut Self::State,
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError>;

    /// A Ping has come (§5.5.2), whose Pong is on its way, unless a Close is due.
    ///
    /// # Errors
    ///
    /// As for [`opened`](Self::opened).
    fn ping(
        &self,
        state: &mut Self::State,
        payload: &[u8],
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        let _ = (state, payload, out);
        Ok(())
    }

    /// A Pong has come (§5.5.3), asked for or not.
    ///
    /// # Errors
    ///
    /// As for [`opened`](Self::opened).
    fn pong(
        &self,
        state: &mut Self::State,
        payload: &[u8],
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        let _ = (state, payload, out);
        Ok(())
    }

    /// The time of [`Outbox::set_timer`] has come.
    ///
    /// # Errors
    ///
    /// As for [`opened`](Self::opened).
    fn timer(&self, state: &mut Self::State, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        let _ = (state, out);
        Ok(())
    }

    /// The peer has taken all that was sent to it, after a time in which it did not: backpressure is
    /// over, and what [`Outbox::send`] found no room for may be sent now. Not once a Close is due.
    ///
    /// # Errors
    ///
    /// As for [`opened`](Self::opened).
    fn drained(&self, state: &mut Self::State, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        let _ = (state, out);
        Ok(())
    }

    /// The connection has ended: the last call for it. One that was rejected had none.
    fn closed(&self, state: Self::State, how: CloseInfo) {
        let _ = (state, how);
    }

    /// Whether a connection is to have a thread of its own, and be given to
    /// [`handle`](Self::handle): for what must block, and for [`Accept::hijack`](crate::Accept::hijack). Asked before
    /// `on_upgrade`.
    fn needs_thread(&self, request: &Request) -> bool {
        let _ = request;
        false
    }

    /// Serves a connection that [needs a thread](Self::needs_thread), as the handler of
    /// [`Server::run`](crate::Server::run) does. By default it is closed with 1000.
    ///
    /// # Errors
    ///
    /// As for the handler of [`Server::run`](crate::Server::run).
    fn handle(&self, conn: Connection) -> Result<(), BoxError> {
        let _ = conn;
        Ok(())
    }
}

/// How a connection has ended, for [`EventHandler::closed`].
#[derive(Debug)]
#[non_exhaustive]
pub struct CloseInfo {
    /// What the peer's Close frame said, if it came (§7.1.5, §7.1.6).
    pub close_frame: Option<CloseFrame>,
    /// What went wrong with the connection; `None` for a finished closing handshake, and after an error
    /// or a panic of the handler's own, which [`on_error`](crate::Server::on_error) is told.
    pub error: Option<Error>,
}
