//! The help and the manual page, both made of the same tables.

use crate::route::{PATHS, PLAIN};
use crate::settings::{SETTINGS, Setting, Topic};

const TOPICS: &str = "paths, limits, timeouts, environment, all";

const UNITS: &str = "\
SIZE is in bytes, or with K, M or G in KiB, MiB or GiB. TIME is like 500ms, 10s
or 2m; off means never.
";

const ENVIRONMENT: &str = "\
Each option can stand in the environment instead: BAREWS_ and its name in upper
case, so BAREWS_MAX_MESSAGE=1M for --max-message 1M. A list (BAREWS_LISTEN,
BAREWS_ORIGIN, BAREWS_SUBPROTOCOL) has spaces between; BAREWS_FAULTS and others
without a value are 1 or 0. An argument comes before the environment.

PORT=N alone listens on 0.0.0.0:N. Listeners that a supervisor passes
(LISTEN_FDS and LISTEN_PID, as systemd sets them) are used beside those named;
the default address is used only if there are none at all.
";

/// The help on a topic, or the first screen; an error names the topics.
pub(crate) fn text(topic: Option<&str>) -> Result<String, String> {
    Ok(match topic {
        None => main(),
        Some("paths") => paths(),
        Some("limits") => format!(
            "Limits of the server, and what is beyond them:\n\n{}\n{UNITS}",
            list(Topic::Limits)
        ),
        Some("timeouts") => {
            format!("Deadlines, each for a whole step:\n\n{}\n{UNITS}", list(Topic::Timeouts))
        }
        Some("environment") => ENVIRONMENT.to_owned(),
        Some("all") => {
            let options = [Topic::Main, Topic::Limits, Topic::Timeouts].map(list).concat();
            format!("Options:\n\n{options}\n{UNITS}\n{}\n{ENVIRONMENT}", paths())
        }
        Some(other) => return Err(format!("there is no help on {other}, but on {TOPICS}")),
    })
}

fn main() -> String {
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
         -h, --help [TOPIC]        on {TOPICS}\n  \
         --man                     the manual page, for man -l -\n  \
         -V, --version             the version\n\n\
         WebSocket paths:\n{names}\nPlain HTTP: /  /healthz  /metrics\n\n\
         The address, and lines on each connection, go to standard error.\n",
        env!("CARGO_PKG_VERSION"),
        list(Topic::Main),
    )
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
pub(crate) fn man() -> String {
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
    page += &format!(".SH UNITS\n{}", roff(UNITS));
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
    page += &format!(".SH ENVIRONMENT\n{}", roff(ENVIRONMENT).replace("\n\n", "\n.PP\n"));
    page += ".SH EXIT STATUS\n";
    item(
        &mut page,
        "0",
        "after SIGTERM or SIGINT, once connections have closed or the grace is over",
    );
    item(&mut page, "2", "if an option is wrong or an address cannot be listened on");
    item(&mut page, "130, 143", "after a second signal");
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
        for topic in [None, Some("paths"), Some("limits"), Some("timeouts"), Some("environment")] {
            let text = text(topic).unwrap();
            assert!(text.lines().all(|line| line.len() <= 80), "{text}");
            assert!(text.lines().count() <= 24, "{}\n{text}", text.lines().count());
            assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
        }
        assert_eq!(text(Some("x")).unwrap_err(), format!("there is no help on x, but on {TOPICS}"));
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
            ".SH UNITS\nSIZE",
            ".SH PATHS\n",
            ".SH ENVIRONMENT\n",
            ".SH EXIT STATUS\n",
        ] {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("{part} in:\n{rest}")).1;
        }
        assert!(!rest.contains(".SH "), "{rest}");
    }
}
