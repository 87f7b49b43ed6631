//! From a stream to a connection: the opening handshake (§4.2) over a transport.

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config::Config;
use crate::connection::Connection;
use crate::connection::Request;
use crate::connection::lifecycle::{ConnectionShared, ServerShared};
use crate::error::UpgradeError;
use crate::http::{
    self, Accept, Date, Handshake, HandshakeError, HeadParser, InvalidResponse, Reject, Response,
    Status,
};
use crate::io::deadline::Expiry;
use crate::io::stream::Sink;
use crate::io::stream::TimedStream;
use crate::io::transport::{Stream, Transport};
use crate::session::headroom;

/// How much is read at once, in bytes. Most requests fit.
const STEP: usize = 2048;

/// A valid request for a WebSocket connection, to be accepted or rejected.
///
/// For those who bring their own listener; [`Server`](crate::Server) does all this.
///
/// ```no_run
/// use barews::{Accept, Config, Upgrade};
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let listener = std::net::TcpListener::bind("127.0.0.1:9001")?;
///     let (stream, _) = listener.accept()?;
///     let upgrade = Upgrade::handshake(stream, &Config::default())?;
///     println!("asks for {}", upgrade.request().target());
///     let mut conn = upgrade.accept(&Accept::new())?;
///     conn.send("hello")?;
///     conn.close(barews::CloseCode::NORMAL, "")?;
///     Ok(())
/// }
/// ```
pub struct Upgrade {
    exchange: Exchange,
    handshake: Handshake,
}

/// A request that asks for no upgrade, to be answered by the application.
pub(crate) struct Plain {
    exchange: Exchange,
}

/// What a well-formed request asks for.
pub(crate) enum Incoming {
    Upgrade(Upgrade),
    Plain(Plain),
}

/// Why a stream did not become a connection, and its request, where there was one.
pub(crate) struct Unopened {
    pub(crate) error: UpgradeError,
    pub(crate) request: Option<Arc<Request>>,
}

/// A request and the stream to answer it on.
struct Exchange {
    shared: Arc<ConnectionShared>,
    request: Arc<Request>,
    /// What came behind the head in the same segment.
    rest: Vec<u8>,
}

impl Upgrade {
    /// Reads a request from `stream`, within the handshake timeout, and checks it. Of the limits,
    /// those that count connections mean nothing here, and the others hold for this one alone.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the request or the stream; the peer has been answered then, where
    /// it could be, and the stream is closed. [`UpgradeError::Io`] with `InvalidInput`, and nothing
    /// of the stream read, for a [`Config`] that contradicts itself ([`Config::validate`]).
    pub fn handshake(stream: impl Transport, config: &Config) -> Result<Self, UpgradeError> {
        config.validate()?;
        let peer = stream.peer_addr();
        let stream = TimedStream::new(Stream::Other(Box::new(stream)), peer);
        let context = Arc::new(ServerShared::new(config.clone()));
        match read(Arc::new(ConnectionShared::new(stream, context))) {
            Ok(Incoming::Upgrade(upgrade)) => Ok(upgrade),
            Ok(Incoming::Plain(plain)) => Err(plain.refuse()),
            Err(unopened) => Err(unopened.error),
        }
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.exchange.request
    }

    pub(crate) fn shared_request(&self) -> Arc<Request> {
        Arc::clone(&self.exchange.request)
    }

    /// Answers 101, and the connection is open.
    ///
    /// # Errors
    ///
    /// [`UpgradeError::InvalidResponse`] if the answer cannot be sent as it is, for a header that
    /// is malformed or ours to set, or a subprotocol that was not offered: the peer gets 500.
    pub fn accept(self, accept: &Accept) -> Result<Connection, UpgradeError> {
        self.accept_and(accept, || {})
    }

    /// The same, with a word to others just before the peer can know.
    pub(crate) fn accept_and(
        self,
        accept: &Accept,
        announce: impl FnOnce(),
    ) -> Result<Connection, UpgradeError> {
        let Self { mut exchange, handshake } = self;
        let reply = match handshake.encode(&exchange.request, accept) {
            Ok(reply) => reply,
            Err(error) => return Err(exchange.fail(error)),
        };
        announce();
        exchange.shared.writer.open(&reply).map_err(io::Error::from)?;
        let protocol = accept.selected_subprotocol().map(str::to_owned);
        // What came behind the request is rare, and the answer's memory is of a good size.
        let mut received = reply;
        received.clear();
        received.append(&mut exchange.rest);
        Ok(Connection::new(exchange.shared, exchange.request, protocol, received))
    }

    /// Answers with something else, and closes the stream. What is returned says so.
    pub fn reject(self, reject: &Reject) -> UpgradeError {
        match self.exchange.respond(reject) {
            Ok(()) => UpgradeError::Rejected(reject.status()),
            Err(error) => error,
        }
    }

    /// Answers that the server failed, and closes the stream.
    pub(crate) fn apologise(self) {
        self.exchange.apologise();
    }
}

impl Plain {
    pub(crate) fn shared_request(&self) -> Arc<Request> {
        Arc::clone(&self.exchange.request)
    }

    /// Answers, and closes the stream.
    ///
    /// # Errors
    ///
    /// If the answer is no success, or cannot be sent.
    pub(crate) fn respond(self, response: &Response) -> Result<(), UpgradeError> {
        self.exchange.respond(response)?;
        match response.status() {
            status if status.code() < 400 => Ok(()),
            status => Err(UpgradeError::Rejected(status)),
        }
    }

    /// Answers that this is no place for plain requests.
    pub(crate) fn refuse(self) -> UpgradeError {
        match self.exchange.respond(&HandshakeError::NotWebSocket.response()) {
            Ok(()) => UpgradeError::Refused(HandshakeError::NotWebSocket),
            Err(error) => error,
        }
    }

    /// Answers that the server failed, and closes the stream.
    pub(crate) fn apologise(self) {
        self.exchange.apologise();
    }
}

impl Exchange {
    /// # Errors
    ///
    /// [`UpgradeError::InvalidResponse`]; the peer got 500.
    fn respond(self, response: &Response) -> Result<(), UpgradeError> {
        match encode(response, self.is_head_request()) {
            Ok(reply) => {
                answer(&self.shared, &reply);
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn apologise(self) {
        let response = Response::new(Status::INTERNAL_SERVER_ERROR, "the server failed\n");
        // It is fit to be sent.
        let _ = self.respond(&response);
    }

    /// The application's answer is unfit to be sent.
    fn fail(self, error: InvalidResponse) -> UpgradeError {
        let response = Response::new(Status::INTERNAL_SERVER_ERROR, "no valid answer\n");
        let reply = encode(&response, self.is_head_request()).unwrap_or_default();
        answer(&self.shared, &reply);
        UpgradeError::InvalidResponse(error)
    }

    fn is_head_request(&self) -> bool {
        self.request.method() == "HEAD"
    }
}

impl From<UpgradeError> for Unopened {
    /// Of a stream that gave no request.
    fn from(error: UpgradeError) -> Self {
        Self { error, request: None }
    }
}

/// Reads a request head and judges it.
pub(crate) fn read(shared: Arc<ConnectionShared>) -> Result<Incoming, Unopened> {
    let config = &shared.server.config;
    let mut parser = HeadParser::new(config.limits.for_head());
    let (request, rest) = match read_head(shared.stream(), config, &mut parser) {
        Ok(read) => read,
        Err(UpgradeError::Refused(refusal)) => {
            return Err(refuse(&shared, refusal, parser.is_head_request()).into());
        }
        Err(UpgradeError::TimedOut) => {
            let response = Response::new(Status::REQUEST_TIMEOUT, "the request took too long\n");
            let reply = encode(&response, parser.is_head_request()).unwrap_or_default();
            // The peer had its time, so no more of it is given than a close has.
            send(shared.stream(), &reply, config.timeouts.close);
            linger(&shared);
            return Err(UpgradeError::TimedOut.into());
        }
        Err(UpgradeError::Io(error)) if error.kind() == ErrorKind::OutOfMemory => {
            let response = Response::new(Status::SERVICE_UNAVAILABLE, "no memory to be had\n");
            answer(&shared, &encoded(&response));
            return Err(UpgradeError::Io(error).into());
        }
        Err(error) => return Err(error.into()),
    };
    let exchange = Exchange { shared, request: Arc::new(request), rest };
    match judge(&exchange.request, &exchange.shared.server.config) {
        Ok(handshake) => Ok(Incoming::Upgrade(Upgrade { exchange, handshake })),
        Err(HandshakeError::NotWebSocket) => Ok(Incoming::Plain(Plain { exchange })),
        Err(refusal) => {
            let request = Some(Arc::clone(&exchange.request));
            let response = refusal.response_to(&exchange.request);
            let answered = exchange.respond(&response);
            let error = answered.err().unwrap_or(UpgradeError::Refused(refusal));
            Err(Unopened { error, request })
        }
    }
}

#[inline(never)]
fn judge(request: &Request, config: &Config) -> Result<Handshake, HandshakeError> {
    http::check_request(request)?;
    let handshake = http::check_upgrade(request)?;
    http::check_origin(request, &config.origins)?;
    Ok(handshake)
}

#[inline(never)]
fn read_head(
    stream: &TimedStream,
    config: &Config,
    parser: &mut HeadParser,
) -> Result<(Request, Vec<u8>), UpgradeError> {
    // Not from now: the thread may have been slow to start.
    let deadline = Expiry::since(stream.accepted_at(), config.timeouts.handshake);
    // Not on the stack, where it would stay a used page for the life of the connection.
    let mut bytes = vec![0; STEP];
    let mut silent = true;
    loop {
        let wait = deadline.left().ok_or(UpgradeError::TimedOut)?;
        // Of a head that is too large, no more is read than shows it.
        let most = STEP.min(parser.room().saturating_add(1));
        let len = match stream.read(&mut bytes[..most], wait) {
            Ok(None) => continue,
            Ok(Some(0)) if silent => return Err(UpgradeError::NoRequest),
            Ok(Some(0)) => return Err(UpgradeError::Io(ErrorKind::UnexpectedEof.into())),
            Ok(Some(len)) => len,
            Err(error) if silent && is_reset(&error) => return Err(UpgradeError::NoRequest),
            Err(error) => return Err(UpgradeError::Io(error)),
        };
        silent = false;
        let (used, head) = parser.feed(&bytes[..len]).map_err(HandshakeError::from)?;
        if let Some(head) = head {
            let request = Request::new(head, stream.peer_addr(), stream.accepted_at());
            return Ok((request, bytes[used..len].to_vec()));
        }
        // It is a long one, and kept in a buffer that doubles.
        if headroom::allocate(2 * len, || ()).is_none() {
            return Err(UpgradeError::Io(ErrorKind::OutOfMemory.into()));
        }
    }
}

/// Whether the peer is gone, which is not to be told from an end where nothing was sent.
fn is_reset(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}

fn refuse(
    shared: &ConnectionShared,
    refusal: HandshakeError,
    is_head_request: bool,
) -> UpgradeError {
    let frame = match refusal {
        HandshakeError::Head(error) => error.frame(),
        _ => None,
    };
    match frame {
        Some(frame) => answer(shared, frame),
        None => {
            let reply = encode(&refusal.response(), is_head_request);
            answer(shared, &reply.unwrap_or_default());
        }
    }
    UpgradeError::Refused(refusal)
}

/// Answers and closes the stream.
fn answer(shared: &ConnectionShared, reply: &[u8]) {
    send(shared.stream(), reply, shared.writer.timeout(reply.len() as u64));
    linger(shared);
}

/// Closes the stream in a way that lets the answer arrive even if the peer is still sending: what
/// comes is thrown away until the peer's end or the close deadline.
pub(crate) fn linger(shared: &ConnectionShared) {
    let stream = shared.stream();
    let deadline = Expiry::after(shared.server.config.timeouts.close);
    stream.shutdown(Shutdown::Write);
    stream.drain(deadline);
    stream.shutdown(Shutdown::Both);
}

fn send(stream: &TimedStream, reply: &[u8], within: Duration) {
    // The peer may be gone; then nobody misses the answer.
    let _ = stream.write_all(&mut [IoSlice::new(reply)], within);
}

/// A response of our own, whose headers are fit to be sent.
pub(crate) fn encoded(response: &Response) -> Vec<u8> {
    encode(response, false).unwrap_or_default()
}

/// The bytes of a response that is sent now. RFC 9110 §9.3.2: the answer to HEAD has no body.
fn encode(response: &Response, is_head_request: bool) -> Result<Vec<u8>, InvalidResponse> {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // RFC 9110 §6.6.1: no Date without a clock, as one is that stands before its own beginning.
    let date = since_1970.ok().map(|time| Date::from_unix(time.as_secs()));
    match is_head_request {
        true => response.encode_head_only(date),
        false => response.encode(date),
    }
}
