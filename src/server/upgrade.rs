//! From a stream to a connection: the opening handshake (§4.2) over a transport.
//!
//! What is said to which bytes is decided by [`Opening`]; here is what waits: for the bytes, at
//! most until the handshake deadline, and for the peer to take the answer.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;

use crate::config::Config;
use crate::connection::Connection;
use crate::connection::RawStream;
use crate::connection::Request;
use crate::connection::lifecycle::{ConnectionShared, ServerShared};
use crate::error::UpgradeError;
use crate::http::{Accept, Reject, RequestHead, Response, Status};
#[cfg(feature = "tls")]
use crate::http::{HandshakeError, HeadError};
use crate::io::any_stream::Stream;
use crate::io::expiry::Expiry;
use crate::io::stream::Sink;
use crate::io::stream::TimedStream;
#[cfg(feature = "tls")]
use crate::io::tls::PlainHttp;
use crate::io::transport::Transport;
use crate::server::terms::{accepted, today};
use crate::session::opening::{Answer, Opening, Outcome, Step};

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
    pub(crate) exchange: Exchange,
}

/// A request, how far its handshake has come, and the stream to answer it on.
pub(crate) struct Exchange {
    pub(crate) shared: Arc<ConnectionShared>,
    pub(crate) opening: Opening,
    pub(crate) request: Arc<Request>,
    /// What came behind the head in the same segment.
    pub(crate) rest: Vec<u8>,
}

/// What a well-formed request asks for.
pub(crate) enum Incoming {
    Upgrade(Upgrade),
    /// No upgrade: the application answers it.
    Plain(Exchange),
}

/// Why a stream did not become a connection, and its request, where there was one.
pub(crate) struct Unopened {
    pub(crate) error: UpgradeError,
    pub(crate) request: Option<Arc<Request>>,
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
            Ok(Incoming::Plain(exchange)) => Err(exchange.decline()),
            Err(unopened) => Err(unopened.error),
        }
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.exchange.request
    }

    pub(crate) fn shared_request(&self) -> Arc<Request> {
        self.exchange.shared_request()
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

    /// The same; calls `announce` just before the peer can know.
    pub(crate) fn accept_and(
        self,
        accept: &Accept,
        announce: impl FnOnce(),
    ) -> Result<Connection, UpgradeError> {
        let Self { mut exchange } = self;
        let Exchange { shared, opening, request, .. } = &mut exchange;
        let (terms, reply) = match accepted(shared, opening, request, accept) {
            Ok(accepted) => accepted,
            Err((answer, error)) => {
                exchange.finish(&answer);
                return Err(error);
            }
        };
        let hijacked = accept.is_hijacked();
        announce();
        if !hijacked {
            exchange.shared.writer.open(&reply).map_err(io::Error::from)?;
        }
        // What came behind the request is rare, and the answer's memory is of a good size.
        let mut received = reply;
        received.clear();
        received.append(&mut exchange.rest);
        // Once in here, since a connection on the stack takes what each thread has too little of.
        let mut conn = Connection::new(exchange.shared, exchange.request, terms.limits, received);
        if hijacked {
            conn.hijack();
        }
        #[cfg(feature = "deflate")]
        let conn = conn.with_compression(terms.agreed);
        Ok(conn)
    }

    /// Hands out the bare stream with nothing sent on it, for an answer of the caller's own; also what
    /// came behind the request. [`Accept::hijack`] does the same in a [`Server`](crate::Server).
    #[must_use]
    pub fn into_stream(self) -> RawStream {
        let Exchange { shared, rest, .. } = self.exchange;
        shared.writer.hand_over();
        let idle_timeout = shared.server.config.timeouts.idle_timeout;
        RawStream::new(shared, rest, idle_timeout)
    }

    /// Answers with something else, and closes the stream. What is returned says so.
    pub fn reject(self, reject: &Reject) -> UpgradeError {
        let Self { mut exchange } = self;
        let answer = exchange.opening.respond(reject, today());
        exchange.finish(&answer)
    }

    /// Answers that the server failed, and closes the stream.
    pub(crate) fn apologise(self) {
        self.exchange.apologise();
    }
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgrade").field("request", self.request()).finish_non_exhaustive()
    }
}

#[cfg(feature = "event-loop")]
impl Incoming {
    pub(crate) fn peer_addr(&self) -> Option<std::net::SocketAddr> {
        let (Self::Upgrade(Upgrade { exchange }) | Self::Plain(exchange)) = self;
        exchange.request.peer_addr()
    }
}

impl Exchange {
    pub(crate) fn shared_request(&self) -> Arc<Request> {
        Arc::clone(&self.request)
    }

    /// Answers a plain request, and closes the stream.
    ///
    /// # Errors
    ///
    /// If the answer is no success, or cannot be sent.
    pub(crate) fn respond(mut self, response: &Response) -> Result<(), UpgradeError> {
        let answer = self.opening.respond(response, today());
        match self.finish(&answer) {
            UpgradeError::Rejected(status) if status.code() < 400 => Ok(()),
            error => Err(error),
        }
    }

    /// Answers that this is no place for plain requests.
    pub(crate) fn decline(mut self) -> UpgradeError {
        let answer = self.opening.decline(today());
        self.finish(&answer)
    }

    /// Answers that the server failed, and closes the stream.
    pub(crate) fn apologise(mut self) {
        let answer = self.opening.fail(today());
        self.finish(&answer);
    }

    fn finish(self, answer: &Answer) -> UpgradeError {
        finish(&self.shared, answer)
    }
}

impl From<UpgradeError> for Unopened {
    /// Of a stream that gave no request.
    fn from(error: UpgradeError) -> Self {
        Self { error, request: None }
    }
}

/// Reads a request and judges it.
#[inline(never)]
pub(crate) fn read(shared: Arc<ConnectionShared>) -> Result<Incoming, Unopened> {
    let config = &shared.server.config;
    let stream = shared.stream();
    let request = |head| request(head, stream);
    let mut opening = Opening::new(config.limits.for_head());
    // Not on the stack, where it would stay a used page for the life of the connection.
    let mut bytes = vec![0; STEP];
    let mut silent = true;
    loop {
        // Not from now: the thread may have been slow to start.
        let elapsed = stream.accepted_at().elapsed();
        let Some(wait) = Opening::left(elapsed, config.timeouts.handshake) else {
            let request = opening.take_part().map(request);
            return Err(Unopened { error: finish(&shared, &opening.time_out(today())), request });
        };
        let most = STEP.min(opening.wants());
        let len = match stream.read(&mut bytes[..most], wait) {
            Ok(None) => continue,
            Ok(Some(0)) if silent => return Err(UpgradeError::NoRequest.into()),
            Ok(Some(0)) => {
                let error = UpgradeError::Io(ErrorKind::UnexpectedEof.into());
                return Err(Unopened { error, request: opening.take_part().map(request) });
            }
            Ok(Some(len)) => len,
            Err(error) => {
                let request = opening.take_part().map(request);
                let (answer, error) = unreadable(&mut opening, error, silent);
                if let Some(answer) = answer {
                    finish(&shared, &answer);
                }
                return Err(Unopened { error, request });
            }
        };
        silent = false;
        let (used, step) = opening.feed(&bytes[..len], &config.origins, today());
        let (head, is_upgrade) = match step {
            Step::More => continue,
            Step::Refused(answer, head) => {
                let error = finish(&shared, &answer);
                return Err(Unopened { error, request: head.map(request) });
            }
            Step::Upgrade(head) => (head, true),
            Step::Plain(head) => (head, false),
        };
        let (request, rest) = (request(head), bytes[used..len].to_vec());
        let exchange = Exchange { shared: Arc::clone(&shared), opening, request, rest };
        return Ok(match is_upgrade {
            true => Incoming::Upgrade(Upgrade { exchange }),
            false => Incoming::Plain(exchange),
        });
    }
}

pub(crate) fn request(head: RequestHead, stream: &TimedStream) -> Arc<Request> {
    let request = Request::new(head, stream.peer_addr(), stream.accepted_at());
    #[cfg(feature = "tls")]
    let request = request.with_tls(stream.tls());
    Arc::new(request)
}

/// What a failed read means, and what to answer before the stream is closed in a way that lets it
/// arrive. `silent` says that no read had anything to give before.
#[cold]
#[inline(never)]
pub(crate) fn unreadable(
    opening: &mut Opening,
    error: io::Error,
    silent: bool,
) -> (Option<Answer>, UpgradeError) {
    #[cfg(feature = "tls")]
    if let Some(inner) = error.get_ref() {
        if inner.is::<PlainHttp>() {
            let answer = opening.malformed(HeadError::PlainHttp, today());
            let error = answer.outcome.into();
            return (Some(answer), error);
        }
        if let Some(error) = inner.downcast_ref::<rustls::Error>() {
            // An alert may be on its way, and nothing else.
            let outcome = Outcome::Refused(HandshakeError::NotWebSocket);
            let answer = Answer { bytes: Vec::new(), outcome };
            return (Some(answer), UpgradeError::Tls(error.clone()));
        }
    }
    #[cfg(not(feature = "tls"))]
    let _ = opening;
    match silent && is_reset(&error) {
        true => (None, UpgradeError::NoRequest),
        false => (None, UpgradeError::Io(error)),
    }
}

/// Whether the peer is gone, which is not to be told from an end where nothing was sent. An error
/// with words of its own is of a transport that had heard something.
fn is_reset(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    error.get_ref().is_none()
        && matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected)
}

/// Sends the answer, and closes the stream.
fn finish(shared: &ConnectionShared, answer: &Answer) -> UpgradeError {
    let within = match answer.outcome {
        // The peer had its time, so no more of it is given than a close has.
        Outcome::TimedOut => shared.server.config.timeouts.close,
        _ => shared.writer.timeout(answer.bytes.len() as u64),
    };
    // The peer may be gone; then nobody misses the answer.
    let _ = shared.stream().write_all(&mut [IoSlice::new(&answer.bytes)], within);
    linger(shared);
    answer.outcome.into()
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

/// There is no place for the peer now, but perhaps soon.
pub(crate) fn unavailable(reason: &str) -> Response {
    Response::new(Status::SERVICE_UNAVAILABLE, reason).header("Retry-After", "1")
}
