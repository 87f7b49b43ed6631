//! The second engine: a thread for each core, and many connections on each.
//!
//! It drives the same [`session`](crate::session) as the room `connection` does, and answers the same
//! bytes with the same bytes. What it decides is only when to read, to write and to look at the clock.
//! A [`Sender`](crate::Sender) is the same, too: it writes to the socket by itself, under the same
//! right to write.
//!
//! ```text
//!   engine ──▶ turn: read ──▶ opening | take_frames ──▶ session ──▶ handler ──▶ outbox ──▶ output ──▶ write
//!     ▲  │                                                                        │
//!     │  └─ deadlines                              no room: backpressure ◀──────┘
//!   mio: which sockets have changed
//! ```

mod deadlines;
mod output;
mod handler;
mod conn;
mod pool;
mod listening;
mod engine;
mod accepting;
mod ending;
mod turn;
mod opening;

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;

use crate::connection::Connection;
use crate::connection::lifecycle::ServerShared;
use crate::event_loop::engine::{Engine, Sockets, Threads};
use crate::event_loop::listening::SharedListener;
use crate::server::worker::Workers;
use crate::server::{RunningServer, Server};

pub use handler::{CloseInfo, EventHandler, Outbox};

impl Server {
    /// Serves as [`run`](Self::run) does, but on event loops: one thread for each core, which serves many
    /// connections in turn, and calls `handler` for each. **What that calls must not block.** For
    /// many connections that say little each, and where memory is dear; [`run`](Self::run) is for
    /// handlers that wait for something, and as quick for few connections or long messages.
    ///
    /// Limits, deadlines, callbacks, compression, TLS and shutdown are the same. The callbacks are
    /// called on the loops, so they must not block either, but for
    /// [`on_upgrade_blocks`](EventHandler::on_upgrade_blocks). [`Limits::max_connections`](crate::Limits::max_connections) has a default for
    /// threads; a connection here takes a descriptor and about a kibibyte.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run), and [`InvalidInput`](io::ErrorKind::InvalidInput) for a listener of
    /// [`Listener::wrapped`](crate::Listener::wrapped), whose streams may block.
    pub fn run_event_loop<H: EventHandler>(self, handler: H) -> io::Result<()> {
        self.validate()?;
        let (parts, handler) = (self.into_parts(), Arc::new(handler));
        let (events, heard) = mpsc::channel();
        let registry = Arc::clone(&parts.handle.registry);
        let count = parts.config.event_loops;
        let close_timeout = parts.config.timeouts.close;
        let shared = ServerShared::new(parts.config);
        #[cfg(feature = "deflate")]
        parts.stats.set(shared.codecs.as_ref());
        let on_thread = {
            let handler = Arc::clone(&handler);
            Box::new(move |conn: Connection| handler.handle(conn)) as Box<_>
        };
        let threads: Arc<Threads> =
            Workers::new(shared, parts.callbacks, on_thread, registry, events);
        let listeners = parts.listeners.into_iter().map(SharedListener::new).map(Arc::new);
        let listeners: Vec<_> = listeners.collect();
        let count = count.or_else(|| thread::available_parallelism().ok().map(usize::from));
        let sockets: io::Result<Vec<_>> =
            (0..count.unwrap_or(1)).map(|_| Sockets::new(&listeners)).collect();
        // The loops have them: whoever is last closes them.
        drop(listeners);
        for sockets in sockets? {
            let (handler, threads) = (Arc::clone(&handler), Arc::clone(&threads));
            let thread = thread::Builder::new().name("barews-loop".to_owned());
            let spawned = thread.spawn(move || Engine::new(handler, threads, sockets).run());
            if let Err(error) = spawned {
                // Those that serve already end, too.
                parts.handle.shutdown(close_timeout);
                return Err(error);
            }
        }
        drop(threads);
        parts.handle.run_until_over(&heard, close_timeout)
    }

    /// Serves on event loops, as [`run_event_loop`](Self::run_event_loop) does, beside what else a program does, as
    /// [`spawn`](Self::spawn) does.
    ///
    /// # Errors
    ///
    /// As for [`spawn`](Self::spawn).
    pub fn spawn_event_loop<H: EventHandler>(self, handler: H) -> io::Result<RunningServer> {
        self.validate()?;
        self.start_running(|server| server.run_event_loop(handler))
    }
}
