//! Invariant: whatever a client sends, what we send is a valid server stream with at most one
//! Close; after a failure nothing more is delivered.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::conversation::check(data));
