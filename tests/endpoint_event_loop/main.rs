//! The tests of `endpoint` with `--engine event-loop`: the same paths, log and metrics.

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[path = "../common/mod.rs"]
mod common;

#[path = "../endpoint/admin.rs"]
mod admin;
#[path = "../endpoint/app_edges.rs"]
mod app_edges;
#[cfg(unix)]
#[path = "../endpoint/completions.rs"]
mod completions;
#[cfg(feature = "deflate")]
#[path = "../endpoint/deflate.rs"]
mod deflate;
#[path = "../endpoint/by_hand.rs"]
mod by_hand;
#[path = "../endpoint/by_hand_streams.rs"]
mod by_hand_streams;
#[path = "../endpoint/first_minute.rs"]
mod first_minute;
#[path = "../endpoint/os_edges.rs"]
mod os_edges;
#[cfg(target_os = "linux")]
#[path = "../endpoint/os_sockets.rs"]
mod os_sockets;
#[path = "../endpoint/paths.rs"]
mod paths;
#[path = "../endpoint/paths_opening.rs"]
mod paths_opening;
#[path = "../endpoint/paths_timed.rs"]
mod paths_timed;
#[path = "../endpoint/plain.rs"]
mod plain;
#[cfg(feature = "tls")]
#[path = "../endpoint/tls.rs"]
mod tls;
#[cfg(feature = "tls")]
#[path = "../endpoint/tls_files.rs"]
mod tls_files;
#[path = "../endpoint/starting.rs"]
mod starting;

/// What is tested on one engine is tested on the other.
#[test]
fn no_file_is_left_out() {
    let modules = |text: &'static str| {
        let names = text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        names.collect::<Vec<_>>()
    };
    let all = modules(include_str!("../endpoint/main.rs"));
    assert!(all.len() > 15, "{all:?}");
    assert_eq!(modules(include_str!("main.rs")), all);
}
