//! Invariant: whatever comes, and whenever, the next deadline is never in the past, nothing follows a
//! Close, and memory charged is memory held.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::session::check(data));
