//! Unix-domain sockets under tests that are written for TCP, in a target of that name. A server listens
//! on both, and the name of the one is made of the port of the other.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, UnixListener, UnixStream};
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::Relaxed;

use barews::Request;
use socket2::{Domain, SockAddr, Socket, Type};

use super::PATIENCE;

/// The header that says who sends a request.
const CLIENT: &str = "X-Client";

/// Whether the tests are run over Unix-domain sockets, as they are in a target of that name.
pub const fn over_unix() -> bool {
    let name = env!("CARGO_CRATE_NAME").as_bytes();
    matches!(name, [.., b'_', b'u', b'n', b'i', b'x'])
}

/// The abstract name beside an address: no file is left of it, and no two servers have the same port.
fn name(addr: SocketAddr) -> String {
    format!("barews-test-{}-{}", std::process::id(), addr.port())
}

/// A listener beside that of TCP with this address.
pub fn listen(addr: SocketAddr) -> UnixListener {
    let name = net::SocketAddr::from_abstract_name(name(addr)).expect("a name");
    UnixListener::bind_addr(&name).expect("bind")
}

/// Connects to the one beside this address.
pub fn dial(addr: SocketAddr) -> UnixStream {
    static COUNT: AtomicU16 = AtomicU16::new(1);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let own = format!("\0barews-test-{}/{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
    socket.bind(&SockAddr::unix(own).expect("a name")).expect("bind");
    socket.connect(&SockAddr::unix(format!("\0{}", name(addr))).expect("a name")).expect("connect");
    let stream = UnixStream::from(OwnedFd::from(socket));
    stream.set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("set_write_timeout");
    stream
}

/// What stands for the address of a client. A server does not know it, but by [`named`].
pub fn stand_in(stream: &UnixStream) -> SocketAddr {
    let own = stream.local_addr().expect("local_addr");
    let name = own.as_abstract_name().and_then(|name| std::str::from_utf8(name).ok());
    let number = name.and_then(|name| name.rsplit_once('/')?.1.parse().ok());
    SocketAddr::from(([192, 0, 2, 1], number.unwrap_or(0)))
}

/// A request that says who sends it; anything else as it is.
pub fn named(bytes: &[u8], client: SocketAddr) -> Cow<'_, [u8]> {
    const END: &[u8] = b" HTTP/1.1\r\n";
    let at = bytes.windows(END.len()).position(|window| window == END);
    match at {
        Some(at) if bytes.starts_with(b"GET ") => {
            let (line, rest) = bytes.split_at(at + END.len());
            Cow::Owned([line, format!("{CLIENT}: {client}\r\n").as_bytes(), rest].concat())
        }
        _ => Cow::Borrowed(bytes),
    }
}

/// Who has sent a request.
pub fn client(request: &Request) -> Option<SocketAddr> {
    request.header(CLIENT).and_then(|client| client.parse().ok())
}

/// The number of the one socket that was accepted beside this address.
pub fn accepted(addr: SocketAddr) -> u64 {
    let table = std::fs::read_to_string("/proc/self/net/unix").expect("a table");
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let name = format!("@{}", name(addr));
    // Neither that which listens, nor one that waits.
    let row =
        rows.find(|row| row.get(7) == Some(&&*name) && row[3] != "00010000" && row[5] == "03");
    row.expect("a row")[6].parse().expect("a number")
}
