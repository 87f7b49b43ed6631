//! What happens at shutdown.
//!
//! ```text
//! shutdown(grace)
//!   │ stop    no new connection is registered; threads that accept see it within 200 ms and leave,
//!   │         and the last of them closes the listener
//!   │ close   a connection that is open is sent Close 1001; one still in its handshake is cut
//!   │ wait    until no handler runs, or `grace` is over; every 100 ms:
//!   │           retry    sends the Close to peers that had no room for it before
//!   │           expire   cuts peers that have not answered it within the close timeout
//!   │ cut     what is left is cut: its handler fails at its next call
//!   v
//! Server::run returns when every handler has ended
//! ```

use std::sync::Arc;
use std::time::Duration;

use crate::io::expiry::Expiry;
use crate::server::registry::Registry;

/// How often a shutdown looks for peers that have not answered its Close in time.
const CLOSE_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Stops a [`Server`](crate::Server) from another thread, such as one that waits for `SIGTERM`.
///
/// It stops all the server's listeners, also those that are added later. All clones stop the same
/// server.
#[derive(Clone, Default)]
pub struct ShutdownHandle {
    pub(crate) registry: Arc<Registry>,
}

impl ShutdownHandle {
    /// Shuts the server down gracefully: stops accepting, sends Close 1001 to every connection, and
    /// waits for the handlers to end. Connections that are left after `grace` are cut, so that
    /// their handlers fail at the next call. Then it returns; a handler that makes no further call
    /// keeps [`run`](crate::Server::run) waiting.
    ///
    /// Threads that accept see the shutdown within 200 ms, whatever state the listeners are in.
    /// After that, [`run`](crate::Server::run) waits for handlers only. A stream that still comes
    /// out of an accept that was under way gets 503 with `Retry-After`. What waits in a listener's
    /// backlog is left to whoever else accepts there; if nobody does, the system resets it as the
    /// listener is closed.
    pub fn shutdown(&self, grace: Duration) {
        let deadline = Expiry::after(grace);
        self.registry.close();
        while let Some(left) = deadline.left()
            && !self.registry.wait(left.min(CLOSE_CHECK_INTERVAL))
        {
            self.registry.retry();
            self.registry.expire();
        }
        self.registry.abort_all();
    }
}
