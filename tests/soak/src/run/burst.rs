//! A storm of connections that end with a reset, wherever they are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::bomb::{self, Bomb, Point};
use crate::client::Habit;
use crate::plan::{self, AT_ONCE, Plan};
use crate::reactor::Reactor;
use crate::report::{NoReport, Report, mib};
use crate::stream::Target;
use crate::tally::Tally;

/// A second, at most.
const RATE: usize = 5000;
/// How many connections the server is told to take, if it can be told. All its places must still
/// be there at the end.
const PLACES: usize = 1000;
const LIMIT: &str = "--max-connections";

/// What came of a storm.
pub(super) struct Storm {
    /// Resets, by the point that they came at.
    reached: BTreeMap<&'static str, u64>,
    /// Connections that ended before their point.
    failed: u64,
}

pub(crate) fn run(plan: &Plan<'_>) -> Result<Report, NoReport> {
    let places = plan.count(PLACES);
    plan.need(places + AT_ONCE)?;
    let mut server = plan.start(&[(LIMIT, places.to_string())])?;
    let mut report = Report::new("burst");
    let probe = server.probe;
    let before = probe.held();

    let (points, start) = (bomb::points(), Instant::now());
    let target = server.target();
    let storm = storm(&target, &points, plan.count(RATE), start + plan.length);
    let time = start.elapsed();
    let held = probe.held_once(before, Duration::from_secs(5));

    // A place that was lost would be missed now.
    let (mut reactor, tally) = (Reactor::new(), Tally::shared());
    let full = plan::open(&mut reactor, &server.target(), 0..places, Habit::Told, &tally);
    let echoed = plan::echo_all(&mut reactor, &tally, 100);
    plan::finish(&mut reactor, &tally);
    let after = probe.held_once(before, Duration::from_secs(5));

    let resets = storm.resets();
    report.done(format!(
        "{resets} resets at {} points, {:.0}/s; then {places} connections and an echo on each",
        points.len(),
        resets as f64 / time.as_secs_f64(),
    ));
    storm.judge(&mut report);
    for (what, before, held) in [
        ("threads after the storm", before.threads, held.threads),
        ("descriptors after the storm", before.descriptors, held.descriptors),
    ] {
        report.at_most(what, held, before, |n| n.to_string());
    }
    report.check("places left, an echo on each", full && echoed, "all", full && echoed);
    report.honest("clients afterwards", &tally.borrow());
    report.note("memory, peak", mib(probe.peak()));
    report.back(before, after);
    report.alive(&mut server);
    Ok(report)
}

/// Connects so often in a second, and resets each connection at its point.
pub(super) fn storm(target: &Target, points: &[Point], rate: usize, until: Instant) -> Storm {
    let (mut reactor, start) = (Reactor::new(), Instant::now());
    let (mut number, mut failed) = (0, 0);
    let mut reached: BTreeMap<_, u64> = points.iter().map(|point| (point.name, 0)).collect();
    while Instant::now() < until {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as usize;
        // What cannot be had is not made up for: the rate is a maximum.
        while number < due && reactor.len() < AT_ONCE {
            number += 1;
            if let Ok(bomb) = Bomb::connect(target, number, &points[number % points.len()]) {
                reactor.add(bomb);
            }
        }
        for bomb in reactor.turn(Instant::now() + Duration::from_millis(1)) {
            match bomb.there {
                true => *reached.entry(bomb.point.name).or_default() += 1,
                false => failed += 1,
            }
            bomb.go_off();
        }
    }
    Storm { reached, failed }
}

impl Storm {
    pub(super) fn resets(&self) -> u64 {
        self.reached.values().sum()
    }

    /// What was to be reset must have been, at each of the points.
    pub(super) fn judge(&self, report: &mut Report) {
        let (rarest, count) = self.reached.iter().min_by_key(|(_, count)| **count).expect("some");
        report.check(format!("resets at the rarest point ({rarest})"), count, "≥ 1", *count > 0);
        report.note("ended before their point", self.failed);
    }
}
