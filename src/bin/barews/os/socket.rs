//! What std's sockets cannot be told or asked.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use barews::RawStream;

/// Connections that may wait to be accepted. The kernel takes the smaller of this and a limit of
/// its own (`net.core.somaxconn` on Linux, 4,096 by default).
const BACKLOG: c_int = 4096;

/// The same numbers on all machines but those with MIPS and SPARC, where the calls fail.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod number {
    pub const SOL_SOCKET: i32 = 1;
    pub const SO_TYPE: i32 = 3;
    pub const SO_RCVBUF: i32 = 8;
    pub const SO_LINGER: i32 = 13;
    pub const SO_ACCEPTCONN: i32 = 30;
}

/// Those of BSD, which everybody else has kept.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod number {
    pub const SOL_SOCKET: i32 = 0xffff;
    pub const SO_TYPE: i32 = 0x1008;
    pub const SO_LINGER: i32 = 0x80;
    pub const SO_RCVBUF: i32 = 0x1002;
    pub const SO_ACCEPTCONN: i32 = 2;
}

/// The type of a socket that is a stream of bytes.
const SOCK_STREAM: c_int = 1;

/// `struct linger`, the same everywhere.
#[repr(C)]
struct Linger {
    on: c_int,
    seconds: c_int,
}

// std links the C library already.
unsafe extern "C" {
    fn listen(fd: c_int, backlog: c_int) -> c_int;
    fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, len: *mut u32)
    -> c_int;
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: u32) -> c_int;
}

/// Raises the backlog of a listener: std asks for 128, and calling `listen` again is how to have
/// another. With 128, of 500 clients that come at once many wait a second for their second try.
pub fn raise_backlog(listener: impl AsFd) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed, so it is open; no memory is passed.
    result(unsafe { listen(listener.as_fd().as_raw_fd(), BACKLOG) })
}

/// Has a TCP stream end with a reset (RST) when it is dropped: what was not sent yet is lost, and
/// so is what the peer has not read. A Unix-domain socket has no reset and just ends, and so does
/// whatever refuses this.
pub fn reset_when_closed(raw: &RawStream) {
    let Some(fd) = raw.as_fd() else { return };
    let linger = Linger { on: 1, seconds: 0 };
    set(fd, number::SO_LINGER, &linger);
}

/// Has the system keep so many bytes of what comes before we read it, or the least that it can. What
/// refuses this keeps as many as it likes.
pub fn set_receive_buffer(raw: &RawStream, bytes: c_int) {
    if let Some(fd) = raw.as_fd() {
        set(fd, number::SO_RCVBUF, &bytes);
    }
}

/// Sets an option of a socket, if it can be set.
fn set<T>(fd: BorrowedFd<'_>, name: c_int, value: &T) {
    let len = size_of::<T>() as u32;
    // SAFETY: the descriptor is borrowed, so it is open; `value` lives through the call, which reads
    // it only, and the length is its own.
    let _ = unsafe {
        setsockopt(fd.as_raw_fd(), number::SOL_SOCKET, name, (&raw const *value).cast(), len)
    };
}

/// Whether a descriptor is that of a socket whose streams can be accepted; if not, what is wrong.
pub fn check_listener(fd: RawFd) -> Result<(), String> {
    match flag(fd, number::SO_TYPE) {
        Err(error) => Err(format!("is no socket: {error}")),
        Ok(SOCK_STREAM) => match flag(fd, number::SO_ACCEPTCONN) {
            Ok(0) => Err("does not listen (Accept=yes?)".to_owned()),
            // A system that cannot tell does not forbid it.
            _ => Ok(()),
        },
        Ok(_) => Err("is no stream socket (ListenStream=) but one for datagrams".to_owned()),
    }
}

/// A socket's option whose value is an `int`. The number may be that of anything.
fn flag(fd: RawFd, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as u32;
    // SAFETY: a descriptor that is not open is an error of the call and nothing worse. `value` and
    // `len` live through it, and `len` bounds what it writes to `value`.
    result(unsafe {
        getsockopt(fd, number::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut len)
    })?;
    Ok(value)
}

fn result(status: c_int) -> io::Result<()> {
    match status {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

    #[test]
    fn edge_ab_only_a_listener_is_one() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(check_listener(tcp.as_raw_fd()), Ok(()));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (unix, _peer) = UnixDatagram::pair().unwrap();
        for fd in [udp.as_raw_fd(), unix.as_raw_fd()] {
            assert!(check_listener(fd).unwrap_err().contains("datagrams"));
        }
        let (stream, _peer) = UnixStream::pair().unwrap();
        assert!(check_listener(stream.as_raw_fd()).unwrap_err().starts_with("does not listen"));
        for fd in [-1, i32::MAX] {
            assert!(check_listener(fd).unwrap_err().starts_with("is no socket"));
        }
    }

    #[test]
    fn every_listener_may_have_a_longer_backlog() {
        raise_backlog(TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        let path = std::env::temp_dir().join(format!("barews-backlog-{}", std::process::id()));
        raise_backlog(UnixListener::bind(&path).unwrap()).unwrap();
        std::fs::remove_file(path).unwrap();
        assert!(raise_backlog(UdpSocket::bind("127.0.0.1:0").unwrap()).is_err());
    }
}
