//! What the system says of the server's process: memory, threads, descriptors, processor time.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Looks at one process.
#[derive(Clone, Copy)]
pub(crate) struct Probe {
    pid: u32,
}

/// Memory in bytes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    /// With memory that is shared with other processes divided among them.
    pub(crate) pss: u64,
}

/// What must be back where it was when the clients are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) threads: u64,
    pub(crate) descriptors: u64,
}

impl Probe {
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// Memory in use. Not from `status`, whose figures some kernels only estimate.
    pub(crate) fn memory(self) -> Memory {
        let text = self.read("smaps_rollup");
        Memory { rss: kib(&text, "Rss:"), pss: kib(&text, "Pss:") }
    }

    /// Memory in use, the median of a few looks.
    pub(crate) fn steady_memory(self) -> Memory {
        let mut looks = [Memory::default(); 5];
        for look in &mut looks {
            *look = self.memory();
            thread::sleep(Duration::from_millis(20));
        }
        looks.sort_by_key(|look| look.rss);
        looks[2]
    }

    /// The memory in use once it is no more than `goal`, or else after `patience`.
    pub(crate) fn memory_once(self, goal: u64, patience: Duration) -> u64 {
        let start = Instant::now();
        loop {
            let rss = self.memory().rss;
            if rss <= goal || start.elapsed() > patience {
                return rss;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The most memory in use since the start or the last [`reset_peak`](Self::reset_peak).
    pub(crate) fn peak(self) -> u64 {
        kib(&self.read("status"), "VmHWM:")
    }

    /// Makes the peak what is in use now.
    pub(crate) fn reset_peak(self) {
        fs::write(self.path("clear_refs"), "5").expect("the server's peak can be reset");
    }

    pub(crate) fn held(self) -> Held {
        let threads = field(&self.read("status"), "Threads:");
        let descriptors = fs::read_dir(self.path("fd")).map_or(0, |dir| dir.count() as u64);
        Held { threads, descriptors }
    }

    /// What is held once it is no more than `goal`, or else after `patience`.
    pub(crate) fn held_once(self, goal: Held, patience: Duration) -> Held {
        let start = Instant::now();
        loop {
            let held = self.held();
            let done = held.threads <= goal.threads && held.descriptors <= goal.descriptors;
            if done || start.elapsed() > patience {
                return held;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Processor time used so far, in user mode and in the kernel.
    pub(crate) fn cpu(self) -> Duration {
        let text = self.read("stat");
        // The program's name is in parentheses and may have spaces; 11 fields on are the times.
        let fields = text.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut times = fields.split_whitespace().skip(11).map_while(|time| time.parse().ok());
        let ticks: u64 = times.next().unwrap_or(0) + times.next().unwrap_or(0);
        // Linux reports a hundred ticks a second whatever it counts in.
        Duration::from_millis(10 * ticks)
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.pid)
    }

    /// Empty if the process is gone, which is noticed elsewhere.
    fn read(self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap_or_default()
    }
}

/// How many descriptors a process may have; the server inherits this limit.
pub(crate) fn descriptor_limit() -> u64 {
    field(&fs::read_to_string("/proc/self/limits").unwrap_or_default(), "Max open files")
}

fn kib(text: &str, name: &str) -> u64 {
    field(text, name) << 10
}

fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
