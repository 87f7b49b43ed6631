//! The real program as a child process.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;

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
        let mut child = command(&[args, &["127.0.0.1:0"]].concat()).spawn().expect("spawn");
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

    /// Sends a signal, by the name that `kill` has for it.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.expect("kill").success());
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

    /// The most memory it has used so far, in bytes.
    #[cfg(target_os = "linux")]
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("the status of our own child");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        let kib = line.trim().strip_suffix(" kB").expect("kB");
        kib.parse::<u64>().expect("a number") << 10
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
