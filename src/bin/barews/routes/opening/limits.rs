//! `/limits`: the limits that a connection asks for, none of them above the server's own.

use std::fmt::Display;
use std::time::Duration;

use barews::{ConnectionLimits, Limits, Timeouts};

use crate::routes::values::{Wrong, pairs, parameter};
use crate::units;

/// What a query asks for. Whether it may be had is for [`within`] to say.
#[inline(never)]
pub fn parse(query: Option<&str>) -> Result<ConnectionLimits, Wrong> {
    let mut limits = ConnectionLimits::default();
    for (name, value) in pairs(query) {
        match name {
            "message" => {
                let wrong = "/limits: message is a size, such as 4096, 64K or 16M";
                let size = units::size(value).ok_or_else(|| Wrong::query(wrong))?;
                limits.max_message_size = Some(size);
            }
            "fragments" => {
                let max = u64::from(u32::MAX);
                let fragments = parameter("limits", "fragments", value, 1, max)?;
                limits.max_fragments = Some(fragments as u32);
            }
            "idle" => {
                let wrong = "/limits: idle is a time above zero, such as 500ms, 1.5s or 2m";
                let time = units::time(value).filter(|time| !time.is_zero());
                limits.idle_timeout = Some(time.ok_or_else(|| Wrong::query(wrong))?);
            }
            _ => {}
        }
    }
    Ok(limits)
}

/// These, if none is above the server's.
pub fn within(
    limits: ConnectionLimits,
    most: &Limits,
    timeouts: &Timeouts,
) -> Result<ConnectionLimits, Wrong> {
    at_most("message", limits.max_message_size, most.max_message_size)?;
    at_most("fragments", limits.max_fragments, most.max_fragments)?;
    let idle = limits.idle_timeout.unwrap_or(timeouts.idle_timeout);
    if idle > timeouts.idle_timeout {
        let most = timeouts.idle_timeout;
        return Err(Wrong::query(format!("/limits: idle is {most:?} at most, as for all here")));
    }
    // A Ping that would come later than the end is none.
    let ping_interval = (idle <= timeouts.ping_interval).then_some(Duration::MAX);
    Ok(ConnectionLimits { ping_interval, ..limits })
}

fn at_most<T: Display + PartialOrd>(name: &str, asked: Option<T>, most: T) -> Result<(), Wrong> {
    match asked {
        Some(asked) if asked > most => {
            Err(Wrong::query(format!("/limits: {name} is {most} at most, as for all here")))
        }
        _ => Ok(()),
    }
}
