//! The tests of `rfc6455_event_loop` over TLS.
#![cfg(all(feature = "event-loop", feature = "tls"))]

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
#[path = "../rfc6455_event_loop/handlers.rs"]
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
#[path = "../rfc6455_event_loop/senders.rs"]
mod senders;
#[path = "../rfc6455/serving.rs"]
mod serving;
#[path = "../rfc6455/shutdown.rs"]
mod shutdown;
#[path = "../rfc6455/text.rs"]
mod text;

/// What is tested over TCP is tested over TLS.
#[test]
fn no_file_is_left_out() {
    let modules = |text: &'static str| {
        let names = text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        names.filter(|name| *name != "unix").collect::<Vec<_>>()
    };
    let all = modules(include_str!("../rfc6455_event_loop/main.rs"));
    assert!(all.len() > 20, "{all:?}");
    assert_eq!(modules(include_str!("main.rs")), all);
}
