//! The runs.

mod attackers;
mod attack;
mod burst;
mod cap;
mod churn;
mod deflate;
mod idle;
mod large;
mod steady;
mod tls;

use crate::plan::Plan;
use crate::report::{NoReport, Report};

/// A run's name, and how it is held.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) hold: fn(&Plan<'_>) -> Result<Report, NoReport>,
}

pub(crate) const ALL: [Run; 9] = [
    Run { name: "steady", hold: steady::run },
    Run { name: "idle", hold: idle::run },
    Run { name: "churn", hold: churn::run },
    Run { name: "large", hold: large::run },
    Run { name: "attack", hold: attack::run },
    Run { name: "cap", hold: cap::run },
    Run { name: "burst", hold: burst::run },
    Run { name: "deflate", hold: deflate::run },
    Run { name: "tls", hold: tls::run },
];
