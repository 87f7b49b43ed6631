//! The real program as a child process.

#[cfg(target_os = "linux")]
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;
#[cfg(target_os = "linux")]
use std::time::{Duration, Instant};

use super::{Frame, PATIENCE, RawClient, TEXT, frame};

/// A server that was started from the command line, and ends with the test.
pub struct Binary {
    pub addr: SocketAddr,
    child: Child,
    /// Read only when asked: nobody else empties the pipe.
    stderr: Option<BufReader<ChildStderr>>,
}

/// The program with these arguments, its outputs piped.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barews"));
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    set_engine(&mut command);
    command
}

/// In the environment, so that arguments come before it.
fn set_engine(command: &mut Command) {
    if Binary::on_event_loop() {
        command.env("BAREWS_ENGINE", "event-loop");
    }
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
        set_engine(&mut command);
        Self::spawn(command)
    }

    /// What the line with its address says of the engine.
    #[allow(unused, reason = "for tests of that line")]
    pub fn engine_shown() -> &'static str {
        if Self::on_event_loop() { " by event loops" } else { "" }
    }

    /// Whether it serves on event loops, as it does in test targets of that name.
    pub fn on_event_loop() -> bool {
        env!("CARGO_CRATE_NAME").contains("event_loop")
    }

    fn spawn(mut command: Command) -> Self {
        let mut binary = Self::start(&mut command);
        binary.addr = binary.address().parse().expect("the address");
        binary
    }

    /// Starts what may listen anywhere and say anything.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("spawn");
        let stderr = child.stderr.take().map(BufReader::new);
        Self { addr: SocketAddr::from(([0; 4], 0)), child, stderr }
    }

    /// The next line on standard error, without its end, and without what a machine that grants
    /// few descriptors has every program say.
    pub fn line(&mut self) -> String {
        let line = self.read(|stderr| {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok()
                && line.starts_with("barews: --max-connections ")
            {
                line.clear();
            }
            line
        });
        line.strip_suffix('\n').expect("a line on standard error").to_owned()
    }

    /// The next line on standard error that has this in it.
    #[allow(unused, reason = "for tests of the log")]
    pub fn line_with(&mut self, part: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The address in the line that tells it; behind it stands how to reach it.
    pub fn address(&mut self) -> String {
        let line = self.line();
        let told = line.strip_prefix("barews: listening on ").expect(&line);
        told.split(' ').next().unwrap_or_default().to_owned()
    }

    /// Has another thread read standard error, since a pipe has no timeout.
    fn read<T: Send + 'static>(
        &mut self,
        read: impl FnOnce(&mut BufReader<ChildStderr>) -> T + Send + 'static,
    ) -> T {
        let mut stderr = self.stderr.take().expect("still open");
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let read = read(&mut stderr);
            let _ = sender.send((read, stderr));
        });
        let (read, stderr) = receiver.recv_timeout(PATIENCE).expect("something on standard error");
        self.stderr = Some(stderr);
        read
    }

    /// The echo of one message, on a connection of its own.
    #[allow(unused, reason = "for tests of what it withstands")]
    pub fn echoes(&self) {
        let mut client = RawClient::open(self.addr);
        client.send(frame(TEXT, "still here"));
        client.expect(&Frame::text("still here"));
        client.finish();
    }

    /// The number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far, up to the line that ends with this.
    #[allow(unused, reason = "for tests of TLS")]
    pub fn printed(&mut self, end: &'static str) -> String {
        let stdout = self.child.stdout.take().expect("standard output");
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut text = String::new();
            let mut stdout = BufReader::new(stdout);
            while !text.trim_end().ends_with(end) {
                if !matches!(stdout.read_line(&mut text), Ok(1..)) {
                    break;
                }
            }
            let _ = sender.send(text);
        });
        receiver.recv_timeout(PATIENCE).expect("something on standard output")
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
        let lines = self.read(|stderr| stderr.lines().map_while(Result::ok).collect());
        (self.child.wait().expect("wait"), lines)
    }

    /// Ends the program by SIGTERM, which must go well; the lines it had still to say.
    pub fn stop(self) -> Vec<String> {
        self.signal("TERM");
        let (status, lines) = self.wait();
        assert_eq!(status.code(), Some(0), "{lines:?}");
        lines
    }
}

/// What the system says of it.
#[cfg(target_os = "linux")]
impl Binary {
    /// Threads when nobody is connected: the main one, those for the log, signals and memory, and two
    /// that accept.
    pub const IDLE: u64 = 6;

    /// The same for the engine that is tested: loops are as many as cores, and accept.
    fn idle() -> u64 {
        match Self::on_event_loop() {
            true => 4 + thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            false => Self::IDLE,
        }
    }

    /// Stops it until SIGCONT, and waits until no thread of it runs: `kill` does not wait for that.
    #[allow(dead_code, reason = "for the endpoint's tests")]
    pub fn suspend(&self) {
        self.signal("STOP");
        let start = Instant::now();
        while !self.threads_state().iter().all(|state| state == "T") {
            assert!(start.elapsed() < PATIENCE, "{:?}", self.threads_state());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether each thread runs, sleeps, or is stopped, as `ps` has it.
    fn threads_state(&self) -> Vec<String> {
        let state = |text: String| {
            let line = text.lines().find_map(|line| line.strip_prefix("State:"));
            line.and_then(|line| line.split_whitespace().next()).expect("a state").to_owned()
        };
        self.threads_status().map(state).collect()
    }

    /// The memory it uses, in bytes.
    #[allow(unused, reason = "for tests of memory")]
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:") << 10
    }

    /// The most memory it has used so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.status("VmHWM:") << 10
    }

    /// How many threads it has.
    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    /// Waits until nobody is connected, and no thread is more than there are then; how many
    /// descriptors are left.
    pub fn settle(&self) -> usize {
        self.wait_for(0);
        let start = Instant::now();
        while self.threads() != Self::idle() {
            assert!(start.elapsed() < PATIENCE, "{} threads", self.threads());
            thread::sleep(Duration::from_millis(5));
        }
        self.descriptors().len()
    }

    /// Waits until there are so many connections.
    pub fn wait_for(&self, connections: usize) {
        let start = Instant::now();
        loop {
            let sockets = self.descriptors().into_iter().filter(|to| to.starts_with("socket:"));
            // The listener has more than one handle.
            let sockets = sockets.collect::<HashSet<_>>().len();
            // One of them listens.
            if sockets == 1 + connections {
                return;
            }
            assert!(start.elapsed() < PATIENCE, "{sockets} sockets");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What its descriptors lead to.
    fn descriptors(&self) -> Vec<String> {
        let folder = format!("/proc/{}/fd", self.pid());
        let entries = std::fs::read_dir(folder).expect("those of our own child");
        // One may be gone by now.
        let links = entries.flatten().flat_map(|entry| std::fs::read_link(entry.path()));
        links.map(|link| link.to_string_lossy().into_owned()).collect()
    }

    /// How often its threads have been woken so far.
    #[allow(dead_code, reason = "for the slow tests")]
    pub fn wake_ups(&self) -> u64 {
        let switches = |text: String| {
            let value = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            value.expect("a count").trim().parse::<u64>().expect("a number")
        };
        self.threads_status().map(switches).sum()
    }

    /// What the system says of each of its threads.
    fn threads_status(&self) -> impl Iterator<Item = String> {
        let folder = format!("/proc/{}/task", self.pid());
        let threads = std::fs::read_dir(folder).expect("those of our own child");
        // One may be gone by now.
        threads.flatten().flat_map(|thread| std::fs::read_to_string(thread.path().join("status")))
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
