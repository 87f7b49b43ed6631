//! Accepting when the system has nothing left, and how the pings of a silent connection come at
//! their real distance.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use barews::{Server, UpgradeError};

use crate::common::{
    Frame, PATIENCE, PING, RawClient, TEXT, TestServer, awake, frame, ms, run_echo,
};

/// Set for a process that is to be the server of the tests below.
const POOR: &str = "A_SERVER_WITH_FEW_DESCRIPTORS";

/// Runs in a process of its own, which has few descriptors: serves, and says what it hears. Among
/// other tests it is none.
#[test]
fn a_server_with_few_descriptors() {
    if std::env::var_os(POOR).is_none() {
        return;
    }
    let server = Server::bind("127.0.0.1:0").expect("a port").on_error(|context, error| {
        if let Some(UpgradeError::Accept(error)) = error.downcast_ref() {
            assert!(context.peer_addr().is_none() && context.request().is_none());
            println!("\naccept {error}");
        }
    });
    let handle = server.shutdown_handle();
    println!("\naddress {}", server.local_addr().expect("an address"));
    thread::spawn(move || {
        // Until the other end of standard input is gone.
        let _ = std::io::stdin().read_line(&mut String::new());
        let start = Instant::now();
        handle.shutdown(ms(500));
        println!("\nshutdown {}", start.elapsed().as_millis());
    });
    run_echo(server, |_, _| ()).expect("no error");
    println!("\nend");
}

struct Poor {
    child: Child,
    lines: Receiver<String>,
    addr: SocketAddr,
}

impl Poor {
    /// With so many descriptors in all.
    fn start(descriptors: u32) -> Self {
        let exe = std::env::current_exe().expect("a path");
        let script = format!(
            "ulimit -n {descriptors}; exec {exe:?} --exact --nocapture \
             accepting::a_server_with_few_descriptors"
        );
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .env(POOR, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let (sender, lines) = channel();
        let stdout: ChildStdout = child.stdout.take().expect("a pipe");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let addr = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut poor = Self { child, lines, addr };
        poor.addr = poor.line("address ").parse().expect("an address");
        poor
    }

    /// What follows these words in the next line that begins with them.
    fn line(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a line");
            if let Some(rest) = line.strip_prefix(words) {
                return rest.to_owned();
            }
        }
    }

    /// Opens connections until no more are accepted, of which it is told.
    fn exhaust(&self) -> (Vec<RawClient>, Vec<RawClient>) {
        let (mut open, mut waiting) = (Vec::new(), Vec::new());
        while waiting.len() < 3 {
            let mut client = RawClient::connect(self.addr);
            client.send(crate::common::r0().bytes());
            match waiting.is_empty() && client.heard_within(ms(500)) {
                true => open.push(client),
                false => waiting.push(client),
            }
            assert!(open.len() < 100, "there was to be an end");
        }
        (open, waiting)
    }
}

impl Drop for Poor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// F8: who owns the server hears of it, not over and over; and as soon as there are descriptors
/// again those who waited are served.
#[cfg(target_os = "linux")]
#[test]
fn edge_y_accepting_that_fails_is_told_and_goes_on() {
    let poor = Poor::start(24);
    let (mut open, waiting) = poor.exhaust();
    let error = poor.line("accept ");
    assert!(error.contains("os error 24"), "{error}");
    // For a while there is nothing to be had: about one report a second.
    thread::sleep(Duration::from_secs(4));
    let reports = poor.lines.try_iter().filter(|line| line.starts_with("accept ")).count();
    assert!((2..=16).contains(&reports), "{reports} reports");
    let start = Instant::now();
    for client in open.drain(..5) {
        drop(client);
    }
    for mut client in waiting {
        client.expect_upgrade();
        client.send(frame(TEXT, "a"));
        client.expect(&Frame::text("a"));
    }
    assert!(awake(start) < ms(2000), "{:?}", start.elapsed());
}

/// With every descriptor in use and a backlog of those who wait, a shutdown takes no longer.
#[cfg(target_os = "linux")]
#[test]
fn edge_g_a_server_without_descriptors_stops() {
    let mut poor = Poor::start(24);
    let (open, waiting) = poor.exhaust();
    poor.line("accept ");
    // The rests have become long by now.
    thread::sleep(Duration::from_secs(3));
    let start = Instant::now();
    drop(poor.child.stdin.take());
    poor.line("end");
    assert!(awake(start) < ms(500 + 1000), "{:?}", start.elapsed());
    drop((open, waiting));
}

/// The first Ping of a silent connection, with the defaults.
#[test]
fn edge_x_the_first_ping_comes_after_25_seconds() {
    let server = TestServer::start();
    let mut client = server.open();
    let start = Instant::now();
    assert!(client.heard_within(Duration::from_secs(40)), "a Ping");
    let spent = start.elapsed();
    assert_eq!(client.read_frame().expect("a Ping").opcode, PING & 0x0f);
    assert!((24.9..27.0).contains(&spent.as_secs_f64()), "{spent:?}");
    client.finish();
}
