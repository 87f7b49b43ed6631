use super::*;
use crate::config::{Config, Limits};
use crate::connection::lifecycle::ServerShared;
use crate::io::any_stream::Stream;
use crate::io::stream::TimedStream;
use crate::io::transport::Transport;
use std::io::{self, IoSlice};
use std::net::SocketAddr;

/// A stream that is never used.
struct Nothing;

impl Transport for Nothing {
    fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
    fn write_vectored(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(0)
    }
    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn connections_are_counted_in_all_and_by_source_and_given_back() {
    let limits = Limits { max_connections: 3, max_connections_per_ip: 2, ..Limits::default() };
    let context = Arc::new(ServerShared::new(Config { limits, ..Config::default() }));
    let registry = Arc::new(Registry::default());
    let register = |ip: &str| {
        let peer = SocketAddr::new(ip.parse().unwrap(), 1);
        let stream = TimedStream::new(Stream::Other(Box::new(Nothing)), Some(peer));
        let shared = Arc::new(ConnectionShared::new(stream, Arc::clone(&context)));
        registry.register(&shared).map(|guard| (guard, shared))
    };
    let first = register("10.0.0.1").unwrap();
    let mapped = register("::ffff:10.0.0.1").unwrap();
    assert!(register("10.0.0.1").is_none(), "two from one address");
    drop(mapped);
    let second = register("10.0.0.1").unwrap();
    let third = register("2001:db8::1").unwrap();
    assert!(register("10.0.0.2").is_none(), "three in all");
    drop((first, second, third));
    let network = [register("2001:db8::1").unwrap(), register("2001:db8::2:3:4:5").unwrap()];
    assert!(register("2001:db8::6").is_none(), "two from one /64");
    assert!(register("2001:db8:0:1::6").is_some());
    drop(network);
    assert_eq!(registry.lock().counted(), (0, 0));
    // A handler that has ended is waited for no more, and counts while its stream is open.
    let (guard, shared) = register("10.0.0.1").unwrap();
    drop(guard);
    assert!(registry.wait(Duration::ZERO));
    assert_eq!(registry.lock().counted(), (1, 1));
    drop(shared);
    assert_eq!(registry.lock().counted(), (0, 0));
    // Nor does one whose stream is closed, and its place is not given to another before it has ended.
    let (guard, shared) = register("10.0.0.1").unwrap();
    drop(shared);
    assert_eq!(registry.lock().counted(), (0, 0));
    let other = register("10.0.0.1").unwrap();
    drop(guard);
    assert_eq!(registry.handlers(), 1);
    assert_eq!(registry.lock().with_handlers().count(), 1);
    drop(other);
    assert_eq!(registry.lock().iter_mut().count(), 0);
}

/// A stream whose peer may have no room, so that a write that waits takes as long as a tick of
/// the kernel's clock.
#[derive(Clone, Default)]
struct Full(Arc<(AtomicBool, AtomicBool, Mutex<Vec<u8>>)>);

/// A stream that panics with every write but the first.
#[derive(Default)]
struct Panics(AtomicBool);

impl Transport for Panics {
    fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(!self.0.swap(true, Ordering::SeqCst), "once is enough");
        Ok(bufs[0].len())
    }
    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Full {
    fn read(&self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
    fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let (full, nonblocking, written) = &*self.0;
        if full.load(Ordering::SeqCst) {
            if !nonblocking.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(8));
            }
            return Err(io::ErrorKind::WouldBlock.into());
        }
        written.lock().unwrap().extend_from_slice(&bufs[0]);
        Ok(bufs[0].len())
    }
    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.1.store(nonblocking, Ordering::SeqCst);
        Ok(())
    }
    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

/// Those who have no room hold up nobody, and have their Close as soon as they have room.
#[test]
fn edge_k_peers_with_full_sockets_do_not_hold_up_the_others() {
    let context = Arc::new(ServerShared::new(Config::default()));
    let registry = Arc::new(Registry::default());
    let open = || {
        let full = Full::default();
        let stream = TimedStream::new(Stream::Other(Box::new(full.clone())), None);
        let shared = Arc::new(ConnectionShared::new(stream, Arc::clone(&context)));
        let guard = registry.register(&shared).unwrap();
        guard.set_open();
        shared.writer.open(b"101").unwrap();
        (full, shared, guard)
    };
    let peers = [(); 1000].map(|()| open());
    for (full, ..) in peers.iter().step_by(2) {
        full.0.0.store(true, Ordering::SeqCst);
    }
    let start = Instant::now();
    registry.close();
    assert!(start.elapsed() < Duration::from_secs(1));
    let was_closed = |(full, ..): &(Full, _, _)| full.0.2.lock().unwrap().starts_with(b"101\x88");
    assert!(peers.iter().skip(1).step_by(2).all(was_closed), "those with room are told");
    assert!(!peers.iter().step_by(2).any(was_closed));
    for (full, ..) in &peers {
        full.0.0.store(false, Ordering::SeqCst);
    }
    // Whoever ends one sends what found no room before.
    let one = &peers[0].1;
    one.writer.release_reader();
    one.finish(CloseAction::Abort(CloseCode::NORMAL, String::new()));
    assert!(was_closed(&peers[0]));
    registry.retry();
    assert!(peers.iter().all(was_closed));
}

/// A transport that panics is its own connection's end, and the others are told all the same.
#[test]
fn a_panic_in_a_transport_ends_its_connection_alone() {
    let context = Arc::new(ServerShared::new(Config::default()));
    let registry = Arc::new(Registry::default());
    let open = |stream: Box<dyn Transport>| {
        let stream = TimedStream::new(Stream::Other(stream), None);
        let shared = Arc::new(ConnectionShared::new(stream, Arc::clone(&context)));
        let guard = registry.register(&shared).unwrap();
        guard.set_open();
        shared.writer.open(b"101").unwrap();
        (shared, guard)
    };
    let (first, _first) = open(Box::<Panics>::default());
    let full = Full::default();
    let (_second, _guard) = open(Box::new(full.clone()));
    registry.close();
    assert!(first.writer.is_over());
    assert!(full.0.2.lock().unwrap().starts_with(b"101\x88"));
    registry.look_after();
    registry.abort_all();
}
