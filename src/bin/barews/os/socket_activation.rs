//! Listeners that a supervisor has opened (`sd_listen_fds(3)`): it owns the address and the
//! backlog, and may restart us without refusing anybody.

use std::env;
use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use barews::Listener;

use super::socket;

/// The first descriptor that is passed; the others follow it.
const FIRST_FD: i32 = 3;

/// More than anybody passes.
const MAX_LISTENERS: i32 = 64;

/// The listeners that were passed to this process, none if it was not activated that way; or what
/// is wrong with them. Call it first, before anything else opens a file.
pub fn listeners() -> Result<Vec<Listener>, String> {
    // A child would inherit the variables, but they are not meant for it.
    let pid = env::var("LISTEN_PID").ok().and_then(|text| text.parse().ok());
    if pid != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let Some(count) = env::var_os("LISTEN_FDS") else { return Ok(Vec::new()) };
    let number: Option<i32> = count.to_str().and_then(|text| text.parse().ok());
    let number = number.filter(|number| (0..=MAX_LISTENERS).contains(number));
    let number = number
        .ok_or_else(|| format!("LISTEN_FDS: {count:?} is not a number up to {MAX_LISTENERS}"))?;
    (FIRST_FD..FIRST_FD + number)
        .map(|fd| {
            listener(fd)
                .map_err(|wrong| format!("LISTEN_FDS: the descriptor {fd} that was passed {wrong}"))
        })
        .collect()
}

/// The listener with this descriptor, or what it is instead.
fn listener(fd: i32) -> Result<Listener, String> {
    socket::check_listener(fd)?;
    // SAFETY: who set LISTEN_PID to our number has opened these descriptors for us alone, and
    // nothing of ours was opened yet that could own this one. Each is taken once.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let unix = UnixListener::from(fd);
    // A socket of another family has no such address.
    if unix.local_addr().is_ok() {
        return Ok(unix.into());
    }
    let tcp = TcpListener::from(OwnedFd::from(unix));
    match tcp.local_addr() {
        Ok(_) => Ok(tcp.into()),
        Err(error) => Err(format!("is neither TCP nor of a Unix domain: {error}")),
    }
}
