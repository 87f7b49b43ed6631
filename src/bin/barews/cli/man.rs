//! The manual page, made of the same tables as the help.

use super::help::{
    ADDRESSES, COMMANDS, COMPLETIONS, CONFIG, ENVIRONMENT, EXITS, FEATURES, HEALTHCHECK, LISTENING,
    SIGNALS, TOPICS, UNITS, option,
};
use super::settings::{SETTINGS, Topic};
use crate::routes::route::{Group, Path, paths};

/// The manual page, for `man`.
pub fn man() -> String {
    let mut page = format!(
        ".TH BAREWS 1 \"\" \"barews {}\" \"User Commands\"\n\
         .SH NAME\nbarews \\- a strict WebSocket endpoint to test clients against\n\
         .SH SYNOPSIS\n.B barews\n[\\fIOPTION\\fR...] [\\fIADDR\\fR...]\n\
         .br\n.B barews healthcheck\n[\\fIOPTION\\fR...] [\\fIURL\\fR]\n\
         .br\n.B barews completions\nbash|zsh|fish\n\
         .br\n.B barews help\n[\\fITOPIC\\fR]\n\
         .SH DESCRIPTION\nServes WebSocket connections (RFC 6455): echoes, and on other paths helps to \
         test a client. What breaks the protocol is answered as the RFC says.\n\
         .PP\nEach \\fIADDR\\fR is a place to listen, as in \\fB\\-\\-listen\\fR.\n",
        env!("CARGO_PKG_VERSION"),
    );
    page += ".SH COMMANDS\n";
    for (name, args, does) in COMMANDS {
        item(&mut page, &format!("{name} {args}"), does);
    }
    options(&mut page, "OPTIONS", Topic::Main);
    item(&mut page, "-h, --help [TOPIC]", &format!("print help; on {}", TOPICS.join(", ")));
    item(&mut page, "--man", "print this page");
    item(&mut page, "-V, --version", "print the version");
    options(&mut page, "LIMITS", Topic::Limits);
    options(&mut page, "TIMEOUTS", Topic::Timeouts);
    for feature in FEATURES {
        options(&mut page, feature.title, feature.topic);
        page += &format!(".PP\n{}", paragraphs(feature.text));
    }
    page += &format!(".SH UNITS\n{}", roff(UNITS));
    page += ".SH ADDRESSES\nADDR is one of:\n";
    for (addr, means) in ADDRESSES {
        item(&mut page, addr, means);
    }
    page += &format!(".PP\n{}", paragraphs(LISTENING));
    page += ".SH PATHS\nWhat echoes, sends, ends and refuses; any other path echoes.\n";
    for group in Group::ALL {
        page += &format!(".SS {}\n", roff(group.heading()));
        paths().filter(|path| path.group == group).for_each(|path| about(&mut page, path));
    }
    page += &format!(".SH ENVIRONMENT\n{}", paragraphs(ENVIRONMENT));
    page += &format!(".SH CONFIGURATION FILE\n{}", paragraphs(CONFIG));
    page += &format!(".SH SIGNALS\n{}", paragraphs(SIGNALS));
    page += &format!(".SH HEALTH CHECK\n{}", paragraphs(HEALTHCHECK));
    page += &format!(".SH COMPLETIONS\n.nf\n{}.fi\n", roff(COMPLETIONS));
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

/// All on a path: its bounds, an example, and what that prints.
fn about(page: &mut String, path: Path) {
    item(page, path.path, path.does);
    if !path.bounds.is_empty() {
        *page += &format!(".br\n{}\n", roff(path.bounds));
    }
    // Not filled, so that it can be copied.
    *page +=
        &format!(".PP\n.RS 7\n.nf\n$ {}\n{}\n.fi\n.RE\n", roff(path.example), roff(path.output));
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
    use super::super::help::text;
    use super::*;

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
        for path in paths() {
            for part in [path.path, path.does, path.bounds, path.example, path.output] {
                assert!(man.contains(&roff(part)), "{part}");
                let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(words(&all).contains(&words(part)), "{part}");
            }
            let name = path.path[1..].split(['/', '?']).next().unwrap_or_default();
            assert!(first.contains(&format!("/{name}")), "{name}");
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
            ".SH COMMANDS\n",
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
            #[cfg(feature = "tls")]
            ".SH TLS\n",
            #[cfg(feature = "tls")]
            "\\-\\-tls\\-cert",
            ".SH UNITS\nSIZE",
            ".SH ADDRESSES\nADDR",
            ".SH PATHS\n",
            ".SH ENVIRONMENT\n",
            ".SH CONFIGURATION FILE\n",
            ".SH SIGNALS\n",
            ".SH HEALTH CHECK\n",
            ".SH COMPLETIONS\n",
            ".SH EXIT STATUS\n",
        ] {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("{part} in:\n{rest}")).1;
        }
        assert!(!rest.contains(".SH "), "{rest}");
    }
}
