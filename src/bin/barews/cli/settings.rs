//! The options, in one table for the command line, the environment, the help and the manual.

use barews::http::Origin;

use super::options::Options;
use super::{hint, values};
#[cfg(feature = "backplane")]
use crate::backplane::Target;
use crate::os::address::Address;

/// What the variables of the environment begin with.
pub const PREFIX: &str = "BAREWS_";

/// An option.
pub struct Setting {
    pub name: &'static str,
    /// What the value is called in the help; empty for an option that has none, and in brackets,
    /// its sign of equality too, for one that can do without.
    pub value: &'static str,
    pub help: &'static str,
    pub topic: Topic,
    /// Sets it, or returns a line on what is wrong.
    set: fn(&mut Options, &str) -> Result<(), String>,
}

/// Where in the help an option stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    Main,
    Limits,
    Timeouts,
    Admin,
    #[cfg(feature = "event-loop")]
    Engine,
    #[cfg(feature = "backplane")]
    Backplane,
    #[cfg(feature = "deflate")]
    Deflate,
    #[cfg(feature = "tls")]
    Tls,
}

/// A setting whose value is read by a function and stored in a field, or set by a closure of its own.
macro_rules! setting {
    ($topic:ident, $name:literal, $value:literal, $help:literal, $set:expr) => {
        Setting { name: $name, value: $value, help: $help, topic: Topic::$topic, set: $set }
    };
    ($topic:ident, $name:literal, $value:literal, $help:literal, $read:path => $($field:ident).+) => {
        setting!($topic, $name, $value, $help, |options, text| {
            let value = $read(text).map_err(|right| is_not(text, right))?.try_into();
            let too_large = |_| is_not(text, "a number that this machine has");
            options.$($field).+ = value.map_err(too_large)?;
            Ok(())
        })
    };
}

/// All settings, in the order of the help; defaults are those of the library but for the stack's.
pub const SETTINGS: &[Setting] = &[
    setting!(
        Main,
        "--listen",
        "ADDR",
        "[HOST]:PORT, unix:PATH; repeatable [127.0.0.1:9001]",
        |options, text| {
            options.listen.push(Address::parse(text).map_err(|right| is_not(text, right))?);
            Ok(())
        }
    ),
    setting!(
        Main,
        "--origin",
        "ORIGIN",
        "let in web pages from here only; repeatable [any]",
        |options, text| {
            Origin::parse(text).map_err(|wrong| wrong.to_string())?;
            options.config.origins.push(text.to_owned());
            Ok(())
        }
    ),
    setting!(
        Main,
        "--subprotocol",
        "NAME",
        "agree to these of those offered, or none [the first]",
        |options, text| {
            options.behaviour.subprotocols.add(text).map_err(|right| is_not(text, right))
        }
    ),
    setting!(Main, "--log", "FORMAT", "lines on standard error: text, json or off [text]",
        values::format => log),
    setting!(Main, "--log-messages", "", "each message too, with its first bytes",
        values::flag => behaviour.log_messages),
    setting!(Main, "--show-credentials", "", "do not mask cookies and the like in /headers",
        values::flag => behaviour.show_credentials),
    setting!(Main, "--faults", "", "serve /handshake, /invalid, which break the protocol",
        values::flag => behaviour.faults),
    setting!(Main, "--config", "FILE", "options as in the environment, one a line",
        values::file => config_file),
    setting!(Limits, "--max-connections", "N", "open at once, then 503 [8192]",
        values::count => config.limits.max_connections),
    setting!(Limits, "--max-connections-per-ip", "N", "of these from one address [8192]",
        values::count => config.limits.max_connections_per_ip),
    setting!(Limits, "--max-message", "SIZE", "longest message, then 1009 [16M]",
        values::size => config.limits.max_message_size),
    setting!(Limits, "--max-fragments", "N", "of one message, then 1008 [131072]",
        values::count => config.limits.max_fragments),
    setting!(Limits, "--max-assembling", "SIZE", "held of messages over 16K in all, then 1013 [1G]",
        values::size => config.limits.max_buffered_bytes),
    setting!(Limits, "--max-head", "SIZE", "longest request head, then 431 [32K]",
        values::positive_size => config.limits.max_head_size),
    setting!(Limits, "--max-headers", "N", "most header lines, then 431 [100]",
        values::count => config.limits.max_headers),
    setting!(Limits, "--max-header-line", "SIZE", "longest header line, then 431 [32K]",
        values::positive_size => config.limits.max_header_line),
    setting!(Limits, "--max-request-line", "SIZE", "longest request line, then 414 [8K]",
        values::positive_size => config.limits.max_request_line),
    setting!(Limits, "--stack-size", "SIZE", "of a connection's thread, from 64K on [128K]",
        values::stack => config.stack_size),
    setting!(Timeouts, "--handshake-timeout", "TIME", "for the whole request [10s]",
        values::timeout => config.timeouts.handshake),
    setting!(Timeouts, "--message-timeout", "TIME", "for a message, and 1s for each 64K [60s]",
        values::timeout => config.timeouts.message),
    setting!(Timeouts, "--ping-after", "TIME", "of silence [25s]",
        values::timeout => config.timeouts.ping_interval),
    setting!(Timeouts, "--idle-timeout", "TIME", "of silence until the end [120s]",
        values::timeout => config.timeouts.idle_timeout),
    setting!(Timeouts, "--write-timeout", "TIME", "for a write, and 1s for each 64K [10s]",
        values::timeout => config.timeouts.write),
    setting!(Timeouts, "--close-timeout", "TIME", "for the end of a connection [2s]",
        values::timeout => config.timeouts.close),
    setting!(Timeouts, "--grace", "TIME", "for all of them, once told to stop [3s]",
        values::time => grace),
    setting!(
        Admin,
        "--admin",
        "ADDR",
        "for those who run it, see below; repeatable [none]",
        |options, text| {
            options.admin.push(Address::parse(text).map_err(|right| is_not(text, right))?);
            Ok(())
        }
    ),
    setting!(Admin, "--drain", "TIME", "a drain, once told to stop, before --grace [0s]",
        values::drain => drain),
    setting!(Admin, "--private-metrics", "", "/metrics there alone",
        values::flag => behaviour.private_metrics),
    #[cfg(feature = "event-loop")]
    setting!(Engine, "--engine", "ENGINE", "threads or event-loop [threads]",
        values::engine => engine),
    #[cfg(feature = "event-loop")]
    setting!(Engine, "--engine-loops", "N", "how many event loops [as many as cores]",
        values::loops => config.event_loops),
    #[cfg(feature = "deflate")]
    setting!(Main, "--deflate", "", "compress for clients that offer it (RFC 7692)",
        values::flag => compress),
    #[cfg(feature = "deflate")]
    setting!(Deflate, "--deflate-level", "LEVEL", "1, the fastest, to 9, the slowest [3]",
        values::level => deflate.level),
    #[cfg(feature = "deflate")]
    setting!(Deflate, "--deflate-server-max-window-bits", "BITS", "9 to 15; clients may ask for less [15]",
        values::window_bits => deflate.server_max_window_bits),
    #[cfg(feature = "deflate")]
    setting!(Deflate, "--deflate-client-max-window-bits", "BITS", "9 to 15, where the client lets us [12]",
        values::window_bits => deflate.client_max_window_bits),
    #[cfg(feature = "deflate")]
    setting!(Deflate, "--deflate-server-no-context-takeover", "", "compress each message by itself",
        values::flag => deflate.server_no_context_takeover),
    #[cfg(feature = "deflate")]
    setting!(Deflate, "--deflate-client-no-context-takeover", "", "have clients do so",
        values::flag => deflate.client_no_context_takeover),
    #[cfg(feature = "deflate")]
    setting!(Deflate, "--deflate-history", "SIZE", "a message refers back to at most [2K]",
        values::history => deflate.history),
    #[cfg(feature = "deflate")]
    setting!(
        Deflate,
        "--deflate-threshold",
        "SIZE",
        "least to compress [32; no takeover: 256]",
        |options, text| {
            let threshold = values::threshold(text).map_err(|right| is_not(text, right))?;
            // Who names one means all connections, whatever each has agreed on.
            options.deflate.threshold = threshold;
            options.deflate.threshold_no_context = threshold;
            Ok(())
        }
    ),
    #[cfg(feature = "deflate")]
    setting!(Deflate, "--deflate-memory", "SIZE", "of all connections, see below [256M]",
        values::size => deflate.max_memory),
    #[cfg(feature = "tls")]
    setting!(Tls, "--tls-cert", "FILE", "the certificate and those of its issuers, in PEM",
        values::file => tls.cert),
    #[cfg(feature = "tls")]
    setting!(Tls, "--tls-key", "FILE", "its private key in PEM; may be in the same file",
        values::file => tls.key),
    #[cfg(feature = "tls")]
    setting!(Tls, "--tls-self-signed", "[=NAME,...]", "a certificate for tests, see below",
        values::self_signed => tls.self_signed),
    #[cfg(feature = "backplane")]
    setting!(
        Backplane,
        "--backplane",
        "URL",
        "redis://[USER:PASSWORD@]HOST:PORT [none]",
        |options, text| {
            options.backplane = Some(Target::parse(text)?);
            Ok(())
        }
    ),
    #[cfg(feature = "backplane")]
    setting!(Backplane, "--backplane-queue", "SIZE", "kept for Redis, see below [64M]",
        values::positive_size => backplane_queue),
];

impl Setting {
    /// The variable of the environment that stands in for the option.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name[2..].replace('-', "_").to_ascii_uppercase())
    }

    /// The option whose name is most like `wrong`, which is without its `--` or prefix.
    pub fn nearest(wrong: &str) -> Option<&'static Self> {
        let name = hint::nearest(wrong, SETTINGS.iter().map(|setting| &setting.name[2..]))?;
        SETTINGS.iter().find(|setting| &setting.name[2..] == name)
    }

    /// Whether its value is 1 if none is given.
    pub fn is_flag(&self) -> bool {
        self.value.is_empty() || self.value.starts_with('[')
    }

    /// Whether it may be given more than once.
    pub fn is_list(&self) -> bool {
        matches!(self.name, "--listen" | "--admin" | "--origin" | "--subprotocol")
    }

    /// Sets it; `source` is how the user said it.
    pub fn apply(&self, options: &mut Options, source: &str, text: &str) -> Result<(), String> {
        #[cfg(feature = "deflate")]
        if self.topic == Topic::Deflate {
            options.deflate_settings.push(self.name);
        }
        (self.set)(options, text).map_err(|wrong| {
            let near = hint::nearest(text, self.choices().iter().copied());
            let near = near.map_or(String::new(), |near| format!("; perhaps {near}"));
            format!("{source}: {wrong}{near}")
        })
    }

    /// All values that there are, where they are few.
    pub fn choices(&self) -> &'static [&'static str] {
        match self.value {
            "FORMAT" => &["text", "json", "off"],
            "ENGINE" => &["threads", "event-loop"],
            _ => &[],
        }
    }
}

/// What is wrong with a value, by what would be right.
pub fn is_not(text: &str, right: &str) -> String {
    format!("{text:?} is not {right}")
}
