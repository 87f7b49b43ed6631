//! The tests of `slow` on event loops. As those, not part of `cargo test`.
//!
//! Left out is what no engine has a part in: connections without a server, and the start of the program. What
//! only loops have to share out is here alone.

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

#[path = "../event_loop/healthy.rs"]
mod healthy;
#[allow(unused, reason = "shared with other tests, which use the rest")]
#[path = "../event_loop/server.rs"]
mod server;

/// Floods beside healthy clients.
mod floods;

#[path = "../slow/accepting.rs"]
mod accepting;
#[cfg(feature = "deflate")]
#[path = "../slow/deflate.rs"]
mod deflate;
#[path = "../slow/memory.rs"]
mod memory;
#[path = "../slow/queues.rs"]
mod queues;
#[path = "../slow/senders.rs"]
mod senders;
#[path = "../slow/writing.rs"]
mod writing;

/// What is tested on threads is tested on event loops.
#[test]
fn no_file_is_left_out() {
    let modules = |text: &'static str| {
        let names = text.lines().filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
        let apart = ["alone", "engines", "os", "floods", "healthy", "server"];
        names.filter(|name| !apart.contains(name)).collect::<Vec<_>>()
    };
    let all = modules(include_str!("../slow/main.rs"));
    assert!(all.len() > 5, "{all:?}");
    assert_eq!(modules(include_str!("main.rs")), all);
}
