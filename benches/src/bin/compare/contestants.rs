//! The servers that are compared.

/// A server in the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contestant {
    /// For the command line and the results; what `peers` calls it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Ours,
    /// It has no protocol: what comes back are the very bytes that were sent.
    Raw,
    /// It has as little protocol as gives the right answers to messages.
    Frames,
    Peer,
    /// A peer's second row, with replies sent in batches.
    Batching,
}

impl Contestant {
    const fn new(kind: Kind, name: &'static str, title: &'static str) -> Self {
        Self { name, title, kind }
    }

    pub(crate) fn is_raw(&self) -> bool {
        self.kind == Kind::Raw
    }

    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        CONTESTANTS.iter().find(|contestant| contestant.name == name)
    }
}

pub(crate) const CONTESTANTS: &[Contestant] = &[
    Contestant::new(Kind::Ours, "barews", "barews"),
    Contestant::new(Kind::Raw, "raw", "raw TCP, threads"),
    Contestant::new(Kind::Frames, "frames", "raw TCP with frames"),
    Contestant::new(Kind::Peer, "tungstenite", "tungstenite, threads"),
    Contestant::new(Kind::Batching, "tungstenite-batch", "tungstenite (write, flush)"),
    Contestant::new(Kind::Peer, "tokio-tungstenite", "tokio-tungstenite"),
    Contestant::new(Kind::Batching, "tokio-tungstenite-batch", "tokio-tungstenite (forward)"),
    Contestant::new(Kind::Peer, "fastwebsockets", "fastwebsockets"),
    Contestant::new(Kind::Peer, "tokio-websockets", "tokio-websockets"),
    Contestant::new(Kind::Batching, "tokio-websockets-batch", "tokio-websockets (feed, flush)"),
];
