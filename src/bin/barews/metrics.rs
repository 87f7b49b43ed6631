//! Counters for `/metrics`, in the text format of Prometheus.
//!
//! The ones that change with every message belong to one connection each, so that threads do not
//! fight over them; who asks for the metrics adds them up.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use barews::{CloseCode, CloseFrame, Error, Message, MessageType, Status, UpgradeError};

use crate::label;
use crate::log::message::{Direction, Trace};

/// The upper bounds of the buckets for handshakes, in seconds.
const HANDSHAKES: &[f64] = &[0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// The same for connections.
const CONNECTIONS: &[f64] = &[0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

/// What went through one connection. Each half is counted by one thread at a time.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) received: Half,
    pub(crate) sent: Half,
    /// The Close that we chose to send, if we did. In a box, since most connections have none.
    pub(crate) closed: OnceLock<Box<CloseFrame>>,
    /// Logs each message, if that was asked for.
    pub(crate) trace: Option<Box<Trace>>,
}

#[derive(Debug, Default)]
pub(crate) struct Half {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// All counters of the server.
pub(crate) struct Metrics {
    state: Mutex<State>,
}

struct State {
    open: HashMap<u64, Arc<Tally>>,
    /// Connections that have opened so far.
    opened: u64,
    /// What went through those that have ended.
    ended: Tally,
    refused: BTreeMap<String, u64>,
    /// Plain requests by the status of their answer.
    requests: BTreeMap<String, u64>,
    /// Streams that ended before their first byte.
    probes: u64,
    /// Times that no stream could be accepted.
    accept_failures: u64,
    /// By close code; those of an application by their thousand.
    closed: BTreeMap<u16, u64>,
    violations: BTreeMap<String, u64>,
    handshakes: Histogram,
    connections: Histogram,
}

struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is beyond.
    counts: Vec<u64>,
    sum: f64,
}

impl Half {
    /// Counts a message. Not for two threads at once: the sum would lose some.
    fn count(&self, bytes: usize) {
        self.add(1, bytes as u64);
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn add(&self, messages: u64, bytes: u64) {
        self.messages.store(self.messages() + messages, Ordering::Relaxed);
        self.bytes.store(self.bytes() + bytes, Ordering::Relaxed);
    }
}

impl Tally {
    /// Counts a message that was received.
    #[inline]
    pub(crate) fn count_received(&self, message: Message<'_>) {
        self.count_received_part(message.kind(), message.len(), message.as_bytes());
    }

    /// The same for one of which only the start is at hand.
    #[inline]
    pub(crate) fn count_received_part(&self, kind: MessageType, len: usize, start: &[u8]) {
        self.received.count(len);
        if let Some(trace) = &self.trace {
            trace.log(Direction::In, kind, len, start);
        }
    }

    /// Counts a message that was sent.
    #[inline]
    pub(crate) fn count_sent(&self, message: Message<'_>) {
        self.sent.count(message.len());
        if let Some(trace) = &self.trace {
            trace.log(Direction::Out, message.kind(), message.len(), message.as_bytes());
        }
    }

    fn add(&self, other: &Self) {
        self.received.add(other.received.messages(), other.received.bytes());
        self.sent.add(other.sent.messages(), other.sent.bytes());
    }
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let state = State {
            open: HashMap::new(),
            opened: 0,
            ended: Tally::default(),
            refused: BTreeMap::new(),
            requests: BTreeMap::new(),
            probes: 0,
            accept_failures: 0,
            closed: BTreeMap::new(),
            violations: BTreeMap::new(),
            handshakes: Histogram::new(HANDSHAKES),
            connections: Histogram::new(CONNECTIONS),
        };
        Self { state: Mutex::new(state) }
    }

    /// A connection has opened, after a handshake of this length: its number and its tally.
    pub(crate) fn opened(
        &self,
        handshake: Duration,
        trace: Option<Box<Trace>>,
    ) -> (u64, Arc<Tally>) {
        let tally = Arc::new(Tally { trace, ..Tally::default() });
        let mut state = self.lock();
        state.opened += 1;
        let number = state.opened;
        state.open.insert(number, Arc::clone(&tally));
        state.handshakes.observe(handshake);
        (number, tally)
    }

    /// It has ended, after this time and with this code, and perhaps for an error.
    pub(crate) fn ended(
        &self,
        number: u64,
        length: Duration,
        code: CloseCode,
        error: Option<&Error>,
    ) {
        let mut state = self.lock();
        if let Some(tally) = state.open.remove(&number) {
            state.ended.add(&tally);
        }
        state.connections.observe(length);
        // Peers choose the code, and must not choose how many lines there are.
        let code = match code.0 {
            code @ 3000..=4999 => code / 1000 * 1000,
            code => code,
        };
        *state.closed.entry(code).or_default() += 1;
        if let Some(Error::Protocol(violation)) = error {
            *state.violations.entry(label::variant(violation)).or_default() += 1;
        }
    }

    /// A connection did not open.
    pub(crate) fn refused(&self, error: &UpgradeError) {
        *self.lock().refused.entry(label::refused(error)).or_default() += 1;
    }

    /// A plain request was answered.
    pub(crate) fn answered(&self, status: Status) {
        *self.lock().requests.entry(status.code().to_string()).or_default() += 1;
    }

    /// A stream ended before its first byte.
    pub(crate) fn probed(&self) {
        self.lock().probes += 1;
    }

    /// No stream could be accepted.
    pub(crate) fn accept_failed(&self) {
        self.lock().accept_failures += 1;
    }

    /// Everything as text.
    pub(crate) fn text(&self) -> String {
        let state = self.lock();
        let total = Tally::default();
        total.add(&state.ended);
        for tally in state.open.values() {
            total.add(tally);
        }
        let closed = state.closed.iter().map(|(code, count)| match code {
            3000 | 4000 => (format!("{}xxx", code / 1000), *count),
            code => (code.to_string(), *count),
        });
        let closed = closed.collect();
        let mut text = String::new();
        single(&mut text, "connections", "gauge", "Open connections.", state.open.len() as u64);
        for (name, help, value) in [
            ("connections_opened_total", "Connections that have opened.", state.opened),
            ("messages_received_total", "Messages received.", total.received.messages()),
            ("messages_sent_total", "Messages sent.", total.sent.messages()),
            ("received_bytes_total", "Payload of messages received.", total.received.bytes()),
            ("sent_bytes_total", "Payload of messages sent.", total.sent.bytes()),
            ("probes_total", "Streams that ended before their first byte.", state.probes),
            ("accept_failures_total", "Times no stream could be accepted.", state.accept_failures),
        ] {
            single(&mut text, name, "counter", help, value);
        }
        for (name, help, key, counts) in [
            ("refused_total", "Connections that did not open.", "reason", &state.refused),
            ("http_requests_total", "Plain requests, by status.", "code", &state.requests),
            ("closed_total", "Connections that have ended, by close code.", "code", &closed),
            ("violations_total", "Violations of the protocol.", "kind", &state.violations),
        ] {
            header(&mut text, name, "counter", help);
            for (label, count) in counts {
                line(&mut text, &format!("{name}{{{key}=\"{label}\"}}"), count);
            }
        }
        let help = "From accept to the answer.";
        state.handshakes.write(&mut text, "handshake_duration_seconds", help);
        let help = "From the answer to the end.";
        state.connections.write(&mut text, "connection_duration_seconds", help);
        text
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters stay counters whatever panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    fn observe(&mut self, length: Duration) {
        let seconds = length.as_secs_f64();
        self.counts[self.bounds.partition_point(|bound| *bound < seconds)] += 1;
        self.sum += seconds;
    }

    fn write(&self, text: &mut String, name: &str, help: &str) {
        header(text, name, "histogram", help);
        let bounds = self.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        let mut sum = 0;
        for (bound, count) in bounds.zip(&self.counts) {
            sum += count;
            line(text, &format!("{name}_bucket{{le=\"{bound}\"}}"), sum);
        }
        line(text, &format!("{name}_sum"), self.sum);
        line(text, &format!("{name}_count"), sum);
    }
}

fn single(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    header(text, name, kind, help);
    line(text, name, value);
}

fn header(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = write!(text, "# HELP barews_{name} {help}\n# TYPE barews_{name} {kind}\n");
}

fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "barews_{name} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use barews::ProtocolError;
    use barews::http::{HandshakeError, HeadError};

    #[test]
    fn counts_of_open_and_ended_connections_add_up() {
        let metrics = Metrics::new();
        let (first, one) = metrics.opened(Duration::from_micros(700), None);
        let (_, two) = metrics.opened(Duration::from_secs(60), None);
        one.received.count(5);
        one.sent.count(7);
        two.received.count(10);
        let error = Error::Protocol(ProtocolError::TextNotUtf8);
        metrics.ended(first, Duration::from_secs(1), CloseCode(3999), Some(&error));
        let text = metrics.text();
        for line in [
            "barews_connections 1",
            "barews_connections_opened_total 2",
            "barews_messages_received_total 2",
            "barews_received_bytes_total 15",
            "barews_messages_sent_total 1",
            "barews_sent_bytes_total 7",
            "barews_closed_total{code=\"3xxx\"} 1",
            "barews_violations_total{kind=\"text_not_utf8\"} 1",
            "barews_handshake_duration_seconds_bucket{le=\"0.0005\"} 0",
            "barews_handshake_duration_seconds_bucket{le=\"0.001\"} 1",
            "barews_handshake_duration_seconds_bucket{le=\"10\"} 1",
            "barews_handshake_duration_seconds_bucket{le=\"+Inf\"} 2",
            "barews_handshake_duration_seconds_count 2",
            "barews_connection_duration_seconds_bucket{le=\"0.1\"} 0",
            "barews_connection_duration_seconds_bucket{le=\"1\"} 1",
            "barews_connection_duration_seconds_sum 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in:\n{text}");
        }
    }

    #[test]
    fn refusals_are_counted_by_their_reason() {
        let metrics = Metrics::new();
        metrics.refused(&UpgradeError::Refused(HandshakeError::MissingKey));
        metrics.refused(&UpgradeError::Refused(HandshakeError::Head(HeadError::BareLf)));
        metrics.refused(&UpgradeError::TimedOut);
        metrics.refused(&UpgradeError::TooManyConnections);
        metrics.refused(&UpgradeError::TooManyConnections);
        metrics.refused(&UpgradeError::Rejected(barews::Status::FORBIDDEN));
        metrics.refused(&UpgradeError::Rejected(barews::Status::BAD_REQUEST));
        metrics.refused(&UpgradeError::Io(std::io::ErrorKind::UnexpectedEof.into()));
        let text = metrics.text();
        let refused: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("barews_refused_total{reason="))
            .collect();
        assert_eq!(
            refused,
            [
                "\"answered_400\"} 1",
                "\"answered_403\"} 1",
                "\"bare_lf\"} 1",
                "\"io\"} 1",
                "\"missing_key\"} 1",
                "\"timed_out\"} 1",
                "\"too_many_connections\"} 2",
            ]
        );
    }
}
