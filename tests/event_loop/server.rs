//! A server on event loops whose handler is a closure, which tells what it was called for.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use barews::{
    BoxError, CloseInfo, Config, Connection, Error, EventHandler, Message, Outbox, Reject, Request,
    RunningServer, Sender, Server, TrySendError,
};

use super::common::stream::Stream;
use super::common::{Frame, PATIENCE, RawClient, TEXT, frame};

/// What a handler is called for.
#[derive(Clone, Copy)]
pub enum Call<'a> {
    Opened,
    Message(Message<'a>),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    Timer,
    Notified,
    Drained,
}

/// What a server tells of a connection.
#[derive(Debug)]
pub enum Told {
    /// A call, by its name; messages with what they say, if they are short.
    Call(String),
    /// What `on_error` was told.
    Error(String),
    /// The last call.
    Closed(Closed),
}

/// [`CloseInfo`] as a plain value.
#[derive(Debug)]
pub struct Closed {
    pub code: Option<u16>,
    pub error: Option<Error>,
}

type OnCall = dyn Fn(Call<'_>, &mut Conn, &mut Outbox<'_>) -> Result<(), BoxError> + Send + Sync;
type OnOpen = dyn Fn(&Request, Sender) -> Result<(), Reject> + Send + Sync;
type OnThread = dyn Fn(Connection) -> Result<(), BoxError> + Send + Sync;
type Tell = mpsc::Sender<(Option<SocketAddr>, Told)>;

/// What is kept for a connection.
pub struct Conn {
    pub peer: Option<SocketAddr>,
    /// How many messages have come.
    pub messages: usize,
    /// Whether a test has said that all was taken.
    pub is_drained: bool,
}

/// A handler that is made of closures.
pub struct Hooks {
    on: Box<OnCall>,
    open: Box<OnOpen>,
    /// For requests of `/thread`.
    thread: Option<Box<OnThread>>,
    tell: Mutex<Option<Tell>>,
}

/// A server on a free port, shut down when it is dropped.
pub struct LoopServer {
    pub addr: SocketAddr,
    pub running: RunningServer,
    told: Receiver<(Option<SocketAddr>, Told)>,
    early: RefCell<Vec<(Option<SocketAddr>, Told)>>,
}

impl Hooks {
    pub fn new<F>(on: F) -> Self
    where
        F: Fn(Call<'_>, &mut Conn, &mut Outbox<'_>) -> Result<(), BoxError> + Send + Sync + 'static,
    {
        let open = Box::new(|_: &Request, _: Sender| Ok(()));
        Self { on: Box::new(on), open, thread: None, tell: Mutex::new(None) }
    }

    /// Sends back what comes.
    pub fn echo() -> Self {
        Self::new(echo)
    }

    pub fn open(
        mut self,
        open: impl Fn(&Request, Sender) -> Result<(), Reject> + Send + Sync + 'static,
    ) -> Self {
        self.open = Box::new(open);
        self
    }

    pub fn thread(
        mut self,
        handle: impl Fn(Connection) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.thread = Some(Box::new(handle));
        self
    }

    fn call(&self, call: Call<'_>, conn: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        let name = match call {
            Call::Opened => "opened".to_owned(),
            Call::Message(message) if message.len() < 50 => {
                format!("message {}", String::from_utf8_lossy(message.as_bytes()))
            }
            Call::Message(message) => format!("message of {}", message.len()),
            Call::Ping(payload) => format!("ping {}", payload.escape_ascii()),
            Call::Pong(payload) => format!("pong {}", payload.escape_ascii()),
            Call::Timer => "timer".to_owned(),
            Call::Notified => "notified".to_owned(),
            Call::Drained => "drained".to_owned(),
        };
        self.tell(conn.peer, Told::Call(name));
        (self.on)(call, conn, out)
    }

    fn tell(&self, peer: Option<SocketAddr>, told: Told) {
        if let Some(tell) = &*self.tell.lock().unwrap() {
            // The test may have seen enough already.
            let _ = tell.send((peer, told));
        }
    }
}

/// What an echo does at a call.
pub fn echo(call: Call<'_>, _: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
    if let Call::Message(message) = call {
        out.send(message)?;
    }
    Ok(())
}

/// An echo whose loop is held up by a message, between two waits here.
pub fn gated(gate: &Arc<Barrier>) -> Hooks {
    gated_or(gate, echo)
}

/// The same for what is no echo.
pub fn gated_or<F>(gate: &Arc<Barrier>, or: F) -> Hooks
where
    F: Fn(Call<'_>, &mut Conn, &mut Outbox<'_>) -> Result<(), BoxError> + Send + Sync + 'static,
{
    let gate = Arc::clone(gate);
    Hooks::new(move |call, conn, out| match call {
        Call::Message(message) if message.as_bytes() == b"hold" => {
            gate.wait();
            gate.wait();
            Ok(())
        }
        _ => or(call, conn, out),
    })
}

/// Does this while the loop is held up, by this client of it.
pub fn while_held<T>(client: &mut RawClient, gate: &Barrier, f: impl FnOnce() -> T) -> T {
    client.send(frame(TEXT, "hold"));
    gate.wait();
    let done = f();
    gate.wait();
    done
}

impl EventHandler for Hooks {
    type State = Conn;

    fn open(&self, request: &Request, sender: Sender) -> Result<Conn, Reject> {
        (self.open)(request, sender)?;
        Ok(Conn { peer: peer(request), messages: 0, is_drained: false })
    }

    fn opened(&self, conn: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.call(Call::Opened, conn, out)
    }

    fn message(
        &self,
        conn: &mut Conn,
        message: Message<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), BoxError> {
        conn.messages += 1;
        self.call(Call::Message(message), conn, out)
    }

    fn ping(&self, conn: &mut Conn, payload: &[u8], out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.call(Call::Ping(payload), conn, out)
    }

    fn pong(&self, conn: &mut Conn, payload: &[u8], out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.call(Call::Pong(payload), conn, out)
    }

    fn timer(&self, conn: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.call(Call::Timer, conn, out)
    }

    fn notified(&self, conn: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.call(Call::Notified, conn, out)
    }

    fn drained(&self, conn: &mut Conn, out: &mut Outbox<'_>) -> Result<(), BoxError> {
        self.call(Call::Drained, conn, out)
    }

    fn closed(&self, conn: Conn, how: CloseInfo) {
        let code = how.close_frame.map(|frame| frame.code.0);
        self.tell(conn.peer, Told::Closed(Closed { code, error: how.error }));
    }

    fn needs_thread(&self, request: &Request) -> bool {
        self.thread.is_some() && request.target() == "/thread"
    }

    fn on_upgrade_blocks(&self, request: &Request) -> bool {
        request.path() == "/asked"
    }

    fn handle(&self, conn: Connection) -> Result<(), BoxError> {
        self.thread.as_ref().expect("it was asked for")(conn)
    }
}

/// The default configuration with one loop, changed.
pub fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config { event_loops: Some(1), ..Config::default() };
    change(&mut config);
    config
}

/// A server on a free port: of TLS where the tests are run over that, and beside a Unix-domain socket where
/// they are run over those.
pub fn bind() -> Server {
    let server = Server::bind("127.0.0.1:0").expect("bind");
    #[cfg(feature = "tls")]
    if over_tls() {
        return server.tls(super::common::tls::SERVER.clone());
    }
    #[cfg(target_os = "linux")]
    if over_unix() {
        let unix = super::common::unix::listen(server.local_addr().expect("an address"));
        return server.with_listener(unix).expect("another listener");
    }
    server
}

/// Whether the tests are run over Unix-domain sockets.
pub const fn over_unix() -> bool {
    #[cfg(target_os = "linux")]
    return super::common::unix::over_unix();
    #[cfg(not(target_os = "linux"))]
    false
}

/// Whether the tests are run over TLS.
pub fn over_tls() -> bool {
    #[cfg(feature = "tls")]
    return super::common::over_tls();
    #[cfg(not(feature = "tls"))]
    false
}

/// The address that a client goes by.
fn peer(request: &Request) -> Option<SocketAddr> {
    #[cfg(target_os = "linux")]
    if over_unix() {
        return super::common::unix::client(request);
    }
    request.peer_addr()
}

impl LoopServer {
    /// An echo on one loop.
    pub fn echo() -> Self {
        Self::start(config(|_| ()), Hooks::echo())
    }

    pub fn start(config: Config, hooks: Hooks) -> Self {
        Self::with(|server| server.config(config), hooks)
    }

    pub fn with(set_up: impl FnOnce(Server) -> Server, hooks: Hooks) -> Self {
        let (tell, told) = mpsc::channel();
        *hooks.tell.lock().unwrap() = Some(tell.clone());
        let tell = Mutex::new(tell);
        let server = set_up(bind());
        let server = server.on_error(move |context, error| {
            let peer = context.peer_addr().or_else(|| peer(context.request()?));
            let told = (peer, Told::Error(error.to_string()));
            let _ = tell.lock().unwrap().send(told);
        });
        let running = server.spawn_event_loop(hooks).expect("a server");
        Self { addr: running.addr(), running, told, early: RefCell::default() }
    }

    pub fn connect(&self) -> RawClient {
        RawClient::connect_tls(self.addr)
    }

    pub fn open(&self) -> RawClient {
        self.connect().opened()
    }

    /// What is told next of this client.
    pub fn next(&self, client: &RawClient) -> Told {
        self.next_within(client.addr, PATIENCE).expect("something is told")
    }

    /// What is told next of the client with this address, if anything is within this time.
    pub fn next_within(&self, peer: SocketAddr, within: Duration) -> Option<Told> {
        let mut early = self.early.borrow_mut();
        // Who has sent no request over a Unix-domain socket is not known.
        let is_meant = |other: Option<_>| other.is_none_or(|other| other == peer);
        if let Some(at) = early.iter().position(|(other, _)| is_meant(*other)) {
            return Some(early.remove(at).1);
        }
        let start = Instant::now();
        loop {
            let left = within.saturating_sub(start.elapsed());
            let (other, told) = self.told.recv_timeout(left).ok()?;
            if is_meant(other) {
                return Some(told);
            }
            early.push((other, told));
        }
    }

    /// Waits for these calls, and no others before them.
    pub fn expect_calls(&self, client: &RawClient, calls: &[&str]) {
        for call in calls {
            match self.next(client) {
                Told::Call(name) if name == *call => {}
                other => panic!("expected {call}, got {other:?}"),
            }
        }
    }

    /// What `on_error` is told next, before any other call.
    pub fn error(&self, client: &RawClient) -> String {
        match self.next(client) {
            Told::Error(error) => error,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    /// How it ended, before any other call.
    pub fn closed(&self, client: &RawClient) -> Closed {
        match self.next(client) {
            Told::Closed(closed) => closed,
            other => panic!("expected the end, got {other:?}"),
        }
    }

    /// All that is told until the connection ends, and how that was.
    pub fn until_closed(&self, client: &RawClient) -> (Vec<String>, Closed) {
        let mut all = Vec::new();
        loop {
            match self.next(client) {
                Told::Call(name) => all.push(name),
                Told::Error(error) => all.push(format!("error {error}")),
                Told::Closed(closed) => return (all, closed),
            }
        }
    }

    /// How a connection ends, unless nothing is told of it for so long before.
    pub fn closed_within(&self, client: &RawClient, within: Duration) -> Option<Closed> {
        loop {
            if let Told::Closed(closed) = self.next_within(client.addr, within)? {
                return Some(closed);
            }
        }
    }

    /// Waits for the end of a connection whose closing handshake was finished.
    pub fn expect_clean_end(&self, client: &RawClient, code: u16) {
        let (_, closed) = self.until_closed(client);
        assert!(closed.error.is_none() && closed.code == Some(code), "{closed:?}");
    }
}

/// A server of these hooks that hands out the sender of each connection.
pub fn handing_out(config: Config, hooks: Hooks) -> (LoopServer, Receiver<Sender>) {
    let (tell, senders) = mpsc::channel();
    let tell = Mutex::new(tell);
    let hooks = hooks.open(move |_, sender| {
        let _ = tell.lock().unwrap().send(sender);
        Ok(())
    });
    (LoopServer::start(config, hooks), senders)
}

/// A connection of such a server, and its sender.
pub fn open(server: &LoopServer, senders: &Receiver<Sender>) -> (RawClient, Sender) {
    let client = server.open();
    (client, senders.recv_timeout(PATIENCE).expect("a sender"))
}

/// The same client twice, to read and to send at once; `None` over TLS, whose session is one.
pub fn two_handles(client: RawClient) -> Option<(RawClient, RawClient)> {
    if over_tls() {
        println!("SKIPPED: a session of TLS is one for both directions");
        return None;
    }
    let stream = client.into_stream();
    let other = match &stream {
        #[cfg(target_os = "linux")]
        Stream::Unix(unix) => unix.try_clone().map(Stream::Unix),
        stream => stream.tcp().try_clone().map(Stream::Tcp),
    };
    Some((RawClient::over(stream), RawClient::over(other.expect("a descriptor"))))
}

/// What is sent to fill whatever room there is.
const FILLER: usize = 1 << 20;

/// Sends until the peer has no more room, and a mebibyte is queued.
pub fn fill(out: &mut Outbox<'_>) -> Result<(), BoxError> {
    loop {
        match out.send(&vec![0; FILLER][..]) {
            Ok(()) => {}
            Err(TrySendError::Full) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads all of that, and the frame behind it.
pub fn read_fill(client: &mut RawClient) -> Option<Frame> {
    loop {
        let frame = client.read_frame();
        if frame.as_ref().is_none_or(|frame| frame.payload.len() != FILLER) {
            return frame;
        }
    }
}
