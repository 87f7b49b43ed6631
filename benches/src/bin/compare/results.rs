//! What was measured, as it is kept in a file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::copy_rate::CopyRate;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Where, with what, and when.
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    /// The other libraries, each with its version.
    pub(crate) peers: Vec<String>,
    /// Servers that are not installed, and rows for which there are too few descriptors.
    #[serde(default)]
    pub(crate) left_out: Vec<String>,
    /// What the kernel copies to a reader; files of before have none.
    #[serde(default)]
    pub(crate) copy_rates: Vec<CopyRate>,
    pub(crate) runs: Vec<Run>,
}

/// One row of work done by one server once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) row: String,
    pub(crate) server: String,
    pub(crate) round: usize,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// Of one run, or medians over several.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Messages a second, or connections.
    pub(crate) rate: f64,
    /// Megabytes of payload a second in one direction.
    pub(crate) mb_s: f64,
    /// Bytes of a reply's frames.
    pub(crate) reply_bytes: Option<f64>,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// The server's CPU time a message, or a connection.
    pub(crate) cpu_us: f64,
    /// How much of a core the server used, and for how much of the time the load generator had
    /// something to do.
    pub(crate) busy: f64,
    pub(crate) load_busy: f64,
    /// Times that a thread of the server waited, a message.
    pub(crate) switches: Option<f64>,
    /// The most memory that the server had resident.
    pub(crate) peak_mib: f64,
    /// Resident memory an idle connection.
    pub(crate) idle_kib: Option<f64>,
}

impl Results {
    pub(crate) fn new(machine: String, rounds: usize, seconds: f64) -> Self {
        Self {
            machine,
            rounds,
            seconds,
            peers: peer_versions(),
            copy_rates: Vec::new(),
            left_out: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// Takes the rows of others, measured on the same machine, in place of its own.
    pub(crate) fn replace(&mut self, newer: Self) {
        self.runs.retain(|run| newer.runs.iter().all(|other| other.row != run.row));
        self.runs.extend(newer.runs);
        (self.peers, self.copy_rates) = (newer.peers, newer.copy_rates);
    }

    /// How many rounds there were of a row, at least and at most.
    pub(crate) fn rounds(&self) -> (usize, usize) {
        let rounds = |row: &str| {
            self.runs.iter().filter(|run| run.row == row).map(|run| run.round + 1).max()
        };
        let rounds: Vec<_> = self.runs.iter().filter_map(|run| rounds(&run.row)).collect();
        let (least, most) = (rounds.iter().min(), rounds.iter().max());
        (*least.unwrap_or(&self.rounds), *most.unwrap_or(&self.rounds))
    }

    /// The medians of a server's runs of a row, each figure on its own.
    pub(crate) fn median(&self, row: &str, server: &str) -> Option<Figures> {
        let runs: Vec<_> =
            self.runs.iter().filter(|run| run.row == row && run.server == server).collect();
        if runs.is_empty() {
            return None;
        }
        let of = |figure: fn(&Figures) -> f64| {
            median(runs.iter().map(|run| figure(&run.figures)).collect()).unwrap_or(f64::NAN)
        };
        let of_some = |figure: fn(&Figures) -> Option<f64>| {
            median(runs.iter().filter_map(|run| figure(&run.figures)).collect())
        };
        Some(Figures {
            rate: of(|f| f.rate),
            mb_s: of(|f| f.mb_s),
            reply_bytes: of_some(|f| f.reply_bytes),
            p50_us: of(|f| f.p50_us),
            p99_us: of(|f| f.p99_us),
            cpu_us: of(|f| f.cpu_us),
            busy: of(|f| f.busy),
            load_busy: of(|f| f.load_busy),
            switches: of_some(|f| f.switches),
            peak_mib: of(|f| f.peak_mib),
            idle_kib: of_some(|f| f.idle_kib),
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.idle_kib {
            Some(idle) => write!(f, "{idle:8.1} KiB a connection"),
            None => write!(
                f,
                "{:>10.0}/s {:>8.2} us CPU, busy {:>3.0} % (load {:>3.0} %)",
                self.rate,
                self.cpu_us,
                self.busy * 100.0,
                self.load_busy * 100.0
            ),
        }
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        len if len % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The versions of the libraries compared with, as the lock files have them.
fn peer_versions() -> Vec<String> {
    const RUST: &str = include_str!("../../../Cargo.lock");
    const NODE: &str = include_str!("../../../peers/package-lock.json");
    const BUN: &str = include_str!("../../../peers/bun/package-lock.json");
    const UWEBSOCKETS: &str = include_str!("../../../peers/uwebsockets/Cargo.lock");
    const PYTHON: &str = include_str!("../../../peers/requirements.txt");
    let a_crate = |name, lock, package| (name, lock, format!("name = \"{package}\"\nversion = \""));
    let rust = |name| a_crate(name, RUST, name);
    let npm = |name, lock, package| {
        (name, lock, format!("\"node_modules/{package}\": {{\n      \"version\": \""))
    };
    let places = [
        rust("tungstenite"),
        rust("tokio-tungstenite"),
        rust("fastwebsockets"),
        rust("tokio-websockets"),
        rust("actix-ws"),
        rust("rustls"),
        npm("ws", NODE, "ws"),
        npm("uWebSockets.js", NODE, "@trufflesuite/uws-js-unofficial"),
        a_crate("uWebSockets of libuwebsockets-sys", UWEBSOCKETS, "libuwebsockets-sys"),
        npm("Bun", BUN, "bun"),
        ("websockets", PYTHON, "websockets==".to_owned()),
    ];
    let version = |(name, lock, before): &(&str, &str, String)| {
        let after = lock.split_once(before)?.1;
        Some(format!("{name} {}", after.split(['"', '\n']).next()?))
    };
    places.iter().filter_map(version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn every_peer_has_a_version() {
        let versions = peer_versions();
        assert_eq!(versions.len(), 11, "{versions:?}");
        let is_one = |(_, version): (&str, &str)| version.starts_with(|c: char| c.is_ascii_digit());
        assert!(versions.iter().all(|v| v.rsplit_once(' ').is_some_and(is_one)), "{versions:?}");
    }

    #[test]
    fn a_row_is_replaced_as_a_whole() {
        let run = |row: &str, server: &str, round, rate| Run {
            row: row.to_owned(),
            server: server.to_owned(),
            round,
            figures: Figures { rate, ..Figures::default() },
        };
        let mut results = Results::new("here".to_owned(), 1, 0.4);
        results.runs = vec![run("a", "x", 0, 1.0), run("b", "x", 0, 2.0), run("b", "y", 0, 3.0)];
        let mut newer = Results::new("here".to_owned(), 3, 0.4);
        newer.runs = (0..3).map(|round| run("b", "x", round, 10.0 + round as f64)).collect();
        assert_eq!(results.rounds(), (1, 1));
        results.replace(newer);
        assert_eq!(results.rounds(), (1, 3));
        let rate = |row, server| results.median(row, server).map(|figures| figures.rate);
        assert_eq!([rate("a", "x"), rate("b", "x"), rate("b", "y")], [Some(1.0), Some(11.0), None]);
    }
}
