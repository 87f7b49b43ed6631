//! What the system says of the process, under the names that all programs have for it.
//!
//! It is told where Linux has its `/proc`; a container or a jail may be without, and then the lines
//! are left out.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::text::Text;

/// Parts of a second in which the kernel counts for programs (`USER_HZ`): the same on all systems
/// that Rust runs on.
const TICKS: f64 = 100.0;

/// Where in `/proc/self/stat` the ticks in user mode stand, behind the name; those in the kernel
/// follow.
const USER_TICKS: usize = 11;

/// A value: its name, its type, what it is.
type Row = (&'static str, &'static str, &'static str, Option<f64>);

/// When it began, in seconds since 1970.
pub struct Process {
    started: f64,
}

impl Process {
    pub fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Not to a part of a second: it names the process, and no time is measured by it.
        Self { started: since_1970.as_secs() as f64 }
    }

    pub fn write(&self, text: &mut Text) {
        for (name, kind, help, value) in self.rows() {
            if let Some(value) = value {
                text.plain_header(name, kind, help);
                text.plain_line(name, value);
            }
        }
    }

    fn rows(&self) -> [Row; 7] {
        let read = |name| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let (status, stat, limits) = (read("status"), read("stat"), read("limits"));
        let bytes = |name| number(&status, name).map(|kib| kib * 1024.0);
        let descriptors = fs::read_dir("/proc/self/fd").ok();
        // One of them was open for this.
        let descriptors = descriptors.map(|all| all.count().saturating_sub(1) as f64);
        let (resident, size) = (bytes("VmRSS:"), bytes("VmSize:"));
        let threads = number(&status, "Threads:");
        [
            (
                "process_cpu_seconds_total",
                "counter",
                "Time of processors, in seconds.",
                cpu_seconds(&stat),
            ),
            ("process_resident_memory_bytes", "gauge", "Memory in use.", resident),
            ("process_virtual_memory_bytes", "gauge", "Memory that has an address.", size),
            ("process_open_fds", "gauge", "Open descriptors.", descriptors),
            (
                "process_max_fds",
                "gauge",
                "How many descriptors may be open.",
                number(&limits, "Max open files"),
            ),
            ("process_threads", "gauge", "Threads.", threads),
            (
                "process_start_time_seconds",
                "gauge",
                "When the process began, in seconds since 1970.",
                Some(self.started),
            ),
        ]
    }
}

/// The first number of the line that begins so.
fn number(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Both times of `/proc/self/stat`.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The name, in parentheses, may hold any characters.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(USER_TICKS);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 6 0 99 1 2";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(number("VmRSS:\t  12 kB\nVmRSSX: 3\n", "VmRSS:"), Some(12.0));
        let limits =
            "Limit  Soft Limit  Hard Limit\nMax open files            20000  20000 files\n";
        assert_eq!(number(limits, "Max open files"), Some(20_000.0));
        assert_eq!(number("Max open files  unlimited", "Max open files"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_all_of_it() {
        let mut text = Text::default();
        Process::new().write(&mut text);
        let text = text.into_string();
        assert_eq!(text.matches("\nprocess_").count(), 7, "{text}");
    }
}
