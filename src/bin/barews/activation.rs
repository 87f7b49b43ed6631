//! Listeners that a supervisor has opened (`sd_listen_fds(3)`): it owns the address and the
//! backlog, and may restart us without refusing anybody.

use std::env;
use std::io;

use barews::Listener;

/// The listeners that were passed to this process, none if it was not activated that way. Call it
/// first, before anything else opens a file.
pub(crate) fn listeners() -> io::Result<Vec<Listener>> {
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    // A child would inherit the variables, but they are not meant for it.
    if number("LISTEN_PID") != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS").unwrap_or(0).min(MOST);
    (0..count).map(|n| imp::listener(FIRST + n as i32)).collect()
}

/// The first descriptor that is passed; the others follow it.
const FIRST: i32 = 3;

/// More than anybody passes.
const MOST: u32 = 64;

#[cfg(unix)]
mod imp {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::{FromRawFd, OwnedFd};
    use std::os::unix::net::UnixListener;

    pub(super) fn listener(fd: i32) -> io::Result<Listener> {
        // SAFETY: who set LISTEN_PID to our number has opened these descriptors for us alone, and
        // nothing of ours was opened yet that could own this one. Each is taken once.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let unix = UnixListener::from(fd);
        // A socket of another family has no such address.
        if unix.local_addr().is_ok() {
            return Ok(unix.into());
        }
        let tcp = TcpListener::from(OwnedFd::from(unix));
        tcp.local_addr()?;
        Ok(tcp.into())
    }
}

#[cfg(not(unix))]
mod imp {
    use super::*;

    pub(super) fn listener(_: i32) -> io::Result<Listener> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
