//! Limits and deadlines, each with the reason for its default.

use std::io::{self, ErrorKind};
use std::time::Duration;

#[cfg(feature = "deflate")]
mod deflate;

#[cfg(feature = "deflate")]
pub use deflate::Deflate;

use crate::http::{HeadLimits, Origin};
use crate::proto::DecoderLimits;

/// Everything that can be set. A server [checks](Self::validate) it when it begins to run.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// How much a peer may ask for.
    pub limits: Limits,
    /// How long a peer may take.
    pub timeouts: Timeouts,
    /// The values of `Origin` that are let in (§10.2), as browsers send them:
    /// `https://example.com`, with the port if it is not the scheme's own. They are compared as URLs
    /// are; the server's own page is always let in, which
    /// [`check_origin`](crate::http::check_origin) tells more of.
    ///
    /// Empty by default, which lets in every origin. A request without the header comes from no
    /// browser and always passes.
    pub origins: Vec<String>,
    /// Stack size of a connection's thread, in bytes, 64 KiB at least: the report of a panic has to
    /// fit. `None`, the default, takes std's 2 MiB, of which only the pages that are touched use memory, until the thread ends: 100 ms after its
    /// connection, unless another follows, or it is one of the two that wait at a listener.
    pub stack_size: Option<usize>,
    /// How many event loops a server has
    /// ([`Server::run_event_loop`](crate::Server::run_event_loop)), each on a thread of its own. `None`, the default, is
    /// one for each core that the process may use.
    #[cfg(feature = "event-loop")]
    pub event_loops: Option<usize>,
    /// Compression (permessage-deflate, RFC 7692), for clients that offer it. `None`, the default,
    /// declines all offers.
    #[cfg(feature = "deflate")]
    pub compression: Option<Deflate>,
}

/// How much a peer may ask for (§10.4). Every maximum is inclusive.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Length of the request line in bytes. Default 8,192, as nginx and Kestrel have it.
    pub max_request_line: usize,
    /// Length of one header line in bytes. Default 32 KiB, as much as the whole head: cookies are
    /// one line, and all servers of a host share them, whatever their ports.
    pub max_header_line: usize,
    /// Number of header lines. Default 100.
    pub max_headers: usize,
    /// Length of the whole request head in bytes. Default 32 KiB.
    pub max_head_size: usize,
    /// Length of a message in bytes, all fragments together, inflated if it came compressed; a longer
    /// one is refused with 1009.
    /// Default 16 MiB, the largest that the Autobahn Testsuite sends. [`recv_chunk`](crate::Connection::recv_chunk) takes a
    /// message of any size in constant memory: raise this for it.
    pub max_message_size: u64,
    /// Fragments of one message, empty ones counted. Default 131,072: the Autobahn Testsuite
    /// sends 65,536.
    pub max_fragments: u32,
    /// Bytes that all connections of a server hold together of messages longer than 16 KiB, being
    /// received or handled: what has arrived, and beyond 64 KiB room for as much again, until the
    /// next call that receives. Default 1 GiB; the message that would pass it is refused with 1013.
    /// A sixteenth of it comes on top, for memory of more than 64 KiB that a connection keeps to
    /// read into, or for its next message until that has arrived. On event loops what an `Outbox` has queued
    /// counts too, and what has come of a peer that is not read, however short the messages in it.
    pub max_buffered_bytes: u64,
    /// Open connections of a server, those in the handshake counted, and those that have ended for as long
    /// as somebody keeps a [`Sender`](crate::Sender). Default 8,192: a thread
    /// takes four memory maps of the 65,530 that Linux grants a process. One more is answered
    /// with 503.
    pub max_connections: usize,
    /// Open connections from one IPv4 address or one IPv6 /64 network, which is what one
    /// subscriber has. Default 8,192, which is no further limit: behind a proxy every client has
    /// the proxy's address. Lower it on a server that faces its clients.
    pub max_connections_per_ip: usize,
}

/// How long a peer may take. All but `ping_interval` and `idle_timeout` are deadlines for the whole step,
/// however the bytes dribble in. [`Duration::MAX`] turns one off.
///
/// For `message`, `ping_interval` and `idle_timeout`, only time counts that is spent waiting for the peer inside
/// `recv`; a handler that is busy elsewhere does not run its peer's clock down.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From accept to the last byte of the request head. Default 10 s.
    pub handshake: Duration,
    /// From the first byte of a message to its last, with 1 s more for each 64 KiB received, as they
    /// came if it is compressed, so that a slow but honest link can still deliver the largest. Default 60 s. Passing it
    /// closes with 1008.
    pub message: Duration,
    /// The keep-alive, or heartbeat: silence after which a Ping is sent (§5.5.2), at least this, and up to 2 % more, since a
    /// system's timeouts round up. Default 25 s: many proxies cut after 55 or 60 s, and some
    /// address translators after 30. With [`idle_timeout`](Self::idle_timeout) at or below the default, no Ping is
    /// sent unless this is lowered too.
    pub ping_interval: Duration,
    /// Silence after which the peer is taken for dead: at least this, and up to 2 % more; closes
    /// with 1008. Default 120 s.
    pub idle_timeout: Duration,
    /// For one write to be taken by the peer, with 1 s more for each 64 KiB in it. Default 10 s.
    /// Passing it ends the connection, for the frame is broken. Each write has its own: what a
    /// peer has sent before it stopped to read may call for several. All fragments of a message
    /// together have that of one write. A thread also waits no longer for others that send on the
    /// same connection.
    pub write: Duration,
    /// From our Close to the peer's, as far as its time is spent waiting inside `recv`; and from a
    /// failure to the end of the connection (§7.1.1), which throws away what comes meanwhile.
    /// Default 2 s.
    pub close: Duration,
}

/// The least stack of a thread, in bytes: the report of a panic takes the most.
const LEAST_STACK: usize = 64 << 10;

impl Config {
    /// Whether a server can do what is asked of it. [`Server::run`](crate::Server::run) and
    /// [`Upgrade::handshake`](crate::Upgrade::handshake) call this themselves.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput), with a line that says what would be right:
    ///
    /// - for a limit of zero that would let nobody in, and a time of zero;
    /// - for two that contradict each other: a line of a head that may be longer than the head, a
    ///   Ping that comes no sooner than the end for silence. Where the first of the two has its
    ///   default, it just never comes to bear;
    /// - for a stack that is too small;
    /// - for an origin that no browser would ever send.
    pub fn validate(&self) -> io::Result<()> {
        let valid = self.limits.validate().and_then(|()| self.timeouts.validate());
        valid.and_then(|()| self.validate_rest()).map_err(|wrong| {
            io::Error::new(ErrorKind::InvalidInput, format!("the configuration is wrong: {wrong}"))
        })
    }

    fn validate_rest(&self) -> Result<(), String> {
        #[cfg(feature = "deflate")]
        self.compression.as_ref().map_or(Ok(()), Deflate::validate)?;
        #[cfg(feature = "event-loop")]
        if self.event_loops == Some(0) {
            return Err("event_loops is 0, which serves nobody; 1 is the least".into());
        }
        if let Some(size) = self.stack_size.filter(|size| *size < LEAST_STACK) {
            return Err(format!("stack_size is {size} bytes; it must be {LEAST_STACK} or more"));
        }
        for origin in &self.origins {
            Origin::parse(origin).map_err(|wrong| format!("in origins, {wrong}"))?;
        }
        Ok(())
    }
}

impl Limits {
    pub(crate) fn validate(&self) -> Result<(), String> {
        for (name, limit) in [
            ("max_request_line", self.max_request_line),
            ("max_header_line", self.max_header_line),
            ("max_headers", self.max_headers),
            ("max_head_size", self.max_head_size),
            ("max_connections", self.max_connections),
            ("max_connections_per_ip", self.max_connections_per_ip),
        ] {
            if limit == 0 {
                return Err(format!("limits.{name} is 0, which lets nobody in; 1 is the least"));
            }
        }
        if self.max_fragments == 0 {
            return Err(
                "limits.max_fragments is 0, which lets no message in; 1 is the least".into()
            );
        }
        let default = Self::default();
        for (name, line, default) in [
            ("max_request_line", self.max_request_line, default.max_request_line),
            ("max_header_line", self.max_header_line, default.max_header_line),
        ] {
            if line > self.max_head_size && line != default {
                let head = self.max_head_size;
                return Err(format!(
                    "limits.{name} is {line} bytes, and limits.max_head_size, of which it is a part, \
                     {head}; lower the one or raise the other"
                ));
            }
        }
        Ok(())
    }
}

impl Timeouts {
    pub(crate) fn validate(&self) -> Result<(), String> {
        for (name, timeout) in [
            ("handshake", self.handshake),
            ("message", self.message),
            ("ping_interval", self.ping_interval),
            ("idle_timeout", self.idle_timeout),
            ("write", self.write),
            ("close", self.close),
        ] {
            if timeout.is_zero() {
                return Err(format!(
                    "timeouts.{name} is 0, over before it begins; Duration::MAX turns it off"
                ));
            }
        }
        let (ping, idle) = (self.ping_interval, self.idle_timeout);
        if ping >= idle && ![Duration::MAX, Self::default().ping_interval].contains(&ping) {
            return Err(format!(
                "timeouts.ping_interval is {ping:?}, and timeouts.idle_timeout ends the connection after {idle:?}; \
                 ping sooner, or not at all with Duration::MAX"
            ));
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        let head = HeadLimits::default();
        Self {
            max_request_line: head.max_request_line,
            max_header_line: head.max_header_line,
            max_headers: head.max_headers,
            max_head_size: head.max_head_size,
            max_message_size: 16 << 20,
            max_fragments: 131_072,
            max_buffered_bytes: 1 << 30,
            max_connections: 8_192,
            max_connections_per_ip: 8_192,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            message: Duration::from_secs(60),
            ping_interval: Duration::from_secs(25),
            idle_timeout: Duration::from_secs(120),
            write: Duration::from_secs(10),
            close: Duration::from_secs(2),
        }
    }
}

impl Limits {
    pub(crate) fn for_head(&self) -> HeadLimits {
        HeadLimits {
            max_request_line: self.max_request_line,
            max_header_line: self.max_header_line,
            max_headers: self.max_headers,
            max_head_size: self.max_head_size,
        }
    }

    pub(crate) fn for_decoder(&self) -> DecoderLimits {
        DecoderLimits { max_message_size: self.max_message_size, max_fragments: self.max_fragments }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Config)) -> Result<(), String> {
        let mut config = Config::default();
        change(&mut config);
        config.validate().map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        })
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn edge_z_what_contradicts_itself_is_refused_with_what_would_be_right() {
        type Wrong = (&'static str, &'static str, fn(&mut Config));
        let wrong: [Wrong; 17] = [
            ("max_connections", "1 is the least", |c| c.limits.max_connections = 0),
            ("max_connections_per_ip", "1 is the least", |c| c.limits.max_connections_per_ip = 0),
            ("max_headers", "1 is the least", |c| c.limits.max_headers = 0),
            ("max_head_size", "1 is the least", |c| c.limits.max_head_size = 0),
            ("max_fragments", "1 is the least", |c| c.limits.max_fragments = 0),
            ("max_header_line", "lower the one", |c| c.limits.max_header_line = 40_000),
            ("max_request_line", "lower the one", |c| c.limits.max_request_line = 40_000),
            ("handshake", "Duration::MAX", |c| c.timeouts.handshake = Duration::ZERO),
            ("message", "Duration::MAX", |c| c.timeouts.message = Duration::ZERO),
            ("idle", "Duration::MAX", |c| c.timeouts.idle_timeout = Duration::ZERO),
            ("write", "Duration::MAX", |c| c.timeouts.write = Duration::ZERO),
            ("close", "Duration::MAX", |c| c.timeouts.close = Duration::ZERO),
            ("ping", "ping sooner", |c| c.timeouts.ping_interval = c.timeouts.idle_timeout),
            ("ping", "ping sooner", |c| {
                c.timeouts.ping_interval = c.timeouts.idle_timeout + SECOND
            }),
            ("stack_size", "65536", |c| c.stack_size = Some(65_535)),
            ("example.com", "https://", |c| c.origins = vec!["example.com".into()]),
            ("https://a/", "https://", |c| {
                c.origins = vec!["https://b".into(), "https://a/".into()];
            }),
        ];
        for (name, right, change) in wrong {
            let text = with(change).expect_err(name);
            assert!(text.contains(name) && text.contains(right) && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn edge_z_what_makes_sense_is_left_alone() {
        let right: [fn(&mut Config); 9] = [
            |_| (),
            // A default does not have to follow.
            |c| c.timeouts.idle_timeout = SECOND,
            |c| c.limits.max_head_size = 1_000,
            |c| c.timeouts.ping_interval = Duration::MAX,
            |c| (c.timeouts.ping_interval, c.timeouts.idle_timeout) = (SECOND * 300, Duration::MAX),
            |c| (c.timeouts.ping_interval, c.timeouts.idle_timeout) = (SECOND / 10, SECOND / 5),
            |c| (c.limits.max_message_size, c.limits.max_buffered_bytes) = (0, 0),
            |c| c.stack_size = Some(65_536),
            |c| c.origins = vec!["https://example.com".into(), "http://localhost:1".into()],
        ];
        for (at, change) in right.into_iter().enumerate() {
            assert_eq!(with(change), Ok(()), "{at}");
        }
    }

    /// Many proxies cut a connection that was silent for 55 or 60 s; a Ping has to come before.
    #[test]
    fn edge_x_a_ping_comes_before_a_proxy_gives_up() {
        let Timeouts { ping_interval: ping, idle_timeout: idle, .. } = Timeouts::default();
        assert_eq!((ping, idle), (SECOND * 25, SECOND * 120));
    }
}
