//! The tests of `event_loop` over Unix-domain sockets.
#![cfg(target_os = "linux")]

#[allow(unused, reason = "shared with other tests, which use the rest")]
#[macro_use]
#[path = "../common/mod.rs"]
mod common;

#[path = "../event_loop/accepting.rs"]
mod accepting;
#[path = "../event_loop/asking.rs"]
mod asking;
#[path = "../event_loop/attack.rs"]
mod attack;
#[path = "../event_loop/backpressure.rs"]
mod backpressure;
#[path = "../event_loop/budget.rs"]
mod budget;
#[path = "../event_loop/closes.rs"]
mod closes;
#[path = "../event_loop/closing.rs"]
mod closing;
#[cfg(feature = "deflate")]
#[path = "../event_loop/compression.rs"]
mod compression;
#[cfg(feature = "deflate")]
#[path = "../event_loop/deflating.rs"]
mod deflating;
#[path = "../event_loop/ends.rs"]
mod ends;
#[path = "../event_loop/healthy.rs"]
mod healthy;
#[path = "../event_loop/limits.rs"]
mod limits;
#[path = "../event_loop/messages.rs"]
mod messages;
#[path = "../event_loop/notices.rs"]
mod notices;
#[path = "../event_loop/pausing.rs"]
mod pausing;
#[path = "../event_loop/senders.rs"]
mod senders;
#[path = "../event_loop/server.rs"]
mod server;
#[path = "../event_loop/shutdown.rs"]
mod shutdown;
#[path = "../event_loop/threads.rs"]
mod threads;
#[path = "../event_loop/timers.rs"]
mod timers;
#[path = "../event_loop/waiting.rs"]
mod waiting;
/// Peers as they are only there.
mod peers;
