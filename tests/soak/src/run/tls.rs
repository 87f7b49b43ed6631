//! What peers can do to a server that speaks TLS, beside honest clients that speak it too.
//!
//! First how long 64 MiB each way take at once over one connection, beside the same without TLS. Then
//! the attack, on a server of its own: that of `attack.rs` where TLS makes a difference, and what only
//! TLS can be attacked with. A handshake takes the server some 300 µs of a processor, and its client
//! nearly as much, so those who come again and again are bounded to a rate that leaves room for the
//! honest ones; their latency would say nothing else.
//!
//! | kind | deadline | counted |
//! |---|---|---|
//! | slowloris, wherever it stops | handshake: that of TLS is part of it | from the connection's start to the end of the server's stream |
//! | who reads nothing | as in `attack.rs` | as there |
//! | fragments in tiny records | message and close, and 14 s in a flood | from the start to the reset |
//! | what is no TLS, and KeyUpdates without end | close | from the start to the end |
//!
//! 14 s, because a message has a second more for each 64 KiB, and in so many bytes there are more
//! fragments than it may have: without TLS they are over sooner.
//!
//! The memory may come to what an idle connection takes, for each, and a message and what is encrypted
//! of its echo for those that hold one up.

mod kinds;

use std::thread;
use std::time::{Duration, Instant};

use crate::attacker::{End, Fate};
use crate::bomb;
use crate::client::Habit;
use crate::company::Company;
use crate::identity::Identity;
use crate::plan::{self, AT_ONCE, Plan};
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, kib, mib, ms, secs};
use crate::run::attackers::{Deadlines, attack, judge};
use crate::run::burst;
use crate::server::Server;
use crate::stream;
use crate::tally::Tally;

const OPTION: &str = "--tls-cert";
const HEALTHY: usize = 100;
const APART: Duration = Duration::from_millis(100);
const LEN: usize = 200;
/// As without TLS: it adds some 10 µs to an echo, and to the attack as much as its rates allow.
const P99: Duration = Duration::from_millis(100);
/// Connections a second, at most: of slow attackers, half of whom say enough to cost something; of
/// fast ones, who may be ended at once; of those that are reset.
const SLOW: f64 = 1000.0;
const FAST: f64 = 250.0;
const STORM: usize = 250;
/// What goes each way at once over one connection, in messages of 16 MiB, and for how long.
const MESSAGES: usize = 4;
const LONGEST: usize = 16 << 20;
const WITHIN: Duration = Duration::from_secs(5);

/// Resident memory a connection, and of one that has a message held up, in bytes.
const EACH: u64 = 64 << 10;
const STUCK: u64 = 512 << 10;
/// Stacks that wait for threads, and what an allocator loses, in bytes.
const BESIDE: u64 = 32 << 20;

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    if !plan.program.has(OPTION) {
        return Err(NoReport::Impossible(format!("the server has no {OPTION}")));
    }
    let identity = Identity::new().map_err(|error| NoReport::Impossible(error.to_string()))?;
    let mut report = Report::new("tls");
    let both_ways =
        [plan.start(&[])?, plan.start_tls(&identity, &[])?].map(|server| both_ways(&server));

    let deadlines = Deadlines::new(plan);
    let hello = stream::client_hello(&identity.client);
    let slow = kinds::slow(plan, &deadlines, &hello);
    let fast = kinds::fast(plan, &deadlines);
    let stuck: usize = fast.iter().filter(|kind| kind.end == End::Whole).map(|k| k.count).sum();
    let attackers: usize = slow.iter().chain(&fast).map(|kind| kind.count).sum();
    let healthy = plan.count(HEALTHY);
    plan.need(attackers + healthy + AT_ONCE)?;
    let mut server = plan.start_tls(&identity, &deadlines.arguments())?;
    let (probe, target) = (server.probe, server.target());
    let (held, before, gauges) = (probe.held(), probe.steady_memory().rss, server.gauges());

    let mut points = bomb::points();
    points.extend(bomb::points_in_tls(&hello));
    let company = Company::start(target.clone(), healthy, APART, LEN, &[]);
    let (start, cpu) = (Instant::now(), probe.cpu());
    let until = start + plan.length;
    let (slow_ones, fast_ones, storm) = thread::scope(|scope| {
        let fast = scope.spawn(|| attack(&target, &fast, FAST, until));
        let storm = scope.spawn(|| burst::storm(&target, &points, plan.count(STORM), until));
        let slow = attack(&target, &slow, SLOW, until);
        let done = "attackers do not panic";
        (slow, fast.join().expect(done), storm.join().expect(done))
    });
    let (time, cpu, peak) = (start.elapsed(), probe.cpu() - cpu, probe.peak());
    let tally = company.finish();
    let after = probe.held_once(held, Duration::from_secs(5));

    let most = slow_ones.most + fast_ones.most;
    let fates = [slow_ones.fates, fast_ones.fates].concat();
    let sum = |of: fn(&Fate) -> u64| fates.iter().map(of).sum::<u64>();
    report.done(format!(
        "{attackers} attackers, {} connections and {} sent by them, and {} resets at {} points, in {}, \
         beside {healthy} clients × {LEN} B each {} ms ({} messages); {deadlines}",
        sum(|fate| fate.started),
        mib(sum(|fate| fate.bytes)),
        storm.resets(),
        points.len(),
        secs(time),
        APART.as_millis(),
        tally.sent,
    ));
    for (over, took) in ["TCP", "TLS"].into_iter().zip(both_ways) {
        let holds = took.as_ref().is_ok_and(|took| *took <= WITHIN);
        let took = took.map_or_else(|wrong| wrong, ms);
        let what = format!("64 MiB each way at once, over {over}");
        report.check(what, took, format!("≤ {}", secs(WITHIN)), holds);
    }
    report.honest("healthy clients", &tally);
    report.fare("healthy clients", &tally, P99);
    let connections = (attackers + healthy + AT_ONCE) as u64;
    let bound = before + connections * EACH + stuck as u64 * STUCK + BESIDE;
    report.at_most("memory, peak", peak, bound, mib);
    report.note(
        "of the bound",
        format!(
            "{} at the start, {connections} × {}, {stuck} × {}, {} beside",
            mib(before),
            kib(EACH),
            kib(STUCK),
            mib(BESIDE),
        ),
    );
    let enough = most * 10 >= attackers * 9;
    report.check("attackers at once, at most", most, format!("≥ {}", attackers * 9 / 10), enough);
    for (kind, fate) in slow.iter().chain(&fast).zip(&fates) {
        judge(&mut report, kind, fate, plan.length);
    }
    storm.judge(&mut report);
    report.note("refused attempts to connect", sum(|fate| fate.refused));
    report.note("processor time", format!("{} in {}", secs(cpu), secs(time)));
    report.settled(&gauges, &server);
    report.back(held, after);
    report.alive(&mut server);
    Ok(report)
}

/// How long it takes to send so much without a pause, while as much comes back.
fn both_ways(server: &Server) -> Result<Duration, String> {
    let (mut reactor, tally) = (Reactor::new(), Tally::shared());
    plan::open(&mut reactor, &server.target(), 0..1, Habit::Told, &tally);
    let start = Instant::now();
    for _ in 0..MESSAGES {
        reactor.each(|client, scratch| client.send(LONGEST, scratch));
    }
    let is_over = |_: &Reactor<_>| tally.borrow().missing() == 0 || tally.borrow().failed() > 0;
    reactor.turn_until(4 * WITHIN, is_over);
    let took = start.elapsed();
    plan::finish(&mut reactor, &tally);
    let tally = tally.borrow();
    match tally.failed() == 0 && tally.echoed == MESSAGES as u64 {
        true => Ok(took),
        false => {
            Err(format!("{} of {MESSAGES} messages, {} failed", tally.echoed, tally.failures()))
        }
    }
}
