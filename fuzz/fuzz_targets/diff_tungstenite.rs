//! Invariant: tungstenite gives the same messages and the same verdict on the same bytes, but for
//! a list of known differences.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::diff_tungstenite::check(data));
