//! The help and the manual page, both made of the same tables.

#[cfg(not(feature = "deflate"))]
use super::settings::without_deflate;
use super::settings::{SETTINGS, Setting, Topic};
use crate::routes::route::{PATHS, PLAIN};

#[cfg(not(feature = "deflate"))]
const TOPICS: &str = "addresses, paths, limits, timeouts, environment, all";
#[cfg(feature = "deflate")]
const TOPICS: &str = "addresses, paths, limits, timeouts, deflate, environment, all";

const UNITS: &str = "\
SIZE is in bytes, or with K, M or G in KiB, MiB or GiB. TIME is like 500ms,
1.5s, 2m or 1h; off means never.
";

/// Every way to write an address.
const ADDRESSES: &[(&str, &str)] = &[
    ("HOST:PORT", "all addresses of the host; port 0 is any free one"),
    ("localhost:PORT", "127.0.0.1 and ::1, whatever else knows the name"),
    ("[IPV6]:PORT", "an IPv6 address, in brackets"),
    (":PORT", "every interface, IPv6 and IPv4"),
    ("unix:PATH", "a Unix-domain socket, removed at the end"),
    ("unix:@NAME", "one without a file, on Linux"),
];

const LISTENING: &str = "\
A socket file that a dead server has left is taken over, one that belongs to a
living one is not. Up to 4,096 connections wait to be accepted, as far as the
system lets them (net.core.somaxconn on Linux).

Listeners that a supervisor passes (LISTEN_FDS and LISTEN_PID, as systemd sets
them) are used beside those named, with the backlog that it chose. The default
address is used only if there are none at all.
";

const SIGNALS: &str = "\
SIGTERM, SIGINT and SIGHUP send 1001 to everyone and end the program once all
have closed, or the grace is over; a second SIGTERM or SIGINT ends it at once.
SIGHUP does nothing if it was ignored from the start, as under nohup. SIGQUIT
always ends it at once.
";

/// Every status that the program ends with.
const EXITS: &[(&str, &str)] = &[
    ("0", "after SIGTERM, SIGINT or SIGHUP, and after printing what was asked for"),
    ("1", "if standard output cannot be written to"),
    ("2", "if an option is wrong, an address cannot be listened on, or serving fails"),
    ("130, 143", "after a second signal: 128 and its number"),
];

const ENVIRONMENT: &str = "\
Each option can stand in the environment instead: BAREWS_ and its name in upper
case, so BAREWS_MAX_MESSAGE=1M for --max-message 1M. A list (BAREWS_LISTEN,
BAREWS_ORIGIN, BAREWS_SUBPROTOCOL) has spaces between; BAREWS_FAULTS and others
without a value are 1 or 0. An argument comes before the environment. A name
that is no option's is ignored, with a warning.

PORT=N alone listens on 0.0.0.0:N.

The soft limit of descriptors is raised to the hard one (ulimit -Hn), and there
is a warning if that does not do for --max-connections.
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

/// The help on a topic, or the first screen; an error names the topics.
pub fn text(topic: Option<&str>) -> Result<String, String> {
    Ok(match topic {
        None => main(),
        Some("addresses") => addresses(),
        Some("paths") => paths(),
        Some("limits") => format!(
            "Limits of the server, and what is beyond them:\n\n{}\n{UNITS}",
            list(Topic::Limits)
        ),
        Some("timeouts") => {
            format!("Deadlines, each for a whole step:\n\n{}\n{UNITS}", list(Topic::Timeouts))
        }
        #[cfg(feature = "deflate")]
        Some("deflate") => format!(
            "Compression with --deflate (permessage-deflate, RFC 7692):\n\n{}\n{DEFLATE}",
            list(Topic::Deflate)
        ),
        #[cfg(not(feature = "deflate"))]
        Some("deflate") => return Err(without_deflate("--deflate")),
        Some("environment") => format!("{ENVIRONMENT}\n{SIGNALS}"),
        Some("all") => {
            let options = [Topic::Main, Topic::Limits, Topic::Timeouts].map(list).concat();
            let (addresses, paths) = (addresses(), paths());
            let options = format!("Options:\n\n{options}\n{UNITS}");
            #[cfg(feature = "deflate")]
            let options = format!("{options}\n{}\n{DEFLATE}", list(Topic::Deflate));
            format!("{options}\n{addresses}\n{paths}\n{ENVIRONMENT}\n{SIGNALS}")
        }
        Some(other) => return Err(format!("there is no help on {other}, but on {TOPICS}")),
    })
}

fn main() -> String {
    // A line has but 80 columns.
    let topics = TOPICS.replace("deflate, ", &format!("deflate,\n{:28}", ""));
    // The names alone; the topic has the rest.
    let mut names = String::new();
    for (path, _) in PATHS.iter().filter(|(path, _)| !path.is_empty()) {
        let line = names.lines().last().map_or(0, str::len);
        match line + 2 + path.len() > 80 {
            _ if names.is_empty() => names += "  ",
            true => names += "\n  ",
            false => names += "  ",
        }
        names += path;
    }
    format!(
        "barews {}: a strict WebSocket (RFC 6455) endpoint to test clients against\n\n\
         Usage: barews [OPTION...] [ADDR...]        ADDR is the same as --listen ADDR\n\n\
         {}  \
         -h, --help [TOPIC]        {topics}\n  \
         --man                     the manual page, for man -l -\n  \
         -V, --version             the version\n\n\
         WebSocket paths:\n{names}\nPlain HTTP: /  /healthz  /metrics\n",
        env!("CARGO_PKG_VERSION"),
        list(Topic::Main),
    )
}

fn addresses() -> String {
    let mut text = "ADDR is one of:\n\n".to_owned();
    for (addr, means) in ADDRESSES {
        text += &format!("  {addr:25} {means}\n");
    }
    format!("{text}\n{LISTENING}")
}

fn paths() -> String {
    let mut text = "WebSocket paths:\n".to_owned();
    for (path, does) in PATHS {
        text += &format!("  {path:30} {does}\n");
    }
    text += "\nPlain HTTP:\n";
    for (path, does) in PLAIN {
        text += &format!("  {path:30} {does}\n");
    }
    text
}

fn list(topic: Topic) -> String {
    let settings = SETTINGS.iter().filter(|setting| setting.topic == topic);
    let lines: Vec<_> = settings.map(|setting| (option(setting), setting.help)).collect();
    let width = lines.iter().map(|(option, _)| option.len()).max().unwrap_or(0).max(25);
    lines.iter().map(|(option, help)| format!("  {option:width$} {help}\n")).collect()
}

fn option(setting: &Setting) -> String {
    format!("{} {}", setting.name, setting.value).trim_end().to_owned()
}

/// The manual page, for `man`.
pub fn man() -> String {
    let mut page = format!(
        ".TH BAREWS 1 \"\" \"barews {}\" \"User Commands\"\n\
         .SH NAME\nbarews \\- a strict WebSocket endpoint to test clients against\n\
         .SH SYNOPSIS\n.B barews\n[\\fIOPTION\\fR...] [\\fIADDR\\fR...]\n\
         .SH DESCRIPTION\nServes WebSocket connections (RFC 6455): echoes, and on other paths helps to \
         test a client. What breaks the protocol is answered as the RFC says.\n\
         .PP\nEach \\fIADDR\\fR is a place to listen, as in \\fB\\-\\-listen\\fR.\n",
        env!("CARGO_PKG_VERSION"),
    );
    options(&mut page, "OPTIONS", Topic::Main);
    item(&mut page, "-h, --help [TOPIC]", &format!("print help; on {TOPICS}"));
    item(&mut page, "--man", "print this page");
    item(&mut page, "-V, --version", "print the version");
    options(&mut page, "LIMITS", Topic::Limits);
    options(&mut page, "TIMEOUTS", Topic::Timeouts);
    #[cfg(feature = "deflate")]
    {
        options(&mut page, "COMPRESSION", Topic::Deflate);
        page += &format!(".PP\n{}", paragraphs(DEFLATE));
    }
    page += &format!(".SH UNITS\n{}", roff(UNITS));
    page += ".SH ADDRESSES\nADDR is one of:\n";
    for (addr, means) in ADDRESSES {
        item(&mut page, addr, means);
    }
    page += &format!(".PP\n{}", paragraphs(LISTENING));
    page += ".SH PATHS\n";
    for (path, does) in PATHS {
        match *path {
            "" => page += &format!("{}\n", roff(does)),
            path => item(&mut page, path, does),
        }
    }
    page += ".PP\nOver plain HTTP:\n";
    for (path, does) in PLAIN {
        item(&mut page, path, does);
    }
    page += &format!(".SH ENVIRONMENT\n{}", paragraphs(ENVIRONMENT));
    page += &format!(".SH SIGNALS\n{}", paragraphs(SIGNALS));
    page += ".SH EXIT STATUS\n";
    for (status, means) in EXITS {
        item(&mut page, status, means);
    }
    page
}

/// A section of the manual with all options on a topic.
fn options(page: &mut String, title: &str, topic: Topic) {
    *page += &format!(".SH {title}\n");
    for setting in SETTINGS.iter().filter(|setting| setting.topic == topic) {
        item(page, &option(setting), setting.help);
    }
}

fn item(page: &mut String, term: &str, text: &str) {
    *page += &format!(".TP\n\\fB{}\\fR\n{}\n", roff(term), roff(text));
}

/// Paragraphs with an empty line between them.
fn paragraphs(text: &str) -> String {
    roff(text).replace("\n\n", "\n.PP\n")
}

/// Text as roff has it: no hyphens for minus signs, no line that looks like a request.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let lines: Vec<_> = text
        .split('\n')
        .map(|line| match line.starts_with(['.', '\'']) {
            true => format!("\\&{line}"),
            false => line.to_owned(),
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_screen_fits() {
        let topics = TOPICS.split(", ").filter(|topic| *topic != "all").map(Some);
        for topic in [None].into_iter().chain(topics) {
            let text = text(topic).unwrap();
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
            assert!(text.lines().count() <= 24, "{}\n{text}", text.lines().count());
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
        }
        assert_eq!(text(Some("x")).unwrap_err(), format!("there is no help on x, but on {TOPICS}"));
        assert_eq!(text(Some("deflate")).is_ok(), cfg!(feature = "deflate"));
    }

    #[test]
    fn everything_is_told_everywhere() {
        let (all, man, first) = (text(Some("all")).unwrap(), man(), text(None).unwrap());
        for setting in SETTINGS {
            assert!(all.contains(&format!("  {}", option(setting))), "{}", setting.name);
            assert!(man.contains(&roff(&option(setting))), "{}", setting.name);
            let on_first = first.contains(&option(setting));
            assert_eq!(on_first, setting.topic == Topic::Main, "{}", setting.name);
        }
        for (addr, _) in ADDRESSES {
            assert!(all.contains(addr) && man.contains(&roff(addr)), "{addr}");
        }
        for (path, _) in PATHS.iter().chain(PLAIN) {
            let name = path.strip_prefix("GET ").unwrap_or(path);
            assert!(first.contains(name), "{path}");
            assert!(all.contains(path), "{path}");
            assert!(man.contains(&roff(path)), "{path}");
        }
    }

    #[test]
    fn the_manual_has_its_sections_in_order() {
        let man = man();
        let mut rest = &*man;
        for part in [
            ".SH NAME\n",
            ".SH SYNOPSIS\n",
            ".SH DESCRIPTION\n",
            ".SH OPTIONS\n",
            "\\-\\-listen",
            "\\-\\-help",
            "\\-\\-man\\fR",
            "\\-\\-version",
            ".SH LIMITS\n",
            "\\-\\-max\\-message",
            ".SH TIMEOUTS\n",
            "\\-\\-close\\-timeout",
            #[cfg(feature = "deflate")]
            ".SH COMPRESSION\n",
            #[cfg(feature = "deflate")]
            "\\-\\-deflate\\-level",
            ".SH UNITS\nSIZE",
            ".SH ADDRESSES\nADDR",
            ".SH PATHS\n",
            ".SH ENVIRONMENT\n",
            ".SH SIGNALS\n",
            ".SH EXIT STATUS\n",
        ] {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("{part} in:\n{rest}")).1;
        }
        assert!(!rest.contains(".SH "), "{rest}");
    }
}
