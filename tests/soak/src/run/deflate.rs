//! What peers can do with few bytes that agreed to permessage-deflate, beside honest clients.
//!
//! As many connections as the server takes by default hold what it lends them or have it work: its
//! memory is attacked by all of them at once, its processor only at a rate that leaves room for the
//! honest ones, or their latency would say nothing. A bomb of 16 MiB takes 2 ms to inflate and 15
//! to deflate for the way back, so 60 of them a second, 1 MB on the wire, keep a processor busy.
//! Here are 2 a second; all kinds together want about a third of a processor.
//!
//! The memory may come to what the settings say: `--deflate-memory`; `--max-assembling`, twice, since
//! what is deflated to be sent is not counted and may be nearly as long as what came; and for each
//! connection what an idle one takes and a message that is too short to be counted. When all have
//! gone, little of it may stay.

mod kinds;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::company::Company;
use crate::hostile::{End, Fate, Hostile, Kind};
use crate::plan::{AT_ONCE, Plan};
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, kib, mib, secs};
use crate::server::Server;
use crate::tally::Tally;

const OPTION: &str = "--deflate";
/// Those who are honest, half of them with compression, whatever the scale.
const HEALTHY: usize = 100;
const APART: Duration = Duration::from_millis(100);
const LEN: usize = 200;
const P99: Duration = Duration::from_millis(100);
/// Everything that a client can ask for.
const OFFERS: [&str; 4] = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
];

/// What the server is told.
const DEFLATE_MEMORY: u64 = 256 << 20;
const ASSEMBLING: u64 = 256 << 20;
/// Resident memory a connection, in bytes: when idle, and for a message that is not counted.
const EACH: u64 = (12 << 10) + (16 << 10);
/// Eight deflaters and eight inflaters that wait to be lent, stacks that wait for threads, and what an
/// allocator loses, in bytes.
const BESIDE: u64 = 32 << 20;
/// How much may stay when all have gone, in bytes a connection: an allocator keeps what it cannot
/// give back.
const LEFT: u64 = 4 << 10;
const SLACK: Duration = Duration::from_secs(1);
/// Connections a second, at most: until all are open, and from then on.
const RATES: [f64; 2] = [1000.0, 300.0];

/// Those who attack, while they do and at the end.
struct Siege {
    fates: Vec<Fate>,
    /// How many were open at once, at most.
    most: usize,
    /// From when all had opened until the end.
    time: Duration,
    cpu: Duration,
    /// What the server said that it had, at the end.
    gauges: BTreeMap<String, f64>,
}

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    if !plan.program.has(OPTION) {
        return Err(NoReport::Impossible(format!("the server has no {OPTION}")));
    }
    let [message, write] = [("--message-timeout", 60), ("--write-timeout", 10)]
        .map(|(option, seconds)| plan.deadline(option, Duration::from_secs(seconds)));
    let kinds = kinds::all(plan, message.value, write.value);
    let hostile: usize = kinds.iter().map(|kind| kind.count).sum();
    plan.need(hostile + 2 * HEALTHY)?;
    let places = (hostile + 2 * HEALTHY + AT_ONCE).to_string();
    let mut server = plan.start(&[
        (OPTION, String::new()),
        ("--deflate-memory", DEFLATE_MEMORY.to_string()),
        ("--max-assembling", ASSEMBLING.to_string()),
        ("--max-connections", places.clone()),
        ("--max-connections-per-ip", places),
        message.argument(),
        write.argument(),
    ])?;
    let mut report = Report::new("deflate");
    let probe = server.probe;
    let (held, before, gauges) = (probe.held(), probe.steady_memory().rss, server.gauges());

    let plain = Company::start(server.target(), HEALTHY / 2, APART, LEN, &[]);
    let packed = Company::start(server.target(), HEALTHY / 2, APART, LEN, &OFFERS);
    let siege = besiege(&server, &kinds, plan.length);
    let peak = probe.peak();
    let (plain, packed) = (plain.finish(), packed.finish());
    let after = probe.held_once(held, Duration::from_secs(5));
    let connections = (hostile + HEALTHY) as u64;
    let rest = before + connections * LEFT + BESIDE;
    let left = probe.memory_once(rest, Duration::from_secs(5));

    let bytes: u64 = siege.fates.iter().map(|fate| fate.bytes).sum();
    report.done(format!(
        "{hostile} hostile connections, {} opened and {} sent by them, {} beside {HEALTHY} clients × \
         {LEN} B each {} ms ({} messages); --deflate-memory {}, --max-assembling {}; deadlines: \
         message {}, write {}",
        siege.fates.iter().map(Fate::opened).sum::<u64>(),
        mib(bytes),
        secs(siege.time),
        APART.as_millis(),
        plain.sent + packed.sent,
        mib(DEFLATE_MEMORY),
        mib(ASSEMBLING),
        secs(message.value),
        secs(write.value),
    ));
    report.honest("plain clients", &plain);
    report.fare("plain clients", &plain, P99);
    nearly_honest(&mut report, "compressing clients", &packed);
    report.fare("compressing clients", &packed, P99);
    let bound = before + connections * EACH + DEFLATE_MEMORY + 2 * ASSEMBLING + BESIDE;
    report.at_most("memory, peak", peak, bound, mib);
    report.note(
        "of the bound",
        format!(
            "{} at the start, {connections} × {}, {} and 2 × {} by the settings, {} beside",
            mib(before),
            kib(EACH),
            mib(DEFLATE_MEMORY),
            mib(ASSEMBLING),
            mib(BESIDE),
        ),
    );
    report.at_most("memory when all have gone", left, rest, mib);
    let enough = siege.most * 10 >= hostile * 9;
    report.check("open at once, at most", siege.most, format!("≥ {}", hostile * 9 / 10), enough);
    for (kind, fate) in kinds.iter().zip(&siege.fates) {
        judge(&mut report, kind, fate, &siege);
    }
    let sum = |of: fn(&Fate) -> u64| siege.fates.iter().map(of).sum::<u64>();
    report.note(
        "opened with takeover both ways, without",
        format!("{}, {}", sum(|fate| fate.with_takeover), sum(|fate| fate.without_takeover)),
    );
    report.note("processor time", format!("{} in {}", secs(siege.cpu), secs(siege.time)));
    for (name, value) in &siege.gauges {
        report.note(format!("{name}, at the end of the siege"), value);
    }
    report.settled(&gauges, &server);
    report.back(held, after);
    report.alive(&mut server);
    Ok(report)
}

/// As [`Report::honest`], but that some may be told to come back. When no inflater is left to be lent,
/// the server still inflates what it has read as a whole, but when it lags behind it may find half a
/// message at the end of what it has read.
fn nearly_honest(report: &mut Report, who: &str, tally: &Tally) {
    let refused = tally.failures.get("Close 1013 while open").copied().unwrap_or(0);
    let failed = tally.failed() - refused;
    report.check(format!("{who}: failed but for 1013"), tally.failures(), "0", failed == 0);
    // A thousandth, and what the refused had sent.
    let most = tally.sent / 1000 + 10 * refused;
    report.at_most(format!("{who}: echoes missing"), tally.missing(), most, |n| n.to_string());
    report.at_most(format!("{who}: refused with 1013"), refused, 5, |n| n.to_string());
}

fn judge(report: &mut Report, kind: &Kind, fate: &Fate, siege: &Siege) {
    let name = kind.name;
    let show = |ends: &mut dyn Iterator<Item = String>| match ends.collect::<Vec<_>>() {
        ends if ends.is_empty() => "none".to_owned(),
        ends => ends.join(", "),
    };
    let right = fate.ends.keys().all(|end| kind.ends.contains(end)) && fate.refused.is_empty();
    let ends = fate.ends.iter().map(|(end, count)| format!("{count} × {end}"));
    let refused = fate.refused.iter().map(|(why, count)| format!("{count} × {why}"));
    report.check(
        format!("{name}: {} opened, ended by", fate.opened()),
        show(&mut ends.chain(refused)),
        show(&mut kind.ends.iter().map(End::to_string)),
        right,
    );
    if let Some(deadline) = kind.deadline {
        report.check(
            format!("{name}: oldest"),
            match fate.late {
                0 => secs(fate.oldest),
                late => format!("{}, {late} too old", secs(fate.oldest)),
            },
            format!("≤ {}", secs(deadline + SLACK)),
            fate.late == 0,
        );
    }
    // What nobody met would not have been tested.
    let least = kind.deadline.unwrap_or_default() + kind.beat;
    if let Some(must) = kind.must
        && siege.time > least + Duration::from_secs(2)
    {
        let met = fate.ends.get(&must).copied().unwrap_or(0);
        report.check(format!("{name}: ended by {must}"), met, "≥ 1", met > 0);
    }
    if kind.echoes {
        let rate = fate.bytes as f64 / siege.time.as_secs_f64();
        let echoed = format!("{} of {}, {}/s sent", fate.echoed, fate.rounds, kib(rate as u64));
        report.check(format!("{name}: echoed"), echoed, "≥ 1", fate.echoed > 0);
    }
}

/// Opens all of them, keeps them at it for so long, and has them go. The second wave comes in the
/// last quarter.
fn besiege(server: &Server, kinds: &[Kind], length: Duration) -> Siege {
    let fates: Vec<RefCell<Fate>> = kinds.iter().map(|_| RefCell::default()).collect();
    let mut reactor = Reactor::<Hostile>::new();
    // The kinds in turn, as long as there are any left of them.
    let most = kinds.iter().map(|kind| kind.count).max().unwrap_or(0);
    let mut absent: VecDeque<usize> = (0..most)
        .flat_map(|nth| (0..kinds.len()).filter(move |at| kinds[*at].count > nth))
        .collect();
    let (start, cpu) = (Instant::now(), server.probe.cpu());
    let (mut besieged, mut most, mut number) = (None, 0, 0);
    let (mut next_look, mut last, mut budget) = (start, start, 0.0);
    let mut is_wave = false;
    loop {
        let now = Instant::now();
        // If they do not open within half a minute, the report will say so.
        if besieged.is_none() && (absent.is_empty() || now > start + Duration::from_secs(30)) {
            besieged = Some(now);
        }
        let time = besieged.map_or(Duration::ZERO, |since| now - since);
        if time > length * 3 / 4 && !is_wave {
            is_wave = true;
            reactor.each(|peer, _| peer.release());
        }
        if time > length {
            let (time, cpu) = (start.elapsed(), server.probe.cpu() - cpu);
            let fates = fates.iter().map(|fate| fate.borrow().clone()).collect();
            break Siege { fates, most, time, cpu, gauges: server.gauges() };
        }
        if next_look <= now {
            reactor.peers().for_each(|peer| peer.judge(now, SLACK));
            most = most.max(reactor.peers().filter(|peer| peer.is_open()).count());
            next_look = now + Duration::from_millis(250);
        }
        budget += RATES[usize::from(besieged.is_some())] * (now - last).as_secs_f64();
        budget = budget.min(AT_ONCE as f64 / 2.0);
        last = now;
        while budget >= 1.0
            && let Some(at) = absent.pop_front()
        {
            match Hostile::connect(server.addr, number, &kinds[at], &fates[at]) {
                Ok(mut peer) => {
                    if is_wave {
                        peer.release();
                    }
                    reactor.add(peer);
                }
                // Out of ports, say: later.
                Err(_) => absent.push_back(at),
            }
            number += 1;
            budget -= 1.0;
        }
        for gone in reactor.turn(now + Duration::from_millis(5)) {
            gone.judge(Instant::now(), SLACK);
            let at = kinds.iter().position(|kind| std::ptr::eq(kind, gone.kind));
            absent.push_back(at.expect("one of ours"));
        }
    }
}
