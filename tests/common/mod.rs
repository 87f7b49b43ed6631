//! What the integration tests stand on: a server in this process that tells what the API returned,
//! a client that works on raw bytes, and a transport that misbehaves on request.
//!
//! Nothing here uses the library to make or to judge bytes: a test that did would take the
//! library's word for its own mistakes. Every wait is bounded by [`PATIENCE`].

#[macro_use]
mod conversation;
#[macro_use]
mod refusal;
mod awake;
mod binary;
pub mod client;
#[cfg(feature = "deflate")]
#[allow(unused, reason = "for the tests of compression")]
#[macro_use]
pub mod compressed;
#[cfg(feature = "deflate")]
#[allow(unused, reason = "for the tests of compression")]
pub mod deflate;
mod engine;
mod frame;
mod request;
mod script;
mod server;
pub mod stream;
#[cfg(feature = "tls")]
#[allow(unused, reason = "for the tests of TLS")]
pub mod tls;
#[cfg(target_os = "linux")]
#[allow(unused, reason = "for the tests of Unix-domain sockets")]
pub mod unix;

use std::time::Duration;

use barews::{Config, Limits, Timeouts};

pub use awake::awake;
pub use binary::{Binary, command};
pub use client::RawClient;
pub use conversation::{Case, closes, converse, echoes, fails};
#[allow(unused, reason = "for those that have a server of their own")]
pub use engine::{on_event_loop, run, run_echo, spawn, spawn_echo};
#[cfg(feature = "deflate")]
#[allow(unused, reason = "for the tests of compression")]
pub use frame::RSV1;
pub use frame::{BINARY, CLOSE, CONT, Frame, PING, PONG, TEXT, close, frame, head, hex, masked};
pub use refusal::{Refused, accept, malformed, refuse, refused};
pub use request::{ACCEPT, Request, r0};
pub use script::{Faults, Outcome, Script, run_script, unchanged};
#[allow(unused, reason = "for the tests of compression")]
pub use server::handshake;
pub use server::{Ended, TestServer, Unopened, echo, is_unheard, pair};

/// Whether the tests are run over TLS, as they are in a target of that name.
#[cfg(feature = "tls")]
pub const fn over_tls() -> bool {
    let name = env!("CARGO_CRATE_NAME").as_bytes();
    matches!(name, [.., b'_', b't', b'l', b's'])
}

/// How long a test waits for anything before it fails. Far more than a loaded machine needs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How soon after the last word the stream must end, whatever the machine is doing: of the time that we run.
pub const PROMPT: Duration = Duration::from_secs(1);

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The default configuration with other limits.
pub fn with_limits(change: impl FnOnce(&mut Limits)) -> Config {
    let mut config = Config::default();
    change(&mut config.limits);
    config
}

/// The default configuration with other deadlines.
pub fn with_timeouts(change: impl FnOnce(&mut Timeouts)) -> Config {
    let mut config = Config::default();
    change(&mut config.timeouts);
    config
}

/// Bytes without a pattern, the same for the same seed (xorshift).
pub fn noise(seed: u32) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9);
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
}
