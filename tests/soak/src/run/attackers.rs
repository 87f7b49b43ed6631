//! Attackers of several kinds, kept at it: one that the server has ended comes again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use crate::attacker::{Attacker, Clock, End, Fate, Kind, Wire};
use crate::plan::{AT_ONCE, Plan, Setting};
use crate::reactor::Reactor;
use crate::report::{Report, secs};
use crate::stream::Target;

/// By how much a connection may outlive its deadline.
const SLACK: Duration = Duration::from_secs(1);

/// What became of the attackers of one thread.
pub(super) struct Outcome {
    /// By kind.
    pub(super) fates: Vec<Fate>,
    /// How many there were at once, at most.
    pub(super) most: usize,
}

/// The deadlines in force.
pub(super) struct Deadlines {
    pub(super) handshake: Setting,
    pub(super) message: Setting,
    pub(super) write: Setting,
    pub(super) close: Setting,
}

impl Deadlines {
    /// The defaults, or less in a short run.
    pub(super) fn new(plan: &Plan<'_>) -> Self {
        let default = |option, seconds| plan.deadline(option, Duration::from_secs(seconds));
        Self {
            handshake: default("--handshake-timeout", 10),
            message: default("--message-timeout", 60),
            write: default("--write-timeout", 10),
            close: default("--close-timeout", 2),
        }
    }

    /// For the server.
    pub(super) fn arguments(&self) -> [(&'static str, String); 4] {
        [self.handshake, self.message, self.write, self.close].map(Setting::argument)
    }
}

impl fmt::Display for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [handshake, message, write, close] =
            [self.handshake, self.message, self.write, self.close].map(|d| secs(d.value));
        write!(f, "deadlines: handshake {handshake}, message {message}, write {write}, ")?;
        write!(f, "close {close}")
    }
}

/// Keeps the attackers at it until then. No more than `rate` of them connect in a second.
pub(super) fn attack(server: &Target, kinds: &[Kind], rate: f64, until: Instant) -> Outcome {
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
        budget += rate * (now - last).as_secs_f64();
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

/// Whether those of a kind were ended in time, and whether any were.
pub(super) fn judge(report: &mut Report, kind: &Kind, fate: &Fate, length: Duration) {
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

/// A kind that can do no harm yet.
pub(super) fn kind(name: &'static str, count: usize, first: &[&[u8]], then: Vec<u8>) -> Kind {
    Kind {
        name,
        wire: Wire::Tcp,
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

/// How long a peer may last whose writes have this deadline; see the top of `attack.rs`.
pub(super) fn relieved(write: Duration) -> Duration {
    write * 11 / 5
}
