//! Client sockets that never block, from several addresses of the loopback network.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::TcpStream;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

/// How many addresses clients come from: each has only some 28,000 ports to offer, and a
/// connection that has ended may keep its own for a minute.
const SOURCES: usize = 16;

/// Starts to connect, from the `nth` client address. `buffer` bounds what the kernel holds in
/// each direction, in bytes.
///
/// # Errors
///
/// Only for want of descriptors, ports or memory: whether anybody listens turns out later.
pub(crate) fn connect(
    server: SocketAddr,
    nth: usize,
    buffer: Option<usize>,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(size) = buffer {
        socket.set_recv_buffer_size(size)?;
        socket.set_send_buffer_size(size)?;
    }
    let source = Ipv4Addr::new(127, 0, 0, 2 + (nth % SOURCES) as u8);
    socket.bind(&SockAddr::from(SocketAddr::from((source, 0))))?;
    match socket.connect(&SockAddr::from(server)) {
        Ok(()) => {}
        Err(error) if is_under_way(&error) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Whether a connection that was being made is there, by now.
///
/// # Errors
///
/// If it has failed.
pub(crate) fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads what is there; `None` if nothing is.
///
/// # Errors
///
/// Those of the stream. `Some(0)` is its end.
pub(crate) fn read(mut stream: &TcpStream, buf: &mut [u8]) -> io::Result<Option<usize>> {
    pending(stream.read(buf))
}

/// Writes as much as there is room for; `None` if there is none.
///
/// # Errors
///
/// Those of the stream.
pub(crate) fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<Option<usize>> {
    pending(stream.write(bytes))
}

/// Ends the connection with a reset.
pub(crate) fn reset(stream: TcpStream) {
    // Without the option it would be an orderly end, which some checks would notice.
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}

/// `None` for what is not possible now.
///
/// # Errors
///
/// All others.
pub(crate) fn pending(result: io::Result<usize>) -> io::Result<Option<usize>> {
    match result {
        Ok(len) => Ok(Some(len)),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

fn is_under_way(error: &io::Error) -> bool {
    // EINPROGRESS, which has no stable kind of its own.
    const EINPROGRESS: i32 = 115;
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(EINPROGRESS)
}
