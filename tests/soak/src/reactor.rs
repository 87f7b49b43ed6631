//! Many peers in one thread: each is woken when its socket or its timer calls.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// Memory that peers may use while they are awake, in bytes.
const SCRATCH: usize = 256 << 10;

/// One end of a connection, and what it does.
pub(crate) trait Peer {
    fn stream(&mut self) -> &mut TcpStream;

    /// Something has happened. Sockets tell only of changes, so what can be read or written is to
    /// be read or written until there is no more, or [`Next::Again`] returned.
    fn wake(&mut self, wake: &Wake, scratch: &mut [u8]) -> Next;
}

/// Why a peer is woken.
pub(crate) struct Wake {
    pub(crate) now: Instant,
    /// The socket calls: since it last did, something has come in or gone out.
    pub(crate) moved: bool,
    /// The server has ended its side of the stream, or both.
    pub(crate) ended: bool,
    /// The stream is gone as a whole.
    pub(crate) reset: bool,
}

/// What a peer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// For its socket.
    Socket,
    /// For its socket or this point in time.
    Until(Instant),
    /// For the others to have had their turn.
    Again,
    /// For nothing more.
    Done,
}

/// See the top of the file.
pub(crate) struct Reactor<P> {
    poll: Poll,
    events: Events,
    peers: Vec<Option<Entry<P>>>,
    free: Vec<usize>,
    /// Alarms with the entries' places; one is void unless the entry still has it.
    alarms: BinaryHeap<Reverse<(Instant, usize)>>,
    again: Vec<usize>,
    done: Vec<P>,
    scratch: Vec<u8>,
}

struct Entry<P> {
    peer: P,
    alarm: Option<Instant>,
}

impl Wake {
    /// For no reason but the time.
    pub(crate) fn at(now: Instant) -> Self {
        Self { now, moved: false, ended: false, reset: false }
    }

    fn by(event: &Event) -> Self {
        let reset = event.is_error() || (event.is_read_closed() && event.is_write_closed());
        Self { now: Instant::now(), moved: true, ended: event.is_read_closed() || reset, reset }
    }
}

impl<P: Peer> Reactor<P> {
    pub(crate) fn new() -> Self {
        Self {
            poll: Poll::new().expect("epoll"),
            events: Events::with_capacity(1024),
            peers: Vec::new(),
            free: Vec::new(),
            alarms: BinaryHeap::new(),
            again: Vec::new(),
            done: Vec::new(),
            scratch: vec![0; SCRATCH],
        }
    }

    /// How many peers there are.
    pub(crate) fn len(&self) -> usize {
        self.peers.len() - self.free.len()
    }

    /// Takes in a peer whose socket is new.
    pub(crate) fn add(&mut self, mut peer: P) {
        let at = self.free.pop().unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        let interests = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(peer.stream(), Token(at), interests).expect("a descriptor of our own");
        self.peers[at] = Some(Entry { peer, alarm: None });
    }

    pub(crate) fn peers(&self) -> impl Iterator<Item = &P> {
        self.peers.iter().flatten().map(|entry| &entry.peer)
    }

    /// Has `act` do something with each peer, from outside.
    pub(crate) fn each(&mut self, mut act: impl FnMut(&mut P, &mut [u8]) -> Next) {
        for at in 0..self.peers.len() {
            self.visit(at, &mut act);
        }
    }

    /// Waits until something happens, but not beyond `until`, and sees to all of it. Returns the
    /// peers that are done.
    pub(crate) fn turn(&mut self, until: Instant) -> Vec<P> {
        let now = Instant::now();
        let first = self.alarms.peek().map_or(until, |Reverse((alarm, _))| until.min(*alarm));
        let wait = match self.again.is_empty() {
            true => first.saturating_duration_since(now),
            false => Duration::ZERO,
        };
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("epoll: {error}"),
            _ => {}
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let wake = Wake::by(event);
            self.visit(event.token().0, |peer, scratch| peer.wake(&wake, scratch));
        }
        self.events = events;
        for at in std::mem::take(&mut self.again) {
            self.visit(at, |peer, scratch| peer.wake(&Wake::at(Instant::now()), scratch));
        }
        while let Some(&Reverse((alarm, at))) = self.alarms.peek() {
            let now = Instant::now();
            if alarm > now {
                break;
            }
            self.alarms.pop();
            if let Some(Some(entry)) = self.peers.get_mut(at)
                && entry.alarm == Some(alarm)
            {
                entry.alarm = None;
                self.visit(at, |peer, scratch| peer.wake(&Wake::at(now), scratch));
            }
        }
        std::mem::take(&mut self.done)
    }

    /// Turns until `done` says so; whether it did before `patience` was over.
    pub(crate) fn turn_until(
        &mut self,
        patience: Duration,
        mut done: impl FnMut(&Self) -> bool,
    ) -> bool {
        let end = Instant::now() + patience;
        while !done(self) {
            let now = Instant::now();
            if now >= end {
                return false;
            }
            self.turn(end.min(now + Duration::from_millis(50)));
        }
        true
    }

    fn visit(&mut self, at: usize, act: impl FnOnce(&mut P, &mut [u8]) -> Next) {
        let Some(Some(entry)) = self.peers.get_mut(at) else { return };
        match act(&mut entry.peer, &mut self.scratch) {
            Next::Socket => entry.alarm = None,
            Next::Again => self.again.push(at),
            Next::Until(alarm) => {
                if entry.alarm != Some(alarm) {
                    entry.alarm = Some(alarm);
                    self.alarms.push(Reverse((alarm, at)));
                }
            }
            Next::Done => {
                if let Some(mut entry) = self.peers[at].take() {
                    let _: io::Result<()> = self.poll.registry().deregister(entry.peer.stream());
                    self.free.push(at);
                    self.done.push(entry.peer);
                }
            }
        }
    }
}
