//! Compression (RFC 7692), as the log and the metrics tell of it: what connections have agreed on, and
//! what it has done for all of them.

use barews::http::{RequestHead, deflate_offers};
use barews::{Deflate, DeflateParams, StatsHandle};

/// What there is to tell of a server.
#[derive(Default)]
pub struct Compression {
    stats: StatsHandle,
    /// If it compresses: how many bytes there are for histories, and for codecs as many.
    memory: Option<u64>,
}

/// What came of the offers of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreement {
    NotOffered,
    /// None was accepted, and why.
    Declined(Reason),
    Agreed(DeflateParams),
}

/// Why all offers were declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// This server does not compress.
    Off,
    /// None had only parameters that are known and valid (RFC 7692 §7.1).
    Parameters,
    /// The path has no compressed messages.
    Path,
}

/// A family of the metrics: its name, its type, what it is, and its values behind their labels.
pub type Family = (&'static str, &'static str, &'static str, Vec<(&'static str, u64)>);

impl Compression {
    pub fn new(stats: StatsHandle, settings: Option<&Deflate>) -> Self {
        // It is divided among the two.
        Self { stats, memory: settings.map(|settings| settings.max_memory / 2) }
    }

    /// What came of the offers of a request, on which this was agreed.
    pub fn agreement(&self, request: &RequestHead, agreed: Option<&DeflateParams>) -> Agreement {
        match agreed {
            Some(params) => Agreement::Agreed(*params),
            None => self.declined(request),
        }
    }

    /// Why nothing was agreed on.
    fn declined(&self, request: &RequestHead) -> Agreement {
        let (mut offered, mut valid) = (false, false);
        for offer in deflate_offers(request) {
            offered = true;
            valid |= offer.is_some();
        }
        match (offered, self.memory) {
            (false, _) => Agreement::NotOffered,
            (true, None) => Agreement::Declined(Reason::Off),
            (true, Some(_)) if valid => Agreement::Declined(Reason::Path),
            (true, Some(_)) => Agreement::Declined(Reason::Parameters),
        }
    }

    /// What the metrics tell beside the connections.
    pub fn families(&self) -> impl Iterator<Item = Family> {
        let stats = self.stats.deflate();
        let counters = [
            ("deflate_received_bytes_total", "Compressed messages, inflated.", stats.received),
            (
                "deflate_received_compressed_bytes_total",
                "The same as they came.",
                stats.received_compressed,
            ),
            ("deflate_sent_bytes_total", "Messages that were compressed, before.", stats.sent),
            (
                "deflate_sent_compressed_bytes_total",
                "The same as they were sent.",
                stats.sent_compressed,
            ),
        ];
        let most = self.memory.unwrap_or(0);
        let gauges = [
            ("deflate_memory_bytes", "Memory for compression.", stats.codecs, stats.histories),
            ("deflate_max_memory_bytes", "What it may be (--deflate-memory).", most, most),
        ];
        let counters =
            counters.map(|(name, help, value)| (name, "counter", help, vec![("", value)]));
        let gauges = gauges.map(|(name, help, codecs, histories)| {
            let values = vec![("{of=\"codecs\"}", codecs), ("{of=\"histories\"}", histories)];
            (name, "gauge", help, values)
        });
        counters.into_iter().chain(gauges)
    }
}

impl Agreement {
    /// All labels that there are.
    pub const LABELS: [&str; 4] = ["agreed", "off", "parameters", "path"];

    /// What came of the offers, as a label; `None` if there were none.
    pub fn label(&self) -> Option<&'static str> {
        match self {
            Self::NotOffered => None,
            Self::Declined(reason) => Some(reason.label()),
            Self::Agreed(_) => Some("agreed"),
        }
    }

    /// Why offers were declined, if they were.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Declined(reason) => Some(reason.label()),
            _ => None,
        }
    }

    /// What was agreed on.
    pub fn extensions(&self) -> Option<String> {
        match self {
            Self::Agreed(params) => Some(params.to_string()),
            _ => None,
        }
    }

    /// For a line of the log. That a server has no compression is nothing to tell each time.
    pub fn shown(&self) -> String {
        match self {
            Self::Agreed(params) => format!(", {params}"),
            Self::Declined(Reason::Parameters) => {
                ", no permessage-deflate: its parameters are not valid".to_owned()
            }
            _ => String::new(),
        }
    }
}

impl Reason {
    fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Parameters => "parameters",
            Self::Path => "path",
        }
    }
}
