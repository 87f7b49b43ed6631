//! Invariant: what is deflated, at any level, for any window, in fragments or whole, is what
//! miniz_oxide inflates with exactly that window, message after message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::deflate::check(data));
