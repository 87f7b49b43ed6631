//! The servers that are compared.

/// A server in the comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contestant {
    /// For the command line and the results; what `peers` calls it.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    Ours,
    /// Our second engine: with TLS or permessage-deflate the program, and else as little as the others have.
    OurLoop,
    /// It has no protocol: what comes back are the very bytes that were sent.
    Raw,
    /// It has as little protocol as gives the right answers to messages.
    Frames,
    Peer,
    /// A peer's second row, with replies sent in batches.
    Batching,
    /// Ours, built with permessage-deflate, which is off.
    Plain,
    /// Ours, built with TLS, and spoken to without.
    WithoutTls,
    /// A peer in another language, which may not be installed.
    Foreign(Runtime),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Runtime {
    Node,
    Bun,
    Python,
    /// None: a program of its own.
    Native,
}

impl Contestant {
    const fn new(role: Role, name: &'static str, title: &'static str) -> Self {
        Self { name, title, role }
    }

    pub(crate) fn is_raw(&self) -> bool {
        self.role == Role::Raw
    }

    /// Whether it agrees to permessage-deflate where that is offered.
    pub(crate) fn compresses(&self) -> bool {
        matches!(self.role, Role::Ours | Role::OurLoop | Role::Foreign(_))
    }

    /// Whether it speaks TLS where that is asked for.
    pub(crate) fn has_tls(&self) -> bool {
        matches!(self.role, Role::Ours | Role::OurLoop)
            || ["tungstenite", "tokio-tungstenite"].contains(&self.name)
    }

    /// Whether it has a thread for each connection: of those there can be 16,000 or so, because each
    /// takes four of the 65,530 memory maps that Linux lets a process have.
    pub(crate) fn has_threads(&self) -> bool {
        match self.role {
            Role::Ours | Role::Plain | Role::WithoutTls | Role::Frames => true,
            _ => ["raw", "tungstenite", "tungstenite-batch"].contains(&self.name),
        }
    }

    /// Whether it shows what a protocol costs, and is no server.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self.role, Role::Raw | Role::Frames)
    }

    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        CONTESTANTS.iter().find(|contestant| contestant.name == name)
    }
}

pub(crate) const CONTESTANTS: &[Contestant] = &[
    Contestant::new(Role::Ours, "barews", "barews"),
    Contestant::new(Role::OurLoop, "event-loop", "barews, event loop"),
    Contestant::new(Role::Raw, "raw", "raw TCP, threads"),
    Contestant::new(Role::Frames, "frames", "raw TCP with frames"),
    Contestant::new(Role::Raw, "raw-epoll", "raw TCP, epoll"),
    Contestant::new(Role::Peer, "tungstenite", "tungstenite, threads"),
    Contestant::new(Role::Batching, "tungstenite-batch", "tungstenite (write, flush)"),
    Contestant::new(Role::Peer, "tokio-tungstenite", "tokio-tungstenite"),
    Contestant::new(Role::Batching, "tokio-tungstenite-batch", "tokio-tungstenite (forward)"),
    Contestant::new(Role::Peer, "fastwebsockets", "fastwebsockets"),
    Contestant::new(Role::Peer, "tokio-websockets", "tokio-websockets"),
    Contestant::new(Role::Batching, "tokio-websockets-batch", "tokio-websockets (feed, flush)"),
    Contestant::new(Role::Peer, "actix", "actix-ws"),
    Contestant::new(Role::Plain, "barews-plain", "barews, extension off"),
    Contestant::new(Role::WithoutTls, "barews-no-tls", "barews, without TLS"),
    Contestant::new(Role::Foreign(Runtime::Node), "node-ws", "ws (Node.js)"),
    Contestant::new(Role::Foreign(Runtime::Python), "python-websockets", "websockets (Python)"),
    Contestant::new(Role::Foreign(Runtime::Node), "uwebsockets", "uWebSockets"),
    Contestant::new(Role::Foreign(Runtime::Native), "uwebsockets-cpp", "uWebSockets (C++)"),
    Contestant::new(Role::Foreign(Runtime::Bun), "bun", "Bun"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_there_twice() {
        for (i, contestant) in CONTESTANTS.iter().enumerate() {
            let others = &CONTESTANTS[i + 1..];
            let is_same = |other: &Contestant| {
                other.name == contestant.name || other.title == contestant.title
            };
            assert!(!others.iter().any(is_same), "{contestant:?}");
        }
    }
}
