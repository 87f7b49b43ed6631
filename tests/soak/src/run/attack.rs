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

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::attacker::{Attacker, Clock, End, Fate, Kind};
use crate::company::Company;
use crate::frame::{self, BINARY, CONTINUATION, FIN, PING, REQUEST, TEXT};
use crate::plan::{AT_ONCE, Plan, Setting};
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, mib, ms, secs};

const SLACK: Duration = Duration::from_secs(1);
const HEALTHY: usize = 100;
const APART: Duration = Duration::from_millis(100);
const LEN: usize = 200;
const P99: Duration = Duration::from_millis(100);
/// Connections a second that each of the two threads makes, at most.
const RATE: f64 = 1000.0;
const MEMORY: u64 = 400 << 20;

/// What became of the attackers of one thread.
struct Outcome {
    /// By kind.
    fates: Vec<Fate>,
    /// How many there were at once, at most.
    most: usize,
}

/// The deadlines in force.
struct Deadlines {
    handshake: Setting,
    message: Setting,
    write: Setting,
    close: Setting,
}

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    let default = |option, seconds| plan.deadline(option, Duration::from_secs(seconds));
    let deadlines = Deadlines {
        handshake: default("--handshake-timeout", 10),
        message: default("--message-timeout", 60),
        write: default("--write-timeout", 10),
        close: default("--close-timeout", 2),
    };
    let (slow, fast) = (slow(plan, &deadlines), fast(plan, &deadlines));
    let attackers: usize = slow.iter().chain(&fast).map(|kind| kind.count).sum();
    let healthy = plan.count(HEALTHY);
    plan.need(attackers + healthy)?;
    let Deadlines { handshake, message, write, close } = deadlines;
    let options = [handshake, message, write, close].map(Setting::argument);
    let mut server = plan.start(&options)?;
    let mut report = Report::new("attack");
    let probe = server.probe;
    let held = probe.held();

    let company = Company::start(server.addr, healthy, APART, LEN, &[]);
    let (start, cpu) = (Instant::now(), probe.cpu());
    // In two threads: a loop that is busy with floods would see late how the others fare.
    let until = start + plan.length;
    let [slow_ones, fast_ones] = thread::scope(|scope| {
        let fast = scope.spawn(|| attack(server.addr, &fast, until));
        let slow = attack(server.addr, &slow, until);
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
         × {LEN} B each {} ms ({} messages); deadlines: handshake {}, message {}, write {}, close {}",
        sum(|fate| fate.started),
        mib(sum(|fate| fate.bytes)),
        secs(time),
        APART.as_millis(),
        tally.sent,
        secs(handshake.value),
        secs(message.value),
        secs(write.value),
        secs(close.value),
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

fn judge(report: &mut Report, kind: &Kind, fate: &Fate, length: Duration) {
    let Fate { ended, late, oldest, .. } = fate;
    let limit = kind.deadline + SLACK;
    report.check(
        format!("{}: oldest of {}, {ended} ended", kind.name, fate.started),
        match late {
            0 => secs(*oldest),
            late => format!("{}, {late} too old", secs(*oldest)),
        },
        format!("≤ {}", secs(limit)),
        *late == 0,
    );
    // A deadline that nobody met would not have been tested.
    if length > limit + Duration::from_secs(2) {
        report.check(format!("{}: ended", kind.name), ended, "≥ 1", *ended > 0);
    }
}

/// Keeps the attackers at it until then.
fn attack(server: SocketAddr, kinds: &[Kind], until: Instant) -> Outcome {
    let fates: Vec<RefCell<Fate>> = kinds.iter().map(|_| RefCell::default()).collect();
    let mut most_at_once = 0;
    let mut reactor = Reactor::new();
    // The kinds in turn, as long as there are any left of them.
    let most = kinds.iter().map(|kind| kind.count).max().unwrap_or(0);
    let mut absent: VecDeque<usize> = (0..most)
        .flat_map(|nth| (0..kinds.len()).filter(move |at| kinds[*at].count > nth))
        .collect();
    let mut number = 0;
    let (mut next_look, mut last, mut budget) = (Instant::now(), Instant::now(), 0.0);
    while Instant::now() < until {
        let now = Instant::now();
        if next_look <= now {
            reactor.peers().for_each(|peer: &Attacker| peer.judge(now, SLACK));
            next_look = now + Duration::from_millis(250);
        }
        let mut connecting = reactor.peers().filter(|peer| peer.is_connecting()).count();
        most_at_once = most_at_once.max(reactor.len() - connecting);
        // Evenly, for a listener of std lets only 128 wait.
        budget += RATE * (now - last).as_secs_f64();
        budget = budget.min(AT_ONCE as f64 / 2.0);
        last = now;
        while budget >= 1.0
            && connecting < AT_ONCE
            && let Some(at) = absent.pop_front()
        {
            match Attacker::connect(server, number, &kinds[at], &fates[at]) {
                Ok(attacker) => reactor.add(attacker),
                // Out of ports, say: later.
                Err(_) => absent.push_back(at),
            }
            number += 1;
            connecting += 1;
            budget -= 1.0;
        }
        for gone in reactor.turn(until.min(now + Duration::from_millis(5))) {
            gone.judge(Instant::now(), SLACK);
            let at = kinds.iter().position(|kind| std::ptr::eq(kind, gone.kind));
            absent.push_back(at.expect("one of ours"));
        }
    }
    let now = Instant::now();
    reactor.peers().for_each(|peer| peer.judge(now, SLACK));
    Outcome { fates: fates.iter().map(|fate| fate.borrow().clone()).collect(), most: most_at_once }
}

/// A kind that can do no harm yet.
fn kind(name: &'static str, count: usize, first: &[&[u8]], then: Vec<u8>) -> Kind {
    Kind {
        name,
        count,
        first: first.concat(),
        then,
        pace: None,
        reads: 0,
        beat: Duration::from_secs(1),
        clock: Clock::Start,
        end: End::Half,
        deadline: Duration::ZERO,
        buffer: 64 << 10,
    }
}

/// How long a peer may last whose writes have this deadline; see the top of the file.
fn relieved(write: Duration) -> Duration {
    write * 11 / 5
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
