//! A stream in memory, for what is counted and not timed.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barews::Transport;

/// Says one thing, and then another over and over, no more than that with a read. Takes all that is
/// written.
pub struct Repeat {
    said: Vec<u8>,
    /// Where in `said` the part begins that comes again.
    again: usize,
    /// What comes next.
    next: AtomicUsize,
}

impl Repeat {
    pub fn new(first: &[u8], then: &[u8]) -> Self {
        Self { said: [first, then].concat(), again: first.len(), next: AtomicUsize::new(0) }
    }
}

impl Transport for Repeat {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let next = self.next.load(Ordering::Relaxed);
        let end = if next < self.again { self.again } else { self.said.len() };
        let len = buf.len().min(end - next);
        buf[..len].copy_from_slice(&self.said[next..next + len]);
        let next = if next + len == self.said.len() { self.again } else { next + len };
        self.next.store(next, Ordering::Relaxed);
        Ok(len)
    }

    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(bufs.iter().map(|buf| buf.len()).sum())
    }

    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}
