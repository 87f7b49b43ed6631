//! What a run did and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use crate::probe::Held;
use crate::server::Server;
use crate::tally::Tally;

/// Of one run.
pub(crate) struct Report {
    run: String,
    /// What was done, with counts.
    done: String,
    lines: Vec<Line>,
}

struct Line {
    what: String,
    measured: String,
    /// The bound and whether it holds; without one, the line only informs.
    bound: Option<(String, bool)>,
}

/// Why a run did not take place.
pub(crate) enum NoReport {
    /// The system does not allow it.
    Impossible(String),
    /// The server does not start.
    NoServer(String),
}

impl Report {
    pub(crate) fn new(run: &str) -> Self {
        Self { run: run.to_owned(), done: String::new(), lines: Vec::new() }
    }

    /// Says what was done.
    pub(crate) fn done(&mut self, done: String) {
        self.done = done;
    }

    /// A figure with a bound.
    pub(crate) fn check(
        &mut self,
        what: impl Into<String>,
        measured: impl ToString,
        bound: impl Into<String>,
        holds: bool,
    ) {
        let bound = Some((bound.into(), holds));
        self.lines.push(Line { what: what.into(), measured: measured.to_string(), bound });
    }

    /// A figure that is only of interest.
    pub(crate) fn note(&mut self, what: impl Into<String>, measured: impl ToString) {
        self.lines.push(Line { what: what.into(), measured: measured.to_string(), bound: None });
    }

    /// A figure that must not pass a bound.
    pub(crate) fn at_most<T: PartialOrd + Copy>(
        &mut self,
        what: impl Into<String>,
        measured: T,
        bound: T,
        show: impl Fn(T) -> String,
    ) {
        self.check(what, show(measured), format!("≤ {}", show(bound)), measured <= bound);
    }

    /// What honest clients must have seen: no failure, and every message back.
    pub(crate) fn honest(&mut self, who: &str, tally: &Tally) {
        self.check(format!("{who}: failed"), tally.failures(), "0", tally.failed() == 0);
        let missing = tally.missing();
        self.check(format!("{who}: echoes missing"), missing, "0", missing == 0);
    }

    /// How long honest clients have to wait.
    pub(crate) fn fare(&mut self, who: &str, tally: &Tally, p99: Duration) {
        self.at_most(format!("{who}: echo p99"), tally.latency.quantile(0.99), p99, ms);
        let [half, longest] = [0.5, 1.0].map(|part| ms(tally.latency.quantile(part)));
        self.note(format!("{who}: p50, longest"), format!("{half}, {longest}"));
    }

    /// What the server says that it has must be what it had at the start.
    pub(crate) fn settled(&mut self, before: &BTreeMap<String, f64>, server: &Server) {
        let above = |(name, now): (String, f64)| {
            let then = before.get(&name).copied().unwrap_or(0.0);
            (now > then).then(|| format!("{name} {now}, was {then}"))
        };
        let above: Vec<String> = server.gauges().into_iter().filter_map(above).collect();
        let measured = if above.is_empty() { "none".to_owned() } else { above.join("; ") };
        let what = format!("of {} gauges of /metrics above the start", before.len());
        self.check(what, measured, "none", above.is_empty());
    }

    /// What was held must be back where it was.
    pub(crate) fn back(&mut self, before: Held, after: Held) {
        for (what, before, after) in [
            ("threads", before.threads, after.threads),
            ("descriptors", before.descriptors, after.descriptors),
        ] {
            self.at_most(format!("{what} at the end"), after, before, |n| n.to_string());
        }
    }

    /// The process must have lived through it all without a panic.
    pub(crate) fn alive(&mut self, server: &mut Server) {
        let trouble = server.trouble();
        let measured = trouble.clone().unwrap_or_else(|| "none".to_owned());
        self.check("end of the server, or panic", measured, "none", trouble.is_none());
    }

    /// The figures whose bounds do not hold.
    pub(crate) fn broken(&self) -> impl Iterator<Item = &str> {
        let broken = |line: &&Line| matches!(line.bound, Some((_, false)));
        self.lines.iter().filter(broken).map(|line| line.what.as_str())
    }

    /// Whether all bounds hold.
    pub(crate) fn passed(&self) -> bool {
        self.broken().next().is_none()
    }

    /// Rows of the table.
    pub(crate) fn rows(&self) -> String {
        let mut rows = String::new();
        let (mut run, mut done) = (format!("**{}**", self.run), self.done.as_str());
        for Line { what, measured, bound } in &self.lines {
            let (bound, verdict) = match bound {
                None => ("", ""),
                Some((bound, true)) => (bound.as_str(), "pass"),
                Some((bound, false)) => (bound.as_str(), "**FAIL**"),
            };
            let _ =
                writeln!(rows, "| {run} | {done} | {what} | {measured} | {bound} | {verdict} |");
            (run, done) = (String::new(), "");
        }
        rows
    }
}

/// Above the rows.
pub(crate) const TABLE_HEAD: &str = "\
| run | what was done | figure | measured | bound | |
|---|---|---|---|---|---|
";

pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

pub(crate) fn kib(bytes: u64) -> String {
    format!("{:.1} KiB", bytes as f64 / 1024.0)
}

pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

pub(crate) fn secs(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

pub(crate) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// By how much `late` is above `early`, as a part of it.
pub(crate) fn drift(early: u64, late: u64) -> f64 {
    (late as f64 - early as f64) / (early as f64).max(1.0)
}
