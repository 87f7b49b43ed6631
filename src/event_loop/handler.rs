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
/// [`needs_thread`](Self::needs_thread). Whether a request is accepted at all may be asked on a thread, too:
/// [`on_upgrade_blocks`](Self::on_upgrade_blocks).
///
/// An `Err`, or a panic, of what is called for an open connection closes it with 1011, and costs no other; a panic
/// before that answers 500.
///
/// # Who may send with what
///
/// The [`Outbox`] is for the connection that is called for, here and now. A `Sender` is for other threads: its calls
/// that send messages wait for the peer, and on a loop also for what only that loop can do, which is to write the
/// 101 or what an `Outbox` has queued. They fail with the [write timeout](crate::Timeouts::write) then, and
/// nobody on the loop is served until that has passed. Its `ping`, `close` and `abort` wait for nobody.
///
/// A [`SendQueue`](crate::SendQueue) is for both, and for one message to many, on whichever loops they are: so do
/// not call those of its methods here that wait, `send`, `wait_for_room` and `flush`. It can be filled
/// from [`open`](Self::open) on, and is sent once the 101 is out.
///
/// Each of them keeps its own order. What a call sends by the `Outbox` goes out once the call has returned, and so
/// perhaps behind what it has sent by another; whoever mixes them has to live with either order. Behind a Close it
/// does not go out at all, also where `send` returned `Ok` before that: what is to be the last message is followed by
/// [`Outbox::close`], and not by [`Sender::close`] or a shutdown.
///
/// What another thread cannot do by a `Sender`, such as to change the state or to end a pause, the handler does for
/// it: [`Sender::notify`] has [`notified`](Self::notified) called, see the [last example](#work-on-other-threads).
///
/// # Examples
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
///
/// What one says, all hear. The lock is held for no longer than it takes to fill the queues. Who talks is not read
/// while much waits for it, or what it says in one go would fill its own queue; and no message is so long that it
/// alone fills all of them:
///
/// ```no_run
/// use std::sync::Mutex;
///
/// use barews::{
///     BoxError, CloseCode, CloseInfo, Config, EventHandler, Message, Outbox, Reject, Request, SendQueue, Sender,
///     Server, Status, broadcast,
/// };
///
/// const MAX_QUEUED: usize = 256 << 10;
///
/// struct Room(Mutex<Vec<SendQueue>>);
///
/// impl EventHandler for Room {
///     type State = SendQueue;
///
///     fn open(&self, _: &Request, sender: Sender) -> Result<SendQueue, Reject> {
///         let later = |_| Reject::new(Status::SERVICE_UNAVAILABLE, "later\n");
///         let queue = sender.queued(MAX_QUEUED).map_err(later)?;
///         queue.on_sent(move |_| sender.notify());
///         Ok(queue)
///     }
///
///     fn opened(&self, member: &mut SendQueue, _: &mut Outbox<'_>) -> Result<(), BoxError> {
///         self.0.lock().unwrap().push(member.clone());
///         Ok(())
///     }
///
///     fn message(
///         &self,
///         member: &mut SendQueue,
///         message: Message<'_>,
///         out: &mut Outbox<'_>,
///     ) -> Result<(), BoxError> {
///         for slow in broadcast(&*self.0.lock().unwrap(), &message.to_owned()).full {
///             slow.close_now(CloseCode::TRY_AGAIN_LATER, "you read too slowly")?;
///         }
///         if member.queued_bytes() > MAX_QUEUED / 2 {
///             out.pause_reading();
///         }
///         Ok(())
///     }
///
///     fn notified(&self, member: &mut SendQueue, out: &mut Outbox<'_>) -> Result<(), BoxError> {
///         if member.queued_bytes() <= MAX_QUEUED / 2 {
///             out.resume_reading();
///         }
///         Ok(())
///     }
///
///     fn closed(&self, member: SendQueue, _: CloseInfo) {
///         self.0.lock().unwrap().retain(|other| !other.same_queue(&member));
///     }
/// }
///
/// fn main() -> std::io::Result<()> {
///     let mut config = Config::default();
///     config.limits.max_message_size = 4 << 10;
///     Server::bind("127.0.0.1:9001")?.config(config).run_event_loop(Room(Mutex::default()))
/// }
/// ```
///
/// ## Work on other threads
///
/// What takes long is done elsewhere, and its peer is not read meanwhile, so that its answers stay in order and few
/// questions wait:
///
/// ```no_run
/// use std::sync::mpsc;
/// use std::thread;
///
/// use barews::{BoxError, EventHandler, Message, OwnedMessage, Outbox, Reject, Request, Sender, Server};
///
/// /// A question, where its answer goes, and whom to tell then.
/// type Job = (OwnedMessage, mpsc::Sender<OwnedMessage>, Sender);
///
/// struct Asking(mpsc::Sender<Job>);
///
/// impl EventHandler for Asking {
///     type State = (mpsc::Sender<OwnedMessage>, mpsc::Receiver<OwnedMessage>);
///
///     fn open(&self, _: &Request, _: Sender) -> Result<Self::State, Reject> {
///         Ok(mpsc::channel())
///     }
///
///     fn message(
///         &self,
///         (answer, _): &mut Self::State,
///         message: Message<'_>,
///         out: &mut Outbox<'_>,
///     ) -> Result<(), BoxError> {
///         out.pause_reading();
///         Ok(self.0.send((message.to_owned(), answer.clone(), out.sender()))?)
///     }
///
///     fn notified(&self, (_, answers): &mut Self::State, out: &mut Outbox<'_>) -> Result<(), BoxError> {
///         for answer in answers.try_iter() {
///             out.send(&answer)?;
///         }
///         out.resume_reading();
///         Ok(())
///     }
/// }
///
/// fn main() -> std::io::Result<()> {
///     let (asking, jobs) = mpsc::channel::<Job>();
///     thread::spawn(move || {
///         for (question, answer, sender) in jobs {
///             // What takes long, and then:
///             let _ = answer.send(question);
///             sender.notify();
///         }
///     });
///     Server::bind("127.0.0.1:9001")?.run_event_loop(Asking(asking))
/// }
/// ```
///
/// For several questions at once, count those under way in the state, pause at the most, and resume below it. What
/// [`Outbox::send`] has no room for then is kept for [`drained`](Self::drained). A flag that [`closed`](Self::closed)
/// sets tells the other threads that nobody waits any more; but while a peer is not read, its going is not noticed,
/// see [`Outbox::pause_reading`].
///
/// Who has to be recognised by something slow is asked about by [`on_upgrade`](crate::Server::on_upgrade), on a thread
/// where [`on_upgrade_blocks`](Self::on_upgrade_blocks) says so: a 401 is the answer then, in place of the 101. Where
/// that is out already, pause in [`opened`](Self::opened), and in `notified` resume, or close with 1008. No message is
/// looked at before, unless a Close of ours, a shutdown's for one, ends the pause: then it comes with
/// [`Outbox::is_closed`].
pub trait EventHandler: Send + Sync + 'static {
    /// What is kept for each connection. It stays on one thread, and need not be `Send`.
    type State: 'static;

    /// A request for a connection has passed [`on_upgrade`](crate::Server::on_upgrade): its state, or
    /// an answer in place of the 101. The `sender` is for other threads, whose calls wait until the 101 is
    /// out. It can be had later too, of [`Outbox::sender`].
    ///
    /// Which subprotocol was agreed on is `on_upgrade`'s to say, and [`Sender::subprotocol`]'s to tell. What
    /// must be undone, such as an entry in a list, is better done in [`opened`](Self::opened), which
    /// [`closed`](Self::closed) always follows: where the 101 cannot be made after this, of a header that
    /// `on_upgrade` got wrong, say, or cannot be sent, to a peer that has gone, the state is dropped without a call.
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

    /// A whole message has come. While the peer does not take what was sent by the [`Outbox`], no other is
    /// delivered, nor while that waits for others who write, see [`Outbox`]; what waits in a queue, or for a
    /// `Sender`, by itself holds up none.
    ///
    /// It may have come behind a Close of ours that another thread or a shutdown has sent, or from a peer that is
    /// gone by now: then it cannot be answered ([`Outbox::is_closed`]), and the `?` behind an
    /// [`Outbox::send`] ends the connection without a wait for the peer's Close.
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

    /// [`Sender::notify`] has been called, once or several times, by another thread or on a loop. Not before
    /// [`opened`](Self::opened), and not once a Close is due.
    ///
    /// # Errors
    ///
    /// As for [`opened`](Self::opened).
    fn notified(&self, state: &mut Self::State, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        let _ = (state, out);
        Ok(())
    }

    /// All that the [`Outbox`] sent is taken, after a time in which the peer did not take it, or in which it
    /// had to wait for others who write, or for its turn: backpressure is over, and what [`Outbox::send`] found
    /// no room for may be sent now. Not once a Close is due. It tells nothing of a
    /// [`SendQueue`](crate::SendQueue): what that holds, it says itself.
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
    /// `on_upgrade`, which is called on that thread then, and may block too: a proxy asks there which
    /// subprotocol its upstream takes. Once it has a thread, a connection keeps it until its end.
    fn needs_thread(&self, request: &Request) -> bool {
        let _ = request;
        false
    }

    /// Whether [`on_upgrade`](crate::Server::on_upgrade) has to wait for something to answer this request, such as a
    /// database that knows who it is from. It is called on a thread then, and with its answer the connection
    /// comes back to its loop. The time that takes is not the peer's. Each such request has a thread for as
    /// long: [`Limits::max_connections`](crate::Limits::max_connections) bounds them, and where no more are to be
    /// had the answer is 503.
    fn on_upgrade_blocks(&self, request: &Request) -> bool {
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
    /// or a panic of the handler's own. [`on_error`](crate::Server::on_error) is told of either.
    pub error: Option<Error>,
}
