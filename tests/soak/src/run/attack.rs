//! Everything that a hostile peer can do with few means, all at once, beside honest clients.
//!
//! No connection of an attacker may live for longer than its deadline and [`SLACK`]:
//!
//! | kind | deadline | counted |
//! |---|---|---|
//! | slowloris | handshake | from the connection's start to the end of the server's stream |
//! | deaf senders | write, and 1 s for each 64 KiB of a message; 2.2 times | from the last byte that moved to the reset |
//! | ping floods | write, and 1 s for a batch of 64 KiB; 2.2 times | from the last byte that the server took to the reset |
//! | fragments | message and close | from the start to the reset |
//!
//! 2.2 times, because a deadline is that of one write, and what the server has received already
//! calls for another. A write that was under way may end in time though its peer reads nothing: the
//! kernel probes a closed window at intervals that double, and now and then there is a little room.
//! The last probe that was seen to make a difference is that after 12.6 s; the write after it is the
//! last. A fast flood of fragments is over sooner: there is a maximum of them.

use std::thread;
use std::time::{Duration, Instant};

use crate::attacker::{Clock, End, Fate, Kind};
use crate::company::Company;
use crate::frame::{self, BINARY, CONTINUATION, FIN, PING, REQUEST, TEXT};
use crate::plan::Plan;
use crate::report::{NoReport, Report, mib, ms, secs};
use crate::run::attackers::{Deadlines, attack, judge, kind, relieved};

const HEALTHY: usize = 100;
const APART: Duration = Duration::from_millis(100);
const LEN: usize = 200;
const P99: Duration = Duration::from_millis(100);
/// Connections a second that each of the two threads makes, at most.
const RATE: f64 = 1000.0;
const MEMORY: u64 = 400 << 20;

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    let deadlines = Deadlines::new(plan);
    let (slow, fast) = (slow(plan, &deadlines), fast(plan, &deadlines));
    let attackers: usize = slow.iter().chain(&fast).map(|kind| kind.count).sum();
    let healthy = plan.count(HEALTHY);
    plan.need(attackers + healthy)?;
    let mut server = plan.start(&deadlines.arguments())?;
    let mut report = Report::new("attack");
    let probe = server.probe;
    let held = probe.held();

    let target = server.target();
    let company = Company::start(target.clone(), healthy, APART, LEN, &[]);
    let (start, cpu) = (Instant::now(), probe.cpu());
    // In two threads: a loop that is busy with floods would see late how the others fare.
    let until = start + plan.length;
    let [slow_ones, fast_ones] = thread::scope(|scope| {
        let fast = scope.spawn(|| attack(&target, &fast, RATE, until));
        let slow = attack(&target, &slow, RATE, until);
        [slow, fast.join().expect("attackers do not panic")]
    });
    let (time, cpu, peak) = (start.elapsed(), probe.cpu() - cpu, probe.peak());
    let tally = company.finish();
    let after = probe.held_once(held, Duration::from_secs(5));

    let most = slow_ones.most + fast_ones.most;
    let fates = [slow_ones.fates, fast_ones.fates].concat();
    let sum = |of: fn(&Fate) -> u64| fates.iter().map(of).sum::<u64>();
    report.done(format!(
        "{attackers} attackers, {} connections and {} sent by them in {}, beside {healthy} clients \
         × {LEN} B each {} ms ({} messages); {deadlines}",
        sum(|fate| fate.started),
        mib(sum(|fate| fate.bytes)),
        secs(time),
        APART.as_millis(),
        tally.sent,
    ));
    report.honest("healthy clients", &tally);
    let p99 = tally.latency.quantile(0.99);
    report.at_most("their echo p99", p99, P99, ms);
    let longest = tally.latency.longest();
    report.note("p50, longest", format!("{}, {}", ms(tally.latency.quantile(0.5)), ms(longest)));
    report.at_most("memory, peak", peak, MEMORY, mib);
    let enough = most * 10 >= attackers * 9;
    report.check("attackers at once, at most", most, format!("≥ {}", attackers * 9 / 10), enough);
    for (kind, fate) in slow.iter().chain(&fast).zip(&fates) {
        judge(&mut report, kind, fate, plan.length);
    }
    report.note("refused attempts to connect", sum(|fate| fate.refused));
    report.note("processor time", format!("{} in {}", secs(cpu), secs(time)));
    report.back(held, after);
    report.alive(&mut server);
    Ok(report)
}

/// Those that take their time.
fn slow(plan: &Plan<'_>, deadlines: &Deadlines) -> Vec<Kind> {
    let slowloris = |name, first: &[u8], then: &[u8], pace| Kind {
        pace,
        deadline: deadlines.handshake.value,
        ..kind(name, plan.count(1000), &[first], then.to_vec())
    };
    let fragments = |name, count, each: &[u8]| Kind {
        pace: Some(6 + each.len()),
        // Often enough to hear soon that nobody listens any more.
        beat: Duration::from_millis(250),
        end: End::Whole,
        deadline: deadlines.message.value + deadlines.close.value,
        ..kind(
            name,
            plan.count(count),
            &[REQUEST, &frame::frame(TEXT, b"")],
            frame::frame(CONTINUATION, each),
        )
    };
    let half = &REQUEST[..REQUEST.len() / 2];
    let line = format!("X-Filler: {}\r\n", "a".repeat(88));
    vec![
        slowloris("slowloris, a byte a second", b"", REQUEST, Some(1)),
        slowloris("slowloris, a header a second", half, line.as_bytes(), Some(line.len())),
        slowloris("slowloris, silent", half, b"", None),
        fragments("slow empty fragments", 15, b""),
        fragments("slow 1-byte fragments", 10, b"a"),
    ]
}

/// Those that send as fast as it goes.
fn fast(plan: &Plan<'_>, deadlines: &Deadlines) -> Vec<Kind> {
    let second = Duration::from_secs(1);
    let write = deadlines.write.value;
    let large = frame::frame(FIN | BINARY, &[7; 256 << 10]);
    let deaf = Kind {
        clock: Clock::Moved,
        end: End::Whole,
        deadline: relieved(write + 4 * second),
        ..kind("deaf sender", plan.count(200), &[REQUEST], large)
    };
    let pings = |name, reads| Kind {
        reads,
        clock: Clock::Taken,
        end: End::Whole,
        deadline: relieved(write + second),
        ..kind(name, plan.count(50), &[REQUEST], frame::frame(FIN | PING, &[7; 125]).repeat(500))
    };
    let fragments = |name, count, each: &[u8]| Kind {
        end: End::Whole,
        deadline: deadlines.message.value + deadlines.close.value,
        ..kind(
            name,
            plan.count(count),
            &[REQUEST, &frame::frame(TEXT, b"")],
            frame::frame(CONTINUATION, each).repeat(10_000),
        )
    };
    vec![
        deaf,
        pings("ping flood, deaf", 0),
        pings("ping flood, read at 1 KiB/s", 1 << 10),
        fragments("flood of empty fragments", 15, b""),
        fragments("flood of 1-byte fragments", 10, b"a"),
    ]
}
