//! Lines on requests that got no connection, and on streams that got no request.

use std::fmt::{Arguments, Display};
use std::net::SocketAddr;
use std::time::Instant;

use barews::Request;

use super::describe::{self, Field};
use super::throttle::Throttle;
use super::writer::Log;
use super::{escape, json};

impl Log {
    /// Logs why a request got no connection.
    pub fn log_refused(&self, addr: Option<SocketAddr>, request: Option<&Request>, reason: &str) {
        let reason = escape::shown(reason);
        let what = format_args!("refused: {reason}");
        self.log_request("refused", addr, request, what, || ("reason", json::string(&reason)));
    }

    /// Logs what came of a request: who asked for what, and `what` the server did.
    pub fn log_request(
        &self,
        event: &str,
        addr: Option<SocketAddr>,
        request: Option<&Request>,
        what: Arguments<'_>,
        field: impl FnOnce() -> Field,
    ) {
        self.log_event(
            event,
            || {
                let client = describe::client(request);
                format!("{} {what}{client}", describe::request(addr, request))
            },
            || {
                let mut fields = describe::fields(addr, request);
                fields.push(field());
                fields
            },
        );
    }

    /// Logs an error of a kind that comes in floods, so it has a line now and then.
    pub fn log_throttled(
        &self,
        event: &str,
        peer: Option<String>,
        throttle: &Throttle,
        error: &dyn Display,
    ) {
        let Some(left_out) = throttle.pass(Instant::now()) else { return };
        let error = error.to_string();
        self.log_event(
            event,
            || {
                let peer = peer.iter().map(|peer| format!("{peer} refused: ")).collect::<String>();
                match left_out {
                    0 => format!("{peer}{error}"),
                    n => format!("{peer}{error}, and {n} times before that"),
                }
            },
            || {
                let peer = peer.iter().map(|peer| ("peer", json::string(peer)));
                let error = [("error", json::string(&error)), ("left_out", left_out.to_string())];
                peer.chain(error).collect()
            },
        );
    }
}
