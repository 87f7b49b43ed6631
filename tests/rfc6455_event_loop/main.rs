//! The tests of `rfc6455` on event loops: the same bytes and the same deadlines, the same answers, and
//! the same words of the API. An echo is an `EventHandler` here; a handler of a test's own has a thread
//! for each connection, which the loop has read the request of.
//!
//! Left out is what has no server of this process under it: the program, a transport in memory, and
//! whole files of connections that the test accepts by itself.
#![cfg(feature = "event-loop")]

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

#[path = "../rfc6455/accepted.rs"]
mod accepted;
#[path = "../rfc6455/accepting.rs"]
mod accepting;
#[path = "../rfc6455/beside.rs"]
mod beside;
#[path = "../rfc6455/clients.rs"]
mod clients;
#[path = "../rfc6455/closing.rs"]
mod closing;
#[path = "../rfc6455/deadlines.rs"]
mod deadlines;
#[path = "../rfc6455/endings.rs"]
mod endings;
#[path = "../rfc6455/framing.rs"]
mod framing;
#[path = "../rfc6455/halves.rs"]
mod halves;
/// What an `EventHandler` does and hears.
mod handlers;
#[path = "../rfc6455/hostile.rs"]
mod hostile;
#[path = "../rfc6455/http_edges.rs"]
mod http_edges;
#[path = "../rfc6455/limits.rs"]
mod limits;
#[path = "../rfc6455/listening.rs"]
mod listening;
#[path = "../rfc6455/memory_edges.rs"]
mod memory_edges;
#[path = "../rfc6455/opening.rs"]
mod opening;
#[path = "../rfc6455/queues.rs"]
mod queues;
#[path = "../rfc6455/queue_edges.rs"]
mod queue_edges;
#[path = "../rfc6455/applications.rs"]
mod applications;
#[path = "../rfc6455/raw.rs"]
mod raw;
#[path = "../rfc6455/request.rs"]
mod request;
#[path = "../rfc6455/resets.rs"]
mod resets;
#[path = "../rfc6455/running.rs"]
mod running;
/// Senders beside a loop.
mod senders;
#[path = "../rfc6455/serving.rs"]
mod serving;
#[path = "../rfc6455/shutdown.rs"]
mod shutdown;
#[path = "../rfc6455/text.rs"]
mod text;
/// Unix-domain sockets.
#[cfg(unix)]
mod unix;

/// What is tested on threads is tested on event loops.
#[test]
fn no_file_is_left_out() {
    const LEFT_OUT: [&str; 8] =
        ["binary", "faults", "reading", "receiving", "sending", "slow", "sources", "syscalls"];
    let modules = |text: &'static str| {
        text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
    };
    let all: Vec<_> = modules(include_str!("../rfc6455/main.rs"))
        .filter(|name| !LEFT_OUT.contains(name))
        .collect();
    assert!(all.len() > 20, "{all:?}");
    let ours: Vec<_> = modules(include_str!("main.rs")).collect();
    assert!(all.iter().all(|name| ours.contains(name)), "{ours:?}");
}
