//! What is known of the machine and of a process on it.

use std::process::Command;
use std::{fs, io};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;

use crate::outcome::Outcome;

/// Who runs where. With one core there is no choice.
pub(crate) struct Cores {
    server: Option<usize>,
    load: Option<usize>,
}

impl Cores {
    /// The last core of those that this program may use for the server, the first for the load.
    pub(crate) fn choose() -> Outcome<Self> {
        let set = sched_getaffinity(Pid::from_raw(0))?;
        let allowed: Vec<_> =
            (0..CpuSet::count()).filter(|&core| set.is_set(core) == Ok(true)).collect();
        Ok(match allowed.as_slice() {
            [load, .., server] => Self { server: Some(*server), load: Some(*load) },
            _ => Self { server: None, load: None },
        })
    }

    pub(crate) fn are_shared(&self) -> bool {
        self.load.is_none()
    }

    pub(crate) fn pin_this_thread(&self) -> Outcome<()> {
        Ok(self.load.map_or(Ok(()), pin)?)
    }

    /// For the server's process, between fork and exec.
    pub(crate) fn pin_server(&self) -> impl Fn() -> io::Result<()> + Send + Sync + 'static {
        let core = self.server;
        move || Ok(core.map_or(Ok(()), pin)?)
    }
}

fn pin(core: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Many connections need as many descriptors, here and in the servers, who inherit this. How many
/// there can be: only root may have more than the hard limit, whose owner may be used to less.
pub(crate) fn raise_open_files(wanted: u64) -> Outcome<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = hard.max(wanted);
    if setrlimit(Resource::RLIMIT_NOFILE, most, most).is_ok() {
        return Ok(most);
    }
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

/// A line about the machine.
pub(crate) fn describe(cores: &Cores, sleeps: bool) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let count = cpu.lines().filter(|line| line.starts_with("processor")).count();
    let pinned = match (cores.server, cores.load) {
        (Some(server), Some(load)) => {
            let waits = if sleeps { "sleeping when idle" } else { "never asleep" };
            format!("server on core {server}, load on core {load} and {waits}")
        }
        _ => "server and load share one core".to_owned(),
    };
    format!(
        "{}, {count} cores ({pinned}), Linux {}, {}, {}",
        model.trim_start_matches([' ', '\t', ':']),
        output("uname", &["-r"]),
        output("rustc", &["--version"]),
        output("date", &["-u", "+%F"]),
    )
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| format!("no {program}"))
}

/// A number of KiB in `/proc/PID/status`.
pub(crate) fn status_kib(pid: u32, field: &str) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(status_number(&status, field).ok_or_else(|| format!("no {field} of process {pid}"))?)
}

/// How often the threads of a process have waited, all together. Threads that have ended are not
/// among them.
pub(crate) fn switches(pid: u32) -> Outcome<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
        sum += status_number(&status, "voluntary_ctxt_switches").unwrap_or(0);
    }
    Ok(sum)
}

fn status_number(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Whether anybody listens on this port, of whatever address. A connection would tell too, but it
/// would leave traces in the server.
pub(crate) fn is_listening(port: u16) -> io::Result<bool> {
    let port = format!(":{port:04X}");
    // Without IPv6 there is no such table.
    let tables = [
        fs::read_to_string("/proc/net/tcp")?,
        fs::read_to_string("/proc/net/tcp6").unwrap_or_default(),
    ];
    // Columns: number, local address, remote address, state; 0A is LISTEN.
    Ok(tables.iter().flat_map(|table| table.lines()).any(|line| {
        let mut columns = line.split_ascii_whitespace().skip(1);
        columns.next().is_some_and(|local| local.ends_with(&port)) && columns.nth(1) == Some("0A")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn who_listens_is_seen_whatever_the_address() {
        for address in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(address).unwrap();
            assert!(is_listening(listener.local_addr().unwrap().port()).unwrap(), "{address}");
        }
        // A client's port is in use, and nobody listens on it.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(!is_listening(stream.local_addr().unwrap().port()).unwrap());
    }
}
