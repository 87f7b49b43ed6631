//! A client's connection and its handshake.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use barews::proto::OpCode;
use barews_benches::sample::{self, ACCEPT_KEY, KEY};
use nix::sys::socket::sockopt::IpBindAddressNoPort;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect as connect_to, setsockopt, socket,
};

use crate::load::extension::{self, Agreement};
use crate::load::stream::Stream;
use crate::outcome::Outcome;
use crate::server::Server;

/// A step that takes longer than this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The key is the one that [`ACCEPT_KEY`] answers. `more` are lines of the head, each with its end.
pub(crate) fn request(addr: SocketAddr, more: &str) -> Vec<u8> {
    format!(
        "GET / HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
    .into_bytes()
}

/// Whether `bytes` are the head of the right 101, all of it. `None` asks for more.
pub(crate) fn is_accepted(bytes: &[u8]) -> Option<bool> {
    let head = bytes.strip_suffix(b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(head);
    let mut lines = head.split("\r\n");
    let switches = lines.next().is_some_and(|line| line.starts_with("HTTP/1.1 101"));
    let is_key = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        name.eq_ignore_ascii_case("Sec-WebSocket-Accept") && value.trim() == ACCEPT_KEY
    };
    Some(switches && lines.any(is_key))
}

/// How many connections come from one address: Linux has about 28,000 ports for them.
const FROM_ONE_ADDRESS: usize = 16_384;

/// Connects as client `number`, over TLS where the server speaks it.
pub(crate) fn connect(server: &Server, number: usize) -> Outcome<Stream> {
    let stream = match (server.addr, (number / FROM_ONE_ADDRESS) as u8) {
        (SocketAddr::V4(to), more @ 1..) => connect_from(Ipv4Addr::new(127, 0, 1, more), to)?,
        (to, _) => TcpStream::connect(to)?,
    };
    Stream::new(stream, server.tls.clone())
}

/// All of 127.0.0.0/8 is this machine.
fn connect_from(from: Ipv4Addr, to: SocketAddrV4) -> Outcome<TcpStream> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // The port is chosen when the connection is made, so one that leads elsewhere may be used again.
    setsockopt(&socket, IpBindAddressNoPort, &true)?;
    bind(socket.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(from, 0)))?;
    connect_to(socket.as_raw_fd(), &SockaddrIn::from(to))?;
    Ok(socket.into())
}

/// How many are opened at once: a server that is woken for each by itself needs long for very many.
pub(crate) const AT_ONCE: usize = 64;

/// How often those that are open show that they are there, while it takes until the others are:
/// servers ask with a Ping after 25 s or more, and close after 120.
const PULSE: Duration = Duration::from_secs(20);

/// So many connections after their handshakes, if there is a protocol.
pub(crate) fn open_all(server: &Server, count: usize) -> Outcome<Vec<Stream>> {
    // §5.5.3: a Pong may come unasked.
    let (pong, mut shown) = (sample::client_frame(OpCode::Pong, &[], KEY), Instant::now());
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let first = streams.len();
        if !server.contestant.is_raw() && shown.elapsed() >= PULSE {
            streams.iter_mut().try_for_each(|stream: &mut Stream| stream.write_all(&pong))?;
            shown = Instant::now();
        }
        for number in first..count.min(first + AT_ONCE) {
            streams.push(match server.contestant.is_raw() {
                true => connect(server, number)?,
                false => ask(server, number, "")?,
            });
        }
        if !server.contestant.is_raw() {
            streams[first..].iter_mut().try_for_each(|stream| accepted(stream).map(drop))?;
        }
    }
    Ok(streams)
}

/// So many connections that offer permessage-deflate, and what all of them came to: they may not
/// differ, and a server that is here for compressing has to.
pub(crate) fn open_offering(
    server: &Server,
    count: usize,
) -> Outcome<(Vec<Stream>, Option<Agreement>)> {
    let (mut streams, mut agreements) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for number in 0..count {
        let mut stream = ask(server, number, extension::OFFER)?;
        let head = accepted(&mut stream)?;
        streams.push(stream);
        agreements.push(extension::agreed(&String::from_utf8_lossy(&head))?);
    }
    agreements.dedup();
    match agreements.as_slice() {
        [agreement] if agreement.is_some() == server.contestant.compresses() => {
            Ok((streams, *agreement))
        }
        _ => Err(format!("this was agreed on: {agreements:?}").into()),
    }
}

/// Connects as client `number`, and sends the request.
fn ask(server: &Server, number: usize, more: &str) -> Outcome<Stream> {
    let mut stream = connect(server, number)?;
    stream.tcp().set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&request(server.addr, more))?;
    Ok(stream)
}

/// The head of the 101.
fn accepted(stream: &mut Stream) -> Outcome<Vec<u8>> {
    let mut reply = Vec::new();
    let mut buf = [0; 1024];
    loop {
        let n = stream.read(&mut buf)?;
        reply.extend_from_slice(&buf[..n]);
        match is_accepted(&reply) {
            Some(true) => return Ok(reply),
            None if n > 0 => {}
            _ => {
                let reply = String::from_utf8_lossy(&reply);
                return Err(format!("the handshake failed: {reply:?}").into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn connections_come_from_the_address_that_they_are_to_come_from() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let SocketAddr::V4(to) = listener.local_addr().unwrap() else { panic!("not of IPv4") };
        let from = Ipv4Addr::new(127, 0, 1, 7);
        let stream = connect_from(from, to).unwrap();
        let (_, peer) = listener.accept().unwrap();
        assert_eq!((peer.ip(), peer), (from.into(), stream.local_addr().unwrap()));
    }

    #[test]
    fn only_the_right_101_is_accepted() {
        let good = format!("HTTP/1.1 101 X\r\nsec-websocket-accept: {ACCEPT_KEY}\r\n\r\n");
        assert_eq!(is_accepted(good.as_bytes()), Some(true));
        for cut in 0..good.len() {
            assert_eq!(is_accepted(&good.as_bytes()[..cut]), None);
        }
        assert_eq!(is_accepted(good.replace("101", "200").as_bytes()), Some(false));
        assert_eq!(is_accepted(good.replace("s3p", "s3q").as_bytes()), Some(false));
    }
}
