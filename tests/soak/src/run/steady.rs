//! Many connections that each send a little, all the time.

use std::time::{Duration, Instant};

use crate::client::{Client, Habit};
use crate::plan::{self, Plan};
use crate::probe::Probe;
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, drift, mib, ms, percent};
use crate::tally::Tally;

const CONNECTIONS: usize = 1000;
const APART: Duration = Duration::from_millis(50);
const LEN: usize = 100;
const MEMORY: u64 = 64 << 20;
const DRIFT: f64 = 0.02;

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    let count = plan.count(CONNECTIONS);
    plan.need(count)?;
    let mut server = plan.start(&[])?;
    let mut report = Report::new("steady");
    let (mut reactor, tally) = (Reactor::new(), Tally::shared());
    plan::open(&mut reactor, &server.target(), 0..count, Habit::Every(APART, LEN), &tally);

    let probe = server.probe;
    let (start, cpu, sent) = (Instant::now(), probe.cpu(), tally.borrow().sent);
    plan::work(&mut reactor, start + plan.length / 4);
    let early = memory(&mut reactor, probe);
    plan::work(&mut reactor, start + plan.length);
    let late = memory(&mut reactor, probe);
    let (time, cpu) = (start.elapsed(), probe.cpu() - cpu);
    let sent = tally.borrow().sent - sent;
    plan::finish(&mut reactor, &tally);

    let tally = tally.borrow();
    let rate = sent as f64 / time.as_secs_f64();
    report.done(format!(
        "{count} connections × {LEN} B each {} ms: {sent} messages in {:.0} s, {rate:.0}/s",
        APART.as_millis(),
        time.as_secs_f64(),
    ));
    report.honest("clients", &tally);
    let due = count as f64 / APART.as_secs_f64();
    report.check("messages sent, of those due", percent(rate / due), "≥ 95 %", rate >= 0.95 * due);
    report.at_most("memory, peak", probe.peak(), MEMORY, mib);
    report.at_most("memory drift", drift(early, late), DRIFT, percent);
    report.note("memory, early and late", format!("{}, {}", mib(early), mib(late)));
    let [half, most, all] = [0.5, 0.99, 1.0].map(|part| ms(tally.latency.quantile(part)));
    report.note("echo p50, p99, longest", format!("{half}, {most}, {all}"));
    let micros = cpu.as_secs_f64() * 1e6 / sent as f64;
    report.note("processor time a message", format!("{micros:.1} µs"));
    report.alive(&mut server);
    Ok(report)
}

/// The median of a few looks, between which the load goes on.
fn memory(reactor: &mut Reactor<Client>, probe: Probe) -> u64 {
    let mut looks = [0; 5];
    for look in &mut looks {
        plan::work(reactor, Instant::now() + Duration::from_millis(100));
        *look = probe.memory().rss;
    }
    looks.sort_unstable();
    looks[2]
}
