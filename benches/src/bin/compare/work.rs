//! The rows of work.

use barews_benches::sample::Payload;

use crate::contestants::{Contestant, Role, Runtime};

/// A kind of work that every server is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// For the command line and the results.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) work: Work,
    /// Over TLS, for those who speak it.
    pub(crate) tls: bool,
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

/// More than threads can serve.
const MANY: usize = 16_000;

impl Row {
    /// Servers that send in batches have nothing to batch with one message in flight, and frames
    /// alone tell nothing of a handshake. Where permessage-deflate is offered, or TLS spoken, only
    /// those take part that are here for it, and where there are very many connections, only those
    /// without a thread for each.
    pub(crate) fn is_for(&self, server: &Contestant) -> bool {
        match server.role {
            _ if self.tls => server.has_tls() || server.role == Role::WithoutTls,
            _ if self.work.connections() > MANY && server.has_threads() => false,
            Role::WithoutTls => false,
            Role::Foreign(Runtime::Bun | Runtime::Native) => !self.work.offers_deflate(),
            Role::Plain | Role::Foreign(Runtime::Python) => self.work.offers_deflate(),
            Role::Ours | Role::OurLoop | Role::Foreign(Runtime::Node) => true,
            _ if self.work.offers_deflate() => false,
            Role::Batching => matches!(self.work, Work::Echo(load) if load.depth > 1),
            Role::Frames => matches!(self.work, Work::Echo(_)),
            Role::Raw | Role::Peer => true,
        }
    }

    /// Whether it is neither over TLS nor about permessage-deflate.
    pub(crate) fn is_plain(&self) -> bool {
        !self.tls && !self.work.offers_deflate()
    }

    /// The row of this name, or all rows of this kind.
    pub(crate) fn named(name: &str) -> Vec<&'static Row> {
        let is_meant = |row: &&Row| match name {
            "plain" => row.is_plain(),
            "deflate" => row.work.offers_deflate(),
            "tls" => row.tls,
            _ => row.name == name,
        };
        ROWS.iter().filter(is_meant).collect()
    }
}

impl Work {
    /// How many there are at once.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Echo(load) => load.connections,
            Self::Churn { clients } => clients,
            Self::Idle { connections } => connections,
            Self::Deflate(texts) | Self::IdleDeflate { texts, .. } => texts.connections,
        }
    }

    /// Whether each connection waits for the reply before it sends the next message.
    pub(crate) fn has_one_in_flight(self) -> bool {
        matches!(self, Self::Echo(load) if load.depth == 1) || matches!(self, Self::Deflate(_))
    }

    pub(crate) fn offers_deflate(self) -> bool {
        matches!(self, Self::Deflate(_) | Self::IdleDeflate { .. })
    }
}

const fn row(name: &'static str, title: &'static str, work: Work) -> Row {
    Row { name, title, work, tls: false }
}

const fn over_tls(name: &'static str, title: &'static str, work: Work) -> Row {
    Row { tls: true, ..row(name, title, work) }
}

const fn echo(connections: usize, size: usize, depth: usize, payload: Payload) -> Work {
    Work::Echo(Load { connections, size, depth, payload })
}

const fn ping(connections: usize, size: usize) -> Work {
    echo(connections, size, 1, Payload::Binary)
}

/// "hello", or any five letters.
const fn hello(connections: usize, depth: usize) -> Work {
    echo(connections, 5, depth, Payload::Ascii)
}

const fn deflate(connections: usize, size: usize) -> Work {
    Work::Deflate(Texts { connections, size })
}

const fn idle_deflate(connections: usize, messages: u64) -> Work {
    Work::IdleDeflate { texts: Texts { connections, size: 1024 }, messages }
}

pub(crate) const ROWS: &[Row] = &[
    row("pipeline", "50 connections, 20 B, 64 in flight", echo(50, 20, 64, Payload::Binary)),
    row("ping1", "1 connection, 20 B, 1 in flight", ping(1, 20)),
    row("ping50", "50 connections, 20 B, 1 in flight", ping(50, 20)),
    row("ping1000", "1,000 connections, 20 B, 1 in flight", ping(1000, 20)),
    row("hello512", "512 connections, 5 B text, 1 in flight", hello(512, 1)),
    row("hello512-16", "512 connections, 5 B text, 16 in flight", hello(512, 16)),
    row("hello4096", "4,096 connections, 5 B text, 1 in flight", hello(4096, 1)),
    row("hello4096-16", "4,096 connections, 5 B text, 16 in flight", hello(4096, 16)),
    row("hello16384", "16,384 connections, 5 B text, 1 in flight", hello(16_384, 1)),
    row("hello16384-16", "16,384 connections, 5 B text, 16 in flight", hello(16_384, 16)),
    row("4k", "10 connections, 4 KiB, 8 in flight", echo(10, 4 << 10, 8, Payload::Binary)),
    row("16k", "10 connections, 16 KiB, 4 in flight", echo(10, 16 << 10, 4, Payload::Binary)),
    row("64k-one", "1 connection, 64 KiB, 1 in flight", ping(1, 64 << 10)),
    row("64k", "10 connections, 64 KiB, 1 in flight", ping(10, 64 << 10)),
    row("256k-one", "1 connection, 256 KiB, 1 in flight", ping(1, 256 << 10)),
    row("256k", "10 connections, 256 KiB, 1 in flight", ping(10, 256 << 10)),
    row("1m-one", "1 connection, 1 MiB binary, 1 in flight", ping(1, 1 << 20)),
    row("1m-binary", "10 connections, 1 MiB binary, 1 in flight", ping(10, 1 << 20)),
    row(
        "1m-ascii",
        "10 connections, 1 MiB ASCII text, 1 in flight",
        echo(10, 1 << 20, 1, Payload::Ascii),
    ),
    row(
        "1m-cjk",
        "10 connections, 1 MiB CJK text, 1 in flight",
        echo(10, 1 << 20, 1, Payload::Cjk),
    ),
    row("churn1", "connect, handshake, echo, close; 1 client", Work::Churn { clients: 1 }),
    row("churn", "connect, handshake, echo, close; 10 clients", Work::Churn { clients: 10 }),
    row("idle", "8,000 idle connections", Work::Idle { connections: 8000 }),
    row("idle100k", "100,000 idle connections", Work::Idle { connections: 100_000 }),
    row(
        "deflate64",
        "permessage-deflate, 50 connections, 64 B of JSON, 1 in flight",
        deflate(50, 64),
    ),
    row(
        "deflate1k",
        "permessage-deflate, 50 connections, 1 KiB of JSON, 1 in flight",
        deflate(50, 1 << 10),
    ),
    row(
        "deflate64k",
        "permessage-deflate, 10 connections, 64 KiB of JSON, 1 in flight",
        deflate(10, 64 << 10),
    ),
    row(
        "idle-deflate",
        "permessage-deflate, 300 idle connections after 60 × 1 KiB of JSON each",
        idle_deflate(300, 60),
    ),
    row(
        "idle-agreed",
        "permessage-deflate, 1,000 idle connections that agreed and said nothing",
        idle_deflate(1000, 0),
    ),
    over_tls("tls64", "TLS, 50 connections, 64 B, 1 in flight", ping(50, 64)),
    over_tls("tls1k", "TLS, 50 connections, 1 KiB, 1 in flight", ping(50, 1 << 10)),
    over_tls("tls64k", "TLS, 10 connections, 64 KiB, 1 in flight", ping(10, 64 << 10)),
    over_tls("tls1m", "TLS, 10 connections, 1 MiB, 1 in flight", ping(10, 1 << 20)),
    over_tls(
        "tls-handshake",
        "TLS, connect, both handshakes, echo, close; 10 clients",
        Work::Churn { clients: 10 },
    ),
    over_tls("idle-tls", "TLS, 1,000 idle connections", Work::Idle { connections: 1000 }),
];
