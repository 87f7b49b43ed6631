//! Invariant: masking equals the naive loop at any offset, alignment and split.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::mask::check(data));
