//! Invariant: a request is accepted exactly if an independent checker of §4.2 accepts it, and
//! every answer is well-formed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::handshake::check(data));
