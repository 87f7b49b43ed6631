//! Where the program meets the system: signals at any moment, limits, and what a user may get
//! wrong. The letters are those of a review's rows.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use crate::common::{Binary, Frame, RawClient, TEXT, command, frame, r0};

pub fn echo(addr: SocketAddr) {
    let mut client = RawClient::open(addr);
    client.send(frame(TEXT, "a"));
    client.expect(&Frame::text("a"));
    client.finish();
}

/// The program's line of complaint, with which it ends.
#[track_caller]
pub fn complaint(program: &mut Command) -> String {
    let (status, lines) = Binary::start(program).wait();
    assert_eq!(status.code(), Some(2), "{lines:?}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.into_iter().next().expect("one")
}

/// A script before the program, in the same process.
#[cfg(unix)]
pub fn after(script: &str, args: &[&str]) -> Command {
    use std::process::Stdio;

    let mut shell = Command::new("sh");
    let script = format!("{script}\nexec \"$0\" \"$@\"");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_barews")]).args(args);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

#[test]
fn edge_z_an_origin_that_matches_nobody_is_refused() {
    for (origin, right) in [
        ("https://example.com/", "not even a slash may stand: write https://example.com"),
        ("example.com", "has no scheme: write https://example.com"),
        ("", "is no origin: list no origin to let in all"),
        ("*", "is no origin: list no origin to let in all"),
        ("https://a,https://b", "is more than one origin"),
        ("ws://a", "has the scheme of the server, and not of the page: write http://a"),
    ] {
        let text = complaint(&mut command(&["--origin", origin]));
        assert!(text.starts_with(&format!("barews: --origin: {origin:?} ")), "{text}");
        assert!(text.contains(right) && text.ends_with("; see barews --help"), "{text}");
    }
    let text = complaint(command(&[]).env("BAREWS_ORIGIN", "https://a b"));
    assert!(text.starts_with("barews: BAREWS_ORIGIN: \"b\" has no scheme"), "{text}");
}

#[test]
fn edge_z_an_origin_is_compared_as_browsers_write_it() {
    let binary = Binary::serve(&["--origin", "HTTPS://Example.com:443"]);
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().add("Origin: https://example.com").bytes());
    client.expect_upgrade();
    client.finish();
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().add("Origin: https://example.org").bytes());
    client.expect_refusal(403);
}

#[test]
fn edge_ab_a_variable_that_is_none_is_told() {
    let mut wrong = command(&["127.0.0.1:0"]);
    let mut program = Binary::start(wrong.env("BAREWS_MAX_MESAGE", "1").env("BAREWS_X", "1"));
    echo(program.address().parse().unwrap());
    let mut lines = [program.line(), program.line()];
    lines.sort();
    let mesage = "BAREWS_MAX_MESAGE is ignored: there is no such option, but BAREWS_MAX_MESSAGE";
    assert_eq!(lines[0], format!("barews: {mesage}"));
    assert!(lines[1].starts_with("barews: BAREWS_X is ignored: "), "{lines:?}");
}

#[test]
fn edge_ab_options_are_told_with_what_would_be_right() {
    for (args, told) in [
        (&["--port", "80"][..], "there is no option --port, but --listen;"),
        (&["--grace", "1d"], "a time, such as 500ms, 1.5s, 2m, 1h or off;"),
        (&["::1:80"], "an IPv6 address has brackets, as in [::1]:9001;"),
        (&["--", "--faults"], "\"--faults\" is not HOST:PORT, :PORT"),
    ] {
        let text = complaint(&mut command(args));
        assert!(text.contains(told), "{text}");
    }
    let args = ["--grace=0.5s", "--ping-after", "1h", "--idle-timeout=1.5h", "--", "127.0.0.1:0"];
    let mut program = Binary::start(&mut command(&args));
    echo(program.address().parse().unwrap());
}

#[test]
fn edge_ab_localhost_is_both_its_addresses() {
    let mut program = Binary::start(&mut command(&["localhost:0"]));
    let first: SocketAddr = program.address().parse().unwrap();
    assert_eq!(first.ip(), Ipv4Addr::LOCALHOST);
    echo(first);
    let line = program.line();
    match line.strip_prefix("barews: listening on ") {
        Some(second) => {
            let second = second.split(' ').next().unwrap();
            assert_eq!(second, format!("[::1]:{}", first.port()));
            echo(second.parse().unwrap());
        }
        // A machine without IPv6.
        None => assert!(line.starts_with("barews: localhost:0 goes without [::1]:"), "{line}"),
    }
}

#[test]
fn edge_ab_a_port_alone_is_every_interface() {
    let mut program = Binary::start(&mut command(&[":0"]));
    let addr: SocketAddr = program.address().parse().unwrap();
    assert!(addr.ip().is_unspecified());
    echo((Ipv4Addr::LOCALHOST, addr.port()).into());
}

#[cfg(target_os = "linux")]
pub mod linux {
    use std::fs::{self, File};
    use std::io::Write;
    use std::net::TcpListener;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::common::{PATIENCE, close, ms};
    use crate::plain::{metric, metrics_once};

    /// Waits for something to be true of another process.
    #[track_caller]
    pub fn wait_until(mut is_true: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_true() {
            assert!(start.elapsed() < PATIENCE, "it never is");
            thread::sleep(ms(2));
        }
    }

    /// The start waits for standard error here, which nobody reads; it could wait for anything.
    #[test]
    fn edge_h_a_signal_ends_a_start_that_takes_long() {
        let (_unread, mut stderr) = UnixStream::pair().unwrap();
        stderr.set_nonblocking(true).unwrap();
        while stderr.write(&[0; 4096]).is_ok() {}
        while stderr.write(&[0]).is_ok() {}
        stderr.set_nonblocking(false).unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut start = command(&[&taken.local_addr().unwrap().to_string()]);
        let mut child = start.stderr(OwnedFd::from(stderr)).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        wait_until(|| {
            let status = fs::read_to_string(&status).unwrap();
            let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
            let blocked = u64::from_str_radix(blocked.trim(), 16).unwrap();
            blocked & 1 << (15 - 1) != 0
        });
        let kill = format!("kill -TERM {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let start = Instant::now();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break status,
                None if start.elapsed() > ms(5_000) => {
                    child.kill().unwrap();
                    panic!("it ignores SIGTERM");
                }
                None => thread::sleep(ms(2)),
            }
        };
        assert_eq!(status.code(), Some(0));
    }

    #[test]
    fn edge_y_descriptors_are_as_many_as_may_be() {
        let limits = |program: &Binary| {
            let limits = fs::read_to_string(format!("/proc/{}/limits", program.pid())).unwrap();
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
            let numbers: Vec<u64> = line.unwrap().split_whitespace().flat_map(str::parse).collect();
            (numbers[0], numbers[1])
        };
        let args = ["--max-connections", "80", "127.0.0.1:0"];
        let mut raised = Binary::start(&mut after("ulimit -Sn 30; ulimit -Hn 120", &args));
        let addr = raised.address().parse().unwrap();
        assert_eq!(limits(&raised), (120, 120));
        let mut clients: Vec<_> = (0..80).map(|_| RawClient::open(addr)).collect();
        clients.iter_mut().for_each(RawClient::finish);
        drop(clients);
        let lines = raised.stop();
        assert!(!lines.iter().any(|line| line.contains("--max-connections")), "{lines:?}");

        let mut short = Binary::start(&mut after("ulimit -n 64", &args));
        let addr = short.address().parse().unwrap();
        echo(addr);
        // Not `line`, which passes over what a machine with a low limit says at each start.
        let lines = short.stop();
        let told = "barews: --max-connections 80 takes 97 descriptors, and the limit is 64: have \
                    --max-connections 47, or raise the hard limit (ulimit -Hn 97, LimitNOFILE=97)";
        assert_eq!(lines[0], told);
    }

    /// Many loops take many of their own.
    #[cfg(feature = "event-loop")]
    #[test]
    fn edge_y_descriptors_that_are_said_to_do_for_event_loops_do() {
        let loops = ["--engine", "event-loop", "--engine-loops", "64"];
        let args = [&loops[..], &["--max-connections", "10", "127.0.0.1:0"]].concat();
        let (status, lines) = Binary::start(&mut after("ulimit -n 64", &args)).wait();
        assert_eq!(status.code(), Some(2), "{lines:?}");
        let told = lines.iter().find_map(|line| line.split_once("--max-connections 10 takes "));
        let needed: u64 = told.unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
        let mut enough = Binary::start(&mut after(&format!("ulimit -n {needed}"), &args));
        let addr = enough.address().parse().unwrap();
        let mut clients: Vec<_> = (0..10).map(|_| RawClient::open(addr)).collect();
        clients.iter_mut().for_each(RawClient::finish);
        let lines = enough.stop();
        assert!(!lines.iter().any(|line| line.contains("--max-connections")), "{lines:?}");
    }

    /// Whom no 101 reaches was never connected.
    #[test]
    fn edge_y_a_client_that_is_gone_before_the_answer() {
        let mut binary = Binary::serve(&[]);
        binary.suspend();
        let mut client = RawClient::connect(binary.addr);
        client.send(r0().bytes());
        client.reset_at_both_sides();
        binary.signal("CONT");
        let line = binary.line();
        assert!(line.contains(" GET / refused: ") && line.contains("reset"), "{line}");
        let text = metrics_once(&binary, |text| {
            metric(text, "barews_refused_total{reason=\"io\"}") == 1.0
        });
        assert_eq!(metric(&text, "barews_connections_opened_total"), 0.0);
    }

    /// The code of the Close that comes next.
    #[track_caller]
    fn told_to_close(client: &mut RawClient) -> u16 {
        client.read_frame().expect("a Close, not just the end").close_parts().0
    }

    #[test]
    fn edge_ab_sighup_says_going_away() {
        // These tests may themselves run under `nohup`.
        let heard = ["env", "--default-signal=HUP"];
        let args = ["--grace", "60s", "--close-timeout", "60s"];
        let mut program = Binary::serve_under(&heard, &args);
        let mut client = RawClient::open(program.addr);
        program.signal("HUP");
        assert_eq!(told_to_close(&mut client), 1001);
        assert_eq!(program.line_with("signal"), "barews: signal 1: shutting down");
        // A terminal that goes says so twice, and hurries nobody.
        program.signal("HUP");
        client.send(close(1001, ""));
        client.expect_eof();
        drop(client);
        let (status, lines) = program.wait();
        assert_eq!(status.code(), Some(0), "{lines:?}");
    }

    #[test]
    fn edge_ab_nohup_is_respected() {
        let mut program = Binary::start(&mut after("trap '' HUP", &["127.0.0.1:0"]));
        let addr = program.address().parse().unwrap();
        program.signal("HUP");
        echo(addr);
        let lines = program.stop();
        let told = lines.iter().filter(|line| line.contains("shutting down"));
        assert_eq!(told.collect::<Vec<_>>(), ["barews: signal 15: shutting down"]);
    }

    #[test]
    fn edge_ab_no_grace_is_no_excuse() {
        let program = Binary::serve(&["--grace", "0s"]);
        let mut clients: Vec<_> = (0..20).map(|_| RawClient::open(program.addr)).collect();
        program.signal("TERM");
        for client in &mut clients {
            assert_eq!(told_to_close(client), 1001);
        }
        assert_eq!(program.wait().0.code(), Some(0));
    }

    #[test]
    fn edge_ab_who_was_stalled_hears_of_the_end() {
        let program = Binary::serve(&[]);
        let mut clients: Vec<_> = (0..5)
            .map(|_| {
                let mut client = RawClient::connect(program.addr);
                client.send(r0().target("/stall").bytes());
                client.expect_upgrade();
                client
            })
            .collect();
        program.signal("TERM");
        for client in &mut clients {
            assert_eq!(told_to_close(client), 1001);
        }
        drop(clients);
        assert_eq!(program.wait().0.code(), Some(0));
    }

    #[test]
    fn edge_ab_help_that_cannot_be_written_is_told() {
        for arg in ["--help", "--man", "--version"] {
            let full = File::options().write(true).open("/dev/full").unwrap();
            let output = command(&[arg]).stdout(full).output().expect("run");
            assert_eq!(output.status.code(), Some(1), "{arg}");
            let text = String::from_utf8(output.stderr).expect("text");
            assert!(text.starts_with("barews: cannot write to standard output: "), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
        // Who has read enough does not want to hear of it.
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let output = command(&["--help"]).stdout(OwnedFd::from(writer)).output().expect("run");
        assert_eq!((output.status.code(), output.stderr), (Some(1), Vec::new()));
    }
}
