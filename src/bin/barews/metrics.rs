//! Counters for `/metrics`, in the text format of Prometheus.
//!
//! The ones that change with every message belong to one connection each, so that threads do not
//! fight over them; who asks for the metrics adds them up. All others are under one lock. Each series
//! is there from the start, with zero.

mod text;
mod labels;
mod histogram;
mod process;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use barews::{CloseCode, CloseFrame, Error, Message, MessageType, Status, UpgradeError};
use histogram::Histogram;
use process::Process;
use text::Text;

#[cfg(feature = "backplane")]
use crate::backplane::RedisBackplane;
#[cfg(feature = "deflate")]
use crate::compression::{Agreement, Compression};
use crate::drain::{Drain, Progress};
use crate::log::Log;
use crate::log::message::MessageLog;
#[cfg(feature = "tls")]
use crate::tls::{self, Identity};

/// The upper bounds of the buckets for handshakes, in seconds.
const HANDSHAKES: &[f64] = &[0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// The same for connections.
const CONNECTIONS: &[f64] = &[0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

/// What is counted by a label: the name, what it is, and the label's.
const FAMILIES: &[(Event, &str, &str, &str)] = &[
    (Event::Refused, "refused_total", "Connections that did not open.", "reason"),
    (Event::Request, "http_requests_total", "Plain requests, by status.", "code"),
    (Event::Closed, "closed_total", "Connections that have ended, by close code.", "code"),
    (Event::ProtocolError, "violations_total", "Violations of the protocol.", "kind"),
    (
        Event::HandshakeFault,
        "handshake_faults_total",
        "Faults of /handshake that went out.",
        "kind",
    ),
    #[cfg(feature = "tls")]
    (Event::Tls, "tls_handshakes_total", "TLS that a request came over.", "version"),
    #[cfg(feature = "deflate")]
    (Event::Offer, "deflate_offers_total", "Connections that offered compression.", "outcome"),
];

/// What went through one connection. Each direction is counted by one thread at a time.
#[derive(Default)]
pub struct Counters {
    pub received: Traffic,
    pub sent: Traffic,
    /// The Close that we chose to send, if we did. In a box, since most connections have none.
    pub closed: OnceLock<Box<CloseFrame>>,
    /// Logs each message, if that was asked for.
    pub log: Option<Box<MessageLog>>,
}

/// Messages in one direction.
#[derive(Debug, Default)]
pub struct Traffic {
    messages: AtomicU64,
    bytes: AtomicU64,
}

/// All counters of the server.
pub struct Metrics {
    state: Mutex<State>,
    process: Process,
    /// What serves the connections.
    pub engine: &'static str,
    /// What this build has of what may be left out.
    pub features: String,
    /// The cap.
    pub max_connections: usize,
    pub drain: Arc<Drain>,
    /// For the lines that it has lost.
    pub log: Option<Log>,
    #[cfg(feature = "backplane")]
    pub backplane: Option<Arc<RedisBackplane>>,
    #[cfg(feature = "deflate")]
    pub compression: Compression,
    /// If the server speaks TLS.
    #[cfg(feature = "tls")]
    identity: Option<Arc<Identity>>,
}

/// What is counted by a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A connection did not open, by the reason.
    Refused,
    /// A plain request was answered, by the status.
    Request,
    /// A connection has ended, by the close code.
    Closed,
    /// A peer has broken the protocol, by the rule.
    ProtocolError,
    /// A handshake was answered wrong, as was asked for, by what was wrong with it.
    HandshakeFault,
    /// A request came over TLS, of this version.
    #[cfg(feature = "tls")]
    Tls,
    /// A connection has offered compression, by what came of it.
    #[cfg(feature = "deflate")]
    Offer,
}

struct State {
    open: HashMap<u64, Arc<Counters>>,
    /// Connections that have opened so far.
    opened: u64,
    /// What went through those that have ended.
    ended: Counters,
    /// Streams that ended before their first byte.
    probes: u64,
    /// Times that no stream could be accepted.
    accept_failures: u64,
    events: BTreeMap<(Event, String), u64>,
    handshakes: Histogram,
    connections: Histogram,
}

impl Traffic {
    /// Adds to the counts. Not for two threads at once: the sum would lose some.
    fn add(&self, messages: u64, bytes: u64) {
        let (old_messages, old_bytes) = self.load();
        self.messages.store(old_messages + messages, Ordering::Relaxed);
        self.bytes.store(old_bytes + bytes, Ordering::Relaxed);
    }

    /// How many messages there were, and how many bytes in them.
    pub fn load(&self) -> (u64, u64) {
        (self.messages.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed))
    }
}

impl Counters {
    /// Counts a message that was received.
    #[inline]
    pub fn count_received(&self, message: Message<'_>) {
        self.count_received_part(message.kind(), message.len(), message.as_bytes());
    }

    /// The same for one of which only the start is at hand.
    #[inline]
    pub fn count_received_part(&self, kind: MessageType, len: usize, start: &[u8]) {
        self.received.add(1, len as u64);
        if let Some(log) = &self.log {
            log.log("in", kind, len, start);
        }
    }

    /// Counts a message that was sent.
    #[inline]
    pub fn count_sent(&self, message: Message<'_>) {
        self.count_sent_part(message.kind(), message.len(), message.as_bytes());
    }

    /// The same for one of which only the start is at hand.
    pub fn count_sent_part(&self, kind: MessageType, len: usize, start: &[u8]) {
        self.sent.add(1, len as u64);
        if let Some(log) = &self.log {
            log.log("out", kind, len, start);
        }
    }

    fn add(&self, other: &Self) {
        for (sum, traffic) in [(&self.received, &other.received), (&self.sent, &other.sent)] {
            let (messages, bytes) = traffic.load();
            sum.add(messages, bytes);
        }
    }
}

impl Metrics {
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State::new()),
            process: Process::new(),
            engine: "",
            features: String::new(),
            max_connections: 0,
            drain: Arc::default(),
            log: None,
            #[cfg(feature = "backplane")]
            backplane: None,
            #[cfg(feature = "deflate")]
            compression: Compression::default(),
            #[cfg(feature = "tls")]
            identity: None,
        }
    }

    /// The server speaks TLS, if there is a certificate.
    #[cfg(feature = "tls")]
    pub fn set_tls(&mut self, identity: Option<Arc<Identity>>) {
        if identity.is_some() {
            let mut state = self.lock();
            state.expect(Event::Refused, labels::tls_reasons());
            state.expect(Event::Tls, tls::agreed::VERSIONS.map(str::to_owned));
        }
        self.identity = identity;
    }

    /// Clients may ask for these faults of the handshake.
    pub fn expect_handshake_faults(&self, kinds: impl Iterator<Item = &'static str>) {
        self.lock().expect(Event::HandshakeFault, kinds.map(str::to_owned));
    }

    /// One did.
    pub fn count_handshake_fault(&self, kind: &'static str) {
        self.count(Event::HandshakeFault, kind.to_owned());
    }

    /// A connection has opened, after a handshake of this length: its number and its counters.
    pub fn opened(
        &self,
        handshake: Duration,
        log: Option<Box<MessageLog>>,
    ) -> (u64, Arc<Counters>) {
        let counters = Arc::new(Counters { log, ..Counters::default() });
        let mut state = self.lock();
        state.opened += 1;
        let number = state.opened;
        state.open.insert(number, Arc::clone(&counters));
        state.handshakes.observe(handshake);
        (number, counters)
    }

    /// It has ended, after this time and with this code, and perhaps for an error.
    pub fn ended(&self, number: u64, length: Duration, code: CloseCode, error: Option<&Error>) {
        let mut state = self.lock();
        if let Some(counters) = state.open.remove(&number) {
            state.ended.add(&counters);
        }
        state.connections.observe(length);
        state.count(Event::Closed, labels::close_code(code));
        if let Some(Error::Protocol(error)) = error {
            state.count(Event::ProtocolError, labels::violation(error));
        }
    }

    /// A connection did not open.
    pub fn count_refused(&self, error: &UpgradeError) {
        self.count(Event::Refused, labels::refused(error));
    }

    /// A plain request was answered.
    pub fn count_request(&self, status: Status) {
        self.count(Event::Request, labels::status(status.code()));
    }

    /// A request came over TLS of this version.
    #[cfg(feature = "tls")]
    pub fn count_tls(&self, version: String) {
        self.count(Event::Tls, version);
    }

    fn count(&self, event: Event, label: String) {
        self.lock().count(event, label);
    }

    /// A connection has opened with this.
    #[cfg(feature = "deflate")]
    pub fn count_agreement(&self, agreement: Agreement) {
        if let Some(label) = agreement.label() {
            self.count(Event::Offer, label.to_owned());
        }
    }

    /// A stream ended before its first byte.
    pub fn count_probe(&self) {
        self.lock().probes += 1;
    }

    /// No stream could be accepted.
    pub fn count_accept_failure(&self) {
        self.lock().accept_failures += 1;
    }

    /// Everything as text.
    pub fn text(&self) -> String {
        let mut text = Text::default();
        self.write_state(&mut text);
        self.lock().write(&mut text, self.max_connections);
        #[cfg(feature = "backplane")]
        text.families(self.backplane.iter().flat_map(|backplane| backplane.families()));
        #[cfg(feature = "deflate")]
        text.families(self.compression.families());
        #[cfg(feature = "tls")]
        text.families(self.identity.iter().flat_map(|identity| tls::families(identity)));
        self.process.write(&mut text);
        text.into_string()
    }

    /// What the program is, and whether it is about to end.
    fn write_state(&self, text: &mut Text) {
        let (version, features) = (env!("CARGO_PKG_VERSION"), &self.features);
        let info = format!("build_info{{version=\"{version}\",features=\"{features}\"}}");
        text.header("build_info", "gauge", "Which build this is.");
        text.line(&info, 1);
        text.header("engine_info", "gauge", "What serves the connections (--engine).");
        text.line(&format!("engine_info{{engine=\"{}\"}}", self.engine), 1);
        let progress = self.drain.progress();
        text.header("state", "gauge", "1 for what the server is at: see /drain.");
        for one in Progress::ALL {
            let is_it = u8::from(one == progress);
            text.line(&format!("state{{state=\"{}\"}}", one.name()), is_it);
        }
        let lost = self.log.as_ref().map_or(0, Log::lost);
        let help = "Lines of the log for which there was no room, or that could not be written.";
        text.one("log_lines_lost_total", "counter", help, lost);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Counters stay counters whatever panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new() -> Self {
        let mut state = Self {
            open: HashMap::new(),
            opened: 0,
            ended: Counters::default(),
            probes: 0,
            accept_failures: 0,
            events: BTreeMap::new(),
            handshakes: Histogram::new(HANDSHAKES),
            connections: Histogram::new(CONNECTIONS),
        };
        state.expect(Event::Refused, labels::reasons());
        state.expect(Event::Request, labels::statuses());
        state.expect(Event::Closed, labels::close_codes());
        state.expect(Event::ProtocolError, labels::violations());
        #[cfg(feature = "deflate")]
        state.expect(Event::Offer, Agreement::LABELS.map(str::to_owned));
        state
    }

    /// There will be such events, and were none yet.
    fn expect(&mut self, event: Event, labels: impl IntoIterator<Item = String>) {
        self.events.extend(labels.into_iter().map(|label| ((event, label), 0)));
    }

    fn write(&self, text: &mut Text, max_connections: usize) {
        let total = Counters::default();
        total.add(&self.ended);
        for counters in self.open.values() {
            total.add(counters);
        }
        let (messages_received, received_bytes) = total.received.load();
        let (messages_sent, sent_bytes) = total.sent.load();
        text.one("connections", "gauge", "Open connections.", self.open.len());
        let help = "How many connections there may be (--max-connections).";
        text.one("connections_max", "gauge", help, max_connections);
        for (name, help, value) in [
            ("connections_opened_total", "Connections that have opened.", self.opened),
            ("messages_received_total", "Messages received.", messages_received),
            ("messages_sent_total", "Messages sent.", messages_sent),
            ("received_bytes_total", "Payload of messages received.", received_bytes),
            ("sent_bytes_total", "Payload of messages sent.", sent_bytes),
            ("probes_total", "Streams that ended before their first byte.", self.probes),
            ("accept_failures_total", "Times no stream could be accepted.", self.accept_failures),
        ] {
            text.one(name, "counter", help, value);
        }
        for (event, name, help, key) in FAMILIES {
            let mut counts = self.events.iter().filter(|((of, _), _)| of == event).peekable();
            // TLS is spoken of where it is spoken.
            if counts.peek().is_some() {
                text.header(name, "counter", help);
            }
            for ((_, label), count) in counts {
                text.line(&format!("{name}{{{key}=\"{label}\"}}"), count);
            }
        }
        let help = "From accept to the answer.";
        self.handshakes.write(text, "handshake_duration_seconds", help);
        let help = "From the answer to the end.";
        self.connections.write(text, "connection_duration_seconds", help);
    }

    fn count(&mut self, event: Event, label: String) {
        *self.events.entry((event, label)).or_default() += 1;
    }
}

#[cfg(test)]
mod tests;
