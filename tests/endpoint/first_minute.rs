//! What somebody meets who has just started it: where it is, whether it is up, options in a file, and
//! what was meant by a typing error.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Output;
use std::time::Instant;

use crate::common::{Binary, PATIENCE, command};

/// Runs the program to its end: its status, and what it says on standard error.
fn ended(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let output: Output = command(args).envs(env.iter().copied()).output().expect("run");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

/// A file with this in it.
fn file(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("barews-{name}-{}", std::process::id()));
    std::fs::write(&path, text).expect("write");
    path
}

#[test]
fn the_start_line_has_what_a_browser_and_websocat_would_use() {
    let mut program = Binary::start(&mut command(&["127.0.0.1:0", "0.0.0.0:0"]));
    for (host, all) in [("127.0.0.1", ""), ("0.0.0.0", " (all interfaces)")] {
        let line = program.line();
        let port = line.split(':').nth(2).and_then(|rest| rest.split(' ').next()).expect(&line);
        let here = format!("127.0.0.1:{port}/");
        let open = format!("open http://{here} or run: websocat ws://{here}");
        let engine = Binary::engine_shown();
        assert_eq!(line, format!("barews: listening on {host}:{port}{engine}{all} -- {open}"));
        assert_eq!(ended(&["healthcheck", &format!("http://{here}")], &[]).0, Some(0));
    }
}

#[test]
fn a_server_that_is_up() {
    let program = Binary::serve(&[]);
    let addr = program.addr.to_string();
    let port = program.addr.port().to_string();
    let config = file("up", &format!("BAREWS_LISTEN={addr}\n"));
    let config = config.to_str().expect("UTF-8");
    // However it is named.
    for (args, env) in [
        (&["healthcheck", &*format!("http://{addr}")][..], &[][..]),
        (&["healthcheck", &format!("http://{addr}/healthz")], &[]),
        (&["healthcheck", &addr], &[("PORT", "1")]),
        (&["healthcheck", "--listen", &addr], &[]),
        (&["healthcheck", "--config", config], &[]),
        (&["healthcheck"], &[("BAREWS_CONFIG", config)]),
        (&["healthcheck"], &[("BAREWS_LISTEN", &*addr)]),
        (&["healthcheck"], &[("PORT", &*port)]),
        // Who runs it has a listener that answers in any case.
        (&["healthcheck"], &[("BAREWS_ADMIN", &*addr), ("BAREWS_LISTEN", "127.0.0.1:1")]),
    ] {
        assert_eq!(ended(args, env), (Some(0), String::new()), "{args:?} {env:?}");
    }
    let (status, told) = ended(&["healthcheck", &format!("http://{addr}/nowhere")], &[]);
    assert_eq!(status, Some(1));
    assert_eq!(told, format!("barews: http://{addr}/nowhere: answered 404 Not Found\n"));
    std::fs::remove_file(config).expect("remove");
}

#[test]
fn a_server_that_is_not() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let url = format!("http://{}/healthz", free.expect("a port"));
    let (status, told) = ended(&["healthcheck", &url], &[]);
    assert_eq!(status, Some(1));
    assert!(told.starts_with(&format!("barews: {url}: ")) && told.lines().count() == 1, "{told}");
    // Who has a password in a URL need not read it in a log.
    let (status, told) = ended(&["healthcheck", "http://a:hunter2@b"], &[]);
    assert!(status == Some(2) && told.contains("a user in it") && !told.contains("hunter2"));
    for wrong in ["ws://a", "x", "http://a b"] {
        let (status, told) = ended(&["healthcheck", wrong], &[]);
        assert_eq!(status, Some(2));
        assert!(
            told.starts_with(&format!("barews: healthcheck: {wrong:?} is not http://")),
            "{told}"
        );
    }
    assert_eq!(ended(&["healthcheck", "a:1", "b:1"], &[]).0, Some(2));
    assert_eq!(ended(&["healthcheck", "--colour"], &[]).0, Some(2));
    assert_eq!(ended(&["healthcheck"], &[("BAREWS_CONFIG", "/nowhere/a")]).0, Some(2));
}

/// One that takes a connection and says nothing, nothing of HTTP, or without an end.
#[test]
fn a_server_that_is_another() {
    let ask = |answer: fn(&mut std::net::TcpStream)| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // Everybody is answered: another test may knock here that takes a port to be free.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    stream.set_read_timeout(Some(PATIENCE)).expect("set_read_timeout");
                    let _ = stream.read(&mut [0; 1024]);
                    answer(&mut stream);
                });
            }
        });
        let start = Instant::now();
        let (status, told) = ended(&["healthcheck", &url], &[]);
        assert!(start.elapsed() < PATIENCE, "{told}");
        assert_eq!((status, told.lines().count()), (Some(1), 1), "{told}");
        told
    };
    let silent = ask(|stream| drop(stream.read(&mut [0])));
    assert!(silent.ends_with("/healthz: no answer within 3 seconds\n"), "{silent}");
    let other = ask(|stream| drop(stream.write_all(b"SSH-2.0-\x1b[2J\n")));
    assert!(
        other.contains("the answer is no HTTP: \"SSH-2.0-") && !other.contains('\x1b'),
        "{other}"
    );
    let endless = ask(|stream| while stream.write_all(&[b'a'; 4096]).is_ok() {});
    assert!(endless.contains("the answer is no HTTP"), "{endless}");
    let busy = ask(|stream| drop(stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")));
    assert!(busy.ends_with(": answered 503 Service Unavailable\n"), "{busy}");
}

#[cfg(unix)]
#[test]
fn a_unix_domain_socket_is_asked_too() {
    let path = std::env::temp_dir().join(format!("barews-health-{}.sock", std::process::id()));
    let addr = format!("unix:{}", path.display());
    let mut program = Binary::start(&mut command(&[&addr]));
    program.line();
    assert_eq!(ended(&["healthcheck", &addr], &[]).0, Some(0));
    assert_eq!(ended(&["healthcheck"], &[("BAREWS_LISTEN", &addr)]).0, Some(0));
    program.stop();
    let (status, told) = ended(&["healthcheck", &addr], &[]);
    assert_eq!(status, Some(1));
    assert!(told.starts_with(&format!("barews: /healthz on {addr}: ")), "{told}");
}

/// Whoever's certificate it is.
#[cfg(feature = "tls")]
#[test]
fn a_certificate_that_nobody_trusts() {
    let (binary, _) = crate::tls::serve(&["--tls-self-signed=a.example"]);
    let addr = binary.addr.to_string();
    assert_eq!(ended(&["healthcheck", &format!("https://{addr}")], &[]), (Some(0), String::new()));
    let env = [("BAREWS_LISTEN", &*addr), ("BAREWS_TLS_SELF_SIGNED", "1")];
    assert_eq!(ended(&["healthcheck"], &env), (Some(0), String::new()));
    let (status, told) = ended(&["healthcheck", &format!("http://{addr}")], &[]);
    assert!(status == Some(1) && told.contains(": answered 400 "), "{told}");
    let clear = Binary::serve(&[]);
    assert_eq!(ended(&["healthcheck", &format!("https://{}", clear.addr)], &[]).0, Some(1));
}

#[cfg(not(feature = "tls"))]
#[test]
fn https_is_in_another_build() {
    let binary = Binary::serve(&[]);
    let (status, told) = ended(&["healthcheck", &format!("https://{}", binary.addr)], &[]);
    assert!(status == Some(1) && told.contains("--features tls"), "{told}");
}

#[test]
fn options_in_a_file() {
    let text = "# what is served\n\nBAREWS_LISTEN=\"127.0.0.1:0 127.0.0.1:0\"\nBAREWS_MAX_MESSAGE=1\n\
                BAREWS_LOG=json\n";
    let config = file("options", text);
    let config = config.to_str().expect("UTF-8");
    // An argument comes before the environment, and that before the file.
    let mut both = command(&["--log=text", "--config", config]);
    let mut program = Binary::start(both.env("BAREWS_MAX_MESSAGE", "3"));
    let [_, second] = [(); 2].map(|()| program.address());
    let mut client = crate::common::RawClient::open(second.parse().expect("an address"));
    client.send(crate::common::frame(crate::common::TEXT, "123"));
    client.expect(&crate::common::Frame::text("123"));
    client.send(crate::common::frame(crate::common::TEXT, "1234"));
    client.expect_close(1009);
    let mut named = Binary::start(command(&[]).env("BAREWS_CONFIG", config));
    assert!(named.line().contains(r#""event":"listening""#));
    for (text, told) in [
        ("BAREWS_MAX_MESAGE=1M", "1: there is no BAREWS_MAX_MESAGE, but BAREWS_MAX_MESSAGE"),
        ("\nlog=json", "2: there is no log, but BAREWS_LOG"),
        ("BAREWS_LOG=jsn", "1: BAREWS_LOG: \"jsn\" is not text, json or off; perhaps json"),
        ("\n\nPORT=x", "3: PORT: \"x\" is not a port, a number up to 65535"),
        ("secret", "1: this is not NAME=VALUE"),
        ("\u{1b}[2J=1", "1: this is not NAME=VALUE"),
        ("c2VjcmV0=", "1: there is no option of this name"),
    ] {
        std::fs::write(config, text).expect("write");
        let (status, error) = ended(&["--config", config], &[]);
        assert_eq!(status, Some(2));
        assert_eq!(error, format!("barews: {config}:{told}; see barews --help\n"));
    }
    std::fs::remove_file(config).expect("remove");
    let (status, error) = ended(&["--config", config], &[]);
    assert!(status == Some(2) && error.starts_with("barews: cannot read "), "{error}");
}

#[test]
fn a_typing_error_is_told_with_what_was_meant() {
    for (args, told) in [
        (&["--max-mesage=1"][..], "there is no option --max-mesage, but --max-message"),
        (&["--versoin"], "there is no option --versoin, but --version"),
        (
            &["healtcheck"],
            "\"healtcheck\" is not HOST:PORT, :PORT or unix:PATH; perhaps healthcheck",
        ),
        (&["--log", "jsn"], "--log: \"jsn\" is not text, json or off; perhaps json"),
        (&["--help", "limts"], "there is no help on limts, but on limits"),
        (&["help", "timeout"], "there is no help on timeout, but on timeouts"),
        (&["completions", "bsh"], "completions: \"bsh\" is not bash, zsh or fish; perhaps bash"),
        (&["completions"], "completions needs bash, zsh or fish"),
        (&["--log=off", "help"], "help is a command, which comes first"),
    ] {
        let wrong = format!("barews: {told}; see barews --help\n");
        assert_eq!(ended(args, &[]), (Some(2), wrong), "{args:?}");
    }
}

/// On any terminal, the smallest that there is among them.
#[test]
fn the_first_screen_is_one() {
    let printed = |args: &[&str]| {
        let output = command(args).output().expect("run");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let first = printed(&["--help"]);
    assert!(first.lines().count() <= 24 && first.lines().all(|line| line.len() <= 80), "{first}");
    assert_eq!(printed(&["help"]), first);
    let about = printed(&["--help", "healthcheck"]);
    for args in [&["healthcheck", "--help"][..], &["healthcheck", "-h"], &["help", "healthcheck"]] {
        assert_eq!(printed(args), about);
    }
    assert_eq!(printed(&["completions", "--help"]), printed(&["help", "completions"]));
    assert!(printed(&["help", "config"]).contains("BAREWS_CONFIG"));
}
