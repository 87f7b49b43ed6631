//! The largest messages, many at once.

use std::time::{Duration, Instant};

use crate::client::Habit;
use crate::plan::{self, Plan};
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, drift, mib, ms, percent};
use crate::tally::Tally;

const CONNECTIONS: usize = 32;
const LEN: usize = 16 << 20;
/// However short the run.
const ROUNDS: usize = 4;
/// 1.2 GiB.
const PEAK: u64 = (12 << 30) / 10;
const DRIFT: f64 = 0.05;
/// A round takes a second or two; the server's own deadlines are longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    let count = plan.count(CONNECTIONS);
    plan.need(count)?;
    let mut server = plan.start(&[])?;
    let mut report = Report::new("large");
    let (mut reactor, tally) = (Reactor::new(), Tally::shared());
    let probe = server.probe;
    plan::open(&mut reactor, &server.target(), 0..count, Habit::Told, &tally);

    // All start together, so that each round asks for as much memory as any other.
    let (start, cpu) = (Instant::now(), probe.cpu());
    let mut peaks = Vec::new();
    while peaks.len() < ROUNDS || start.elapsed() < plan.length {
        probe.reset_peak();
        reactor.each(|client, scratch| client.send(LEN, scratch));
        let all = |_: &Reactor<_>| tally.borrow().missing() == 0 || tally.borrow().failed() > 0;
        let done = reactor.turn_until(PATIENCE, all);
        peaks.push(probe.peak());
        if !done || tally.borrow().failed() > 0 {
            break;
        }
    }
    let (time, cpu) = (start.elapsed(), probe.cpu() - cpu);
    plan::finish(&mut reactor, &tally);

    let tally = tally.borrow();
    let (rounds, quarter) = (peaks.len(), peaks.len().div_ceil(4));
    let gib = (tally.echoed * LEN as u64) as f64 / f64::from(1 << 30);
    report.done(format!(
        "{count} connections × 16 MiB, {rounds} rounds: {gib:.1} GiB each way in {:.0} s",
        time.as_secs_f64(),
    ));
    report.honest("clients", &tally);
    let (enough, most) = (rounds >= ROUNDS, peaks.iter().copied().max().unwrap_or(0));
    report.check("rounds", rounds, format!("≥ {ROUNDS}"), enough);
    report.at_most("memory, peak", most, PEAK, mib);
    let early = peaks[..quarter].iter().copied().max().unwrap_or(0);
    let late = peaks[rounds - quarter..].iter().copied().max().unwrap_or(0);
    report.at_most("late peak above early", drift(early, late), DRIFT, percent);
    report.note("peak, early and late", format!("{}, {}", mib(early), mib(late)));
    let rate = gib / time.as_secs_f64();
    report.note(
        "rate each way, and processor time",
        format!("{rate:.2} GiB/s, {:.2} s a GiB", cpu.as_secs_f64() / gib,),
    );
    report.note(
        "echo p50, longest",
        format!("{}, {}", ms(tally.latency.quantile(0.5)), ms(tally.latency.longest()),),
    );
    report.alive(&mut server);
    Ok(report)
}
