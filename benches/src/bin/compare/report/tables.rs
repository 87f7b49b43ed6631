//! The results as Markdown.

use std::fmt::Write;

use crate::contestants::{CONTESTANTS, Contestant};
use crate::copy_rate;
use crate::report::{bounds, multiples};
use crate::results::{Figures, Results};
use crate::work::{ROWS, Row, Work};

pub(crate) fn all(results: &Results) -> String {
    let rounds = match results.rounds() {
        (least, most) if least < most => format!("{least} to {most}"),
        (_, most) => most.to_string(),
    };
    let mut out = format!(
        "Measured on: {}. Medians of {rounds} interleaved rounds, {} s each. Compared with {}.\n",
        results.machine,
        results.seconds,
        results.peers.join(", "),
    );
    out.push_str(&copy_rate::markdown(&results.copy_rates));
    if !results.left_out.is_empty() {
        let _ = writeln!(out, "\nLeft out here: {}.", results.left_out.join("; "));
    }
    for multiples::Table { title, heads, lines } in multiples::all(results) {
        let _ = write!(out, "\n### {title}\n\n");
        table(&mut out, &heads, &lines);
    }
    let deflates = |row: &Row| row.work.offers_deflate();
    out.push_str(&ratios(results, "How many times as good barews is", |r| !deflates(r) && !r.tls));
    out.push_str(&ratios(results, "The same with permessage-deflate", deflates));
    out.push_str(&ratios(results, "The same over TLS", |row| row.tls));
    let verdicts = bounds::verdicts(results);
    if !verdicts.is_empty() {
        out.push_str("\n### Bounds\n\n");
        table(&mut out, &["Work", "Bound", "Reached", "The limit", ""], &verdicts);
    }
    for row in ROWS {
        let medians: Vec<_> = medians(results, row).collect();
        if !medians.is_empty() {
            let _ = write!(out, "\n### {}\n\n", row.title);
            table(&mut out, &heads(row.work), &lines(row, &medians));
        }
    }
    out
}

fn medians<'a>(
    results: &'a Results,
    row: &'a Row,
) -> impl Iterator<Item = (&'static Contestant, Figures)> {
    CONTESTANTS.iter().filter_map(|server| Some((server, results.median(row.name, server.name)?)))
}

/// For each of these rows and each other server, how many times as good barews is.
fn ratios(results: &Results, title: &str, is_in: impl Fn(&Row) -> bool) -> String {
    let rows = || ROWS.iter().filter(|row| is_in(row));
    let measured = |server: &&Contestant| {
        rows().any(|row| results.runs.iter().any(|r| r.row == row.name && r.server == server.name))
    };
    let others: Vec<_> = CONTESTANTS.iter().skip(1).filter(measured).collect();
    let mut lines = Vec::new();
    for row in rows() {
        let Some(ours) = results.median(row.name, "barews") else { continue };
        let (what, figure): (_, fn(&Figures) -> f64) = match row.work {
            Work::Echo(_) if !row.tls => ("messages/s", |f| 1.0 / f.rate),
            // The load generator has as much work as the server, or more: it sets the rate.
            Work::Echo(_) | Work::Churn { .. } | Work::Deflate(_) => ("CPU saved", |f| f.cpu_us),
            Work::Idle { .. } | Work::IdleDeflate { .. } => {
                ("memory saved", |f| f.idle_kib.unwrap_or(f64::NAN))
            }
        };
        let ratio = |server: &&Contestant| {
            Some(figure(&results.median(row.name, server.name)?) / figure(&ours))
        };
        let cells = others.iter().map(|s| ratio(s).map_or("".to_owned(), |r| format!("{r:.2}")));
        lines.push([format!("{}: {what}", row.title)].into_iter().chain(cells).collect::<Vec<_>>());
    }
    if lines.is_empty() || others.is_empty() {
        return String::new();
    }
    let heads: Vec<_> = ["barews ÷"].into_iter().chain(others.iter().map(|s| s.title)).collect();
    let mut out = format!("\n### {title}\n\n");
    table(&mut out, &heads, &lines);
    out
}

/// The lines of a row's table.
fn lines(row: &Row, medians: &[(&'static Contestant, Figures)]) -> Vec<Vec<String>> {
    let of = |name| medians.iter().find(|(server, _)| server.name == name).map(|(_, f)| f);
    let (ours, plain) = (of("barews"), of("barews-plain"));
    let ratio = |ours: Option<f64>, theirs: f64| {
        ours.map_or("".to_owned(), |ours| format!("{:.2}", ours / theirs))
    };
    let ours = |figure: fn(&Figures) -> f64| ours.map(figure);
    let mut lines = Vec::new();
    for (server, f) in medians {
        let mut line = vec![server.title.to_owned()];
        match row.work {
            Work::Idle { .. } | Work::IdleDeflate { .. } => {
                let idle = |f: &Figures| f.idle_kib.unwrap_or(f64::NAN);
                line.push(format!("{:.1}", idle(f)));
                if row.work.offers_deflate() {
                    line.push(plain.map_or("".to_owned(), |p| format!("{:.1}", idle(f) - idle(p))));
                }
                line.push(format!("{:.0}", f.peak_mib));
                line.push(ratio(ours(idle), idle(f)));
            }
            _ => {
                line.push(number(f.rate));
                if let Work::Echo(_) | Work::Deflate(_) = row.work {
                    line.push(number(f.mb_s));
                }
                if let Work::Deflate(_) = row.work {
                    line.push(number(f.reply_bytes.unwrap_or(f64::NAN)));
                }
                line.extend([number(f.p50_us), number(f.p99_us), number(f.cpu_us)]);
                line.push(format!("{:.0} %", f.busy * 100.0));
                line.push(format!("{:.0} %", f.load_busy * 100.0));
                if row.work.has_one_in_flight() {
                    line.push(format!("{:.2}", f.switches.unwrap_or(f64::NAN)));
                }
                line.push(format!("{:.1}", f.peak_mib));
                line.push(ratio(ours(|f| f.rate), f.rate));
                line.push(ratio(ours(|f| f.cpu_us), f.cpu_us));
            }
        }
        lines.push(line);
    }
    lines
}

/// What stands above them.
fn heads(work: Work) -> Vec<&'static str> {
    let mut heads = vec!["Server"];
    let cpu = match work {
        Work::Idle { .. } => {
            heads.extend(["KiB a connection", "peak MiB", "KiB, ours ÷ theirs"]);
            return heads;
        }
        Work::IdleDeflate { .. } => {
            let above = "above ours with the extension off";
            heads.extend(["KiB a connection", above, "peak MiB", "KiB, ours ÷ theirs"]);
            return heads;
        }
        Work::Churn { .. } => {
            heads.push("connections/s");
            "CPU µs each"
        }
        Work::Echo(_) => {
            heads.extend(["messages/s", "MB/s"]);
            "CPU µs/message"
        }
        Work::Deflate(_) => {
            heads.extend(["messages/s", "MB/s", "B a reply"]);
            "CPU µs/message"
        }
    };
    heads.extend(["p50 µs", "p99 µs", cpu, "server busy", "load busy"]);
    if work.has_one_in_flight() {
        heads.push("waits/message");
    }
    heads.extend(["peak MiB", "rate, ours ÷ theirs", "CPU, ours ÷ theirs"]);
    heads
}

/// Three significant digits, or all of an integer, with commas.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return String::new();
    }
    if value < 100.0 {
        let places = if value < 1.0 {
            3
        } else if value < 10.0 {
            2
        } else {
            1
        };
        return format!("{value:.places$}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn table<H: AsRef<str>, L: AsRef<[String]>>(out: &mut String, heads: &[H], lines: &[L]) {
    let heads: Vec<&str> = heads.iter().map(AsRef::as_ref).collect();
    let rule: Vec<_> = (0..heads.len()).map(|i| if i == 0 { "---" } else { "---:" }).collect();
    let _ = writeln!(out, "| {} |\n|{}|", heads.join(" | "), rule.join("|"));
    for line in lines {
        let _ = writeln!(out, "| {} |", line.as_ref().join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers() {
        let shown = [0.1534, 5.3, 9.999, 28.71, 99.96, 187.4, 6_680_000.4].map(number);
        assert_eq!(shown, ["0.153", "5.30", "10.00", "28.7", "100.0", "187", "6,680,000"]);
        assert_eq!(number(f64::NAN), "");
    }
}
