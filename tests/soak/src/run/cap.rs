//! A full house, and a crowd at the door.

use std::time::{Duration, Instant};

use crate::client::Habit;
use crate::company::Company;
use crate::histogram::Histogram;
use crate::knock::{Answer, Knock};
use crate::plan::{self, Plan};
use crate::probe::descriptor_limit;
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, mib, ms};
use crate::server::Server;
use crate::tally::Tally;

/// The server's default.
const CAP: usize = 8192;
const LIMIT: &str = "--max-connections";
/// Of those inside, so many send all the time.
const ACTIVE: usize = 100;
const APART: Duration = Duration::from_millis(100);
const LEN: usize = 200;
/// A second.
const KNOCKS: usize = 2000;
/// At once, at most; each is over in a few milliseconds.
const AT_THE_DOOR: usize = 1000;
const WITHIN: Duration = Duration::from_millis(100);

/// What came of the knocking.
#[derive(Default)]
struct Crowd {
    knocks: u64,
    /// Answered 503, with `Retry-After`, and then closed.
    refused: u64,
    /// From the attempt to connect to the whole answer.
    times: Histogram,
    /// The first thing else that happened.
    other: Option<String>,
}

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    let mut cap = CAP;
    plan.need(AT_THE_DOOR + ACTIVE)?;
    if plan.program.has(LIMIT) {
        // The server need not be any larger than this system has descriptors for.
        let room = descriptor_limit().saturating_sub(AT_THE_DOOR as u64 + 200);
        cap = plan.count(cap).min(room as usize);
    }
    plan.need(cap + AT_THE_DOOR)?;
    let active = ACTIVE.min(cap / 2);
    let mut server = plan.start(&[(LIMIT, cap.to_string())])?;
    let mut report = Report::new("cap");
    let probe = server.probe;
    let held = probe.held();
    let (mut reactor, tally) = (Reactor::new(), Tally::shared());
    let company = Company::start(server.target(), active, APART, LEN, &[]);
    plan::open(&mut reactor, &server.target(), active..cap, Habit::Told, &tally);

    let (full, cpu) = (probe.held(), probe.cpu());
    let crowd = storm(&server, plan.length, plan.count(KNOCKS), || {
        // Those inside have a ping to answer now and then.
        reactor.turn(Instant::now());
    });
    let cpu = probe.cpu() - cpu;
    // The refused are to be gone for good by then.
    let still = probe.held_once(full, Duration::from_secs(2));
    let lost = cap - active - reactor.len();
    let echoed = plan::echo_all(&mut reactor, &tally, LEN);
    plan::finish(&mut reactor, &tally);
    let company = company.finish();
    let after = probe.held_once(held, Duration::from_secs(10));

    let Crowd { knocks, refused, times, other } = crowd;
    report.done(format!(
        "{cap} connections inside, {active} of them × {LEN} B each {} ms; {knocks} more at the \
         door, {:.0}/s",
        APART.as_millis(),
        knocks as f64 / plan.length.as_secs_f64(),
    ));
    let due = plan.count(KNOCKS) as f64 * plan.length.as_secs_f64();
    let enough = knocks as f64 >= 0.9 * due;
    report.check("knocks, of those due", format!("{knocks} of {due:.0}"), "≥ 90 %", enough);
    let measured = match other {
        None => format!("{refused} of {knocks}"),
        Some(other) => format!("{refused} of {knocks}; {other}"),
    };
    report.check("refused with 503 and Retry-After", measured, "all", refused == knocks);
    report.at_most("time to refuse, p99", times.quantile(0.99), WITHIN, ms);
    let [half, most] = [0.5, 0.999].map(|part| ms(times.quantile(part)));
    report.note("p50, p99.9, longest", format!("{half}, {most}, {}", ms(times.longest())));
    report.honest("active inside", &company);
    report.at_most("their echo p99", company.latency.quantile(0.99), WITHIN, ms);
    report.note("their longest", ms(company.latency.longest()));
    report.check("lost of the others inside", lost, "0", lost == 0);
    report.honest("others inside", &tally.borrow());
    report.check("an echo on each at the end", echoed, "true", echoed);
    report.at_most("descriptors 2 s after the storm", still.descriptors, full.descriptors, |n| {
        n.to_string()
    });
    let each = cpu.as_secs_f64() * 1e6 / knocks.max(1) as f64;
    report.note("processor time a refusal, echoes included", format!("{each:.0} µs"));
    report.note("memory, peak", mib(probe.peak()));
    report.back(held, after);
    report.alive(&mut server);
    Ok(report)
}

/// Knocks at an even pace, whatever the answers.
fn storm(server: &Server, length: Duration, rate: usize, mut meanwhile: impl FnMut()) -> Crowd {
    let mut crowd = Crowd::default();
    let mut reactor = Reactor::new();
    let start = Instant::now();
    let mut number = 0;
    loop {
        let time = start.elapsed();
        let over = time >= length;
        // Two seconds are more than any answer may take.
        if over && (reactor.len() == 0 || time > length + Duration::from_secs(3)) {
            break;
        }
        let due = (time.as_secs_f64() * rate as f64) as usize;
        while !over && number < due {
            number += 1;
            if reactor.len() >= AT_THE_DOOR {
                // Nobody answers; what is not sent is missing from the count.
                continue;
            }
            match Knock::connect(server.addr, number) {
                Ok(knock) => reactor.add(knock),
                Err(error) => crowd.note(format!("no socket: {error}")),
            }
            crowd.knocks += 1;
        }
        for knock in reactor.turn(Instant::now() + Duration::from_millis(1)) {
            match knock.answer() {
                Answer::Refused(time) => {
                    crowd.refused += 1;
                    crowd.times.record(time);
                }
                Answer::Other(what) => crowd.note(what),
            }
        }
        meanwhile();
    }
    crowd
}

impl Crowd {
    fn note(&mut self, what: String) {
        self.other.get_or_insert(what);
    }
}
