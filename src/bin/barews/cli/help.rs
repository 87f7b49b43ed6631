//! The help, made of the same tables as the manual page.

use super::features::{lacking, without};
use super::hint::nearest;
use super::settings::{SETTINGS, Setting, Topic};
use crate::routes::route::listing;

pub(super) const TOPICS: &[&str] = &[
    "addresses",
    "paths",
    "handshake",
    "faults",
    "limits",
    "timeouts",
    "admin",
    #[cfg(feature = "event-loop")]
    "engine",
    #[cfg(feature = "backplane")]
    "backplane",
    #[cfg(feature = "deflate")]
    "deflate",
    #[cfg(feature = "tls")]
    "tls",
    "environment",
    "config",
    "healthcheck",
    "completions",
    "all",
];

/// The commands: how each is called, what behind it, and what it does.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    ("healthcheck", "[URL]", "ask a server whether it is up"),
    ("completions", "bash|zsh|fish", "print what completes options and their values"),
    ("help", "[TOPIC]", "the same as --help"),
];

/// The topics of options with words of their own, most of which not every build has.
pub(super) const FEATURES: &[Feature] = &[
    Feature {
        name: "admin",
        topic: Topic::Admin,
        title: "ADMIN",
        heading: "Health, metrics and the drain on an address of their own:",
        text: ADMIN,
    },
    #[cfg(feature = "event-loop")]
    Feature {
        name: "engine",
        topic: Topic::Engine,
        title: "ENGINE",
        heading: "What serves the connections:",
        text: ENGINE,
    },
    #[cfg(feature = "backplane")]
    Feature {
        name: "backplane",
        topic: Topic::Backplane,
        title: "BACKPLANE",
        heading: "Rooms (/broadcast/{room}) that all processes on one Redis share:",
        text: BACKPLANE,
    },
    #[cfg(feature = "deflate")]
    Feature {
        name: "deflate",
        topic: Topic::Deflate,
        title: "COMPRESSION",
        heading: "Compression with --deflate (permessage-deflate, RFC 7692):",
        text: DEFLATE,
    },
    #[cfg(feature = "tls")]
    Feature {
        name: "tls",
        topic: Topic::Tls,
        title: "TLS",
        heading: "TLS 1.2 and 1.3, for wss:// and https:// on every address:",
        text: TLS,
    },
];

/// Such a topic.
pub(super) struct Feature {
    name: &'static str,
    pub(super) topic: Topic,
    /// Of its section in the manual.
    pub(super) title: &'static str,
    /// Above its options in the help.
    heading: &'static str,
    /// Below them.
    pub(super) text: &'static str,
}

pub(super) const UNITS: &str = "\
SIZE is in bytes, or with K, M or G in KiB, MiB or GiB. TIME is like 500ms,
1.5s, 2m or 1h; off means never.
";

/// Every way to write an address.
pub(super) const ADDRESSES: &[(&str, &str)] = &[
    ("HOST:PORT", "all addresses of the host; port 0 is any free one"),
    ("localhost:PORT", "127.0.0.1 and ::1, whatever else knows the name"),
    ("[IPV6]:PORT", "an IPv6 address, in brackets"),
    (":PORT", "every interface, IPv6 and IPv4"),
    ("unix:PATH", "a Unix-domain socket, removed at the end"),
    ("unix:@NAME", "one without a file, on Linux"),
];

pub(super) const LISTENING: &str = "\
A socket file that a dead server has left is taken over, one that belongs to a
living one is not. Up to 4,096 connections wait to be accepted, as far as the
system lets them (net.core.somaxconn on Linux).

Listeners that a supervisor passes (LISTEN_FDS and LISTEN_PID, as systemd sets
them) are used beside those named, with the backlog that it chose. The default
address is used only if there are none at all.
";

pub(super) const SIGNALS: &str = "\
SIGTERM, SIGINT and SIGHUP send 1001 to everyone and end the program once all
have closed, or the grace is over; a second SIGTERM or SIGINT ends it at once.
SIGHUP does nothing if it was ignored from the start, as under nohup. With
--tls-cert it ends nothing, but has the certificate read anew, in any case.
SIGQUIT always ends it at once.
";

/// Every status that the program ends with.
pub(super) const EXITS: &[(&str, &str)] = &[
    ("0", "after SIGTERM, SIGINT or SIGHUP, and after printing what was asked for"),
    ("1", "if standard output cannot be written to, or a health check fails"),
    ("2", "if an option is wrong, an address cannot be listened on, or serving fails"),
    ("130, 143", "after a second signal: 128 and its number"),
];

pub(super) const ENVIRONMENT: &str = "\
Each option can stand in the environment instead: BAREWS_ and its name in upper
case, so BAREWS_MAX_MESSAGE=1M for --max-message 1M. A list (BAREWS_LISTEN,
BAREWS_ORIGIN, BAREWS_SUBPROTOCOL) has spaces between; BAREWS_FAULTS and others
without a value are 1 or 0. An argument comes before the environment. A name
that is no option's is ignored, with a warning.

PORT=N alone listens on 0.0.0.0:N.

The soft limit of descriptors is raised to the hard one (ulimit -Hn), and there
is a warning if that does not do for --max-connections.
";

pub(super) const CONFIG: &str = "\
--config FILE, or BAREWS_CONFIG, names a file of lines as they could stand in
the environment, such as BAREWS_MAX_MESSAGE=1M. An argument comes before the
environment, and that before the file. A line that begins with # is a comment.
Quotes around a whole value are taken off, which systemd (EnvironmentFile=) and
shells do too, but not docker run --env-file: leave them away, no value needs
them. Of two lines with one name the last counts. A line that is anything else,
or a name that is no option's, is an error.

A password, as in BAREWS_BACKPLANE, is best kept in a file that only the server
can read.
";

pub(super) const HEALTHCHECK: &str = "\
barews healthcheck [OPTION...] [URL] ends with 0 if the server is up: if GET
/healthz is answered with 200. Else, or if that takes more than 3 seconds, it
ends with 1 and a line on standard error, and if asked wrongly with 2. It is
for containers without curl.

URL is http://HOST:PORT/PATH, https://... or unix:PATH; without PATH it is
/healthz. Without a URL it is that of the server which the options here, the
environment and --config would start: on --admin, if there is one, for it
answers when there is no place left; or on the first address, or 127.0.0.1:9001.
Arguments of a server that runs are not known to it.

https:// takes any certificate: this asks whether a server lives, not who it is.
";

pub(super) const COMPLETIONS: &str = "\
barews completions SHELL prints what has the Tab key complete options, their
values, topics and files:

  bash  barews completions bash > /etc/bash_completion.d/barews
  zsh   barews completions zsh > /usr/share/zsh/vendor-completions/_barews
  fish  barews completions fish > ~/.config/fish/completions/barews.fish

or for one session of bash: source <(barews completions bash)
";

/// What there is for those who run a server.
const ADMIN: &str = "\
It speaks plain HTTP, and answers when there is no place left for clients.

  GET /healthz            200, or 503 once the server is to be left alone
  GET /metrics            counters, for Prometheus
  POST /drain?over=TIME   /healthz is 503 from now on, and everybody is sent
                          1001, evenly over 0s to 1h [30s]; after that, who
                          comes gets 503. Again, for another time
  GET /drain              how far that has come
  DELETE /drain           calls it off

--drain does the same at the first SIGTERM; a second one ends the drain, and a
third the program.

Whoever reaches it may drain: have 127.0.0.1:PORT or unix:PATH, or a network
that is trusted. Web pages are refused.
";

/// Which engine is for what.
#[cfg(feature = "event-loop")]
const ENGINE: &str = "\
threads has one for each connection. event-loop has one for each core, and many
connections on each: for thousands of them, which take far less memory so. Both
answer the same bytes, and keep the same limits and deadlines. What has to wait
for its client has a thread of its own there too, such as /fragment or /slow.
";

/// What a room across processes is.
#[cfg(feature = "backplane")]
const BACKPLANE: &str = "\
A message goes to Redis and comes back to each process, so its order in a room
is one for all. While Redis is away, members have those of their own process at
once, and others have them when it is back, as far as the queue goes. What does
not get there is counted in /metrics and told to the log; nobody is cut for it.

Redis that is away at the start may come later; one that does not let us in is
an error. A password belongs in BAREWS_BACKPLANE, not in the arguments, which
everybody on the machine can read. rediss:// is for TLS, where the build has it.
";

/// What compression does and costs.
#[cfg(feature = "deflate")]
const DEFLATE: &str = "\
A message refers back to those before it, as far as the history and the window
go, unless each is compressed by itself (no context takeover). For this an open
connection keeps 2K of what was sent, and of what came 4K, or 32K if the client
gives no choice. Half of the memory is for that; when it is used up, connections
open without takeover. The other half is for messages under way; when that is
used up, one of over 16K that is not yet whole gets 1013, and what is sent goes
as it is. The log, the page and /headers tell what was agreed on.

A secret does not belong in a message with text that somebody else can choose:
the length gives it away (CRIME, BREACH).
";

/// Where certificates come from, and how clients come to trust one that signs itself.
#[cfg(feature = "tls")]
const TLS: &str = "\
SIGHUP has both files read anew: new connections get the new certificate, and
those that are open go on. If something is wrong with a file, the log says what,
and the old certificate stays. /metrics tells when it expires.

With --tls-self-signed each start makes a certificate, for localhost, 127.0.0.1,
::1 and the ADDRs unless names are given. It is printed to standard output and
served at /cert.pem; the log has its fingerprint. Clients trust it so:

  curl      --cacert cert.pem
  Node.js   NODE_EXTRA_CA_CERTS=cert.pem
  Python    ssl.create_default_context(cafile='cert.pem')
  Chromium  --ignore-certificate-errors-spki-list=PIN, which the log has too
";

/// The help on a topic, or the first screen; an error names the topics.
pub fn text(topic: Option<&str>) -> Result<String, String> {
    Ok(match topic {
        None => main(),
        Some("addresses") => addresses(),
        Some("limits") => format!(
            "Limits of the server, and what is beyond them:\n\n{}\n{UNITS}",
            list(Topic::Limits)
        ),
        Some("timeouts") => {
            format!("Deadlines, each for a whole step:\n\n{}\n{UNITS}", list(Topic::Timeouts))
        }
        Some("environment") => format!("{ENVIRONMENT}\n{SIGNALS}"),
        Some("config") => CONFIG.to_owned(),
        Some("healthcheck") => HEALTHCHECK.to_owned(),
        Some("completions") => COMPLETIONS.to_owned(),
        Some("all") => {
            let options = [Topic::Main, Topic::Limits, Topic::Timeouts].map(list).concat();
            let (addresses, paths) = (addresses(), listing::all());
            let features: String =
                FEATURES.iter().map(|feature| format!("\n{}", on_feature(feature))).collect();
            format!(
                "Options:\n\n{options}\n{UNITS}{features}\n{addresses}\n{paths}\n{ENVIRONMENT}\n{CONFIG}\n{SIGNALS}\n\
                 {HEALTHCHECK}\n{COMPLETIONS}"
            )
        }
        Some(other) => {
            let feature = FEATURES.iter().find(|feature| feature.name == other).map(on_feature);
            let paths = || match other.starts_with('/') {
                true => listing::about(other),
                false => listing::topic(other),
            };
            feature.or_else(paths).ok_or_else(|| no_topic(other))?
        }
    })
}

fn on_feature(feature: &Feature) -> String {
    format!("{}\n\n{}\n{}", feature.heading, list(feature.topic), feature.text)
}

fn no_topic(name: &str) -> String {
    match lacking(name) {
        Some(feature) => without(&format!("--{name}"), feature),
        None => {
            let nearest = nearest(name, TOPICS.iter().copied());
            let topics = nearest.map_or_else(|| TOPICS.join(", "), str::to_owned);
            format!("there is no help on {name}, but on {topics}")
        }
    }
}

fn main() -> String {
    let topics = wrap(28, TOPICS.iter().copied(), ", ");
    let topics = &topics[28..];
    // The names alone; the topics have the rest.
    let names = wrap(2, listing::names(false).into_iter(), "  ");
    let plain = listing::names(true).join("  ");
    let commands: Vec<_> =
        COMMANDS.iter().map(|(name, args, _)| format!("{name} {args}")).collect();
    let commands = commands.join(" | ");
    format!(
        "barews {}: a strict WebSocket (RFC 6455) endpoint to test clients against\n\n\
         Usage: barews [OPTION...] [ADDR...]        ADDR is the same as --listen ADDR\n       \
         barews {commands}\n\n\
         {}  \
         -h, --help [TOPIC]        {topics}\n  \
         --man, -V, --version      the manual page, for man -l -; the version\n\n\
         WebSocket paths, with values behind them (others echo):\n{names}\nPlain HTTP: {plain}\n",
        env!("CARGO_PKG_VERSION"),
        list(Topic::Main),
    )
}

/// Words in lines of at most 80 columns, all of them indented.
fn wrap<'a>(indent: usize, words: impl Iterator<Item = &'a str>, between: &str) -> String {
    let mut text = format!("{:indent$}", "");
    let mut column = indent;
    for (i, word) in words.enumerate() {
        // What stands between may end a line.
        let fits = column + between.len() + word.len() + between.trim_end().len() <= 80;
        match (i, fits) {
            (0, _) => {}
            (_, true) => {
                text += between;
                column += between.len();
            }
            (_, false) => {
                text += &format!("{}\n{:indent$}", between.trim_end(), "");
                column = indent;
            }
        }
        text += word;
        column += word.len();
    }
    text
}

fn addresses() -> String {
    let mut text = "ADDR is one of:\n\n".to_owned();
    for (addr, means) in ADDRESSES {
        text += &format!("  {addr:25} {means}\n");
    }
    format!("{text}\n{LISTENING}")
}

fn list(topic: Topic) -> String {
    let settings = SETTINGS.iter().filter(|setting| setting.topic == topic);
    let lines: Vec<_> = settings.map(|setting| (option(setting), setting.help)).collect();
    let width = lines.iter().map(|(option, _)| option.len()).max().unwrap_or(0).max(25);
    lines.iter().map(|(option, help)| format!("  {option:width$} {help}\n")).collect()
}

/// An option with its value, as one writes it.
pub(super) fn option(setting: &Setting) -> String {
    match setting.value {
        value if setting.is_flag() => format!("{}{value}", setting.name),
        value => format!("{} {value}", setting.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_screen_fits() {
        let topics = TOPICS.iter().copied().filter(|topic| *topic != "all").map(Some);
        for topic in [None].into_iter().chain(topics) {
            let text = text(topic).unwrap();
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
            assert!(text.lines().count() <= 24, "{}\n{text}", text.lines().count());
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
        }
        let topics = TOPICS.join(", ");
        assert_eq!(text(Some("x")).unwrap_err(), format!("there is no help on x, but on {topics}"));
        assert_eq!(text(Some("deflate")).is_ok(), cfg!(feature = "deflate"));
        assert_eq!(text(Some("tls")).is_ok(), cfg!(feature = "tls"));
    }
}
