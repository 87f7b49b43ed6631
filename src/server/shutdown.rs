//! The way to stop: nobody accepts any more, every connection gets a Close with 1001, and after the
//! grace what is left is cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[cfg(doc)]
use crate::Server;
use crate::io::expiry::Expiry;
use crate::server::registry::Registry;

/// How often a shutdown looks for peers that do not answer its Close in time.
const CLOSE_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Stops a [`Server`] from another thread, with all its listeners, whenever they were added. All
/// clones stop the same server.
#[derive(Clone, Default)]
pub struct ShutdownHandle {
    /// Set once, and seen by those who accept soon: none of their waits is long.
    stop: Arc<AtomicBool>,
    pub(super) registry: Arc<Registry>,
}

impl ShutdownHandle {
    /// Stops the server: accepts nobody more, sends 1001 to every connection, and waits for the
    /// handlers to end. After `grace` it cuts the connections that are left, so that their
    /// handlers fail at the next call, and returns.
    ///
    /// Whatever state the listeners are in, those who accept see it within 200 ms, and then
    /// [`run`](Server::run) waits for handlers only. No accept is begun after that; a stream that
    /// still comes out of one that was under way gets 503, with `Retry-After`. What waits in a
    /// listener's backlog is left to whoever else accepts there; if nobody does, the system resets
    /// it as the listener is closed.
    pub fn shutdown(&self, grace: Duration) {
        let deadline = Expiry::after(grace);
        self.stop.store(true, Ordering::Relaxed);
        self.registry.close();
        while let Some(left) = deadline.left()
            && !self.registry.wait(Expiry::after(left.min(CLOSE_CHECK_INTERVAL)))
        {
            self.registry.retry();
            self.registry.expire();
        }
        self.registry.cut();
    }

    /// Whether the server is to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
