//! One connection from its first line in the log to its last.

use std::sync::Arc;
use std::time::Instant;

use barews::{CloseCode, CloseFrame, Connection, Deadline, Error, Sender};

use crate::app::App;
use crate::escape;
use crate::json;
use crate::log::message::Trace;
use crate::log::request::{self as describe, Field};
use crate::metrics::Tally;
use crate::routes::stall::SHUTDOWN;

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) result: Result<(), Error>,
    /// What the peer's Close said.
    pub(crate) close: Option<CloseFrame>,
}

/// Counts a connection as open, and logs a line when it is made and when it is dropped.
pub(crate) struct Visit<'a> {
    app: &'a App,
    number: u64,
    pub(crate) tally: Arc<Tally>,
    peer: String,
    path: String,
    subprotocol: Option<String>,
    start: Instant,
    /// Whether the stream was given up, so that nothing of ours answers a Close.
    pub(crate) is_raw: bool,
    /// `None` until it is known, and for ever if the handler panics.
    pub(crate) end: Option<End>,
}

impl End {
    pub(crate) fn of(conn: &Connection, result: Result<(), Error>) -> Self {
        Self { result, close: conn.close_frame().cloned() }
    }

    /// The code that a client would say the connection ended with; `ours` was sent before whatever
    /// came of it.
    fn code(&self, ours: Option<&CloseFrame>) -> CloseCode {
        match (&self.result, ours, &self.close) {
            // What did not go out was not heard. Other errors are of the time after it.
            (Err(Error::DeadlineExceeded(Deadline::Write)), ..) => CloseCode::ABNORMAL,
            (_, Some(frame), _) => frame.code,
            (Err(Error::Protocol(violation)), ..) => violation.close_code(),
            (Err(Error::Overloaded), ..) => CloseCode::TRY_AGAIN_LATER,
            (Err(Error::DeadlineExceeded(Deadline::Idle | Deadline::Message)), ..) => {
                CloseCode::POLICY_VIOLATION
            }
            (_, _, Some(frame)) => frame.code,
            _ => CloseCode::ABNORMAL,
        }
    }
}

/// Closes, and takes note of the code, which is not the peer's to choose.
pub(crate) fn close(
    conn: &mut Connection,
    tally: &Tally,
    code: CloseCode,
    reason: &str,
) -> Result<(), Error> {
    let _ = tally.closed.set(Box::new(CloseFrame { code, reason: reason.to_owned() }));
    conn.close(code, reason)
}

/// The same for a connection in two halves, of which the one that receives sees it through.
pub(crate) fn start_close(sender: &Sender, tally: &Tally, code: CloseCode, reason: &str) {
    let _ = tally.closed.set(Box::new(CloseFrame { code, reason: reason.to_owned() }));
    // It is sent, or one was before.
    let _ = sender.close(code, reason);
}

impl<'a> Visit<'a> {
    pub(crate) fn begin(app: &'a App, conn: &Connection) -> Self {
        let start = Instant::now();
        let request = conn.request();
        let peer = describe::peer(request.peer_addr());
        let path = describe::path(request);
        let trace = app.is_tracing().then(|| {
            let (log, peer, path) = (app.log.clone(), peer.clone(), path.clone());
            Box::new(Trace { log, peer, path })
        });
        let (number, tally) = app.metrics.opened(start - request.accepted_at(), trace);
        let subprotocol =
            conn.subprotocol().map(|name| escape::start(name, escape::MOST).into_owned());
        let visit =
            Self { app, number, tally, peer, path, subprotocol, start, is_raw: false, end: None };
        visit.log_open(conn);
        visit
    }

    #[inline(never)]
    fn log_open(&self, conn: &Connection) {
        let request = conn.request();
        let Self { peer, path, .. } = self;
        self.app.log.event(
            "open",
            || {
                let from = describe::from(Some(request));
                let agreed = match describe::offers(request) {
                    // Many clients then end the connection themselves.
                    n if n > 0 && self.subprotocol.is_none() => {
                        format!(" with none of {n} subprotocols")
                    }
                    _ => self.agreed(),
                };
                format!("{peer} {path} open{agreed}{from}")
            },
            || {
                let mut fields = describe::fields(request.peer_addr(), Some(request));
                fields.push(("subprotocol", json::optional(self.subprotocol.as_deref())));
                fields.push(("subprotocols_offered", describe::offers(request).to_string()));
                fields
            },
        );
    }

    /// The subprotocol for a line.
    fn agreed(&self) -> String {
        self.subprotocol.iter().map(|name| format!(" as {name}")).collect()
    }

    /// The Close that we began with, if we did: by our own choice, or for all at the end.
    fn ours(&self) -> Option<CloseFrame> {
        if let Some(frame) = self.tally.closed.get() {
            return Some((**frame).clone());
        }
        let Some(End { result, close }) = &self.end else { return None };
        let is_last = match (result, close) {
            (Ok(()), None) => false,
            // Nobody else is asked to go away by the one who goes.
            (_, Some(theirs)) => theirs.code == CloseCode::GOING_AWAY,
            (Err(Error::Io(_) | Error::DeadlineExceeded(Deadline::Close)), None) => true,
            (Err(_), None) => false,
        };
        let is_last = is_last && !self.is_raw && self.app.stop.is_set();
        is_last.then(|| CloseFrame { code: CloseCode::GOING_AWAY, reason: SHUTDOWN.to_owned() })
    }

    /// The Close that went out: our own, what an error calls for, or the answer to the peer's,
    /// which repeats it.
    fn sent(&self, ours: Option<&CloseFrame>) -> Option<CloseFrame> {
        let told = |code, error: &Error| Some(CloseFrame { code, reason: error.to_string() });
        let Some(End { result, close }) = &self.end else {
            return Some(CloseFrame { code: CloseCode::INTERNAL_ERROR, reason: String::new() });
        };
        match (result, ours) {
            (Err(Error::DeadlineExceeded(Deadline::Write)), _) => None,
            (_, Some(frame)) => Some(frame.clone()),
            (Err(error @ Error::Protocol(violation)), _) => told(violation.close_code(), error),
            (Err(error @ Error::Overloaded), _) => told(CloseCode::TRY_AGAIN_LATER, error),
            (Err(error @ Error::DeadlineExceeded(Deadline::Idle | Deadline::Message)), _) => {
                told(CloseCode::POLICY_VIOLATION, error)
            }
            (Err(_), _) => None,
            (Ok(()), _) => close.clone().filter(|_| !self.is_raw),
        }
    }

    /// How it ended, for people: who closed with what, and what the other side said to that.
    fn outcome(&self, code: CloseCode, ours: Option<&CloseFrame>) -> String {
        let said = |frame: &CloseFrame| format!("{} {:?}", frame.code, frame.reason);
        let Some(End { result, close }) = &self.end else {
            return format!("failed {code}: the handler panicked");
        };
        match (result, ours, close) {
            (Err(error @ Error::DeadlineExceeded(Deadline::Write)), Some(ours), _) => {
                format!("failed {code}: {error}, nor the close {}", said(ours))
            }
            (Err(error), Some(ours), _) => format!("closed {}, then: {error}", said(ours)),
            (Err(error), None, _) => format!("failed {code}: {error}"),
            (Ok(()), Some(ours), Some(theirs)) => {
                format!("closed {}, answered {}", said(ours), said(theirs))
            }
            (Ok(()), Some(ours), None) => format!("closed {}", said(ours)),
            (Ok(()), None, Some(theirs)) => format!("peer closed {}", said(theirs)),
            (Ok(()), None, None) => "ended without a Close".to_owned(),
        }
    }

    fn text(&self, code: CloseCode, ours: Option<&CloseFrame>, seconds: f64) -> String {
        let Self { peer, path, tally, .. } = self;
        let (received, sent) = (&tally.received, &tally.sent);
        format!(
            "{peer} {path}{}: {} messages {} bytes in, {} messages {} bytes out, \
             {seconds:.3} s, {}",
            self.agreed(),
            received.messages(),
            received.bytes(),
            sent.messages(),
            sent.bytes(),
            self.outcome(code, ours),
        )
    }

    fn fields(&self, code: CloseCode, ours: Option<&CloseFrame>, seconds: f64) -> Vec<Field> {
        let Self { tally, end, .. } = self;
        let (received, sent) = (&tally.received, &tally.sent);
        let theirs = end.as_ref().and_then(|end| end.close.as_ref());
        let error = match end {
            None => Some("the handler panicked".to_owned()),
            Some(end) => end.result.as_ref().err().map(Error::to_string),
        };
        let code_of = |frame: Option<&CloseFrame>| {
            frame.map_or_else(|| json::optional(None), |frame| frame.code.to_string())
        };
        let reason_of =
            |frame: Option<&CloseFrame>| json::optional(frame.map(|frame| &*frame.reason));
        let out = self.sent(ours);
        vec![
            ("peer", json::string(&self.peer)),
            ("path", json::string(&self.path)),
            ("subprotocol", json::optional(self.subprotocol.as_deref())),
            ("seconds", format!("{seconds:.6}")),
            ("messages_in", received.messages().to_string()),
            ("bytes_in", received.bytes().to_string()),
            ("messages_out", sent.messages().to_string()),
            ("bytes_out", sent.bytes().to_string()),
            ("sent_code", code_of(out.as_ref())),
            ("sent_reason", reason_of(out.as_ref())),
            ("received_code", code_of(theirs)),
            ("received_reason", reason_of(theirs)),
            ("close_code", code.to_string()),
            ("close_reason", reason_of(ours.or(theirs))),
            ("error", json::optional(error.as_deref())),
        ]
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let length = self.start.elapsed();
        let ours = self.ours();
        let (code, error) = match &self.end {
            Some(end) => (end.code(ours.as_ref()), end.result.as_ref().err()),
            None => (CloseCode::INTERNAL_ERROR, None),
        };
        self.app.metrics.ended(self.number, length, code, error);
        let seconds = length.as_secs_f64();
        self.app.log.event(
            "connection",
            || self.text(code, ours.as_ref(), seconds),
            || self.fields(code, ours.as_ref(), seconds),
        );
    }
}
