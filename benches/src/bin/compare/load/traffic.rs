//! Messages back and forth on connections that stay.
//!
//! One thread, non-blocking. Frames are encoded beforehand, and what comes back is counted; that it
//! is right is checked while warming up and while the last replies come in. As soon as a reply is
//! complete the next message goes out, and all that one read completed go out in one write.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::load::histogram::Histogram;
use crate::load::script::Script;
use crate::load::stream::Stream;
use crate::load::wait::Waiter;
use crate::outcome::Outcome;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Phase {
    /// Every byte is looked at.
    Check,
    /// Bytes are counted.
    Count,
    /// As `Check`, and nothing more is sent.
    Finish,
}

pub(crate) struct Traffic<S: Script> {
    pub(crate) waiter: Waiter,
    connections: Vec<Connection<S::Replies>>,
    script: S,
    /// Messages in flight on each connection, and how many there will be on each in the end.
    depth: u64,
    most: u64,
    buf: Vec<u8>,
    /// Completed in this phase.
    pub(crate) messages: u64,
    /// Bytes that came in it.
    pub(crate) received: u64,
    pub(crate) latencies: Histogram,
}

struct Connection<R> {
    stream: Stream,
    /// Messages that have been begun.
    messages: u64,
    /// Bytes that have been sent, and those that should be.
    sent: u64,
    to_send: u64,
    replies: R,
    /// When the messages in flight were begun: how many at each time.
    begun: VecDeque<(Instant, u64)>,
    waits_to_write: bool,
}

impl<S: Script> Traffic<S> {
    /// The connections have been opened, and nothing was said yet.
    pub(crate) fn new(
        streams: Vec<Stream>,
        script: S,
        depth: usize,
        waiter: Waiter,
    ) -> Outcome<Self> {
        let mut connections = Vec::with_capacity(streams.len());
        for (i, stream) in streams.into_iter().enumerate() {
            stream.tcp().set_nonblocking(true)?;
            waiter.add(&stream, i)?;
            connections.push(Connection {
                stream,
                messages: 0,
                sent: 0,
                to_send: 0,
                replies: S::Replies::default(),
                begun: VecDeque::new(),
                waits_to_write: false,
            });
        }
        Ok(Self {
            waiter,
            connections,
            script,
            depth: depth as u64,
            most: u64::MAX,
            buf: vec![0; 256 << 10],
            messages: 0,
            received: 0,
            latencies: Histogram::new(),
        })
    }

    /// So many messages on each connection, and no more.
    pub(crate) fn exchange(&mut self, messages: u64) -> Outcome<()> {
        self.most = messages;
        self.start()?;
        let all = messages * self.connections.len() as u64;
        while self.messages < all {
            if self.turn(Phase::Check)? == 0 {
                return Err("nothing came back in time".into());
            }
        }
        self.finish()
    }

    pub(crate) fn start(&mut self) -> Outcome<()> {
        let now = Instant::now();
        for i in 0..self.connections.len() {
            self.send(i, self.depth, now)?;
        }
        Ok(())
    }

    /// Every byte is looked at for this time, and until as much came back as twice what is in flight:
    /// what begins with all connections at once has to sort itself out.
    pub(crate) fn warm_up(&mut self, time: Duration) -> Outcome<()> {
        self.run(Phase::Check, time)?;
        let enough = 2 * self.depth * self.connections.len() as u64;
        while self.messages < enough {
            self.run(Phase::Check, Duration::from_millis(1))?;
        }
        Ok(())
    }

    pub(crate) fn run(&mut self, phase: Phase, time: Duration) -> Outcome<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.turn(phase)? == 0 {
                return Err("nothing came back in time".into());
            }
        }
        Ok(())
    }

    /// Takes the replies that are still to come, and looks that there are no more of them.
    pub(crate) fn finish(&mut self) -> Outcome<()> {
        while self.connections.iter().any(|connection| !connection.begun.is_empty()) {
            if self.turn(Phase::Finish)? == 0 {
                return Err("the last replies do not come".into());
            }
        }
        match self.connections.iter().all(|c| self.script.is_between(&c.replies)) {
            true => Ok(()),
            false => Err("more came back than was sent".into()),
        }
    }

    /// Waits for events and handles them; how many there were.
    fn turn(&mut self, phase: Phase) -> Outcome<usize> {
        let mut events = [EpollEvent::empty(); 256];
        let events = self.waiter.wait(&mut events)?;
        for event in events {
            let i = event.data() as usize;
            if event.events().contains(EpollFlags::EPOLLOUT) {
                self.write(i)?;
            }
            if event.events() != EpollFlags::EPOLLOUT {
                self.receive(i, phase)?;
            }
        }
        Ok(events.len())
    }

    fn receive(&mut self, i: usize, phase: Phase) -> Outcome<()> {
        let connection = &mut self.connections[i];
        let n = match connection.stream.read(&mut self.buf) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let now = Instant::now();
        let (bytes, check) = (&self.buf[..n], phase != Phase::Count);
        let completed = self.script.receive(&mut connection.replies, bytes, check)?;
        self.received += n as u64;
        if completed == 0 {
            return Ok(());
        }
        self.messages += completed;
        let mut left = completed;
        while left > 0 {
            let Some((begun, count)) = connection.begun.front_mut() else {
                return Err("more came back than was sent".into());
            };
            let these = left.min(*count);
            self.latencies.record(now - *begun, these);
            left -= these;
            *count -= these;
            if *count == 0 {
                connection.begun.pop_front();
            }
        }
        match phase {
            Phase::Finish => Ok(()),
            _ => self.send(i, completed, now),
        }
    }

    /// Begins so many more messages, if there are to be so many.
    fn send(&mut self, i: usize, count: u64, now: Instant) -> Outcome<()> {
        let connection = &mut self.connections[i];
        let count = count.min(self.most - connection.messages);
        if count == 0 {
            return Ok(());
        }
        connection.begun.push_back((now, count));
        connection.messages += count;
        connection.to_send = self.script.end(connection.messages);
        self.write(i)
    }

    fn write(&mut self, i: usize) -> Outcome<()> {
        let connection = &mut self.connections[i];
        while connection.sent < connection.to_send {
            let bytes = self.script.frames(connection.sent, connection.to_send);
            match connection.stream.write(bytes) {
                Ok(n) => connection.sent += n as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        connection.stream.flush()?;
        let waits = connection.sent < connection.to_send || connection.stream.waits_to_send();
        if waits != connection.waits_to_write {
            connection.waits_to_write = waits;
            self.waiter.change(&connection.stream, i, waits)?;
        }
        Ok(())
    }
}
