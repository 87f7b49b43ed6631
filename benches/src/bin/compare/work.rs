//! The rows of work.

use barews_benches::sample::Payload;

use crate::contestants::{Contestant, Role};

/// A kind of work that every server is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// For the command line and the results.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) work: Work,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Messages back and forth on connections that stay.
    Echo(Load),
    /// Connect, handshake, one echo of 20 bytes, close, over and over by so many clients.
    Churn { clients: usize },
    /// Connections after the handshake that say nothing.
    Idle { connections: usize },
    /// As `Echo`, where permessage-deflate was offered.
    Deflate(Texts),
    /// As `Idle`, where permessage-deflate was offered, after so many messages on each connection.
    IdleDeflate { texts: Texts, messages: u64 },
}

/// One is in flight on each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts {
    pub(crate) connections: usize,
    pub(crate) size: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Bytes of payload a message.
    pub(crate) size: usize,
    /// Messages in flight on each connection.
    pub(crate) depth: usize,
    pub(crate) payload: Payload,
}

impl Row {
    /// Servers that send in batches have nothing to batch with one message in flight, and frames
    /// alone tell nothing of a handshake. Where permessage-deflate is offered, only those take part
    /// that are here for it.
    pub(crate) fn is_for(&self, server: &Contestant) -> bool {
        match server.role {
            Role::Plain | Role::Foreign(_) => self.work.offers_deflate(),
            Role::Ours => true,
            _ if self.work.offers_deflate() => false,
            Role::Batching => matches!(self.work, Work::Echo(load) if load.depth > 1),
            Role::Frames => matches!(self.work, Work::Echo(_)),
            Role::Raw | Role::Peer => true,
        }
    }

    pub(crate) fn named(name: &str) -> Option<&'static Row> {
        ROWS.iter().find(|row| row.name == name)
    }
}

impl Work {
    /// Whether each connection waits for the reply before it sends the next message.
    pub(crate) fn has_one_in_flight(self) -> bool {
        matches!(self, Self::Echo(load) if load.depth == 1) || matches!(self, Self::Deflate(_))
    }

    pub(crate) fn offers_deflate(self) -> bool {
        matches!(self, Self::Deflate(_) | Self::IdleDeflate { .. })
    }
}

const fn echo(connections: usize, size: usize, depth: usize, payload: Payload) -> Work {
    Work::Echo(Load { connections, size, depth, payload })
}

const fn deflate(connections: usize, size: usize) -> Work {
    Work::Deflate(Texts { connections, size })
}

const fn idle_deflate(connections: usize, messages: u64) -> Work {
    Work::IdleDeflate { texts: Texts { connections, size: 1024 }, messages }
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "pipeline",
        title: "50 connections, 20 B, 64 in flight",
        work: echo(50, 20, 64, Payload::Binary),
    },
    Row {
        name: "ping1",
        title: "1 connection, 20 B, 1 in flight",
        work: echo(1, 20, 1, Payload::Binary),
    },
    Row {
        name: "ping50",
        title: "50 connections, 20 B, 1 in flight",
        work: echo(50, 20, 1, Payload::Binary),
    },
    Row {
        name: "ping1000",
        title: "1,000 connections, 20 B, 1 in flight",
        work: echo(1000, 20, 1, Payload::Binary),
    },
    Row {
        name: "16k",
        title: "10 connections, 16 KiB, 4 in flight",
        work: echo(10, 16 << 10, 4, Payload::Binary),
    },
    Row {
        name: "1m-binary",
        title: "10 connections, 1 MiB binary, 1 in flight",
        work: echo(10, 1 << 20, 1, Payload::Binary),
    },
    Row {
        name: "1m-ascii",
        title: "10 connections, 1 MiB ASCII text, 1 in flight",
        work: echo(10, 1 << 20, 1, Payload::Ascii),
    },
    Row {
        name: "1m-cjk",
        title: "10 connections, 1 MiB CJK text, 1 in flight",
        work: echo(10, 1 << 20, 1, Payload::Cjk),
    },
    Row {
        name: "churn1",
        title: "connect, handshake, echo, close; 1 client",
        work: Work::Churn { clients: 1 },
    },
    Row {
        name: "churn",
        title: "connect, handshake, echo, close; 10 clients",
        work: Work::Churn { clients: 10 },
    },
    Row { name: "idle", title: "8,000 idle connections", work: Work::Idle { connections: 8000 } },
    Row {
        name: "deflate64",
        title: "permessage-deflate, 50 connections, 64 B of JSON, 1 in flight",
        work: deflate(50, 64),
    },
    Row {
        name: "deflate1k",
        title: "permessage-deflate, 50 connections, 1 KiB of JSON, 1 in flight",
        work: deflate(50, 1 << 10),
    },
    Row {
        name: "deflate64k",
        title: "permessage-deflate, 10 connections, 64 KiB of JSON, 1 in flight",
        work: deflate(10, 64 << 10),
    },
    Row {
        name: "idle-deflate",
        title: "permessage-deflate, 300 idle connections after 60 × 1 KiB of JSON each",
        work: idle_deflate(300, 60),
    },
    Row {
        name: "idle-agreed",
        title: "permessage-deflate, 1,000 idle connections that agreed and said nothing",
        work: idle_deflate(1000, 0),
    },
];
