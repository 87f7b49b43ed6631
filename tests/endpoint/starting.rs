use std::process::{Command, Stdio};

use crate::common::{Binary, Frame, PATIENCE, RawClient, TEXT, close, command, frame, r0};

fn echo(addr: &str) {
    let mut client = RawClient::open(addr.parse().expect("an address"));
    client.send(frame(TEXT, "a"));
    client.expect(&Frame::text("a"));
    client.finish();
}

#[test]
fn several_addresses_in_arguments_and_environment() {
    let mut program = Binary::start(&mut command(&["127.0.0.1:0", "--listen", "127.0.0.1:0"]));
    let [first, second] = [(); 2].map(|()| program.address());
    assert_ne!(first, second);
    echo(&first);
    echo(&second);
    let mut environment = command(&[]);
    environment.env("BAREWS_LISTEN", "127.0.0.1:0 127.0.0.1:0").env("BAREWS_MAX_MESSAGE", "3");
    let mut program = Binary::start(&mut environment);
    let [_, second] = [(); 2].map(|()| program.address());
    let mut client = RawClient::open(second.parse().unwrap());
    client.send(frame(TEXT, "1234"));
    client.expect_close(1009);
    let mut port = Binary::start(command(&[]).env("PORT", "0"));
    let addr = port.address();
    echo(&addr.replace("0.0.0.0", "127.0.0.1"));
}

#[test]
fn wrong_variables_are_told() {
    for (name, value, wrong) in [
        ("BAREWS_MAX_MESSAGE", "x", "barews: BAREWS_MAX_MESSAGE: \"x\" is not a size"),
        ("BAREWS_LISTEN", "127.0.0.1:0 x", "barews: BAREWS_LISTEN: \"x\" is not HOST:PORT"),
        ("PORT", "x", "barews: PORT: \"x\" is not a port"),
    ] {
        let output = command(&[]).env(name, value).output().expect("run");
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(stderr.starts_with(wrong) && stderr.lines().count() == 1, "{stderr}");
    }
}

/// A Unix-domain socket: served, removed at the end, and taken over from a server that died.
#[cfg(unix)]
#[test]
fn a_unix_socket() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    let path = std::env::temp_dir().join(format!("barews-endpoint-{}.sock", std::process::id()));
    let addr = format!("unix:{}", path.display());
    let mut died = Binary::start(&mut command(&[&addr]));
    assert_eq!(died.address(), addr);
    // While it lives, nobody takes its place.
    let second = command(&[&addr]).output().expect("run");
    assert_eq!(second.status.code(), Some(2), "{second:?}");
    drop(died);
    assert!(path.exists());

    let mut program = Binary::start(&mut command(&[&addr]));
    assert_eq!(program.address(), addr);
    let mut client = UnixStream::connect(&path).expect("connect");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = [r0().bytes(), frame(TEXT, "a"), close(1000, "")].concat();
    client.write_all(&sent).unwrap();
    let mut head = [0; 129];
    client.read_exact(&mut head).unwrap();
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(Frame::read(&mut client).unwrap(), Some(Frame::text("a")));
    assert_eq!(Frame::read(&mut client).unwrap(), Some(Frame::close(1000, "")));
    drop(client);
    let rest = program.stop();
    // In any order: the connection's thread may end after the signal has come.
    let told = rest.iter().any(|line| line.contains("unix /: 1 messages 1 bytes in"));
    assert!(told, "{rest:?}");
    assert!(!path.exists());

    // Nor is it left behind where a later address is taken.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|addr| (taken, addr.to_string())).unwrap();
    let refused = command(&[&addr, &taken.1]).output().expect("run");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(!path.exists());

    // Or where a second signal ends the program.
    let mut hurried = Binary::start(&mut command(&["--grace", "60s", "127.0.0.1:0", &addr]));
    let tcp = hurried.address().parse().unwrap();
    assert_eq!(hurried.address(), addr);
    let mut client = RawClient::open(tcp);
    hurried.signal("TERM");
    assert!(client.heard_within(PATIENCE));
    hurried.signal("INT");
    let (status, lines) = hurried.wait();
    assert_eq!(status.code(), Some(128 + 2));
    assert!(lines.iter().any(|line| line.contains("shutting down")), "{lines:?}");
    assert!(!path.exists());

    // What is no socket is not touched.
    std::fs::write(&path, "precious").unwrap();
    let refused = command(&[&addr]).output().expect("run");
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    std::fs::remove_file(&path).unwrap();
}

/// A listener that was passed as `sd_listen_fds(3)` has it, by a shell that hands down its own.
#[cfg(target_os = "linux")]
#[test]
fn socket_activation() {
    use std::net::TcpListener;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // A shell inherits it as its standard input, and hands it down where it belongs.
    let script = "exec 3<&0 0</dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\"";
    let input = std::os::fd::OwnedFd::from(listener.try_clone().unwrap());
    let start = |extra: &[&str]| {
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh", env!("CARGO_BIN_EXE_barews")]).args(extra);
        shell.stdin(input.try_clone().unwrap()).stdout(Stdio::null()).stderr(Stdio::piped());
        Binary::start(&mut shell)
    };
    let mut first = start(&[]);
    assert_eq!(first.address(), addr.to_string());
    echo(&addr.to_string());
    // A restart: who connects in between waits in the backlog, which is not ours.
    first.stop();
    let mut waiting = RawClient::connect(addr);
    waiting.send(r0().bytes());
    let mut second = start(&["127.0.0.1:0"]);
    assert_eq!(second.address(), addr.to_string());
    let other = second.address();
    waiting.expect_upgrade();
    waiting.finish();
    echo(&other);
    second.stop();
    // Variables that were meant for another process are none of ours.
    let mut other = command(&["127.0.0.1:0"]);
    let mut other = Binary::start(other.env("LISTEN_PID", "1").env("LISTEN_FDS", "1"));
    echo(&other.address());
    other.stop();
}

/// A line of JSON for each event, and nothing else.
#[cfg(unix)]
#[test]
fn a_log_in_json() {
    let mut program = Binary::start(&mut command(&["--log=json", "127.0.0.1:0"]));
    let line = program.line();
    let (_, addr) = line.split_once(r#""event":"listening","address":""#).expect(&line);
    let (addr, engine) = addr.split_once(r#"","engine":""#).expect(&line);
    let (engine, url) = engine.split_once(r#"","url":""#).expect(&line);
    assert_eq!(engine, if Binary::on_event_loop() { "event-loop" } else { "threads" });
    assert_eq!(url, format!("http://{addr}/\"}}"));
    let addr = addr.parse().unwrap();
    let mut client = RawClient::connect(addr);
    let request = r0().target("/subprotocol?\"").add("Sec-WebSocket-Protocol: a");
    client.send(request.bytes());
    client.expect_upgrade();
    client.send([frame(TEXT, "12"), close(4000, "\"bye\"")].concat());
    client.expect(&Frame::text("12"));
    assert_eq!(client.expect_close(4000), "\"bye\"");
    let line = program.line();
    assert!(line.contains(r#""event":"open","peer":"#), "{line}");
    let line = program.line();
    for part in [
        r#"{"time":"20"#,
        r#""event":"connection""#,
        &format!(r#""peer":"{}""#, client.addr),
        r#""path":"/subprotocol""#,
        r#""subprotocol":"a""#,
        r#""messages_in":1,"bytes_in":2,"messages_out":1,"bytes_out":2"#,
        r#""close_code":4000,"close_reason":"\"bye\"","error":null}"#,
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let mut refused = RawClient::connect(addr);
    refused.send("x\n");
    refused.expect_refusal(400);
    let line = program.line();
    assert!(line.contains(r#""event":"refused","peer":""#), "{line}");
    let rest = program.stop();
    assert!(rest.iter().all(|line| line.starts_with('{') && line.ends_with('}')), "{rest:?}");
}

#[cfg(unix)]
#[test]
fn no_log_at_all() {
    // The port has to be known, since nothing tells it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    drop(listener);
    let program = Binary::start(&mut command(&["--log", "off", &addr]));
    while std::net::TcpStream::connect(&addr).is_err() {}
    echo(&addr);
    assert!(program.stop().is_empty());
}

/// The manual page is one that `man` can show, where there is a `man`.
#[test]
fn the_manual() {
    let output = command(&["--man"]).output().expect("run");
    assert_eq!(output.status.code(), Some(0));
    let page = String::from_utf8(output.stdout).expect("text");
    for title in ["NAME", "SYNOPSIS", "OPTIONS", "LIMITS", "TIMEOUTS", "PATHS", "ENVIRONMENT"] {
        assert!(page.contains(&format!("\n.SH {title}\n")), "{title}");
    }
}

/// Who asks for what was not built is told how to build it.
#[cfg(not(feature = "deflate"))]
#[test]
fn compression_is_in_another_build() {
    let told = |mut command: Command, source: &str| {
        let output = command.output().expect("run");
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).expect("text");
        let is_told = stderr.starts_with(&format!("barews: {source} is not in this build"));
        assert!(is_told && stderr.lines().count() == 1, "{stderr}");
        assert!(stderr.contains("cargo build --release --features deflate"), "{stderr}");
    };
    told(command(&["--deflate", "127.0.0.1:0"]), "--deflate");
    told(command(&["--deflate-level=9", "127.0.0.1:0"]), "--deflate-level");
    let mut environment = command(&["127.0.0.1:0"]);
    environment.env("BAREWS_DEFLATE", "1");
    told(environment, "BAREWS_DEFLATE");
    let mut off = command(&["127.0.0.1:0"]);
    let mut off = Binary::start(off.env("BAREWS_DEFLATE", "0"));
    echo(&off.address());
}

/// Every limit and deadline is told, and by topics.
#[test]
fn help_by_topics() {
    for (topic, text) in [
        ("paths", "/broadcast/{room}"),
        ("limits", "--max-message SIZE"),
        ("timeouts", "--idle-timeout TIME"),
        ("environment", "BAREWS_MAX_MESSAGE"),
        ("all", "--close-timeout TIME"),
        #[cfg(feature = "deflate")]
        ("deflate", "--deflate-level LEVEL"),
    ] {
        let output = command(&["--help", topic]).output().expect("run");
        let stdout = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && stdout.contains(text), "{topic}: {stdout}");
    }
    let binary = Binary::serve(&["--faults"]);
    echo(&binary.addr.to_string());
}
