//! Everybody beside everybody: how many times our messages a second each server has, how long replies
//! take with many connections, and what those take in memory. Where ours cannot take part, the limit of
//! an event loop stands in for it.

use crate::contestants::{CONTESTANTS, Contestant, Role, Runtime};
use crate::results::{Figures, Results};
use crate::work::{ROWS, Row, Work};

pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) heads: Vec<&'static str>,
    pub(crate) lines: Vec<Vec<String>>,
}

/// Those with which a row is compared: the first that was measured.
const BASES: [&str; 2] = ["barews", "raw-epoll"];

/// Memory says nothing about a server where it holds a handful of connections.
const CROWD: usize = 500;

/// Without those that have nothing to tell.
pub(crate) fn all(results: &Results) -> Vec<Table> {
    const RATES: &str = "Messages a second, as a multiple of ours";
    const BESIDE_RUNTIMES: &str = "The same beside other runtimes";
    const CPU: &str = "Messages for the same CPU time, as a multiple of ours";
    let runtimes = servers(results, is_shown).into_iter().any(has_runtime);
    let is_beside = |server: &Contestant| runtimes && (has_runtime(server) || is_yardstick(server));
    let tables = [
        rates(results, RATES, |f| f.rate, |server| !has_runtime(server)),
        rates(results, BESIDE_RUNTIMES, |f| f.rate, is_beside),
        rates(results, CPU, |f| 1.0 / f.cpu_us, |_| true),
        waits(results),
        memory(results),
    ];
    tables.into_iter().filter(|table| table.heads.len() > 2 && !table.lines.is_empty()).collect()
}

/// Whether it runs in another language's.
fn has_runtime(server: &Contestant) -> bool {
    match server.role {
        Role::Foreign(runtime) => runtime != Runtime::Native,
        _ => false,
    }
}

fn is_yardstick(server: &Contestant) -> bool {
    let is_ours = BASES.contains(&server.name) || server.role == Role::OurLoop;
    is_ours || server.role == Role::Foreign(Runtime::Native)
}

fn is_shown(row: &Row) -> bool {
    row.is_plain() && matches!(row.work, Work::Echo(_) | Work::Churn { .. })
}

/// The servers that did any of these rows.
fn servers(results: &Results, is_shown: impl Fn(&Row) -> bool) -> Vec<&'static Contestant> {
    let rows: Vec<_> = ROWS.iter().filter(|row| is_shown(row)).collect();
    let did = |server: &&Contestant| {
        let of_it =
            |row: &&Row| results.runs.iter().any(|r| r.row == row.name && r.server == server.name);
        rows.iter().any(of_it)
    };
    CONTESTANTS.iter().filter(did).collect()
}

/// Bold is the best of those that are servers.
fn rates(
    results: &Results,
    title: &'static str,
    figure: fn(&Figures) -> f64,
    is_in: impl Fn(&Contestant) -> bool,
) -> Table {
    let servers: Vec<_> = servers(results, is_shown).into_iter().filter(|s| is_in(s)).collect();
    let rate = |row: &Row, server: &str| Some(figure(&results.median(row.name, server)?));
    let mut lines = Vec::new();
    for row in ROWS.iter().filter(|row| is_shown(row)) {
        let base = BASES.iter().find_map(|base| Some((*base, rate(row, base)?)));
        let Some((base, ours)) = base else { continue };
        let best = servers.iter().filter(|server| !server.is_limit());
        let best = best.filter_map(|server| rate(row, server.name)).fold(0.0, f64::max);
        let cell = |server: &&Contestant| match rate(row, server.name) {
            Some(rate) if rate == best => format!("**{:.2}**", rate / ours),
            Some(rate) => format!("{:.2}", rate / ours),
            None => String::new(),
        };
        let work = match base == BASES[0] {
            true => row.title.to_owned(),
            false => format!("{}: of {base}", row.title),
        };
        lines.push([work].into_iter().chain(servers.iter().map(cell)).collect());
    }
    Table { title, heads: heads(&servers), lines }
}

/// Half of all replies, and all but one in a hundred, have come within so much time. Where many wait
/// and the second is far above the first, some are served at the expense of others.
fn waits(results: &Results) -> Table {
    let line = |row: &Row| match row.work {
        Work::Echo(load) if row.is_plain() && load.connections >= CROWD => {
            Some(row.title.to_owned())
        }
        _ => None,
    };
    let cell = |f: &Figures| format!("{:.1}; {:.1}", f.p50_us / 1e3, f.p99_us / 1e3);
    each(results, "Round trips with many connections, ms: median; p99", line, |_, f| cell(f))
}

/// The most that each had resident, and for idle connections what they took.
fn memory(results: &Results) -> Table {
    let line = |row: &Row| match row.work {
        Work::Echo(load) if row.is_plain() && load.connections >= CROWD => {
            Some(format!("{}: MiB at most", row.title))
        }
        Work::Idle { .. } if row.is_plain() => Some(format!("{}: KiB each", row.title)),
        _ => None,
    };
    each(results, "The servers' memory", line, |row, f| match row.work {
        Work::Idle { .. } => f.idle_kib.map_or(String::new(), |kib| format!("{kib:.2}")),
        _ => format!("{:.1}", f.peak_mib),
    })
}

/// A line for each row that has a name for it, with a cell for each server.
fn each(
    results: &Results,
    title: &'static str,
    line: impl Fn(&Row) -> Option<String>,
    cell: impl Fn(&Row, &Figures) -> String,
) -> Table {
    let servers = servers(results, |row| line(row).is_some());
    let mut lines = Vec::new();
    for row in ROWS {
        let Some(name) = line(row) else { continue };
        let figures = servers.iter().map(|server| results.median(row.name, server.name));
        let cells: Vec<_> = figures.map(|f| f.map_or(String::new(), |f| cell(row, &f))).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            lines.push([name].into_iter().chain(cells).collect());
        }
    }
    Table { title, heads: heads(&servers), lines }
}

fn heads(servers: &[&'static Contestant]) -> Vec<&'static str> {
    ["Work"].into_iter().chain(servers.iter().map(|server| server.title)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Run;

    fn results(runs: &[(&str, &str, f64)]) -> Results {
        let mut results = Results::new(String::new(), 1, 1.0);
        results.runs.extend(runs.iter().map(|&(row, server, rate)| Run {
            row: row.to_owned(),
            server: server.to_owned(),
            round: 0,
            figures: Figures { rate, ..Figures::default() },
        }));
        results
    }

    #[test]
    fn all_are_multiples_of_ours_and_the_best_server_is_bold() {
        let runs = [
            ("ping50", "barews", 100.0),
            ("ping50", "raw-epoll", 300.0),
            ("ping50", "uwebsockets-cpp", 200.0),
            ("ping50", "bun", 150.0),
            ("hello16384", "raw-epoll", 200.0),
            ("hello16384", "bun", 100.0),
        ];
        let tables = all(&results(&runs));
        assert_eq!(tables[0].heads, ["Work", "barews", "raw TCP, epoll", "uWebSockets (C++)"]);
        assert_eq!(tables[0].lines[0][1..], ["1.00", "3.00", "**2.00**"]);
        assert_eq!(tables[1].heads[3..], ["uWebSockets (C++)", "Bun"]);
        assert_eq!(tables[1].lines[0][1..], ["1.00", "3.00", "**2.00**", "1.50"]);
        let many = &tables[1].lines[1];
        assert!(many[0].ends_with(": of raw-epoll"), "{many:?}");
        assert_eq!(many[1..], ["", "1.00", "", "**0.50**"]);
    }

    #[test]
    fn what_was_not_measured_has_no_table() {
        assert!(all(&results(&[])).is_empty());
        assert!(all(&results(&[("deflate64", "barews", 1.0)])).is_empty());
    }
}
