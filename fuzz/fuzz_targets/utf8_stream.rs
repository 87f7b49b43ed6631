//! Invariant: text in any split is judged as std::str::from_utf8 judges it whole, and fails at
//! the earliest byte that cannot be continued.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::utf8_stream::check(data));
