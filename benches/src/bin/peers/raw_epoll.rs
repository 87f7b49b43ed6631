//! No protocol and no threads: the limit of an event loop. One thread waits for all sockets, which
//! share one buffer; a connection has another only while its client does not take what it is owed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::raw::BUFFER;

/// Some processors copy slowly to 1 to 31 bytes ahead of where they copy from, modulo a page. What
/// the kernel has received begins near the start of one, so the buffer begins in the middle.
const PAGE: usize = 4096;

/// No connection has this number.
const LISTENER: u64 = u64::MAX;

struct Connection {
    stream: TcpStream,
    /// What was read and could not be written yet. As long as there is any, nothing more is read.
    unsent: Vec<u8>,
}

pub(crate) fn serve(addr: &str) -> io::Result<()> {
    let (listener, epoll) =
        (TcpListener::bind(addr)?, Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?);
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    let mut room = vec![0; BUFFER + PAGE];
    let start = (PAGE / 2).wrapping_sub(room.as_ptr().addr()) % PAGE;
    let buf = &mut room[start..start + BUFFER];
    // By their descriptors, which are small numbers.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = [EpollEvent::empty(); 1024];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in &events[..count] {
            if event.data() == LISTENER {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                let number = stream.as_raw_fd() as usize;
                epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?;
                connections.resize_with(connections.len().max(number + 1), || None);
                connections[number] = Some(Connection { stream, unsent: Vec::new() });
                continue;
            }
            let place = &mut connections[event.data() as usize];
            if let Some(connection) = place
                && connection.echo(buf, &epoll, event.data()).is_err()
            {
                *place = None;
            }
        }
    }
}

impl Connection {
    /// Writes what is owed, or else what is there to be read. It ends with an error, as at its end.
    fn echo(&mut self, buf: &mut [u8], epoll: &Epoll, number: u64) -> io::Result<()> {
        let owed = !self.unsent.is_empty();
        let bytes = match owed {
            true => &self.unsent[..],
            false => match self.stream.read(buf)? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                n => &buf[..n],
            },
        };
        let written = match self.stream.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            result => result?,
        };
        self.unsent = bytes[written..].to_vec();
        if owed == self.unsent.is_empty() {
            let interest = if owed { EpollFlags::EPOLLIN } else { EpollFlags::EPOLLOUT };
            epoll.modify(&self.stream, &mut EpollEvent::new(interest, number))?;
        }
        Ok(())
    }
}
