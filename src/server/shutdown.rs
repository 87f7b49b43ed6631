//! What happens at shutdown.
//!
//! ```text
//! shutdown(grace)
//!   │ start   no new connection is registered; threads that accept see it within 200 ms and leave,
//!   │         and the last of them closes the listener
//!   │         a connection that is open is sent Close 1001; one still in its handshake is cut
//!   │ wait    until no handler runs, or `grace` is over; every 100 ms:
//!   │           retry    sends the Close to peers that had no room for it before
//!   │           expire   cuts peers that have not answered it within the close timeout
//!   │ cut     what is left is cut: its handler fails at its next call
//!   v
//! Server::run returns when every handler has ended; it looks after the peers meanwhile, as `wait`
//! does, since nobody may wait
//! ```

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use std::{fmt, io};

use crate::io::expiry::Expiry;
use crate::server::registry::{Event, Registry};

/// How often a shutdown looks for peers that have not answered its Close in time.
const CLOSE_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Stops a [`Server`](crate::Server) from another thread, such as one that waits for `SIGTERM`.
///
/// It stops all the server's listeners, also those that are added later. All clones stop the same
/// server.
///
/// ```no_run
/// # use std::time::Duration;
/// # fn stop(handle: &barews::ShutdownHandle) {
/// handle.start();
/// while !handle.wait(Duration::from_secs(1)) {
///     println!("{} connections are left", handle.connections());
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ShutdownHandle {
    pub(crate) registry: Arc<Registry>,
}

impl ShutdownHandle {
    /// Shuts the server down gracefully: [starts](Self::start) to, and [waits](Self::wait) for the
    /// handlers to end. Connections that are left after `grace` are cut, so that
    /// their handlers fail at the next call. Then it returns; a handler that makes no further call
    /// keeps [`run`](crate::Server::run) waiting. A stream that was
    /// [taken out](crate::Connection::into_stream) of a handler which has ended is not cut.
    pub fn shutdown(&self, grace: Duration) {
        self.start();
        self.wait(grace);
        self.registry.abort_all();
    }

    /// Starts to shut the server down, and returns: nothing is accepted any more, and every
    /// connection is sent Close 1001. Peers that do not answer it within the close timeout are cut.
    /// A handler that does not come back to `recv` is not: [`shutdown`](Self::shutdown) with a grace
    /// ends its connection. Does nothing the second time. What a peer says before it has read our Close is
    /// still delivered, but cannot be answered: clients that come back should expect to ask again.
    ///
    /// Threads that accept see the shutdown within 200 ms, whatever state the listeners are in.
    /// After that, [`run`](crate::Server::run) waits for handlers only. A stream that still comes
    /// out of an accept that was under way gets 503 with `Retry-After`. What waits in a listener's
    /// backlog is left to whoever else accepts there; if nobody does, the system resets it as the
    /// listener is closed. From then on another process can bind the address, however many connections
    /// are still being closed here: one that takes over binds again and again until it can.
    pub fn start(&self) {
        self.registry.close();
    }

    /// Waits for the handlers to end, once the shutdown has been [started](Self::start); whether
    /// they have, within this time. From a handler it waits for itself, so in vain.
    pub fn wait(&self, within: Duration) -> bool {
        let deadline = Expiry::after(within);
        loop {
            let left = deadline.left().unwrap_or_default();
            if self.registry.wait(left.min(CLOSE_CHECK_INTERVAL)) {
                return true;
            }
            if left.is_zero() {
                return false;
            }
            if self.registry.is_closed() {
                self.registry.look_after();
            }
        }
    }

    /// Sends Close 1001 to so many of the connections that are open, at the most, and returns how
    /// many are open still. It waits for nobody, and does not shut the server down, which goes on to
    /// accept: called every now and then, it empties a server over a time, so that its clients do
    /// not all come back to another one at once.
    ///
    /// A connection is told once. One whose peer has no room for the Close has it by a later call,
    /// and one that does not answer it within the close timeout is cut, at once or when its handler
    /// comes back to receiving. Those in their handshake are not open yet, and those whose stream was
    /// taken out ([`Accept::hijack`](crate::Accept::hijack),
    /// [`into_stream`](crate::Connection::into_stream)) are told nothing, and not counted.
    ///
    /// ```no_run
    /// # use std::thread;
    /// # use std::time::Duration;
    /// # fn drain(handle: &barews::ShutdownHandle) {
    /// // A tenth of them every second, and those too that have opened meanwhile.
    /// let mut left = handle.close_some(0);
    /// for seconds in (1..=10).rev() {
    ///     left = handle.close_some(left.div_ceil(seconds));
    ///     thread::sleep(Duration::from_secs(1));
    /// }
    /// # }
    /// ```
    pub fn close_some(&self, most: usize) -> usize {
        self.registry.close_some(most)
    }

    /// How many connections are left to [wait](Self::wait) for: those with a handler, and those in
    /// their handshake.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.registry.handlers()
    }

    /// Looks after the server until all its threads have ended, who hold the sender of what is `heard`.
    ///
    /// # Errors
    ///
    /// Why a listener is of no more use.
    pub(crate) fn run_until_over(
        &self,
        heard: &Receiver<Event>,
        close_timeout: Duration,
    ) -> io::Result<()> {
        let mut event = heard.recv().map_err(RecvTimeoutError::from);
        loop {
            match event {
                Ok(Event::Failed(error)) => {
                    self.shutdown(close_timeout);
                    return Err(error);
                }
                Ok(Event::Closed) => {}
                Err(RecvTimeoutError::Timeout) => self.registry.look_after(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            event = heard.recv_timeout(CLOSE_CHECK_INTERVAL);
        }
    }

    /// Whether this is the thread of a handler of the server.
    pub(super) fn is_own_handler(&self) -> bool {
        self.registry.is_own_handler()
    }
}

impl fmt::Debug for ShutdownHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownHandle")
            .field("is_started", &self.registry.is_closed())
            .field("connections", &self.connections())
            .finish()
    }
}
