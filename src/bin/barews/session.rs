//! One connection from its first line in the log to its last.
//!
//! A [`Session`] is made when a connection opens and dropped when its handler ends, also by a
//! panic; the handler leaves its [`End`] there. From the End, and from the Close that a path chose to send
//! ([`close`]), follows who closed with which code: one line in the log, one count in the metrics.
//!
//! ```text
//! Session::open ── "open" ──> path's handler ── End ──> drop ── "connection", Metrics::ended
//! ```

mod opened;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use barews::{
    CloseCode, CloseFrame, Connection, Deadline, Error, Receiver, Request, SendQueue, Sender,
};

#[cfg(feature = "deflate")]
use crate::compression::Agreement;
use crate::drain::Progress;
use crate::log::message::MessageLog;
use crate::log::{Field, Log, describe, escape, json};
use crate::metrics::{Counters, Metrics};
use crate::os::allocator::Connected;
#[cfg(feature = "tls")]
use crate::tls::agreed;

pub use opened::Opened;

/// What a peer hears when the server shuts down: the same as the library says.
pub const SHUTDOWN: &str = "the server is shutting down";

/// What all sessions share.
pub struct SessionShared {
    pub log: Log,
    /// Whether each message has a line in the log.
    pub log_messages: bool,
    pub metrics: Metrics,
    pub stop: StopFlag,
}

/// Whether the server is to stop. Never unset.
#[derive(Default)]
pub struct StopFlag {
    set: Mutex<bool>,
    changed: Condvar,
}

/// How a connection ended.
#[derive(Debug)]
pub struct End {
    pub result: Result<(), Error>,
    /// The peer's Close.
    pub received: Option<CloseFrame>,
}

/// Counts a connection as open, and logs a line when it is made and when it is dropped.
pub struct Session {
    shared: Arc<SessionShared>,
    number: u64,
    pub counters: Arc<Counters>,
    peer: String,
    path: String,
    subprotocol: Option<String>,
    #[cfg(feature = "deflate")]
    agreement: Agreement,
    start: Instant,
    _connected: Connected,
    /// Whether the stream was given up, so that nothing of ours answers a Close.
    pub is_raw: bool,
    /// `None` until it is known, and for ever if the handler panics.
    pub end: Option<End>,
}

impl StopFlag {
    pub fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub fn is_set(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    /// Waits so long, or until it is set; whether it is.
    pub fn wait(&self, timeout: Duration) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(set, timeout, |set| !*set);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl End {
    pub fn of(conn: &Connection, result: Result<(), Error>) -> Self {
        Self { result, received: conn.close_frame().cloned() }
    }

    pub fn of_half(receiver: &Receiver, result: Result<(), Error>) -> Self {
        Self { result, received: receiver.close_frame().cloned() }
    }
}

/// Closes, and takes note of the code, which is not the peer's to choose.
pub fn close(
    conn: &mut Connection,
    counters: &Counters,
    code: CloseCode,
    reason: &str,
) -> Result<(), Error> {
    note_close(counters, code, reason);
    conn.close(code, reason)
}

/// The same for a connection in two halves, of which the one that receives sees it through.
pub fn start_close(sender: &Sender, counters: &Counters, code: CloseCode, reason: &str) {
    note_close(counters, code, reason);
    // It is sent, or one was before.
    let _ = sender.close(code, reason);
}

/// The same in place of what waits in a queue.
pub fn close_queue(queue: &SendQueue, counters: &Counters, code: CloseCode, reason: &str) {
    note_close(counters, code, reason);
    let _ = queue.close_now(code, reason);
}

/// Takes note of a Close that we chose to send.
pub fn note_close(counters: &Counters, code: CloseCode, reason: &str) {
    let _ = counters.closed.set(Box::new(CloseFrame { code, reason: reason.to_owned() }));
}

impl Session {
    #[inline(never)]
    pub fn open(shared: &Arc<SessionShared>, opened: Opened<'_>) -> Self {
        let start = Instant::now();
        let request = opened.request;
        let peer = describe::peer(request.peer_addr());
        let path = describe::path(request);
        let message_log = (shared.log_messages && shared.log.is_on()).then(|| {
            let (log, peer, path) = (shared.log.clone(), peer.clone(), path.clone());
            Box::new(MessageLog { log, peer, path })
        });
        let (number, counters) = shared.metrics.opened(start - request.accepted_at(), message_log);
        let subprotocol = opened.subprotocol.map(|name| escape::shown(name).into_owned());
        let session = Self {
            shared: Arc::clone(shared),
            number,
            counters,
            peer,
            path,
            subprotocol,
            #[cfg(feature = "deflate")]
            agreement: shared.metrics.compression.agreement(request, opened.compression),
            start,
            _connected: Connected::new(),
            is_raw: false,
            end: None,
        };
        #[cfg(feature = "deflate")]
        shared.metrics.count_agreement(session.agreement);
        session
    }

    /// Its first line.
    #[inline(never)]
    pub fn log_open(&self, request: &Request) {
        let offered = describe::subprotocols_offered(request);
        self.shared.log.log_event(
            "open",
            || {
                let agreed = match self.subprotocol {
                    // Many clients then end the connection themselves.
                    None if offered > 0 => format!(" with none of {offered} subprotocols"),
                    _ => self.agreed(),
                };
                #[cfg(feature = "deflate")]
                let agreed = agreed + &self.agreement.shown();
                let client = describe::client(Some(request));
                format!("{} {} open{agreed}{client}", self.peer, self.path)
            },
            || {
                let mut fields = describe::fields(request.peer_addr(), Some(request));
                fields.push(("subprotocol", json::optional(self.subprotocol.as_deref())));
                fields.push(("subprotocols_offered", offered.to_string()));
                #[cfg(feature = "tls")]
                fields.push(("tls", json::optional(request.tls().map(agreed::version).as_deref())));
                #[cfg(feature = "deflate")]
                fields.extend([
                    ("extensions", json::optional(self.agreement.extensions().as_deref())),
                    ("deflate_declined", json::optional(self.agreement.reason())),
                ]);
                fields
            },
        );
    }

    /// The subprotocol for a line.
    fn agreed(&self) -> String {
        self.subprotocol.iter().map(|name| format!(" as {name}")).collect()
    }

    /// The Close that we began with, if we did: by our own choice, or for all at the end.
    fn initiated(&self) -> Option<CloseFrame> {
        if let Some(frame) = self.counters.closed.get() {
            return Some((**frame).clone());
        }
        let End { result, received } = self.end.as_ref()?;
        let is_last = match (result, received) {
            (Ok(()), None) => false,
            // Nobody else is asked to go away by the one who goes.
            (_, Some(received)) => received.code == CloseCode::GOING_AWAY,
            (Err(Error::Io(_) | Error::DeadlineExceeded(Deadline::Close)), None) => true,
            (Err(_), None) => false,
        };
        // Of a drain that goes on nobody knows whom it has reached; who answers with its code was, and
        // so was who is waited for in vain.
        let is_ending = || match self.shared.metrics.drain.progress() {
            Progress::Serving => false,
            Progress::Draining => !matches!(result, Err(Error::Io(_))),
            Progress::Drained | Progress::Stopping => true,
        };
        let is_last = is_last && !self.is_raw && is_ending();
        is_last.then(|| CloseFrame { code: CloseCode::GOING_AWAY, reason: SHUTDOWN.to_owned() })
    }

    /// The Close that went out: our own, what an error calls for, or the answer to the peer's,
    /// which repeats it.
    fn sent(&self, initiated: Option<&CloseFrame>) -> Option<CloseFrame> {
        let Some(End { result, received }) = &self.end else {
            return Some(CloseFrame { code: CloseCode::INTERNAL_ERROR, reason: String::new() });
        };
        let code = match (result, initiated) {
            (Err(Error::DeadlineExceeded(Deadline::Write)), _) => return None,
            (_, Some(frame)) => return Some(frame.clone()),
            (Ok(()), _) => return received.clone().filter(|_| !self.is_raw),
            (Err(error), _) => error.close_code()?,
        };
        let reason = result.as_ref().err().map(Error::to_string).unwrap_or_default();
        Some(CloseFrame { code, reason })
    }

    /// The code that a client would say the connection ended with: `sent` was sent before whatever
    /// came of it.
    fn code(&self, sent: Option<&CloseFrame>) -> CloseCode {
        let received = match &self.end {
            // What did not go out was not heard. Other errors are of the time after it.
            Some(End { result: Err(Error::DeadlineExceeded(Deadline::Write)), .. }) => None,
            end => end.as_ref().and_then(|end| end.received.as_ref()),
        };
        sent.or(received).map_or(CloseCode::ABNORMAL, |frame| frame.code)
    }

    /// How it ended, for people: who closed with what, and what the other side said to that.
    fn outcome(&self, code: CloseCode, initiated: Option<&CloseFrame>) -> String {
        let quoted = |frame: &CloseFrame| format!("{} {:?}", frame.code, frame.reason);
        let Some(End { result, received }) = &self.end else {
            return format!("failed {code}: the handler panicked");
        };
        match (result, initiated.map(quoted), received.as_ref().map(quoted)) {
            (Err(error @ Error::DeadlineExceeded(Deadline::Write)), Some(ours), _) => {
                format!("failed {code}: {error}, nor the close {ours}")
            }
            (Err(error), Some(ours), _) => format!("closed {ours}, then: {error}"),
            (Err(error), None, _) => format!("failed {code}: {error}"),
            (Ok(()), Some(ours), Some(theirs)) => format!("closed {ours}, answered {theirs}"),
            (Ok(()), Some(ours), None) => format!("closed {ours}"),
            (Ok(()), None, Some(theirs)) => format!("peer closed {theirs}"),
            (Ok(()), None, None) => "ended without a Close".to_owned(),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let duration = self.start.elapsed();
        let initiated = self.initiated();
        let initiated = initiated.as_ref();
        let sent = self.sent(initiated);
        let code = self.code(sent.as_ref());
        let Self { shared, counters, peer, path, end, .. } = &*self;
        let error = end.as_ref().and_then(|end| end.result.as_ref().err());
        shared.metrics.ended(self.number, duration, code, error);
        let seconds = duration.as_secs_f64();
        let (messages_in, bytes_in) = counters.received.load();
        let (messages_out, bytes_out) = counters.sent.load();
        let text = || {
            format!(
                "{peer} {path}{}: {messages_in} messages {bytes_in} bytes in, \
                 {messages_out} messages {bytes_out} bytes out, {seconds:.3} s, {}",
                self.agreed(),
                self.outcome(code, initiated),
            )
        };
        let fields = || -> Vec<Field> {
            let received = end.as_ref().and_then(|end| end.received.as_ref());
            let error = match end {
                None => Some("the handler panicked".to_owned()),
                Some(_) => error.map(Error::to_string),
            };
            let code_of = |frame: Option<&CloseFrame>| {
                frame.map_or_else(|| json::optional(None), |frame| frame.code.to_string())
            };
            let reason_of =
                |frame: Option<&CloseFrame>| json::optional(frame.map(|frame| &*frame.reason));
            vec![
                ("peer", json::string(peer)),
                ("path", json::string(path)),
                ("subprotocol", json::optional(self.subprotocol.as_deref())),
                ("seconds", format!("{seconds:.6}")),
                ("messages_in", messages_in.to_string()),
                ("bytes_in", bytes_in.to_string()),
                ("messages_out", messages_out.to_string()),
                ("bytes_out", bytes_out.to_string()),
                ("sent_code", code_of(sent.as_ref())),
                ("sent_reason", reason_of(sent.as_ref())),
                ("received_code", code_of(received)),
                ("received_reason", reason_of(received)),
                ("close_code", code.to_string()),
                ("close_reason", reason_of(initiated.or(received))),
                ("error", json::optional(error.as_deref())),
            ]
        };
        shared.log.log_event("connection", text, fields);
    }
}
