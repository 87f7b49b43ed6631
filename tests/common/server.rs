//! A server in this process, which tells what its API said of each connection.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[cfg(feature = "event-loop")]
use barews::EventHandler;
use barews::http::{HandshakeError, InvalidResponse};
use barews::{
    Accept, BoxError, CloseFrame, Config, Connection, Error, Server, ShutdownHandle, Upgrade,
    UpgradeError,
};

#[cfg(feature = "tls")]
use super::over_tls;
use super::{PATIENCE, RawClient, engine, r0};

/// A server on a free port, shut down when it is dropped.
pub struct TestServer {
    pub addr: SocketAddr,
    pub handle: ShutdownHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
    reports: Receiver<(SocketAddr, Report)>,
    /// Those that came while another was waited for.
    early: RefCell<Vec<(SocketAddr, Report)>>,
}

/// How a connection came out.
#[derive(Debug)]
pub enum Report {
    /// It was open, and the echo has ended.
    Ended(Ended),
    /// It never was.
    Unopened(Unopened),
}

/// What [`echo`] saw of a connection.
#[derive(Debug)]
pub struct Ended {
    /// `Ok` is the `None` of `recv`.
    pub result: Result<(), Error>,
    pub close_frame: Option<CloseFrame>,
    /// Messages received.
    pub messages: usize,
}

/// [`UpgradeError`] as a plain value.
#[derive(Debug, PartialEq)]
pub enum Unopened {
    Io(ErrorKind),
    NoRequest,
    Accept(ErrorKind),
    TimedOut,
    #[cfg(feature = "tls")]
    Tls(barews::rustls::Error),
    Refused(HandshakeError),
    Answered(u16),
    Panicked(String),
    InvalidLimits(String),
    InvalidResponse(InvalidResponse),
    TooManyConnections,
}

/// The echo of the README. When it is over, the connection must say so for ever.
pub fn echo(conn: &mut Connection) -> Ended {
    let mut buf = Vec::new();
    let mut messages = 0;
    let result = loop {
        match conn.recv(&mut buf) {
            Ok(Some(message)) => {
                messages += 1;
                if let Err(error) = conn.write(message) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    for _ in 0..2 {
        match (&result, conn.recv(&mut buf)) {
            (Ok(()), Ok(None)) | (Err(_), Err(Error::Closed)) => {}
            (before, after) => panic!("first {before:?}, then {after:?}"),
        }
        assert!(matches!(conn.send("late"), Err(Error::Closed)));
        assert!(matches!(conn.write("late"), Err(Error::Closed)));
    }
    Ended { result, close_frame: conn.close_frame().cloned(), messages }
}

impl TestServer {
    /// An echo server with the default configuration.
    pub fn start() -> Self {
        Self::echo(Config::default())
    }

    /// An echo server.
    pub fn echo(config: Config) -> Self {
        Self::echo_with(|server| server.config(config))
    }

    /// An echo server with callbacks.
    pub fn echo_with(set_up: impl FnOnce(Server) -> Server) -> Self {
        let (sender, reports) = channel();
        let told = {
            let sender = sender.clone();
            move |peer: Option<SocketAddr>, ended| {
                let peer = peer.expect("TCP has addresses");
                // The test may have seen enough already.
                let _ = sender.send((peer, Report::Ended(ended)));
            }
        };
        Self::spawn(set_up, |server| engine::run_echo(server, told), sender, reports)
    }

    /// A server with a handler of the test's own; only what was not opened is reported.
    pub fn with_handler<H>(set_up: impl FnOnce(Server) -> Server, handler: H) -> Self
    where
        H: Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        let (sender, reports) = channel();
        Self::spawn(set_up, |server| engine::run(server, handler), sender, reports)
    }

    /// The same on event loops.
    #[cfg(feature = "event-loop")]
    #[allow(unused, reason = "for the tests of event loops")]
    pub fn with_event_handler<H: EventHandler>(
        set_up: impl FnOnce(Server) -> Server,
        handler: H,
    ) -> Self {
        let (sender, reports) = channel();
        Self::spawn(set_up, |server| server.run_event_loop(handler), sender, reports)
    }

    fn spawn(
        set_up: impl FnOnce(Server) -> Server,
        run: impl FnOnce(Server) -> io::Result<()> + Send + 'static,
        sender: Sender<(SocketAddr, Report)>,
        reports: Receiver<(SocketAddr, Report)>,
    ) -> Self {
        let server = Server::bind("127.0.0.1:0").expect("bind");
        #[cfg(feature = "tls")]
        let server = match over_tls() {
            true => server.tls(super::tls::SERVER.clone()),
            false => server,
        };
        let server = set_up(server.on_error(move |context, error| {
            // What is about no stream has no address.
            if let (Some(error), Some(peer)) = (error.downcast_ref(), context.peer_addr()) {
                let _ = sender.send((peer, Report::Unopened(Unopened::new(error))));
            }
        }));
        let (addr, handle) = (server.local_addr().unwrap(), server.shutdown_handle());
        let thread = thread::spawn(move || run(server));
        Self { addr, handle, thread: Some(thread), reports, early: RefCell::default() }
    }

    /// A TCP connection to the server.
    pub fn connect(&self) -> RawClient {
        RawClient::connect_tls(self.addr)
    }

    /// An open WebSocket connection to the server.
    pub fn open(&self) -> RawClient {
        self.connect().opened()
    }

    /// Waits until nobody is connected.
    #[allow(dead_code, reason = "for tests of memory")]
    pub fn settle(&self) {
        let start = Instant::now();
        while self.handle.connections() > 0 {
            assert!(start.elapsed() < PATIENCE, "{} connections", self.handle.connections());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What the server says of the client with this address, once that has ended.
    pub fn report(&self, peer: SocketAddr) -> Report {
        let mut early = self.early.borrow_mut();
        if let Some(at) = early.iter().position(|(other, _)| *other == peer) {
            return early.remove(at).1;
        }
        loop {
            let (other, report) = self.reports.recv_timeout(PATIENCE).expect("a report");
            if other == peer {
                return report;
            }
            early.push((other, report));
        }
    }

    /// What [`echo`] saw of the client with this address.
    pub fn ended(&self, peer: SocketAddr) -> Ended {
        match self.report(peer) {
            Report::Ended(ended) => ended,
            report => panic!("the connection never opened: {report:?}"),
        }
    }

    /// Why the client with this address got no connection.
    pub fn unopened(&self, peer: SocketAddr) -> Unopened {
        match self.report(peer) {
            Report::Unopened(unopened) => unopened,
            report => panic!("the connection opened: {report:?}"),
        }
    }

    /// Shuts the server down, and waits for `run` to return. How long both took.
    pub fn stop(&mut self, grace: Duration) -> Duration {
        let start = Instant::now();
        self.handle.shutdown(grace);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("run does not panic").expect("run returns Ok");
        }
        start.elapsed()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.handle.shutdown(Duration::from_millis(100));
        if let Some(thread) = self.thread.take() {
            // A test that fails has said why; it needs no second panic.
            let result = thread.join();
            assert!(thread::panicking() || matches!(result, Ok(Ok(()))), "{result:?}");
        }
    }
}

impl Unopened {
    pub fn new(error: &UpgradeError) -> Self {
        match error {
            UpgradeError::Io(error) => Self::Io(error.kind()),
            UpgradeError::NoRequest => Self::NoRequest,
            UpgradeError::Accept(error) => Self::Accept(error.kind()),
            UpgradeError::TimedOut => Self::TimedOut,
            #[cfg(feature = "tls")]
            UpgradeError::Tls(error) => Self::Tls(error.clone()),
            UpgradeError::Refused(refusal) => Self::Refused(*refusal),
            UpgradeError::Rejected(status) => Self::Answered(status.code()),
            UpgradeError::Panicked(said) => Self::Panicked(said.clone()),
            UpgradeError::InvalidLimits(wrong) => Self::InvalidLimits(wrong.clone()),
            UpgradeError::InvalidResponse(error) => Self::InvalidResponse(*error),
            UpgradeError::TooManyConnections => Self::TooManyConnections,
            other => panic!("a new kind of error: {other:?}"),
        }
    }
}

/// A connection and its client, both for the test to drive, with no server between.
pub fn pair(config: &Config) -> (Connection, RawClient) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = listener.local_addr().expect("local_addr");
    // On a thread of its own, for what TLS has to say to it first.
    let client = thread::spawn(move || {
        let mut client = RawClient::connect_tls(addr);
        client.send(r0().bytes());
        client
    });
    let (stream, _) = listener.accept().expect("accept");
    stream.set_nodelay(true).expect("set_nodelay");
    // A call that waits in vain ends all the same, though the test has but one thread.
    let mut config = config.clone();
    config.timeouts.idle_timeout = config.timeouts.idle_timeout.min(PATIENCE);
    let upgrade = handshake(stream, &config);
    let mut client = client.join().expect("no panic");
    let conn = upgrade.accept(&Accept::new()).expect("a valid answer");
    client.expect_upgrade();
    (conn, client)
}

/// Reads a request, over TLS where the tests are run over that.
pub fn handshake(stream: TcpStream, config: &Config) -> Upgrade {
    #[cfg(feature = "tls")]
    if over_tls() {
        let stream = barews::TlsStream::new(stream, super::tls::SERVER.clone()).expect("settings");
        return Upgrade::handshake(stream, config).expect("a valid request");
    }
    Upgrade::handshake(stream, config).expect("a valid request")
}

/// Whether nobody listens at this address. A connection of somebody else's may have the port by now.
pub fn is_unheard(addr: SocketAddr) -> bool {
    TcpListener::bind(addr).is_ok() || TcpStream::connect(addr).is_err()
}
