//! How the load generator waits for the server.
//!
//! It asks again and again and never sleeps: to wake a client that does costs a server on the same
//! machine more than the echo of a small message, and one across a network nothing. With one core
//! for both, it has to sleep, or the server would hardly run.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::load::client::PATIENCE;
use crate::outcome::Outcome;

/// Level-triggered epoll.
pub(crate) struct Waiter {
    epoll: Epoll,
    sleeps: bool,
    patience: Duration,
    /// Time in which there was nothing to do.
    idle: Duration,
}

impl Waiter {
    pub(crate) fn new(sleeps: bool) -> Outcome<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        Ok(Self { epoll, sleeps, patience: PATIENCE, idle: Duration::ZERO })
    }

    /// Has `number` reported when `stream` can be read.
    pub(crate) fn add(&self, stream: impl AsFd, number: usize) -> Outcome<()> {
        Ok(self.epoll.add(stream, EpollEvent::new(EpollFlags::EPOLLIN, number as u64))?)
    }

    /// The same, and when it can be written, if that is awaited.
    pub(crate) fn change(&self, stream: impl AsFd, number: usize, writes: bool) -> Outcome<()> {
        let mut interest = EpollFlags::EPOLLIN;
        interest.set(EpollFlags::EPOLLOUT, writes);
        Ok(self.epoll.modify(stream, &mut EpollEvent::new(interest, number as u64))?)
    }

    /// Waits until something happens; none of `events` if nothing does.
    pub(crate) fn wait<'e>(&mut self, events: &'e mut [EpollEvent]) -> Outcome<&'e [EpollEvent]> {
        let mut count = self.epoll.wait(events, EpollTimeout::ZERO)?;
        if count == 0 {
            let start = Instant::now();
            while count == 0 && start.elapsed() < self.patience {
                let timeout = match self.sleeps {
                    true => EpollTimeout::try_from(self.patience)?,
                    false => EpollTimeout::ZERO,
                };
                count = self.epoll.wait(events, timeout)?;
            }
            self.idle += start.elapsed();
        }
        Ok(&events[..count])
    }

    /// How long there has been nothing to do, all in all.
    pub(crate) fn idle(&self) -> Duration {
        self.idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn what_happens_is_reported_and_idle_time_is_counted() {
        for sleeps in [false, true] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut theirs, _) = listener.accept().unwrap();
            let patience = Duration::from_millis(20);
            let mut waiter = Waiter { patience, ..Waiter::new(sleeps).unwrap() };
            waiter.add(&ours, 7).unwrap();
            let mut events = [EpollEvent::empty(); 4];
            assert!(waiter.wait(&mut events).unwrap().is_empty());
            assert!(waiter.idle() >= patience);

            waiter.patience = PATIENCE;
            theirs.write_all(b"x").unwrap();
            let [event] = waiter.wait(&mut events).unwrap() else { panic!("one event") };
            assert_eq!((event.data(), event.events()), (7, EpollFlags::EPOLLIN));
            // It is still to be read: no idle time.
            let idle = waiter.idle();
            waiter.change(&ours, 7, true).unwrap();
            let [event] = waiter.wait(&mut events).unwrap() else { panic!("one event") };
            assert_eq!(event.events(), EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT);
            assert_eq!(waiter.idle(), idle);
            ours.read_exact(&mut [0]).unwrap();
        }
    }
}
