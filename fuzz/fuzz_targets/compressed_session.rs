//! Invariant: a connection with compression, in any split, receives the messages that a naive reader
//! of RFC 6455 and 7692 does, fails where that does, and sends back what can be read so.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::compressed_session::check(data));
