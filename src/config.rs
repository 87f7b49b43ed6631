//! Limits and deadlines, each with the reason for its default.

use std::time::Duration;

use crate::http::HeadLimits;
use crate::proto::ReceiveLimits;

/// Everything that can be set.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// How much a peer may ask for.
    pub limits: Limits,
    /// How long a peer may take.
    pub timeouts: Timeouts,
    /// The values of `Origin` that are let in (§10.2), compared to the letter, as browsers send
    /// them: `https://example.com`, with the port if it is not the scheme's own.
    ///
    /// Empty by default, which lets in every origin. A request without the header comes from no
    /// browser and always passes.
    pub origins: Vec<String>,
    /// Stack size of a connection's thread, in bytes. `None`, the default, takes std's 2 MiB, of
    /// which only the pages that are touched use memory, until the thread ends: 100 ms after its
    /// connection, unless another follows, or it is one of the two that wait at a listener.
    pub stack_size: Option<usize>,
}

/// How much a peer may ask for (§10.4). Every maximum is inclusive.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Length of the request line in bytes. Default 8,192, as nginx and Kestrel have it.
    pub request_line: usize,
    /// Length of one header line in bytes. Default 8,192, likewise.
    pub header_line: usize,
    /// Number of header lines. Default 100.
    pub headers: usize,
    /// Length of the whole request head in bytes. Default 32 KiB.
    pub head: usize,
    /// Length of a message in bytes, all fragments together. Default 16 MiB, the largest that
    /// the Autobahn Testsuite sends. [`recv_chunk`](crate::Connection::recv_chunk) takes a
    /// message of any size in constant memory: raise this for it.
    pub message: u64,
    /// Fragments of one message, empty ones counted. Default 131,072: the Autobahn Testsuite
    /// sends 65,536.
    pub fragments: u32,
    /// Bytes of messages longer than 16 KiB that all connections of a server hold together, from
    /// their first byte until the next call that receives. Default 1 GiB; the message that would
    /// pass it is refused with 1013. As much as a sixteenth of it comes on top: memory of more than
    /// 64 KiB that a connection keeps to read into, or for its next message.
    pub assembling: u64,
    /// Open connections of a server, those in the handshake counted. Default 8,192: a thread
    /// takes four memory maps of the 65,530 that Linux grants a process. One more is answered
    /// with 503.
    pub connections: usize,
    /// Open connections from one IPv4 address or one IPv6 /64 network, which is what one
    /// subscriber has. Default 8,192, which is no further limit: behind a proxy every client has
    /// the proxy's address. Lower it on a server that faces its clients.
    pub connections_per_ip: usize,
}

/// How long a peer may take. All but `ping` and `idle` are deadlines for the whole step,
/// however the bytes dribble in. [`Duration::MAX`] turns one off.
///
/// For `message`, `ping` and `idle`, only time counts that is spent waiting for the peer inside
/// `recv`; a handler that is busy elsewhere does not run its peer's clock down.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From accept to the last byte of the request head. Default 10 s.
    pub handshake: Duration,
    /// From the first byte of a message to its last, with 1 s more for each 64 KiB received, so
    /// that a slow but honest link can still deliver the largest. Default 60 s. Passing it
    /// closes with 1008.
    pub message: Duration,
    /// Silence after which a Ping is sent (§5.5.2). Default 60 s, inside the idle limits of most
    /// proxies and address translators.
    pub ping: Duration,
    /// Silence after which the peer is taken for dead; closes with 1008. Default 120 s.
    pub idle: Duration,
    /// For one write to be taken by the peer, with 1 s more for each 64 KiB in it. Default 10 s.
    /// Passing it ends the connection, for the frame is broken. Each write has its own: what a
    /// peer has sent before it stopped to read may call for several.
    pub write: Duration,
    /// From our Close to the peer's, and from a failure to the end of the connection (§7.1.1).
    /// Default 2 s; after a failure, and in [`close`](crate::Connection::close), 64 KiB received end
    /// it sooner.
    pub close: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let head = HeadLimits::default();
        Self {
            request_line: head.request_line,
            header_line: head.header_line,
            headers: head.headers,
            head: head.head,
            message: 16 << 20,
            fragments: 131_072,
            assembling: 1 << 30,
            connections: 8_192,
            connections_per_ip: 8_192,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            message: Duration::from_secs(60),
            ping: Duration::from_secs(60),
            idle: Duration::from_secs(120),
            write: Duration::from_secs(10),
            close: Duration::from_secs(2),
        }
    }
}

impl Limits {
    pub(crate) fn for_head(&self) -> HeadLimits {
        HeadLimits {
            request_line: self.request_line,
            header_line: self.header_line,
            headers: self.headers,
            head: self.head,
        }
    }

    pub(crate) fn for_receive(&self) -> ReceiveLimits {
        ReceiveLimits { message: self.message, fragments: self.fragments }
    }
}
