//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use barews::Config;

/// What the user asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Serve.
    Serve(Box<Options>),
    /// Print this, and no more.
    Print(String),
}

/// How to serve.
#[derive(Debug)]
pub(crate) struct Options {
    /// The address to listen on.
    pub(crate) addr: String,
    pub(crate) config: Config,
    /// How long a shutdown waits for connections to close.
    pub(crate) grace: Duration,
}

/// An option that takes a value.
struct Setting {
    name: &'static str,
    /// What the value is called in the help.
    value: &'static str,
    help: &'static str,
    set: fn(&mut Options, &str) -> Option<()>,
}

/// A setting whose value is read by a function and stored in a field.
macro_rules! setting {
    ($name:literal, $value:literal, $help:literal, $read:ident => $($field:ident).+) => {
        Setting {
            name: $name,
            value: $value,
            help: $help,
            set: |options, text| {
                options.$($field).+ = $read(text)?.try_into().ok()?;
                Some(())
            },
        }
    };
}

/// All settings, in the order of the help; defaults are those of the library.
const SETTINGS: &[Setting] = &[
    Setting {
        name: "--origin",
        value: "ORIGIN",
        help: "let in pages from here only; repeatable [any]",
        set: |options, text| {
            options.config.origins.push(text.to_owned());
            Some(())
        },
    },
    setting!("--max-connections", "N", "open at once, then 503 [8192]",
        number => config.limits.connections),
    setting!("--max-connections-per-ip", "N", "of these from one address [8192]",
        number => config.limits.connections_per_ip),
    setting!("--max-message", "SIZE", "longest message, then 1009 [16M]",
        size => config.limits.message),
    setting!("--max-fragments", "N", "of one message, then 1008 [131072]",
        number => config.limits.fragments),
    setting!("--max-assembling", "SIZE", "unfinished messages in all, then 1013 [1G]",
        size => config.limits.assembling),
    setting!("--max-head", "SIZE", "longest request head, then 431 [32K]",
        size => config.limits.head),
    setting!("--max-headers", "N", "most header lines, then 431 [100]",
        number => config.limits.headers),
    setting!("--max-header-line", "SIZE", "longest header line, then 431 [8K]",
        size => config.limits.header_line),
    setting!("--max-request-line", "SIZE", "longest request line, then 414 [8K]",
        size => config.limits.request_line),
    setting!("--handshake-timeout", "TIME", "for the whole request [10s]",
        time => config.timeouts.handshake),
    setting!("--message-timeout", "TIME", "for a message, and 1s for each 64K [60s]",
        time => config.timeouts.message),
    setting!("--ping-after", "TIME", "of silence [60s]",
        time => config.timeouts.ping),
    setting!("--idle-timeout", "TIME", "of silence until the end [120s]",
        time => config.timeouts.idle),
    setting!("--write-timeout", "TIME", "for a write, and 1s for each 64K [10s]",
        time => config.timeouts.write),
    setting!("--close-timeout", "TIME", "for the end of a connection [2s]",
        time => config.timeouts.close),
    setting!("--grace", "TIME", "for connections to close on SIGTERM [3s]",
        time => grace),
];

const HEAD: &str = "\
A strict WebSocket (RFC 6455) echo server.

Usage: barews [OPTIONS] [ADDR]

  ADDR is HOST:PORT [127.0.0.1:9001]; port 0 takes any that is free, and
  0.0.0.0 and [::] mean every interface.

";

const TAIL: &str = "  -h, --help                       print this
  -V, --version                    print the version

SIZE is in bytes, or with K, M or G in KiB, MiB or GiB. TIME is like 500ms,
10s or 2m; off means never. Every path echoes: text as text, binary as binary.
The address and a line for each connection go to standard error.
";

/// Reads the arguments, the program's name left out.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut options = Options {
        addr: "127.0.0.1:9001".to_owned(),
        config: Config::default(),
        grace: Duration::from_secs(3),
    };
    let mut has_addr = false;
    let mut args =
        args.map(|arg| arg.into_string().map_err(|arg| format!("{} is not UTF-8", arg.display())));
    while let Some(arg) = args.next().transpose()? {
        match arg.as_str() {
            "-h" | "--help" => return Ok(Command::Print(help())),
            "-V" | "--version" => {
                return Ok(Command::Print(format!("barews {}\n", env!("CARGO_PKG_VERSION"))));
            }
            option if option.starts_with('-') => {
                // A value stands behind a sign of equality or in the next argument.
                let (name, value) = match option.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (option, None),
                };
                let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
                    return Err(format!("there is no option {name}"));
                };
                let value = match value {
                    Some(value) => Some(value),
                    None => args.next().transpose()?,
                };
                let value = value.ok_or_else(|| format!("{name} needs a {}", setting.value))?;
                (setting.set)(&mut options, &value)
                    .ok_or_else(|| format!("{name}: {value} is no {}", setting.value))?;
            }
            _ if has_addr => return Err(format!("one address too many: {arg}")),
            _ if !is_addr(&arg) => return Err(format!("{arg} is not HOST:PORT")),
            _ => {
                options.addr = arg;
                has_addr = true;
            }
        }
    }
    Ok(Command::Serve(Box::new(options)))
}

fn help() -> String {
    let mut help = HEAD.to_owned();
    for Setting { name, value, help: text, .. } in SETTINGS {
        help += &format!("  {:32} {text}\n", format!("{name} {value}"));
    }
    help + TAIL
}

/// Whether the text has the form of an address; whether there is one, the system knows.
fn is_addr(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) => {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok()
        }
        None => false,
    }
}

fn number(text: &str) -> Option<u64> {
    // `parse` would let a sign pass.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 10),
        b'M' => (&text[..text.len() - 1], 20),
        b'G' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    number(digits)?.checked_mul(1 << shift)
}

fn time(text: &str) -> Option<Duration> {
    if text == "off" {
        return Some(Duration::MAX);
    }
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, unit) = text.split_at(unit);
    let count = number(digits)?;
    match unit {
        "ms" => Some(Duration::from_millis(count)),
        "s" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_secs(count.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, String> {
        parse(args.iter().map(OsString::from))
    }

    #[track_caller]
    fn options(args: &[&str]) -> Options {
        match parsed(args) {
            Ok(Command::Serve(options)) => *options,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(options(&[]).addr, "127.0.0.1:9001");
        for addr in ["0.0.0.0:80", "[::1]:0", "localhost:65535"] {
            assert_eq!(options(&[addr]).addr, addr);
        }
        for wrong in ["", "80", ":80", "localhost", "localhost:", "a:65536", "::1:80", "a:-1"] {
            assert_eq!(parsed(&[wrong]).unwrap_err(), format!("{wrong} is not HOST:PORT"));
        }
        assert_eq!(parsed(&["a:1", "b:2"]).unwrap_err(), "one address too many: b:2");
    }

    #[test]
    fn every_setting_sets_something_and_refuses_nonsense() {
        for setting in SETTINGS {
            let value = match setting.value {
                "TIME" => "7s",
                "SIZE" => "7K",
                _ => "7",
            };
            let default = format!("{:?}", options(&[]));
            let set = options(&[setting.name, value]);
            assert_ne!(format!("{set:?}"), default, "{}", setting.name);
            let joined = options(&[&format!("{}={value}", setting.name)]);
            assert_eq!(format!("{joined:?}"), format!("{set:?}"));
            let missing = parsed(&[setting.name]).unwrap_err();
            assert_eq!(missing, format!("{} needs a {}", setting.name, setting.value));
            if setting.value != "ORIGIN" {
                for wrong in ["", "x", "-1", "+1", "1.5", "99999999999999999999", "K", "s"] {
                    let error = parsed(&[setting.name, wrong]).unwrap_err();
                    assert_eq!(error, format!("{}: {wrong} is no {}", setting.name, setting.value));
                }
            }
        }
    }

    #[test]
    fn units() {
        let limits = options(&["--max-message", "2G", "--max-assembling=3M"]).config.limits;
        assert_eq!((limits.message, limits.assembling), (2 << 30, 3 << 20));
        let args = ["--ping-after", "250ms", "--idle-timeout", "2m", "--close-timeout", "off"];
        let timeouts = options(&args).config.timeouts;
        assert_eq!(timeouts.ping, Duration::from_millis(250));
        assert_eq!(timeouts.idle, Duration::from_secs(120));
        assert_eq!(timeouts.close, Duration::MAX);
        let origins = options(&["--origin", "https://a", "--origin=https://b"]).config.origins;
        assert_eq!(origins, ["https://a", "https://b"]);
    }

    #[test]
    fn the_help_fits_a_terminal_and_tells_the_defaults() {
        let help = help();
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
        assert!(help.lines().count() <= 40, "{help}");
        for setting in SETTINGS {
            let line = help.lines().find(|line| line.contains(&format!("{} ", setting.name)));
            let default = line.and_then(|line| line.rsplit_once('[')).unwrap().1;
            let default = default.trim_end_matches(']');
            if setting.value != "ORIGIN" {
                // Setting the default that is printed changes nothing.
                let same = options(&[setting.name, default]);
                assert_eq!(format!("{same:?}"), format!("{:?}", options(&[])), "{}", setting.name);
            }
        }
        assert!(matches!(parsed(&["-h"]), Ok(Command::Print(text)) if text == help));
        assert!(matches!(parsed(&["-V"]), Ok(Command::Print(text)) if text.starts_with("barews ")));
        assert_eq!(parsed(&["--port"]).unwrap_err(), "there is no option --port");
    }
}
