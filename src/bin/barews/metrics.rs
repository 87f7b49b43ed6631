//! Counters for `/metrics`, in the text format of Prometheus.
//!
//! The ones that change with every message belong to one connection each, so that threads do not
//! fight over them; who asks for the metrics adds them up. All others are under one lock.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{Debug, Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use barews::http::{HandshakeError, HeadError};
use barews::{CloseCode, CloseFrame, Error, Message, MessageType, UpgradeError};

#[cfg(feature = "backplane")]
use crate::backplane::RedisBackplane;
#[cfg(feature = "deflate")]
use crate::compression::{Agreement, Compression};
use crate::log::message::MessageLog;
#[cfg(feature = "tls")]
use crate::tls::{self, Identity};

/// The upper bounds of the buckets for handshakes, in seconds.
const HANDSHAKES: &[f64] = &[0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// The same for connections.
const CONNECTIONS: &[f64] = &[0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 86_400.0];

/// A family of metrics that others make: its name, its type, what it is, and its values behind their
/// labels.
#[cfg(any(feature = "backplane", feature = "deflate", feature = "tls"))]
type Family<V> = (&'static str, &'static str, &'static str, Vec<(&'static str, V)>);

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
    #[cfg(feature = "backplane")]
    pub backplane: Option<Arc<RedisBackplane>>,
    #[cfg(feature = "deflate")]
    pub compression: Compression,
    /// If the server speaks TLS.
    #[cfg(feature = "tls")]
    pub identity: Option<Arc<Identity>>,
}

/// What is counted by a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A connection did not open, by the reason.
    Refused,
    /// A plain request was answered, by the status.
    Request,
    /// A connection has ended, by the close code.
    Closed,
    /// A peer has broken the protocol, by the rule.
    ProtocolError,
    /// A request came over TLS, of this version.
    #[cfg(feature = "tls")]
    Tls,
    /// A connection has offered compression, by what came of it.
    #[cfg(feature = "deflate")]
    Offer,
}

#[derive(Default)]
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

#[derive(Default)]
struct Histogram {
    bounds: &'static [f64],
    /// One for each bound, and one for what is beyond.
    counts: Vec<u64>,
    sum: f64,
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
        let state = State {
            handshakes: Histogram::new(HANDSHAKES),
            connections: Histogram::new(CONNECTIONS),
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            #[cfg(feature = "backplane")]
            backplane: None,
            #[cfg(feature = "deflate")]
            compression: Compression::default(),
            #[cfg(feature = "tls")]
            identity: None,
        }
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
        // Peers choose the code, and must not choose how many lines there are.
        let code = match code.0 {
            code @ 3000..=4999 => format!("{}xxx", code / 1000),
            code => code.to_string(),
        };
        state.count(Event::Closed, code);
        if let Some(Error::Protocol(error)) = error {
            state.count(Event::ProtocolError, variant(error));
        }
    }

    pub fn count(&self, event: Event, label: String) {
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
        let state = self.lock();
        let total = Counters::default();
        total.add(&state.ended);
        for counters in state.open.values() {
            total.add(counters);
        }
        let (messages_received, received_bytes) = total.received.load();
        let (messages_sent, sent_bytes) = total.sent.load();
        let mut text = String::new();
        header(&mut text, "connections", "gauge", "Open connections.");
        line(&mut text, "connections", state.open.len());
        for (name, help, value) in [
            ("connections_opened_total", "Connections that have opened.", state.opened),
            ("messages_received_total", "Messages received.", messages_received),
            ("messages_sent_total", "Messages sent.", messages_sent),
            ("received_bytes_total", "Payload of messages received.", received_bytes),
            ("sent_bytes_total", "Payload of messages sent.", sent_bytes),
            ("probes_total", "Streams that ended before their first byte.", state.probes),
            ("accept_failures_total", "Times no stream could be accepted.", state.accept_failures),
        ] {
            header(&mut text, name, "counter", help);
            line(&mut text, name, value);
        }
        for (event, name, help, key) in [
            (Event::Refused, "refused_total", "Connections that did not open.", "reason"),
            (Event::Request, "http_requests_total", "Plain requests, by status.", "code"),
            (Event::Closed, "closed_total", "Connections that have ended, by close code.", "code"),
            (Event::ProtocolError, "violations_total", "Violations of the protocol.", "kind"),
            #[cfg(feature = "tls")]
            (Event::Tls, "tls_handshakes_total", "TLS that a request came over.", "version"),
            #[cfg(feature = "deflate")]
            (
                Event::Offer,
                "deflate_offers_total",
                "Connections that offered compression.",
                "outcome",
            ),
        ] {
            header(&mut text, name, "counter", help);
            for ((_, label), count) in state.events.iter().filter(|(of, _)| of.0 == event) {
                line(&mut text, &format!("{name}{{{key}=\"{label}\"}}"), count);
            }
        }
        #[cfg(feature = "backplane")]
        families(&mut text, self.backplane.iter().flat_map(|backplane| backplane.families()));
        #[cfg(feature = "deflate")]
        families(&mut text, self.compression.families());
        #[cfg(feature = "tls")]
        families(&mut text, self.identity.iter().flat_map(|identity| tls::families(identity)));
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

impl State {
    fn count(&mut self, event: Event, label: String) {
        *self.events.entry((event, label)).or_default() += 1;
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

/// Families of metrics that others have made: their values behind their labels.
#[cfg(any(feature = "backplane", feature = "deflate", feature = "tls"))]
fn families<V: Display>(text: &mut String, families: impl Iterator<Item = Family<V>>) {
    for (name, kind, help, values) in families {
        header(text, name, kind, help);
        for (label, value) in values {
            line(text, &format!("{name}{label}"), value);
        }
    }
}

fn header(text: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string does not fail.
    let _ = write!(text, "# HELP barews_{name} {help}\n# TYPE barews_{name} {kind}\n");
}

fn line(text: &mut String, name: &str, value: impl Display) {
    let _ = writeln!(text, "barews_{name} {value}");
}

/// Why a connection did not open, as a label.
pub fn refused(error: &UpgradeError) -> String {
    match error {
        // The other version that is not supported is the one of WebSocket.
        UpgradeError::Refused(HandshakeError::Head(HeadError::UnsupportedVersion)) => {
            "unsupported_http_version".to_owned()
        }
        UpgradeError::Refused(HandshakeError::Head(error)) => variant(error),
        UpgradeError::Refused(refusal) => variant(refusal),
        #[cfg(feature = "tls")]
        UpgradeError::Tls(error) => format!("tls_{}", label(&tls::agreed::failure(error))),
        // The application has but a few of its own.
        UpgradeError::Rejected(status) => format!("answered_{}", status.code()),
        error => variant(error),
    }
}

/// The name of an enum's variant as a label: in lower case with underscores.
fn variant(variant: &impl Debug) -> String {
    label(&format!("{variant:?}"))
}

/// The same of what `Debug` has made of it.
fn label(debug: &str) -> String {
    let mut label = String::new();
    // An abbreviation is one word.
    let mut in_word = false;
    for c in debug.chars().take_while(char::is_ascii_alphanumeric) {
        if c.is_ascii_uppercase() && in_word {
            label.push('_');
        }
        in_word = !c.is_ascii_uppercase();
        label.push(c.to_ascii_lowercase());
    }
    label
}

#[cfg(test)]
mod tests;
