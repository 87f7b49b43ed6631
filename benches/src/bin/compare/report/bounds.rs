//! The ratios that barews is to reach.

use crate::contestants::{CONTESTANTS, Contestant, Role};
use crate::results::{Figures, Results};
use crate::work::ROWS;

/// What is compared.
#[derive(Clone, Copy)]
enum Figure {
    /// Messages a second: more is better.
    Rate,
    /// The server's CPU time: less is better.
    Cpu,
    /// KiB resident a connection, by itself.
    Idle,
    /// The p99 of the round trip as a multiple of its median: who is served at whose expense.
    Spread,
}

#[derive(Clone, Copy)]
enum Against {
    One(&'static str),
    /// The same server with the extension off: not the ratio counts, but what is above it.
    Plain,
    /// The least favourable of the Rust peers, each as its examples have it.
    EveryPeer,
    /// The same of all, whatever they are written in, and batching or not.
    Everybody,
    Nobody,
}

#[derive(Clone, Copy)]
struct Bound {
    /// Whose it is.
    server: &'static str,
    row: &'static str,
    figure: Figure,
    against: Against,
    bound: f64,
    /// To be aimed at, and no more.
    aim: bool,
}

const fn bound(row: &'static str, figure: Figure, against: Against, bound: f64) -> Bound {
    Bound { server: "barews", row, figure, against, bound, aim: false }
}

const fn aim(row: &'static str, figure: Figure, against: Against, at: f64) -> Bound {
    Bound { aim: true, ..bound(row, figure, against, at) }
}

/// One of the second engine's.
const fn of_loop(row: &'static str, figure: Figure, against: Against, at: f64) -> Bound {
    Bound { server: "event-loop", ..bound(row, figure, against, at) }
}

use Against::{EveryPeer, Everybody, Nobody, One, Plain};
use Figure::{Cpu, Idle, Rate, Spread};

/// KiB for what was agreed on, and for nothing else.
const AGREED: f64 = 0.5;

const BOUNDS: &[Bound] = &[
    bound("pipeline", Rate, One("raw"), 0.9),
    bound("pipeline", Rate, EveryPeer, 10.0),
    bound("ping1", Rate, One("raw"), 0.97),
    bound("ping1", Cpu, One("raw"), 1.03),
    bound("ping50", Rate, One("raw"), 0.97),
    bound("ping50", Cpu, One("raw"), 1.03),
    bound("ping1000", Rate, One("raw"), 0.97),
    bound("ping1000", Cpu, One("raw"), 1.03),
    bound("16k", Rate, One("raw"), 0.95),
    bound("16k", Rate, EveryPeer, 1.3),
    bound("64k-one", Rate, Everybody, 1.0),
    bound("256k-one", Rate, Everybody, 1.0),
    bound("1m-one", Rate, Everybody, 1.0),
    bound("1m-binary", Rate, One("raw"), 1.0),
    bound("1m-binary", Rate, One("fastwebsockets"), 1.0),
    aim("1m-binary", Rate, One("tokio-websockets"), 1.0),
    bound("1m-cjk", Rate, One("tungstenite"), 2.0),
    bound("1m-cjk", Rate, One("fastwebsockets"), 1.0),
    aim("1m-cjk", Rate, One("tokio-websockets"), 1.0),
    bound("churn1", Cpu, EveryPeer, 1.0),
    bound("churn", Cpu, EveryPeer, 1.0),
    bound("idle", Idle, Nobody, 11.0),
    bound("deflate64", Cpu, One("node-ws"), 0.2),
    bound("deflate64", Cpu, One("python-websockets"), 0.5),
    bound("deflate1k", Cpu, One("node-ws"), 0.2),
    bound("deflate1k", Cpu, One("python-websockets"), 0.5),
    bound("deflate64k", Cpu, One("uwebsockets"), 0.6),
    bound("idle-deflate", Idle, Plain, 18.0),
    bound("idle-agreed", Idle, Plain, AGREED),
    bound("tls64", Cpu, EveryPeer, 1.0),
    bound("tls1k", Cpu, EveryPeer, 1.0),
    bound("tls64k", Cpu, EveryPeer, 1.0),
    bound("tls1m", Cpu, EveryPeer, 1.0),
    bound("tls-handshake", Cpu, EveryPeer, 1.0),
    bound("idle-tls", Idle, EveryPeer, 0.5),
];

const OF_LOOP: &[Bound] = &[
    of_loop("pipeline", Rate, One("uwebsockets-cpp"), 1.2),
    of_loop("hello16384", Spread, Nobody, 1.5),
    of_loop("idle", Idle, Nobody, 1.0),
    of_loop("idle100k", Idle, Nobody, 10.0),
];

/// Where the second engine is to be ahead of every peer and, but for handshakes, near to the limit.
const SMALL: [&str; 13] = [
    "pipeline",
    "ping1",
    "ping50",
    "ping1000",
    "hello512",
    "hello512-16",
    "hello4096",
    "hello4096-16",
    "hello16384",
    "hello16384-16",
    "4k",
    "churn1",
    "churn",
];

/// A line of the table: work, bound, what was reached, what the limit reaches, the verdict.
pub(crate) fn verdicts(results: &Results) -> Vec<[String; 5]> {
    let ahead = SMALL.iter().map(|row| of_loop(row, Rate, Everybody, 1.0));
    let near = SMALL.iter().filter(|row| !row.starts_with("churn"));
    let near = near.map(|row| of_loop(row, Rate, One("raw-epoll"), 0.85));
    let bounds = BOUNDS.iter().chain(OF_LOOP).copied().chain(ahead).chain(near);
    bounds.filter_map(|bound| bound.verdict(results)).collect()
}

impl Bound {
    /// Nothing if what it takes was not measured.
    fn verdict(&self, results: &Results) -> Option<[String; 5]> {
        let row = ROWS.iter().find(|row| row.name == self.row)?;
        let (reached, who) = self.reached(results, self.server)?;
        let limit = if self.server == "barews" { "frames" } else { "raw-epoll" };
        let least = self.reached(results, limit).map(|(least, _)| format!("{least:.2}"));
        let met = if self.is_at_least() { reached >= self.bound } else { reached <= self.bound };
        let verdict = match (met, self.aim) {
            (true, _) => "met",
            (false, false) => "**not met**",
            (false, true) => "not met (an aim)",
        };
        let (what, sign) = match self.figure {
            Rate => ("messages/s", "≥"),
            Cpu => ("CPU", "≤"),
            Idle => ("KiB resident a connection", "≤"),
            Spread => ("p99 ÷ median", "≤"),
        };
        let target = match self.against {
            One(server) => format!("{what} {sign} {} × {server}", self.bound),
            EveryPeer => format!("{what} {sign} {} × every Rust peer", self.bound),
            Everybody => format!("{what} {sign} {} × every peer", self.bound),
            Plain => format!("{what} {sign} {} above the extension off", self.bound),
            Nobody => format!("{what} {sign} {}", self.bound),
        };
        let reached = match self.against {
            EveryPeer | Everybody => format!("{reached:.2} ({who})"),
            _ => format!("{reached:.2}"),
        };
        let least = least.unwrap_or_default();
        let work = match self.server {
            "barews" => row.title.to_owned(),
            server => format!("{server}: {}", row.title),
        };
        Some([work, target, reached, least, verdict.to_owned()])
    }

    /// How far a server gets, and against whom.
    fn reached(&self, results: &Results, server: &str) -> Option<(f64, &'static str)> {
        let value = |server| self.value(&results.median(self.row, server)?);
        let ours = value(server)?;
        let ratio = |server: &'static str| Some((ours / value(server)?, server));
        match self.against {
            One(server) => ratio(server),
            Plain => Some((ours - value("barews-plain")?, "")),
            Nobody => Some((ours, "")),
            EveryPeer | Everybody => {
                let is_peer = |peer: &&Contestant| match peer.role {
                    Role::Peer => true,
                    Role::Batching | Role::Foreign(_) => matches!(self.against, Everybody),
                    _ => false,
                };
                let peers = CONTESTANTS.iter().filter(is_peer);
                let ratios = peers.filter_map(|peer| ratio(peer.name));
                match self.is_at_least() {
                    true => ratios.min_by(|a, b| a.0.total_cmp(&b.0)),
                    false => ratios.max_by(|a, b| a.0.total_cmp(&b.0)),
                }
            }
        }
    }

    fn is_at_least(&self) -> bool {
        matches!(self.figure, Rate)
    }

    fn value(&self, figures: &Figures) -> Option<f64> {
        match self.figure {
            Rate => Some(figures.rate),
            Cpu => Some(figures.cpu_us),
            Idle => figures.idle_kib,
            Spread => Some(figures.p99_us / figures.p50_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Run;

    fn results(rates: &[(&str, f64)]) -> Results {
        results_of("pipeline", rates)
    }

    fn results_of(row: &str, rates: &[(&str, f64)]) -> Results {
        let mut results = Results::new(String::new(), 1, 1.0);
        results.runs.extend(rates.iter().map(|&(server, rate)| Run {
            row: row.to_owned(),
            server: server.to_owned(),
            round: 0,
            figures: Figures { rate, ..Figures::default() },
        }));
        results
    }

    /// What was reached, by frames alone too, and whether it is enough.
    fn reached(results: &Results) -> Vec<[String; 3]> {
        let lines = verdicts(results).into_iter();
        lines.map(|[_, _, reached, least, met]| [reached, least, met]).collect()
    }

    #[test]
    fn the_best_peer_decides_and_those_that_batch_do_not() {
        let rates = [
            ("barews", 90.0),
            ("raw", 100.0),
            ("frames", 95.0),
            ("tungstenite", 5.0),
            ("fastwebsockets", 9.0),
            ("tungstenite-batch", 50.0),
        ];
        let expected = [["0.90", "0.95", "met"], ["10.00 (fastwebsockets)", "10.56", "met"]];
        assert_eq!(reached(&results(&rates)), expected);
    }

    #[test]
    fn whatever_they_are_written_in_but_for_limits() {
        let rates =
            [("barews", 90.0), ("raw-epoll", 200.0), ("fastwebsockets", 80.0), ("bun", 90.0)];
        assert_eq!(reached(&results_of("1m-one", &rates)), [["1.00 (bun)", "", "met"]]);
    }

    #[test]
    fn a_miss_is_told_and_what_was_not_measured_is_left_out() {
        let missed = [["0.89", "", "**not met**"]];
        assert_eq!(reached(&results(&[("barews", 89.0), ("raw", 100.0)])), missed);
        assert!(reached(&results(&[("raw", 100.0), ("frames", 100.0)])).is_empty());
    }

    #[test]
    fn what_counts_of_memory_is_what_is_above_the_extension_off() {
        let mut results = Results::new(String::new(), 1, 1.0);
        results.runs.extend([("barews", 35.0), ("barews-plain", 18.0)].map(|(server, kib)| Run {
            row: "idle-deflate".to_owned(),
            server: server.to_owned(),
            round: 0,
            figures: Figures { idle_kib: Some(kib), ..Figures::default() },
        }));
        assert_eq!(reached(&results), [["17.00", "", "met"]]);
    }
}
