//! `/limits`: the limits that a connection asks for, none of them above the server's own.

use std::time::Duration;

use barews::{ConnectionLimits, Limits, Timeouts};

use crate::routes::values::{Wrong, pairs, parameter};
use crate::units;

/// What a query asks for. Whether it may be had is for [`above`] to say.
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

/// What is wrong with them, if one is above the server's own.
pub fn above(limits: &ConnectionLimits, most: &Limits, timeouts: &Timeouts) -> Option<Wrong> {
    let (message, most_message) = (limits.max_message_size, most.max_message_size);
    let (fragments, most_fragments) = (limits.max_fragments, most.max_fragments);
    let (idle, most_idle) = (limits.idle_timeout, timeouts.idle_timeout);
    let line = if message > Some(most_message) {
        format!("message is {most_message} at most")
    } else if fragments > Some(most_fragments) {
        format!("fragments is {most_fragments} at most")
    } else if idle > Some(most_idle) {
        format!("idle is {most_idle:?} at most")
    } else {
        return None;
    };
    Some(Wrong::query(format!("/limits: {line}, as for all here")))
}

/// The same with Pings only if they come before the end: one that is too late is none.
pub fn with_pings(limits: ConnectionLimits, timeouts: &Timeouts) -> ConnectionLimits {
    let idle = limits.idle_timeout.unwrap_or(timeouts.idle_timeout);
    let ping_interval = (idle <= timeouts.ping_interval).then_some(Duration::MAX);
    ConnectionLimits { ping_interval, ..limits }
}
