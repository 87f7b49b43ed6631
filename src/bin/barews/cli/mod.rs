//! The command line, and the environment behind it.

mod hint;
pub(crate) mod values;
pub(crate) mod settings;
mod environment;
mod help;

use std::ffi::OsString;
use std::time::Duration;

use barews::Config;

use crate::app::Behaviour;
use crate::cli::settings::{SETTINGS, Setting};
use crate::cli::values as value;
use crate::log::Format;
use crate::os::address::Address;
use environment::Environment;

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
    pub(crate) behaviour: Behaviour,
    /// What was left out of account, and should be told.
    pub(crate) warnings: Vec<String>,
}

/// Stack size of a connection's thread, in bytes. The echo loop needs little, and of what is not
/// touched nothing is used; a panic's report needs the most.
const STACK: usize = 128 << 10;

/// Reads the arguments, the program's name left out, and the environment for what they leave open.
pub(crate) fn parse(
    args: impl Iterator<Item = OsString>,
    env: &Environment,
) -> Result<Command, String> {
    let mut options = Options {
        listen: Vec::new(),
        config: Config { stack_size: Some(STACK), ..Config::default() },
        grace: Duration::from_secs(3),
        log: Format::Text,
        behaviour: Behaviour::default(),
        warnings: Vec::new(),
    };
    let mut given = Vec::new();
    let mut args =
        args.map(|arg| arg.into_string().map_err(|arg| format!("{} is not UTF-8", arg.display())));
    let mut only_addresses = false;
    while let Some(arg) = args.next().transpose()? {
        // A value stands behind a sign of equality or in the next argument.
        let is_option = arg.starts_with('-') && !only_addresses;
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if is_option => (name, Some(value.to_owned())),
            _ => (&*arg, None),
        };
        match name {
            _ if !is_option => {
                let addr =
                    value::address(name).map_err(|right| format!("{name:?} is not {right}"))?;
                options.listen.push(addr);
                given.push("--listen");
            }
            "--" if value.is_none() => only_addresses = true,
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
            _ => {
                let setting = SETTINGS.iter().find(|setting| setting.name == name);
                let setting = setting.ok_or_else(|| no_option(name))?;
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
        }
    }
    let open = SETTINGS.iter().filter(|setting| !given.contains(&setting.name));
    environment::read(&mut options, open, env)?;
    Ok(Command::Serve(Box::new(options)))
}

fn no_option(name: &str) -> String {
    match Setting::nearest(name.trim_start_matches('-')) {
        Some(setting) => format!("there is no option {name}, but {}", setting.name),
        None => format!("there is no option {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use barews::{Limits, Timeouts};

    fn parsed(args: &[&str], env: &[(&str, &str)]) -> Result<Command, String> {
        let env: Vec<_> = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        parse(args.iter().map(OsString::from), &env)
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
            let not = format!("{text:?} is not HOST:PORT, :PORT or unix:PATH");
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
                "ORIGIN" => "https://a",
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
            // Any of these is the name of a subprotocol.
            let nonsense = ["x", "-1", "+1", "1.5", "99999999999999999999", "K", "s"];
            for text in nonsense.iter().filter(|_| setting.value != "NAME") {
                let not = format!("{text:?} is not ");
                let error = wrong(&[&format!("{name}={text}")], &[]);
                assert!(error.starts_with(&format!("{name}: {not}")), "{error}");
                let error = wrong(&[], &[(&setting.variable(), text)]);
                assert!(error.starts_with(&format!("{}: {not}", setting.variable())), "{error}");
            }
        }
        assert_eq!(wrong(&["--colour"], &[]), "there is no option --colour");
    }

    #[test]
    fn edge_ab_a_wrong_name_is_told_with_the_right_one() {
        for (name, right) in [
            ("--port", "--listen"),
            ("--max-mesage", "--max-message"),
            ("-origin", "--origin"),
            ("--ping=1s", "--ping-after"),
        ] {
            let name = name.split_once('=').map_or(name, |(name, _)| name);
            assert_eq!(wrong(&[name], &[]), format!("there is no option {name}, but {right}"));
        }
        for (name, right) in [
            ("BAREWS_MAX_MESAGE", Some("BAREWS_MAX_MESSAGE")),
            ("BAREWS_PORT", Some("BAREWS_LISTEN")),
            ("barews_log", Some("BAREWS_LOG")),
            ("BAREWS_", None),
            ("BAREWS_COLOUR", None),
        ] {
            let ignored = options(&[], &[(name, "1"), ("BAREWS_GRACE", "1s")]).warnings;
            let [ignored] = &*ignored else { panic!("{name}: {ignored:?}") };
            let right = right.map_or("; see barews --help environment".to_owned(), |right| {
                format!(", but {right}")
            });
            assert_eq!(*ignored, format!("{name} is ignored: there is no such option{right}"));
        }
        assert!(
            wrong(&[], &[("BAREWS_ORIGIN", " ")]).starts_with("BAREWS_ORIGIN: \" \" is not an")
        );
        // Nothing that was not meant for it.
        for (name, value) in [
            ("BAREWS_SERVICE_HOST", "10.0.0.1"),
            ("BAREWS_PORT", "tcp://10.0.0.1:9001"),
            ("BAREWS_PORT_9001_TCP_ADDR", "10.0.0.1"),
            ("BAREWS_MAX_MESAGE", ""),
            ("BAREWSER", "1"),
        ] {
            assert!(options(&[], &[(name, value)]).warnings.is_empty(), "{name}");
        }
    }

    #[test]
    fn edge_ab_nothing_is_an_option_after_two_dashes() {
        let tcp = |addr: &str| Address::Tcp(addr.to_owned());
        let listen = options(&["--log=off", "a:1", "--", "b=:2", "-c:3"], &[]).listen;
        assert_eq!(listen, [tcp("a:1"), tcp("b=:2"), tcp("-c:3")]);
        assert!(wrong(&["--", "--faults"], &[]).starts_with("\"--faults\" is not HOST:PORT"));
        assert_eq!(wrong(&["--=x"], &[]), "there is no option --");
    }

    /// A field that is added to the library's configuration does not go without an option: this no
    /// longer compiles.
    #[test]
    fn every_field_has_an_option() {
        let mut args = Vec::new();
        for setting in SETTINGS {
            let value = match setting.value {
                "TIME" => "7s",
                "SIZE" => "77K",
                "N" => "7",
                "ORIGIN" => "https://a",
                _ => continue,
            };
            args.extend([setting.name, value]);
        }
        let Config { limits, timeouts, origins, stack_size } = options(&args, &[]).config;
        assert_eq!((origins, stack_size), (vec!["https://a".to_owned()], Some(77 << 10)));
        let Limits {
            max_request_line,
            max_header_line,
            max_headers,
            max_head_size,
            max_message_size,
            max_fragments,
            max_buffered_bytes,
            max_connections,
            max_connections_per_ip,
        } = limits;
        assert_eq!([max_request_line, max_header_line, max_head_size], [77 << 10; 3]);
        assert_eq!([max_message_size, max_buffered_bytes], [77 << 10; 2]);
        assert_eq!([max_headers, max_connections, max_connections_per_ip], [7; 3]);
        assert_eq!(max_fragments, 7);
        let Timeouts { handshake, message, ping_interval, idle_timeout, write, close } = timeouts;
        let times = [handshake, message, ping_interval, idle_timeout, write, close];
        assert_eq!(times, [Duration::from_secs(7); 6]);
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
        assert_eq!((limits.max_message_size, limits.max_buffered_bytes), (2 << 30, 3 << 20));
        let args = ["--ping-after", "250ms", "--idle-timeout", "2m", "--close-timeout", "off"];
        let timeouts = options(&args, &[]).config.timeouts;
        assert_eq!(timeouts.ping_interval, Duration::from_millis(250));
        assert_eq!(timeouts.idle_timeout, Duration::from_secs(120));
        assert_eq!(timeouts.close, Duration::MAX);
    }

    #[test]
    fn arguments_come_before_the_environment() {
        let env = [("BAREWS_MAX_MESSAGE", "1K"), ("BAREWS_ORIGIN", "https://a https://b")];
        let config = options(&[], &env).config;
        assert_eq!(config.limits.max_message_size, 1024);
        assert_eq!(config.origins, ["https://a", "https://b"]);
        let config = options(&["--max-message=2K", "--origin", "https://c"], &env).config;
        assert_eq!(config.limits.max_message_size, 2048);
        assert_eq!(config.origins, ["https://c"]);
    }

    #[test]
    fn a_port_alone_is_for_everyone() {
        let any = [Address::Tcp("0.0.0.0:80".to_owned())];
        assert_eq!(options(&[], &[("PORT", "80")]).listen, any);
        let one = [Address::Tcp("a:1".to_owned())];
        assert_eq!(options(&["a:1"], &[("PORT", "80")]).listen, one);
        assert_eq!(options(&[], &[("PORT", "80"), ("BAREWS_LISTEN", "a:1")]).listen, one);
        assert_eq!(
            wrong(&[], &[("PORT", "http")]),
            "PORT: \"http\" is not a port, a number up to 65535"
        );
    }

    #[test]
    fn the_help_tells_the_defaults() {
        for setting in SETTINGS {
            let default = setting.help.rsplit_once('[').map(|(_, rest)| rest.trim_end_matches(']'));
            match (setting.value, default) {
                ("", None)
                | ("ORIGIN", Some("any"))
                | ("NAME", Some("the first"))
                | ("ADDR", Some("127.0.0.1:9001")) => {}
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
