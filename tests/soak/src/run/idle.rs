//! Connections that do nothing, for which there must be room and which must not be lost.

use std::time::{Duration, Instant};

use crate::client::Habit;
use crate::plan::{self, Plan};
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, kib, mib, secs};
use crate::tally::Tally;

const CONNECTIONS: usize = 8000;
/// Resident memory a connection, in bytes.
const EACH: u64 = 12 << 10;
/// The server's defaults.
const PING: Duration = Duration::from_secs(60);
const IDLE: Duration = Duration::from_secs(120);

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    let count = plan.count(CONNECTIONS);
    plan.need(count)?;
    let ping = plan.deadline("--ping-after", PING);
    let mut idle = plan.deadline("--idle-timeout", IDLE);
    // Time enough to answer, however short the run.
    idle.value = idle.value.max(2 * ping.value).min(IDLE);
    let mut server = plan.start(&[ping.argument(), idle.argument()])?;
    let mut report = Report::new("idle");
    let (mut reactor, tally) = (Reactor::new(), Tally::shared());
    let probe = server.probe;
    let (held, before) = (probe.held(), probe.steady_memory());

    let start = Instant::now();
    plan::open(&mut reactor, &server.target(), 0..count, Habit::Told, &tally);
    let opening = start.elapsed();
    let (start, cpu) = (Instant::now(), probe.cpu());
    plan::work(&mut reactor, start + plan.length);
    let (with, cpu) = (probe.steady_memory(), probe.cpu() - cpu);
    let lost = count - reactor.len();
    let pings = tally.borrow().pings;
    let echoed = plan::echo_all(&mut reactor, &tally, 100);
    plan::finish(&mut reactor, &tally);
    let after = probe.held_once(held, Duration::from_secs(5));

    let tally = tally.borrow();
    report.done(format!(
        "{count} connections opened in {}, idle for {}, then an echo on each; ping after {}",
        secs(opening),
        secs(plan.length),
        secs(ping.value),
    ));
    report.check("connections lost", lost, "0", lost == 0);
    report.honest("clients", &tally);
    report.check("an echo on each at the end", echoed, "true", echoed);
    // As many as fit for certain; the first may come early in the run or just before it.
    let due = count as u64 * (plan.length.as_secs() / (ping.value.as_secs() + 1));
    report.check("pings answered", pings, format!("≥ {due}"), pings >= due);
    let each = |with: u64, before: u64| with.saturating_sub(before) / count as u64;
    report.at_most("memory a connection", each(with.rss, before.rss), EACH, kib);
    report.note("the same, by proportional share", kib(each(with.pss, before.pss)));
    report.note(
        "memory before, with, peak",
        format!("{}, {}, {}", mib(before.rss), mib(with.rss), mib(probe.peak()),),
    );
    report.note("processor time while idle", secs(cpu));
    report.back(held, after);
    report.alive(&mut server);
    Ok(report)
}
