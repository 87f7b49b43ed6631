//! The program itself: what it prints, how it ends, and that nothing on standard error stops it.

use std::net::TcpListener;
use std::process::Output;
use std::time::Instant;

use crate::common::{
    BINARY, Binary, Frame, PATIENCE, RawClient, Request, TEXT, close, command, frame, ms, r0,
};

fn run(args: &[&str]) -> Output {
    command(args).output().expect("run")
}

#[test]
fn it_echoes() {
    let binary = Binary::serve(&[]);
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().target("/any?path").bytes());
    client.expect_upgrade();
    client.send([frame(TEXT, "text"), frame(BINARY, vec![0xff; 70_000])].concat());
    client.expect(&Frame::text("text"));
    client.expect(&Frame::binary(vec![0xff; 70_000]));
    client.send(close(3456, "as it was"));
    assert_eq!(client.expect_close(3456), "as it was");
    let mut plain = RawClient::connect(binary.addr);
    plain.send(Request::new("GET /echo HTTP/1.1").add("Host: a").bytes());
    plain.expect_refusal(426);
    let addresses = [client.addr.to_string(), plain.addr.to_string()];
    drop((client, plain));
    stop(
        binary,
        &addresses,
        &["/any: 2 messages 70004 bytes in, 2 messages 70004 bytes out", "GET /echo answered 426 "],
    );
}

/// Ends the program, and finds a line of its log for each connection.
#[cfg(unix)]
fn stop(binary: Binary, addresses: &[String], texts: &[&str]) {
    let lines = binary.stop();
    for (address, text) in addresses.iter().zip(texts) {
        let told = |line: &String| line.contains(address) && line.contains(text);
        assert!(lines.iter().any(told), "{text} in {lines:?}");
    }
}

#[cfg(not(unix))]
fn stop(_: Binary, _: &[String], _: &[&str]) {}

#[test]
fn help_and_version_go_to_standard_output() {
    for (arg, text) in [
        ("--help", "Usage: barews"),
        ("-h", "Usage: barews"),
        ("--version", concat!("barews ", env!("CARGO_PKG_VERSION"))),
        ("-V", concat!("barews ", env!("CARGO_PKG_VERSION"))),
    ] {
        let output = run(&[arg]);
        assert_eq!(output.status.code(), Some(0), "{arg}");
        let stdout = String::from_utf8(output.stdout).expect("text");
        assert!(stdout.contains(text) && stdout.ends_with('\n'), "{arg}: {stdout}");
        assert_eq!(output.stderr, b"", "{arg}");
    }
}

/// One line on standard error, nothing on standard output, and status 2.
#[test]
fn f20_what_cannot_be_done_is_told_in_one_line() {
    let busy = TcpListener::bind("127.0.0.1:0").expect("bind");
    let busy = busy.local_addr().expect("local_addr").to_string();
    let _holder = TcpListener::bind(&busy);
    for args in [
        &["--nonsense"][..],
        &["nonsense"],
        &["127.0.0.1"],
        &["127.0.0.1:65536"],
        &["127.0.0.1:0", &busy],
        &["--max-message"],
        &["--max-message", "many"],
        &[""],
        &[&busy],
        &["203.0.113.1:0"],
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert_eq!(output.stdout, b"", "{args:?}");
        let stderr = String::from_utf8(output.stderr).expect("text");
        assert!(stderr.starts_with("barews: ") && stderr.ends_with('\n'), "{args:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{args:?}: {stderr}");
        assert!(stderr.len() > 20, "{args:?}: {stderr}");
    }
}

#[test]
fn limits_from_the_command_line() {
    let args = ["--max-message", "1K", "--origin=https://example.com", "--close-timeout", "1s"];
    let binary = Binary::serve(&args);
    let mut client = RawClient::open(binary.addr);
    client.send([frame(TEXT, "x".repeat(1024)), frame(TEXT, "x".repeat(1025))].concat());
    client.expect(&Frame::text("x".repeat(1024)));
    client.expect_close(1009);
    let mut client = RawClient::connect(binary.addr);
    client.send(r0().add("Origin: https://example.org").bytes());
    client.expect_refusal(403);
}

/// F12: a log that nobody can read any more.
#[test]
fn f12_standard_error_is_closed() {
    let mut binary = Binary::serve(&[]);
    binary.close_stderr();
    for _ in 0..10 {
        binary.echoes();
    }
}

/// F12: a log that nobody reads: the pipe fills up, and then the backlog.
#[test]
fn f12_standard_error_is_full() {
    let binary = Binary::serve(&[]);
    // Each leaves a line of 8,000 bytes, and a pipe holds 64 KiB.
    for _ in 0..40 {
        let mut client = RawClient::connect(binary.addr);
        client.send(r0().target(&format!("/{}", "a".repeat(8_000))).bytes());
        client.expect_upgrade();
        client.finish();
    }
    binary.echoes();
}

/// F19: the first signal closes every connection with 1001, and the program ends well.
#[cfg(unix)]
#[test]
fn f19_signals() {
    for name in ["TERM", "INT"] {
        let binary = Binary::serve(&[]);
        let mut clients: Vec<RawClient> = (0..10).map(|_| RawClient::open(binary.addr)).collect();
        let start = Instant::now();
        binary.signal(name);
        for client in &mut clients {
            let last = client.read_frame().expect("a Close");
            assert_eq!(last.close_parts().0, 1001);
            client.send(close(1001, ""));
            client.expect_eof();
        }
        drop(clients);
        let (status, lines) = binary.wait();
        assert_eq!(status.code(), Some(0), "{lines:?}");
        assert!(start.elapsed() < ms(5000), "{:?}", start.elapsed());
    }
}

/// Clients that do not answer hold it up for the grace period and no longer.
#[cfg(unix)]
#[test]
fn a_signal_with_a_silent_client() {
    let binary = Binary::serve(&["--grace", "200ms", "--close-timeout", "20s"]);
    let mut client = RawClient::open(binary.addr);
    let start = Instant::now();
    binary.signal("TERM");
    let last = client.read_frame().expect("a Close");
    assert_eq!(last.close_parts().0, 1001);
    let (status, _) = binary.wait();
    assert_eq!(status.code(), Some(0));
    assert!((ms(190)..ms(5000)).contains(&start.elapsed()), "{:?}", start.elapsed());
}

/// A second signal does not wait for anything.
#[cfg(unix)]
#[test]
fn a_second_signal() {
    let binary = Binary::serve(&["--grace", "60s", "--close-timeout", "60s"]);
    let mut client = RawClient::open(binary.addr);
    binary.signal("TERM");
    // The Close tells that the first has been seen.
    assert!(client.heard_within(PATIENCE));
    binary.signal("INT");
    let (status, _) = binary.wait();
    assert_eq!(status.code(), Some(128 + 2));
}

/// Memory is for what has come, and never for what was announced. Peaks of the process, so that
/// nothing that was given back in between goes unseen.
#[cfg(target_os = "linux")]
mod memory {
    use crate::common::{
        BINARY, Binary, Frame, PATIENCE, PING, PONG, RawClient, TEXT, frame, head, hex, r0,
    };

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    /// How much the peak grows by what a client does.
    fn growth(args: &[&str], act: impl FnOnce(&mut RawClient)) -> u64 {
        growth_of(&Binary::serve(args), act)
    }

    fn growth_of(binary: &Binary, act: impl FnOnce(&mut RawClient)) -> u64 {
        // A first connection, so that what is used by any is not counted.
        binary.echoes();
        let before = binary.peak_memory();
        let mut client = RawClient::connect(binary.addr);
        act(&mut client);
        // The server was there to the end.
        binary.echoes();
        binary.peak_memory() - before
    }

    fn opened(client: &mut RawClient) {
        client.send(r0().bytes());
        client.expect_upgrade();
    }

    #[test]
    fn h47_header_of_20_mb() {
        let growth = growth(&[], |client| {
            client.send("GET / HTTP/1.1\r\nX: ");
            client.flood(&[b'x'; 10_000], 20_000_000, PATIENCE);
        });
        assert!(growth < 512 * KIB, "{growth} bytes");
    }

    #[test]
    fn w19_lengths_that_are_only_declared() {
        let growth = growth(&["--max-message", "1024G", "--max-assembling", "1024G"], |client| {
            opened(client);
            client.send([head(BINARY, 1 << 40), vec![0; 1000], hex("")].concat());
            client.send_eof();
            client.expect_eof();
        });
        assert!(growth < MIB, "{growth} bytes");
    }

    #[test]
    fn w58_pings_from_a_peer_that_never_reads() {
        let growth = growth(&["--write-timeout", "200ms"], |client| {
            opened(client);
            let batch = frame(PING, "p".repeat(125)).repeat(800);
            client.flood(&batch, 131_000_000, PATIENCE);
        });
        assert!(growth < 2 * MIB, "{growth} bytes");
    }

    #[test]
    fn w59_1_mib_in_1_byte_fragments() {
        let fragments = || [frame(0x01, "x"), frame(0x00, "x").repeat(1 << 20), frame(0x80, "")];
        let refused = growth(&[], |client| {
            opened(client);
            let _ = client.try_send(fragments().concat());
        });
        assert!(refused < 4 * MIB, "{refused} bytes");
        let echoed = growth(&["--max-fragments", "2000000"], |client| {
            opened(client);
            client.send(fragments().concat());
            assert_eq!(client.read_frame().expect("the echo").payload.len(), (1 << 20) + 1);
        });
        assert!(echoed < 4 * MIB, "{echoed} bytes");
    }

    #[test]
    fn w62_a_bad_frame_and_then_a_gibibyte() {
        let growth = growth(&[], |client| {
            opened(client);
            client.send(hex("83 80 m"));
            client.flood(&[0xff; 64 << 10], 1 << 30, PATIENCE);
        });
        assert!(growth < MIB, "{growth} bytes");
    }

    /// A message of 16 MiB takes its memory once or little more, and the answer takes none.
    #[test]
    fn a_large_message_is_held_once() {
        let growth = growth(&[], |client| {
            opened(client);
            client.send([head(TEXT, 16 << 20), vec![b'x'; 16 << 20]].concat());
            assert_eq!(client.read_frame().expect("the echo").payload.len(), 16 << 20);
        });
        assert!(growth < 40 * MIB, "{growth} bytes");
    }

    /// How much it grows by clients that do the same in turn, and stay.
    fn growth_by_each(count: u32, args: &[&str], act: impl Fn(&mut RawClient)) -> u64 {
        // Else glibc keeps what was given back, as much as it likes.
        let binary = Binary::serve_under(&["env", "MALLOC_MMAP_THRESHOLD_=131072"], args);
        growth_of(&binary, |client| {
            let mut clients = Vec::new();
            for _ in 0..count {
                let mut client = RawClient::open(client.server());
                act(&mut client);
                // Answered by one that waits.
                client.send(frame(PING, ""));
                client.expect(&Frame::pong(""));
                clients.push(client);
            }
        })
    }

    /// While they wait for the next message, all connections together keep no more than a sixteenth
    /// of what messages may take: 4 MiB. One more is on its way.
    #[test]
    fn long_messages_one_after_another() {
        let growth = growth_by_each(16, &["--max-assembling", "64M"], |client| {
            client.send([head(TEXT, 2 << 20), vec![b'x'; 2 << 20]].concat());
            assert_eq!(client.read_frame().expect("the echo").payload.len(), 2 << 20);
        });
        assert!(growth < 16 * MIB, "{growth} bytes");
    }

    /// So with buffers to read into: 64 KiB each, and 256 KiB for four of them.
    #[test]
    fn streams_one_after_another() {
        let batch = frame(PONG, "p".repeat(125)).repeat(8_000);
        let growth = growth_by_each(60, &["--max-assembling", "16M"], |client| client.send(&batch));
        assert!(growth < 12 * MIB, "{growth} bytes");
    }

    /// Connections that wait for nothing hold next to nothing.
    #[test]
    fn idle_connections() {
        const COUNT: u64 = 100;
        let growth = growth(&[], |client| {
            opened(client);
            let addr = client.server();
            let mut idle: Vec<RawClient> = (0..COUNT).map(|_| RawClient::open(addr)).collect();
            for client in &mut idle {
                client.finish();
            }
        });
        assert!(growth < COUNT * 48 * KIB, "{growth} bytes");
    }
}
