//! Invariant: a message sent as client frames in any fragmentation, with control frames between
//! them, is received as that message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::roundtrip::check(data));
