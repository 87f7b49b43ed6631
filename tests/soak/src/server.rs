//! The server as a process of its own, from start to kill.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use barews::rustls::{ClientConfig, StreamOwned};

use crate::probe::Probe;
use crate::stream::Target;

/// A program that serves, and which options it has.
pub(crate) struct Program {
    path: PathBuf,
    help: String,
    /// For its environment.
    fault: Option<&'static str>,
}

/// A running server; dropping it kills it.
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
    /// What its clients need, if it speaks TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) probe: Probe,
    /// The first thing it said that no server should say.
    alarm: Arc<Mutex<Option<String>>>,
}

impl Program {
    /// # Errors
    ///
    /// If the program cannot be run.
    pub(crate) fn new(path: &Path, fault: Option<&'static str>) -> io::Result<Self> {
        let output = Command::new(path).args(["--help", "all"]).stdin(Stdio::null()).output()?;
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Self { path: path.to_owned(), help, fault })
    }

    /// Whether there is such an option.
    pub(crate) fn has(&self, option: &str) -> bool {
        self.help.split_whitespace().any(|word| word == option)
    }

    /// Starts a server on a free port of the loopback interface. Options that it does not have
    /// are left out: the caller has asked. One with an empty value has none.
    ///
    /// # Errors
    ///
    /// If it does not start, or does not say where it listens.
    pub(crate) fn start(&self, options: &[(&str, String)]) -> io::Result<Server> {
        let mut command = Command::new(&self.path);
        for (option, value) in options.iter().filter(|(option, _)| self.has(option)) {
            command.arg(option);
            if !value.is_empty() {
                command.arg(value);
            }
        }
        if let Some(fault) = self.fault {
            command.env("FAULT", fault);
            // What the library's documentation advises for a program that does not see to it itself.
            command.env("MALLOC_MMAP_THRESHOLD_", "131072").env("MALLOC_ARENA_MAX", "1");
        }
        command.arg("127.0.0.1:0").stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().expect("it is piped");
        let alarm = Arc::<Mutex<Option<String>>>::default();
        let (sender, address) = channel();
        thread::spawn({
            let alarm = Arc::clone(&alarm);
            move || listen(stderr, &sender, &alarm)
        });
        let probe = Probe::new(child.id());
        let Ok(addr) = address.recv_timeout(Duration::from_secs(10)) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other("the server did not say where it listens"));
        };
        // Its first threads have started by then.
        thread::sleep(Duration::from_millis(200));
        Ok(Server { child, addr, tls: None, probe, alarm })
    }
}

impl Server {
    /// For its clients.
    pub(crate) fn target(&self) -> Target {
        Target { addr: self.addr, tls: self.tls.clone() }
    }

    /// What the server itself says it has at present, by name: the gauges of its `/metrics`. Empty
    /// if it serves none.
    pub(crate) fn gauges(&self) -> BTreeMap<String, f64> {
        let ask = || -> io::Result<String> {
            let stream = TcpStream::connect(self.addr)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            match self.target().session() {
                None => metrics(stream),
                Some(session) => metrics(StreamOwned::new(session, stream)),
            }
        };
        gauges(&ask().unwrap_or_default())
    }

    /// What is wrong with the process, if anything: it has ended, or a thread has panicked.
    pub(crate) fn trouble(&mut self) -> Option<String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Some(format!("the server ended: {status}"));
        }
        self.alarm.lock().expect("no panic").clone()
    }
}

/// The answer to a request for `/metrics`.
fn metrics(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Those whose type is gauge, of a text in the format of Prometheus.
fn gauges(text: &str) -> BTreeMap<String, f64> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    // Memory and descriptors have bounds of their own.
    let is_ours = |(name, kind): &(&str, &str)| *kind == "gauge" && !name.starts_with("process_");
    let gauges: Vec<&str> = types.filter(is_ours).map(|(name, _)| name).collect();
    let values = text.lines().filter_map(|line| line.rsplit_once(' '));
    values
        .filter(|(name, _)| gauges.contains(&name.split('{').next().unwrap_or_default()))
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the log to its end, lest its pipe fill up.
fn listen(stderr: ChildStderr, address: &Sender<SocketAddr>, alarm: &Mutex<Option<String>>) {
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if let Some((_, addr)) = line.split_once("listening on ") {
            // With TLS that is `wss://ADDRESS`; behind it stands how to reach it.
            let addr = addr.trim_start_matches("wss://").split(' ').next().unwrap_or_default();
            if let Ok(addr) = addr.trim().parse() {
                // Only the first counts, and later nobody waits for one.
                let _ = address.send(addr);
            }
        } else if line.contains("panicked") {
            alarm.lock().expect("no panic").get_or_insert(line.into_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_told_from_counters() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# HELP a Open.\n# TYPE a gauge\na 3\n\
            # TYPE b_total counter\nb_total 7\n# TYPE c gauge\nc{of=\"x\"} 1.5\n";
        let expected = [("a".to_owned(), 3.0), ("c{of=\"x\"}".to_owned(), 1.5)];
        assert_eq!(gauges(text), BTreeMap::from(expected));
    }
}
