//! Lines on standard error that never hold up the server.
//!
//! Standard error may be closed, or a pipe that nobody empties, and std's macros would panic or
//! block. So one thread writes, and the others hand it lines: when it falls behind, lines are
//! counted and dropped.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Lines that may wait for the writer.
const BACKLOG: usize = 1024;

/// Hands lines to the thread that writes them.
#[derive(Clone)]
pub(crate) struct Log {
    lines: Option<SyncSender<Entry>>,
    dropped: Arc<AtomicU64>,
}

enum Entry {
    Line(String),
    /// All lines before this are written: say so.
    Flush(SyncSender<()>),
}

impl Log {
    /// A log with its thread. If there is no thread to be had, nothing is logged.
    pub(crate) fn start() -> Self {
        let (sender, receiver) = sync_channel(BACKLOG);
        let dropped = Arc::<AtomicU64>::default();
        let writer = thread::Builder::new().name("log".to_owned()).spawn({
            let dropped = Arc::clone(&dropped);
            move || write(&receiver, &dropped)
        });
        Self { lines: writer.is_ok().then_some(sender), dropped }
    }

    /// Logs a line, unless too many are waiting.
    pub(crate) fn line(&self, line: String) {
        if let Some(lines) = &self.lines
            && lines.try_send(Entry::Line(line)).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was logged is written, but not for long.
    pub(crate) fn flush(&self) {
        let (done, written) = sync_channel(1);
        if let Some(lines) = &self.lines
            && lines.try_send(Entry::Flush(done)).is_ok()
        {
            let _ = written.recv_timeout(Duration::from_millis(200));
        }
    }
}

/// A peer for a log line.
pub(crate) fn addr(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string())
}

/// Writes to standard output; whether that worked.
pub(crate) fn print(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Writes to standard error before the end of the program, if anybody listens.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn write(entries: &Receiver<Entry>, dropped: &AtomicU64) {
    for entry in entries {
        match entry {
            Entry::Line(line) => complain(&format!("barews: {line}\n")),
            Entry::Flush(done) => drop(done.try_send(())),
        }
        match dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            lost => complain(&format!("barews: {lost} lines lost\n")),
        }
    }
}
