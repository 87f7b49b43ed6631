//! One connection from its handshake to its line in the log.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use barews::{CloseCode, CloseFrame, Connection, Error, Sender, Wait};

use crate::app::App;
use crate::json;
use crate::metrics::Tally;

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) result: Result<(), Error>,
    /// What the peer's Close said.
    pub(crate) close: Option<CloseFrame>,
}

/// Counts a connection as open, and logs one line when it is dropped.
pub(crate) struct Visit<'a> {
    app: &'a App,
    number: u64,
    pub(crate) tally: Arc<Tally>,
    peer: Option<SocketAddr>,
    path: String,
    subprotocol: Option<String>,
    start: Instant,
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
            (Err(Error::Expired(Wait::Write)), ..) => CloseCode::ABNORMAL,
            (_, Some(frame), _) => frame.code,
            (Err(Error::Violation(violation)), ..) => violation.close_code(),
            (Err(Error::Overloaded), ..) => CloseCode::TRY_AGAIN_LATER,
            (Err(Error::Expired(Wait::Idle | Wait::Message)), ..) => CloseCode::POLICY_VIOLATION,
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
        let (number, tally) = app.metrics.opened(start - request.begun());
        Self {
            app,
            number,
            tally,
            peer: request.peer_addr(),
            path: request.path().to_owned(),
            subprotocol: conn.subprotocol().map(str::to_owned),
            start,
            end: None,
        }
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let length = self.start.elapsed();
        let ours = self.tally.closed.get().map(|frame| &**frame);
        let (code, error) = match &self.end {
            Some(end) => (end.code(ours), end.result.as_ref().err()),
            None => (CloseCode::INTERNAL_ERROR, None),
        };
        self.app.metrics.ended(self.number, length, code, error);
        let seconds = length.as_secs_f64();
        let Self { path, tally, end, .. } = &*self;
        let frame = ours.or(end.as_ref().and_then(|end| end.close.as_ref()));
        let (received, sent) = (&tally.received, &tally.sent);
        let text = || {
            let agreed = self.subprotocol.iter().map(|name| format!(" as {name}"));
            let agreed: String = agreed.collect();
            let end = match end {
                None => format!("failed {code}: the handler panicked"),
                Some(End { result: Err(error), .. }) => format!("failed {code}: {error}"),
                Some(_) => match frame {
                    Some(frame) => format!("closed {} {:?}", frame.code, frame.reason),
                    None => "ended without a Close".to_owned(),
                },
            };
            format!(
                "{} {path}{agreed}: {} messages {} bytes in, {} messages {} bytes out, \
                 {seconds:.3} s, {end}",
                peer(self.peer),
                received.messages(),
                received.bytes(),
                sent.messages(),
                sent.bytes(),
            )
        };
        let fields = || {
            let error = match end {
                None => Some("the handler panicked".to_owned()),
                Some(end) => end.result.as_ref().err().map(Error::to_string),
            };
            vec![
                ("peer", json::string(&peer(self.peer))),
                ("path", json::string(path)),
                ("subprotocol", json::optional(self.subprotocol.as_deref())),
                ("seconds", format!("{seconds:.6}")),
                ("messages_in", received.messages().to_string()),
                ("bytes_in", received.bytes().to_string()),
                ("messages_out", sent.messages().to_string()),
                ("bytes_out", sent.bytes().to_string()),
                ("close_code", code.to_string()),
                ("close_reason", json::optional(frame.map(|frame| &*frame.reason))),
                ("error", json::optional(error.as_deref())),
            ]
        };
        self.app.log.event("connection", text, fields);
    }
}

/// A peer for a log line.
pub(crate) fn peer(addr: Option<SocketAddr>) -> String {
    addr.map_or_else(|| "unix".to_owned(), |addr| addr.to_string())
}
