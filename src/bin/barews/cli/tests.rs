use super::settings::Setting;
use super::*;
#[cfg(feature = "deflate")]
use barews::Deflate;
use barews::{Config, Limits, Timeouts};
#[cfg(feature = "deflate")]
use settings::Topic;
use std::time::Duration;

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

/// A value that no setting has by default.
fn other_than_default(setting: &Setting) -> &'static str {
    match (setting.name, setting.value) {
        // No more makes sense.
        ("--deflate-history", _) => "7K",
        (_, "TIME") => "7s",
        (_, "SIZE") => "77K",
        (_, "ADDR") => "a:7",
        (_, "FORMAT") => "json",
        (_, "ENGINE") => "event-loop",
        // It is read.
        ("--config", _) => "/dev/null",
        (_, "ORIGIN") => "https://a",
        (_, "BITS") => "11",
        (_, "URL") => "redis://a",
        (_, "" | "[=NAME,...]") => "yes",
        _ => "7",
    }
}

#[test]
fn every_setting_sets_something_and_refuses_nonsense() {
    for setting in SETTINGS {
        let (name, value) = (setting.name, other_than_default(setting));
        let set = shown(&[&format!("{name}={value}")], &[]);
        assert_ne!(set, shown(&[], &[]), "{name}");
        assert_eq!(shown(&[], &[(&setting.variable(), value)]), set);
        assert_eq!(shown(&[], &[(&setting.variable(), "")]), shown(&[], &[]));
        match setting.value {
            _ if setting.is_flag() => assert_eq!(shown(&[name], &[]), set),
            what => {
                assert_eq!(shown(&[name, value], &[]), set);
                assert_eq!(wrong(&[name], &[]), format!("{name} needs a {what}"));
            }
        }
        let nonsense = ["x", "-1", "+1", "1.5", "99999999999999999999", "K", "s"];
        // What may be the name of a subprotocol, a file or a host.
        let is_a_name = |text: &str| match setting.value {
            "NAME" | "FILE" => true,
            "[=NAME,...]" => text.starts_with(char::is_alphabetic),
            _ => false,
        };
        for text in nonsense.iter().filter(|text| !is_a_name(text)) {
            // The library says what is wrong with an origin.
            let not = match setting.value {
                "ORIGIN" => format!("{text:?} has no scheme: write "),
                _ => format!("{text:?} is not "),
            };
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
        let right = right
            .map_or("; see barews --help environment".to_owned(), |right| format!(", but {right}"));
        assert_eq!(*ignored, format!("{name} is ignored: there is no such option{right}"));
    }
    assert!(
        wrong(&[], &[("BAREWS_ORIGIN", " ")])
            .starts_with("BAREWS_ORIGIN: \" \" is more than one origin, or has a space")
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
    let settings = SETTINGS.iter().filter(|setting| setting.value != "ADDR");
    let args: Vec<_> = settings
        .map(|setting| format!("{}={}", setting.name, other_than_default(setting)))
        .collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let Config {
        limits,
        timeouts,
        origins,
        stack_size,
        #[cfg(feature = "event-loop")]
        event_loops,
        #[cfg(feature = "deflate")]
        compression,
    } = options(&args, &[]).config;
    #[cfg(feature = "deflate")]
    assert_every_setting(compression);
    #[cfg(feature = "event-loop")]
    assert_eq!(event_loops, Some(7));
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

/// The same for how to compress.
#[cfg(feature = "deflate")]
fn assert_every_setting(deflate: Option<Deflate>) {
    let Deflate {
        level,
        server_max_window_bits,
        client_max_window_bits,
        server_no_context_takeover,
        client_no_context_takeover,
        history,
        threshold,
        threshold_no_context,
        max_memory,
    } = deflate.expect("--deflate turns it on");
    assert_eq!([level, server_max_window_bits, client_max_window_bits], [7, 11, 11]);
    assert!(server_no_context_takeover && client_no_context_takeover);
    // One option sets both thresholds.
    assert_eq!([history, threshold, threshold_no_context], [7 << 10, 77 << 10, 77 << 10]);
    assert_eq!(max_memory, 77 << 10);
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

/// Options that do not know which of them were given.
#[allow(unused_mut, reason = "one build has nothing to forget")]
fn forgetful(mut options: Options) -> Options {
    #[cfg(feature = "deflate")]
    options.deflate_settings.clear();
    options
}

#[test]
fn the_help_tells_the_defaults() {
    for setting in SETTINGS {
        let default = setting.help.rsplit_once('[').map(|(_, rest)| rest.trim_end_matches(']'));
        // One that does nothing alone would be warned about.
        #[cfg(feature = "deflate")]
        let others: &[&str] = if setting.topic == Topic::Deflate { &["--deflate"] } else { &[] };
        #[cfg(not(feature = "deflate"))]
        let others: &[&str] = &[];
        match (setting.value, default) {
            // Two numbers, which no single one sets.
            ("SIZE", Some("32; no takeover: 256")) => {}
            ("" | "FILE" | "[=NAME,...]", None)
            | ("ORIGIN", Some("any"))
            | ("NAME", Some("the first"))
            | ("N", Some("as many as cores"))
            | ("ADDR", Some("127.0.0.1:9001"))
            | ("URL" | "ADDR", Some("none")) => {}
            (_, Some(default)) => {
                // Setting the default that is printed changes nothing.
                let same = options(&[others, &[setting.name, default]].concat(), &[]);
                let same = format!("{:?}", forgetful(same));
                let unset = format!("{:?}", forgetful(options(others, &[])));
                assert_eq!(same, unset, "{}", setting.name);
            }
            (_, None) => panic!("{} tells no default", setting.name),
        }
    }
}

#[test]
fn edge_z_an_origin_is_as_browsers_write_it() {
    for text in [
        "https://example.com",
        "HTTPS://Example.COM",
        "https://example.com:443",
        "http://example.com:443",
        "http://localhost:0080",
        "http://[::1]:8000",
        "http://[0:0::1]",
        "chrome-extension://abcdef",
    ] {
        assert_eq!(options(&["--origin", text], &[]).config.origins, [text]);
    }
    for (text, right) in [
        ("", "list no origin to let in all"),
        ("example.com", "write https://example.com"),
        ("example.com:80", "write https://example.com:80"),
        ("https://", "write it like https://example.com"),
        ("://a", "write http://a"),
        ("https://a b", "is more than one origin, or has a space"),
        ("https://a@b", "write https://b"),
        ("https://*.example.com", "has a wildcard in it; name each host"),
        ("https://a:x", "write it like https://example.com"),
        ("https://a:65536", "write it like https://example.com"),
        ("https://::1", "write it like https://example.com"),
        ("https://[::1", "write it like https://example.com"),
        ("https://[::1]80", "write it like https://example.com"),
        ("https://example.com/", "not even a slash may stand: write https://example.com"),
        ("https://example.com?a", "write https://example.com"),
        ("*", "list no origin to let in all"),
        ("null", "any page can send"),
        ("https://a,https://b", "is more than one origin"),
        ("wss://example.com", "and not of the page: write https://example.com"),
        ("https://b\u{fc}cher.example", "xn--"),
    ] {
        let error = wrong(&["--origin", text], &[]);
        assert!(error.starts_with(&format!("--origin: {text:?} ")), "{error}");
        assert!(error.contains(right), "{error}, and not {right}");
    }
}

#[cfg(feature = "deflate")]
#[test]
fn compression_is_off_unless_it_is_asked_for() {
    let compression = |args: &[&str]| options(args, &[]).config.compression;
    assert!(compression(&[]).is_none() && compression(&["--deflate=0"]).is_none());
    let given = compression(&["--deflate", "--deflate-threshold=0", "--deflate-history=32K"]);
    let given = given.expect("compression");
    assert_eq!((given.threshold, given.threshold_no_context, given.history), (0, 0, 32 << 10));
    for env in [&[][..], &[("BAREWS_DEFLATE", "0")]] {
        let args = ["--deflate-level", "3", "--deflate-server-no-context-takeover"];
        assert_eq!(
            options(&args, env).warnings,
            [
                "--deflate-level does nothing without --deflate",
                "--deflate-server-no-context-takeover does nothing without --deflate",
            ]
        );
    }
    let env = [("BAREWS_DEFLATE", "1"), ("BAREWS_DEFLATE_LEVEL", "9")];
    let both = options(&[], &env);
    assert!(both.warnings.is_empty(), "{:?}", both.warnings);
    assert_eq!(both.config.compression.expect("compression").level, 9);
    for (arg, right) in [
        ("--deflate-level=0", "a level from 1 to 9"),
        ("--deflate-server-max-window-bits=8", "a number from 9 to 15"),
        ("--deflate-client-max-window-bits=16", "a number from 9 to 15"),
        ("--deflate-history=32769", "a size up to 32K"),
    ] {
        let (name, value) = arg.split_once('=').unwrap();
        assert_eq!(wrong(&[arg], &[]), format!("{name}: {value:?} is not {right}"));
    }
    for name in ["--compression", "--permessage-deflate", "--deflat"] {
        assert_eq!(wrong(&[name], &[]), format!("there is no option {name}, but --deflate"));
    }
}

/// Its password is nowhere to be seen.
#[cfg(feature = "backplane")]
#[test]
fn a_backplane_has_a_password() {
    let url = "redis://user:s3cret@a.example:7000";
    let shown = shown(&["--backplane", url], &[]);
    assert!(shown.contains("redis://a.example:7000") && !shown.contains("s3cret"), "{shown}");
    let wrong = wrong(&[], &[("BAREWS_BACKPLANE", "https://user:s3cret@a.example")]);
    let right = "is not redis://[USER:PASSWORD@]HOST:PORT: ";
    let starts = format!("BAREWS_BACKPLANE: \"https://…@a.example\" {right}");
    assert!(wrong.starts_with(&starts), "{wrong}");
    let mut small = options(&["--backplane", url, "--backplane-queue", "1M"], &[]);
    let settings = small.take_backplane().expect("there is one");
    assert_eq!((settings.max_queue, settings.max_message), (1 << 20, 16 << 20));
    assert!(small.warnings[0].contains("does not go to other processes"), "{:?}", small.warnings);
    assert!(options(&[], &[]).take_backplane().is_none());
}
