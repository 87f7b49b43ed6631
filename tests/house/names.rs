//! One name for each thing, the RFC's or the ecosystem's: the old ones must not come back.
//!
//! `CHANGELOG.md` is exempt, since it tells what they were.

use std::path::PathBuf;

use crate::tree;

/// An old name and the new one.
type Renamed = (&'static str, &'static str);

/// Nobody writes these who does not mean the old thing, so they may stand nowhere, comments and
/// documents included.
const WORDS: &[Renamed] = &[
    // In public.
    ("Violation", "ProtocolError"),
    ("Refusal", "HandshakeError"),
    ("InvalidReply", "InvalidResponse"),
    ("ReceiveLimits", "DecoderLimits"),
    ("and_listener", "with_listener"),
    ("into_raw", "into_stream"),
    ("choose_protocol", "select_subprotocol"),
    ("chosen_protocol", "selected_subprotocol"),
    // Inside.
    ("Doorbell", "Waker"),
    ("Inbound", "FrameReader"),
    ("inbound", "reader"),
    ("LastWord", "CloseAction"),
    ("chaperoned", "closed_by_server"),
    ("torn", "partly_read"),
    ("take_back", "put"),
    ("held_up", "add_wait"),
    ("is_quiet", "is_idle"),
    ("HURRY", "…_TIMEOUT"),
    ("LINGER", "…_TIMEOUT"),
];

/// The same in `src` only: tests and benchmarks may have such things of their own.
const WORDS_OF_SRC: &[Renamed] = &[
    ("Kind", "MessageType"),
    ("Patience", "ReadTimers"),
    ("patience", "timers"),
    ("Tally", "Counters"),
    ("tally", "counters"),
    ("Told", "CachedTimeout"),
    ("LOOK", "…_INTERVAL"),
    ("WAKE", "…_TIMEOUT"),
    ("REST", "ACCEPT_BACKOFF"),
];

/// A word of the standard library's, or of English, that is old only beside its neighbour.
const PHRASES: &[Renamed] = &[
    ("Error::Violation", "Error::Protocol"),
    ("Error::TimedOut", "Error::RecvTimeout"),
    ("Error::Expired", "Error::DeadlineExceeded"),
    ("Expired(", "DeadlineExceeded("),
    ("Wait::", "Deadline::"),
    ("UpgradeError::Answered", "UpgradeError::Rejected"),
    ("Upgrade::read", "Upgrade::handshake"),
    ("Accept::protocol", "Accept::subprotocol"),
    ("Head::elements", "RequestHead::header_list"),
    ("fn elements(&self", "fn header_list"),
    ("http::Head", "http::RequestHead"),
    ("proto::send", "proto::encoder"),
    ("send::Head", "encoder::FrameHeader"),
    ("proto::Closing", "session::Closing"),
    ("Chunk::end", "Chunk::fin"),
    ("chunk.end", "chunk.fin"),
    ("Limits::message", "max_message_size"),
    ("limits.message", "max_message_size"),
    ("limits.fragments", "max_fragments"),
    ("limits.headers", "max_headers"),
    ("limits.head", "max_head_size"),
    ("limits.header_line", "max_header_line"),
    ("limits.request_line", "max_request_line"),
    ("limits.assembling", "max_buffered_bytes"),
    ("limits.connections", "max_connections"),
    ("limits.connections_per_ip", "max_connections_per_ip"),
    ("timeouts.ping", "ping_interval"),
    ("timeouts.idle", "idle_timeout"),
    ("Timeouts::ping", "ping_interval"),
    ("Timeouts::idle", "idle_timeout"),
];

/// What a module, type, function or field of `src` must not be called. These are plain English, and
/// prose may use them: a door, a partial read, a busy peer. So they are looked for only where
/// something is named so.
const MODULES: &[Renamed] = &[
    ("door", "acceptor"),
    ("partial", "assembler"),
    ("shared", "writer"),
    ("spare", "buffer_pool"),
    ("threads", "thread_pool"),
    ("wire", "stream"),
    ("visit", "session"),
    ("receive", "decoder"),
    ("violation", "error"),
    ("reply", "response"),
];
const TYPES: &[Renamed] = &[
    ("Door", "Acceptor"),
    ("Partial", "MessageAssembler"),
    ("Shared", "ConnectionShared, ServerShared"),
    ("Context", "ServerShared"),
    ("Wire", "TimedStream"),
    ("Wait", "Deadline"),
];
const FUNCTIONS: &[Renamed] = &[
    ("ring", "wake"),
    ("enter", "acquire"),
    ("leave", "release"),
    ("lend", "get"),
    ("renew", "update"),
    ("dismiss", "invalidate"),
    ("settle", "flush_outbox"),
    ("post", "push_control"),
    ("retire", "detach"),
    ("hear", "on_error"),
    ("decide", "on_upgrade"),
    ("serve", "handle"),
    ("say", "log_event"),
    ("complain", "log_error"),
    ("greet", "send_then_echo"),
    ("attend", "join"),
    ("later", "delayed_echo"),
    ("cut", "abort"),
    ("begun", "accepted_at"),
];
const FIELDS: &[Renamed] = &[
    ("busy", "timers"),
    ("kept", "retained"),
    ("places", "idle workers"),
    ("spare", "pool"),
    ("wire", "stream"),
    ("partial", "assembler"),
    ("begun", "accepted_at"),
    ("assembling", "max_buffered_bytes"),
];

/// How an item of each list is recognised: `_` stands for the word.
const SPELLINGS: [(&[Renamed], &[&str]); 4] = [
    (MODULES, &["mod _;", "mod _ {", "_::"]),
    (TYPES, &["struct _", "enum _", "trait _", "type _"]),
    (FUNCTIONS, &["fn _", "._("]),
    (FIELDS, &["    _: ", "    pub _: ", "    pub(crate) _: ", "    pub(super) _: "]),
];

#[test]
fn no_old_name_is_left() {
    let mut wrong = Vec::new();
    for file in &texts() {
        let (name, text) = (tree::name(file), tree::read(file));
        let mut look_for = |spelling: &str, old: &str, new: &str| {
            let lines = tree::find(&text, spelling).map(|at| tree::line_of(&text, at));
            wrong.extend(lines.map(|line| format!("{name}:{line}: {old} is now {new}")));
        };
        for (word, new) in WORDS.iter().chain(PHRASES) {
            look_for(word, word, new);
        }
        if !name.starts_with("src/") {
            continue;
        }
        for (word, new) in WORDS_OF_SRC {
            look_for(word, word, new);
        }
        for (list, spellings) in SPELLINGS {
            for (word, new) in list {
                for spelling in spellings {
                    look_for(&spelling.replace('_', word), word, new);
                }
            }
        }
        for (word, new) in MODULES {
            if name.ends_with(&format!("/{word}.rs")) || name.contains(&format!("/{word}/")) {
                wrong.push(format!("{name} is now {new}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// All that is written by hand, less what must speak of old names.
fn texts() -> Vec<PathBuf> {
    let mut texts = tree::files("");
    texts.retain(|file| {
        let name = tree::name(file);
        !["CHANGELOG.md", "tests/house/names.rs"].contains(&&*name)
            && ![".lock", "-lock.json", ".png", ".orig"].iter().any(|end| name.ends_with(end))
    });
    texts
}

/// Else an old name could stay, and the test would not say that it has not looked.
#[test]
fn old_names_are_found() {
    let code = "let Inbound = conn.cut(); // MyInbound, inbound_, cut";
    let count = |word| tree::find(code, word).count();
    assert_eq!([count("Inbound"), count("inbound"), count(".cut("), count("fn cut")], [1, 0, 1, 0]);
}
