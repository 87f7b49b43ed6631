//! The receivers: one thread, epoll. Those that are stuck connect, and never read.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::options::Options;
use crate::{Outcome, now};

/// One that reads.
struct Reader {
    stream: TcpStream,
    /// The start of a frame that has not come whole.
    rest: Vec<u8>,
    messages: usize,
}

/// Receives all messages, and prints a line on how old they were.
pub(crate) fn run(addr: SocketAddr, options: &Options) -> Outcome<()> {
    let stuck: Vec<_> = (0..options.stuck).map(|_| open(addr, "/stuck")).collect::<Outcome<_>>()?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut readers = Vec::new();
    for number in 0..options.receivers {
        let stream = open(addr, "/")?;
        stream.set_nonblocking(true)?;
        epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
        readers.push(Reader { stream, rest: Vec::new(), messages: 0 });
    }
    let each = options.rounds * options.batch;
    let mut left = readers.len() * each;
    // In microseconds.
    let mut ages = Vec::with_capacity(left);
    let (mut events, mut buf) = (vec![EpollEvent::empty(); 1024], vec![0; 256 << 10]);
    while left > 0 {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            let reader = &mut readers[event.data() as usize];
            left -= reader.read(&mut buf, options.size, &mut ages)?;
            if reader.messages > each {
                return Err("more messages than were sent".into());
            }
        }
    }
    ages.sort_unstable();
    let at = |share: f64| ages[((ages.len() - 1) as f64 * share) as usize] as f64 / 1e3;
    println!(
        "age when read: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, the oldest {:.1} ms",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
    );
    // The server has more to say.
    io::stdin().read_line(&mut String::new())?;
    drop(stuck);
    Ok(())
}

/// Connects, and goes through the handshake. A server sends nothing of its own behind it.
fn open(addr: SocketAddr, path: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let (mut reply, mut byte) = (Vec::new(), [0]);
    while !reply.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        reply.extend(byte);
    }
    match reply.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(stream),
        false => Err("the handshake failed".into()),
    }
}

impl Reader {
    /// Reads what has come; how many messages that was, of which each must be a frame of this length.
    fn read(&mut self, buf: &mut [u8], size: usize, ages: &mut Vec<u32>) -> Outcome<usize> {
        let len = match self.stream.read(buf) {
            Ok(0) => return Err("the server has closed a connection".into()),
            Ok(len) => len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        self.rest.extend_from_slice(&buf[..len]);
        let now = now();
        let frames = self.rest.chunks_exact(2 + size);
        let (count, used) = (frames.len(), frames.len() * (2 + size));
        for frame in frames {
            let (header, payload) = frame.split_at(2);
            if header != [0x82, size as u8] {
                return Err("no frame where one must be".into());
            }
            let stamp = payload.first_chunk().map(|stamp| u64::from_be_bytes(*stamp));
            let age = now.saturating_sub(stamp.ok_or("a short frame")?) / 1000;
            ages.push(u32::try_from(age)?);
        }
        self.rest.drain(..used);
        self.messages += count;
        Ok(count)
    }
}
