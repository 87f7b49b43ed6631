//! The tests of `slow` on event loops. As those, not part of `cargo test`.
//!
//! Left out is what no engine has a part in: connections without a server, and the start of the program.

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

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
        names.filter(|name| !["alone", "engines", "os"].contains(name)).collect::<Vec<_>>()
    };
    let all = modules(include_str!("../slow/main.rs"));
    assert!(all.len() > 5, "{all:?}");
    assert_eq!(modules(include_str!("main.rs")), all);
}
