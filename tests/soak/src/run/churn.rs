//! Connections that come, say one thing and go, as fast as it goes.

use std::time::{Duration, Instant};

use crate::client::{Client, Habit};
use crate::plan::{self, Plan};
use crate::probe::{Held, Memory};
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, drift, mib, ms, percent};
use crate::server::Server;
use crate::tally::{Shared, Tally};

const AT_ONCE: usize = plan::AT_ONCE / 2;
/// While warming up. The system's allocator and thread library keep memory for as many threads
/// as there ever were at once; how many that are by chance shall not pass for a leak.
const WARM_UP: usize = plan::AT_ONCE;
const LEN: usize = 100;
const DRIFT: f64 = 0.05;

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    plan.need(WARM_UP)?;
    let mut server = plan.start(&[])?;
    let mut report = Report::new("churn");
    let probe = server.probe;
    let before = probe.held();
    let tally = Tally::shared();

    let (_, early) = spell(&server, WARM_UP, plan.length / 4, before, &tally);
    let (start, closed, cpu) = (Instant::now(), tally.borrow().closed, probe.cpu());
    let length = plan.length - plan.length / 4;
    let (held, late) = spell(&server, AT_ONCE, length, before, &tally);
    let (time, cpu) = (start.elapsed().min(length), probe.cpu() - cpu);

    let tally = tally.borrow();
    let count = tally.closed - closed;
    let rate = count as f64 / time.as_secs_f64();
    report.done(format!(
        "{} connections, {AT_ONCE} at a time: handshake, an echo of {LEN} B, closing handshake",
        tally.closed,
    ));
    report.honest("clients", &tally);
    let closed = tally.closed == tally.opened && tally.closed > 0;
    report.check(
        "closed as they should, of opened",
        format!("{} of {}", tally.closed, tally.opened,),
        "all",
        closed,
    );
    report.note("connections a second, after warming up", format!("{rate:.0}"));
    let micros = cpu.as_secs_f64() * 1e6 / count.max(1) as f64;
    report.note("processor time a connection", format!("{micros:.0} µs"));
    report.note(
        "echo p50, p99",
        format!("{}, {}", ms(tally.latency.quantile(0.5)), ms(tally.latency.quantile(0.99)),),
    );
    report.back(before, held);
    report.at_most("memory drift, after warming up", drift(early.rss, late.rss), DRIFT, percent);
    report.note(
        "memory early, late, peak",
        format!("{}, {}, {}", mib(early.rss), mib(late.rss), mib(probe.peak()),),
    );
    report.alive(&mut server);
    Ok(report)
}

/// Goes on for so long; what the server holds when all have gone.
fn spell(
    server: &Server,
    at_once: usize,
    length: Duration,
    before: Held,
    tally: &Shared,
) -> (Held, Memory) {
    let (mut reactor, target) = (Reactor::new(), server.target());
    let end = Instant::now() + length;
    let mut number = 0;
    while Instant::now() < end {
        // A server that refuses everything should not be asked a million times.
        while reactor.len() < at_once && tally.borrow().failed() < 100 {
            match Client::connect(&target, number, Habit::Once(LEN), tally) {
                Ok(client) => reactor.add(client),
                Err(error) => tally.borrow_mut().fail(format!("no socket: {error}")),
            }
            number += 1;
        }
        reactor.turn(end);
    }
    if !reactor.turn_until(Duration::from_secs(5), |reactor| reactor.len() == 0) {
        tally.borrow_mut().fail(format!("{} would not end", reactor.len()));
    }
    let held = server.probe.held_once(before, Duration::from_secs(5));
    (held, server.probe.steady_memory())
}
