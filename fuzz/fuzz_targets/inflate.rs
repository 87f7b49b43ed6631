//! Invariant: any bytes as compressed messages, in any split and with any room, are inflated or
//! refused as a naive reader of RFC 1951 does it on the whole, and miniz_oxide agrees.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::inflate::check(data));
