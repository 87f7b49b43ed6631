//! The real program as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use super::PATIENCE;

/// A server that was started from the command line, and ends with the test.
pub struct Binary {
    pub addr: SocketAddr,
    child: Child,
    /// What follows the line with the address.
    stderr: Option<ChildStderr>,
}

/// The program with these arguments, its outputs piped.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barews"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Binary {
    /// Serves on a free port.
    pub fn serve(args: &[&str]) -> Self {
        Self::spawn(command(&[args, &["127.0.0.1:0"]].concat()))
    }

    /// Serves on a free port, run by another program, which must take its place: `runner` is that
    /// and its arguments.
    pub fn serve_under(runner: &[&str], args: &[&str]) -> Self {
        let mut command = Command::new(runner[0]);
        command.args(&runner[1..]).arg(env!("CARGO_BIN_EXE_barews")).args(args).arg("127.0.0.1:0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("spawn");
        let mut stderr = child.stderr.take().expect("a pipe");
        // The pipe has no timeout, so that another thread waits.
        let (sender, lines) = channel();
        thread::spawn(move || {
            // Byte by byte, so that nothing more is taken from the pipe.
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                let mut byte = [0];
                if !matches!(stderr.read(&mut byte), Ok(1)) {
                    break;
                }
                line.extend(byte);
            }
            let _ = sender.send((String::from_utf8_lossy(&line).into_owned(), stderr));
        });
        let unbound = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut binary = Self { addr: unbound, child, stderr: None };
        let (line, stderr) = lines.recv_timeout(PATIENCE).expect("a line on standard error");
        binary.stderr = Some(stderr);
        let addr = line.strip_prefix("barews: listening on ").expect("the address");
        binary.addr = addr.trim_end().parse().expect("the address");
        binary
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Gives up the reading end of standard error.
    pub fn close_stderr(&mut self) {
        self.stderr = None;
    }

    /// Sends a signal, by the name that `kill` has for it, which every shell has built in.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Waits for the end, and gives the lines on standard error until then.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let stderr = self.stderr.take().expect("still open");
        let (sender, lines) = channel();
        thread::spawn(move || {
            let lines: Vec<String> = BufReader::new(stderr).lines().map_while(Result::ok).collect();
            let _ = sender.send(lines);
        });
        let lines = lines.recv_timeout(PATIENCE).expect("the program ends");
        (self.child.wait().expect("wait"), lines)
    }
}

/// What the system says of it.
#[cfg(target_os = "linux")]
impl Binary {
    /// Threads when nobody is connected: the main one, and those for the log and signals.
    const IDLE: u64 = 3;

    /// The most memory it has used so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:") << 10
    }

    /// Waits until no connection has a thread any more; how many descriptors are left then.
    pub fn settle(&self) -> usize {
        let start = Instant::now();
        while self.status("Threads:") != Self::IDLE {
            assert!(start.elapsed() < PATIENCE, "{} threads", self.status("Threads:"));
            thread::sleep(Duration::from_millis(5));
        }
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", self.pid()));
        descriptors.expect("those of our own child").count()
    }

    /// A number from the program's entry in `/proc`.
    fn status(&self, key: &str) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("the status of our own child");
        let value = status.lines().find_map(|line| line.strip_prefix(key)).expect(key);
        value.split_whitespace().next().expect("a value").parse().expect("a number")
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
