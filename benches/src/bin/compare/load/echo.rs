//! Messages back and forth on connections that stay.
//!
//! One thread, non-blocking. Frames are encoded beforehand, and what comes back is counted in
//! bytes; that every byte is right is checked while warming up and while the last replies come in.
//! As soon as a reply is complete the next message goes out, and all that one read completed go
//! out in one write.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::epoll::{EpollEvent, EpollFlags};

use crate::args::Options;
use crate::load::client::{self, Script};
use crate::load::histogram::Histogram;
use crate::load::wait::Waiter;
use crate::outcome::Outcome;
use crate::results::Figures;
use crate::server::Server;
use crate::work::Load;

pub(crate) fn measure(
    server: &Server,
    load: Load,
    waiter: Waiter,
    options: &Options,
) -> Outcome<Figures> {
    let script = Script::new(load.payload, load.size, load.depth, server.contestant.is_raw());
    let mut traffic = Traffic::open(server, load, waiter, script)?;
    traffic.start()?;
    traffic.run(Phase::Check, Duration::from_secs_f64(options.warm_up()))?;

    traffic.messages = 0;
    traffic.latencies = Histogram::new();
    let switches = server.switches()?;
    let (idle, cpu, start) = (traffic.waiter.idle(), server.cpu_time()?, Instant::now());
    traffic.run(Phase::Count, Duration::from_secs_f64(options.seconds))?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), server.cpu_time()? - cpu);
    let idle = traffic.waiter.idle() - idle;
    let switches = server.switches()? - switches;

    let messages = traffic.messages as f64;
    let figures = Figures {
        rate: messages / seconds,
        mb_s: messages * load.size as f64 / seconds / 1e6,
        p50_us: traffic.latencies.quantile(0.5),
        p99_us: traffic.latencies.quantile(0.99),
        cpu_us: cpu.as_secs_f64() * 1e6 / messages,
        busy: cpu.as_secs_f64() / seconds,
        load_busy: 1.0 - idle.as_secs_f64() / seconds,
        switches: Some(switches as f64 / messages),
        ..Figures::default()
    };
    traffic.finish()?;
    Ok(figures)
}

#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// Every byte is looked at.
    Check,
    /// Bytes are counted.
    Count,
    /// As `Check`, and nothing more is sent.
    Finish,
}

struct Traffic {
    waiter: Waiter,
    connections: Vec<Connection>,
    script: Script,
    depth: u64,
    buf: Vec<u8>,
    /// Completed in this phase.
    messages: u64,
    latencies: Histogram,
}

struct Connection {
    stream: TcpStream,
    /// Bytes that have been sent, and those that should be.
    sent: u64,
    to_send: u64,
    received: u64,
    /// Messages that have come back.
    done: u64,
    /// When the messages in flight were begun: how many at each time.
    begun: VecDeque<(Instant, u64)>,
    waits_to_write: bool,
}

impl Traffic {
    fn open(server: &Server, load: Load, waiter: Waiter, script: Script) -> Outcome<Self> {
        let mut connections = Vec::with_capacity(load.connections);
        for i in 0..load.connections {
            let stream = client::open(server)?;
            stream.set_nonblocking(true)?;
            waiter.add(&stream, i)?;
            connections.push(Connection {
                stream,
                sent: 0,
                to_send: 0,
                received: 0,
                done: 0,
                begun: VecDeque::new(),
                waits_to_write: false,
            });
        }
        let depth = load.depth as u64;
        let (buf, latencies) = (vec![0; 256 << 10], Histogram::new());
        Ok(Self { waiter, connections, script, depth, buf, messages: 0, latencies })
    }

    fn start(&mut self) -> Outcome<()> {
        let now = Instant::now();
        for i in 0..self.connections.len() {
            self.send(i, self.depth, now)?;
        }
        Ok(())
    }

    fn run(&mut self, phase: Phase, time: Duration) -> Outcome<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.turn(phase)? == 0 {
                return Err("nothing came back in time".into());
            }
        }
        Ok(())
    }

    /// Takes the replies that are still to come, and looks that there are no more of them.
    fn finish(&mut self) -> Outcome<()> {
        while self.connections.iter().any(|connection| !connection.begun.is_empty()) {
            if self.turn(Phase::Finish)? == 0 {
                return Err("the last replies do not come".into());
            }
        }
        match self.connections.iter().all(|c| c.received == c.done * self.script.reply) {
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
        let bytes = &self.buf[..n];
        if phase != Phase::Count && !self.script.is_reply(connection.received, bytes) {
            return Err("what came back is not what was sent".into());
        }
        connection.received += n as u64;
        let completed = connection.received / self.script.reply - connection.done;
        if completed == 0 {
            return Ok(());
        }
        connection.done += completed;
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

    /// Begins so many more messages.
    fn send(&mut self, i: usize, count: u64, now: Instant) -> Outcome<()> {
        let connection = &mut self.connections[i];
        connection.begun.push_back((now, count));
        connection.to_send += count * self.script.frame;
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
        let waits = connection.sent < connection.to_send;
        if waits != connection.waits_to_write {
            connection.waits_to_write = waits;
            self.waiter.change(&connection.stream, i, waits)?;
        }
        Ok(())
    }
}
