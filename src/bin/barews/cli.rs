//! The command line, and the environment behind it.

use std::ffi::OsString;
use std::time::Duration;

use barews::Config;

use crate::address::Address;
use crate::help;
use crate::log::Format;
use crate::value;

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
    /// Where to listen; empty for the default.
    pub(crate) listen: Vec<Address>,
    pub(crate) config: Config,
    /// How long a shutdown waits for connections to close.
    pub(crate) grace: Duration,
    pub(crate) log: Format,
    /// Whether to serve violations of the protocol.
    pub(crate) faults: bool,
}

/// An option.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// What the value is called in the help; empty for an option that has none.
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
    pub(crate) topic: Topic,
    /// Sets it, or tells what would be right.
    set: fn(&mut Options, &str) -> Result<(), &'static str>,
}

/// Where in the help an option stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Main,
    Limits,
    Timeouts,
}

/// A setting whose value is read by a function and stored in a field.
macro_rules! setting {
    ($topic:ident, $name:literal, $value:literal, $help:literal, $read:path => $($field:ident).+) => {
        Setting {
            name: $name,
            value: $value,
            help: $help,
            topic: Topic::$topic,
            set: |options, text| {
                let value = $read(text)?.try_into();
                options.$($field).+ = value.map_err(|_| "a number that this machine has")?;
                Ok(())
            },
        }
    };
}

/// Stack size of a connection's thread, in bytes. The echo loop needs little, and of what is not
/// touched nothing is used; a panic's report needs the most.
const STACK: usize = 128 << 10;

/// All settings, in the order of the help; defaults are those of the library but for the stack's.
pub(crate) const SETTINGS: &[Setting] = &[
    Setting {
        name: "--listen",
        value: "ADDR",
        help: "HOST:PORT or unix:PATH; repeatable [127.0.0.1:9001]",
        topic: Topic::Main,
        set: |options, text| {
            options.listen.push(value::address(text)?);
            Ok(())
        },
    },
    Setting {
        name: "--origin",
        value: "ORIGIN",
        help: "let in web pages from here only; repeatable [any]",
        topic: Topic::Main,
        set: |options, text| {
            options.config.origins.push(text.to_owned());
            Ok(())
        },
    },
    setting!(Main, "--log", "FORMAT", "a line a connection: text, json or off [text]",
        value::format => log),
    setting!(Main, "--faults", "", "serve /invalid/..., which breaks the protocol",
        value::flag => faults),
    setting!(Main, "--grace", "TIME", "for connections to close on SIGTERM [3s]",
        value::time => grace),
    setting!(Limits, "--max-connections", "N", "open at once, then 503 [8192]",
        value::count => config.limits.connections),
    setting!(Limits, "--max-connections-per-ip", "N", "of these from one address [8192]",
        value::count => config.limits.connections_per_ip),
    setting!(Limits, "--max-message", "SIZE", "longest message, then 1009 [16M]",
        value::size => config.limits.message),
    setting!(Limits, "--max-fragments", "N", "of one message, then 1008 [131072]",
        value::count => config.limits.fragments),
    setting!(Limits, "--max-assembling", "SIZE", "unfinished messages in all, then 1013 [1G]",
        value::size => config.limits.assembling),
    setting!(Limits, "--max-head", "SIZE", "longest request head, then 431 [32K]",
        value::size => config.limits.head),
    setting!(Limits, "--max-headers", "N", "most header lines, then 431 [100]",
        value::count => config.limits.headers),
    setting!(Limits, "--max-header-line", "SIZE", "longest header line, then 431 [8K]",
        value::size => config.limits.header_line),
    setting!(Limits, "--max-request-line", "SIZE", "longest request line, then 414 [8K]",
        value::size => config.limits.request_line),
    setting!(Limits, "--stack-size", "SIZE", "of a connection's thread, from 64K on [128K]",
        value::stack => config.stack_size),
    setting!(Timeouts, "--handshake-timeout", "TIME", "for the whole request [10s]",
        value::patience => config.timeouts.handshake),
    setting!(Timeouts, "--message-timeout", "TIME", "for a message, and 1s for each 64K [60s]",
        value::patience => config.timeouts.message),
    setting!(Timeouts, "--ping-after", "TIME", "of silence [60s]",
        value::patience => config.timeouts.ping),
    setting!(Timeouts, "--idle-timeout", "TIME", "of silence until the end [120s]",
        value::patience => config.timeouts.idle),
    setting!(Timeouts, "--write-timeout", "TIME", "for a write, and 1s for each 64K [10s]",
        value::patience => config.timeouts.write),
    setting!(Timeouts, "--close-timeout", "TIME", "for the end of a connection [2s]",
        value::patience => config.timeouts.close),
];

impl Setting {
    /// The variable of the environment that stands in for the option.
    pub(crate) fn variable(&self) -> String {
        format!("BAREWS_{}", self.name[2..].replace('-', "_").to_ascii_uppercase())
    }

    /// Whether it may be given more than once.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.name, "--listen" | "--origin")
    }

    /// Sets it; `source` is how the user said it.
    fn apply(&self, options: &mut Options, source: &str, text: &str) -> Result<(), String> {
        (self.set)(options, text).map_err(|right| format!("{source}: {text:?} is not {right}"))
    }
}

/// Reads the arguments, the program's name left out, and the environment for what they leave open.
pub(crate) fn parse(
    args: impl Iterator<Item = OsString>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<Command, String> {
    let mut options = Options {
        listen: Vec::new(),
        config: Config { stack_size: Some(STACK), ..Config::default() },
        grace: Duration::from_secs(3),
        log: Format::Text,
        faults: false,
    };
    let mut given = Vec::new();
    let mut args =
        args.map(|arg| arg.into_string().map_err(|arg| format!("{} is not UTF-8", arg.display())));
    while let Some(arg) = args.next().transpose()? {
        // A value stands behind a sign of equality or in the next argument.
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with('-') => (name, Some(value.to_owned())),
            _ => (&*arg, None),
        };
        match name {
            "-h" | "--help" => {
                let topic = match value {
                    Some(topic) => Some(topic),
                    // What looks like an option is no topic.
                    None => args.next().transpose()?.filter(|next| !next.starts_with('-')),
                };
                return help::text(topic.as_deref()).map(Command::Print);
            }
            "--man" => return Ok(Command::Print(help::man())),
            "-V" | "--version" => {
                return Ok(Command::Print(format!("barews {}\n", env!("CARGO_PKG_VERSION"))));
            }
            name if name.starts_with('-') => {
                let setting = SETTINGS.iter().find(|setting| setting.name == name);
                let setting = setting.ok_or_else(|| format!("there is no option {name}"))?;
                let value = match (value, setting.value) {
                    (Some(value), _) => value,
                    (None, "") => "1".to_owned(),
                    (None, what) => {
                        args.next().transpose()?.ok_or_else(|| format!("{name} needs a {what}"))?
                    }
                };
                setting.apply(&mut options, name, &value)?;
                given.push(setting.name);
            }
            addr => {
                let addr =
                    value::address(addr).map_err(|right| format!("{addr:?} is not {right}"))?;
                options.listen.push(addr);
                given.push("--listen");
            }
        }
    }
    let open = SETTINGS.iter().filter(|setting| !given.contains(&setting.name));
    from_environment(&mut options, open, env)?;
    Ok(Command::Serve(Box::new(options)))
}

fn from_environment<'a>(
    options: &mut Options,
    settings: impl Iterator<Item = &'a Setting>,
    env: impl Fn(&str) -> Option<OsString>,
) -> Result<(), String> {
    let env = |name: &str| {
        let text = env(name).filter(|text| !text.is_empty());
        text.map(|text| text.into_string().map_err(|_| format!("{name} is not UTF-8"))).transpose()
    };
    for setting in settings {
        let variable = setting.variable();
        match env(&variable)? {
            None => {}
            Some(text) if setting.is_list() => {
                for text in text.split_whitespace() {
                    setting.apply(options, &variable, text)?;
                }
            }
            Some(text) => setting.apply(options, &variable, &text)?,
        }
    }
    // What platforms set that choose the port, and expect to reach it from outside.
    if options.listen.is_empty()
        && let Some(port) = env("PORT")?
    {
        let addr = Address::parse(&format!("0.0.0.0:{port}"));
        options.listen.push(addr.ok_or_else(|| format!("PORT: {port:?} is not a port"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str], env: &[(&str, &str)]) -> Result<Command, String> {
        let env = |name: &str| {
            let (_, value) = env.iter().find(|(other, _)| *other == name)?;
            Some(OsString::from(value))
        };
        parse(args.iter().map(OsString::from), env)
    }

    #[track_caller]
    fn options(args: &[&str], env: &[(&str, &str)]) -> Options {
        match parsed(args, env) {
            Ok(Command::Serve(options)) => *options,
            other => panic!("{args:?} {env:?}: {other:?}"),
        }
    }

    fn shown(args: &[&str], env: &[(&str, &str)]) -> String {
        format!("{:?}", options(args, env))
    }

    fn wrong(args: &[&str], env: &[(&str, &str)]) -> String {
        match parsed(args, env) {
            Err(wrong) => wrong,
            other => panic!("{args:?} {env:?}: {other:?}"),
        }
    }

    #[test]
    fn addresses() {
        assert!(options(&[], &[]).listen.is_empty());
        let tcp = |addr: &str| Address::Tcp(addr.to_owned());
        let both = options(&["a:1", "--listen", "unix:/b", "--listen=[::]:0"], &[]).listen;
        assert_eq!(both, [tcp("a:1"), Address::Unix("/b".into()), tcp("[::]:0")]);
        for text in ["", "80", "localhost", "a:65536", "unix:"] {
            let not = format!("{text:?} is not HOST:PORT or unix:PATH");
            assert_eq!(wrong(&[text], &[]), not);
            assert_eq!(wrong(&["--listen", text], &[]), format!("--listen: {not}"));
        }
    }

    #[test]
    fn every_setting_sets_something_and_refuses_nonsense() {
        for setting in SETTINGS {
            let name = setting.name;
            let value = match setting.value {
                "TIME" => "7s",
                "SIZE" => "77K",
                "ADDR" => "a:7",
                "FORMAT" => "json",
                "" => "yes",
                _ => "7",
            };
            let set = shown(&[&format!("{name}={value}")], &[]);
            assert_ne!(set, shown(&[], &[]), "{name}");
            assert_eq!(shown(&[], &[(&setting.variable(), value)]), set);
            assert_eq!(shown(&[], &[(&setting.variable(), "")]), shown(&[], &[]));
            match setting.value {
                "" => assert_eq!(shown(&[name], &[]), set),
                what => {
                    assert_eq!(shown(&[name, value], &[]), set);
                    assert_eq!(wrong(&[name], &[]), format!("{name} needs a {what}"));
                }
            }
            if setting.value != "ORIGIN" {
                for text in ["x", "-1", "+1", "1.5", "99999999999999999999", "K", "s"] {
                    let not = format!("{text:?} is not ");
                    let error = wrong(&[&format!("{name}={text}")], &[]);
                    assert!(error.starts_with(&format!("{name}: {not}")), "{error}");
                    let error = wrong(&[], &[(&setting.variable(), text)]);
                    assert!(
                        error.starts_with(&format!("{}: {not}", setting.variable())),
                        "{error}"
                    );
                }
            }
        }
        assert_eq!(wrong(&["--port"], &[]), "there is no option --port");
    }

    #[test]
    fn an_option_is_no_topic() {
        let printed = |args: &[&str]| match parsed(args, &[]) {
            Ok(Command::Print(text)) => text,
            other => panic!("{args:?}: {other:?}"),
        };
        assert_eq!(printed(&["--help", "--faults"]), printed(&["--help"]));
        assert_eq!(wrong(&["--help", "x"], &[]), wrong(&["--help=x"], &[]));
    }

    #[test]
    fn units() {
        let limits = options(&["--max-message", "2G", "--max-assembling=3M"], &[]).config.limits;
        assert_eq!((limits.message, limits.assembling), (2 << 30, 3 << 20));
        let args = ["--ping-after", "250ms", "--idle-timeout", "2m", "--close-timeout", "off"];
        let timeouts = options(&args, &[]).config.timeouts;
        assert_eq!(timeouts.ping, Duration::from_millis(250));
        assert_eq!(timeouts.idle, Duration::from_secs(120));
        assert_eq!(timeouts.close, Duration::MAX);
    }

    #[test]
    fn arguments_come_before_the_environment() {
        let env = [("BAREWS_MAX_MESSAGE", "1K"), ("BAREWS_ORIGIN", "https://a https://b")];
        let config = options(&[], &env).config;
        assert_eq!(config.limits.message, 1024);
        assert_eq!(config.origins, ["https://a", "https://b"]);
        let config = options(&["--max-message=2K", "--origin", "https://c"], &env).config;
        assert_eq!(config.limits.message, 2048);
        assert_eq!(config.origins, ["https://c"]);
    }

    #[test]
    fn a_port_alone_is_for_everyone() {
        let any = [Address::Tcp("0.0.0.0:80".to_owned())];
        assert_eq!(options(&[], &[("PORT", "80")]).listen, any);
        let one = [Address::Tcp("a:1".to_owned())];
        assert_eq!(options(&["a:1"], &[("PORT", "80")]).listen, one);
        assert_eq!(options(&[], &[("PORT", "80"), ("BAREWS_LISTEN", "a:1")]).listen, one);
        assert_eq!(wrong(&[], &[("PORT", "http")]), "PORT: \"http\" is not a port");
    }

    #[test]
    fn the_help_tells_the_defaults() {
        for setting in SETTINGS {
            let default = setting.help.rsplit_once('[').map(|(_, rest)| rest.trim_end_matches(']'));
            match (setting.value, default) {
                ("", None) | ("ORIGIN", Some("any")) | ("ADDR", Some("127.0.0.1:9001")) => {}
                (_, Some(default)) => {
                    // Setting the default that is printed changes nothing.
                    let same = shown(&[setting.name, default], &[]);
                    assert_eq!(same, shown(&[], &[]), "{}", setting.name);
                }
                (_, None) => panic!("{} tells no default", setting.name),
            }
        }
    }
}
