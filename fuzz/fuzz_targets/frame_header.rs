//! Invariant: on every prefix a header decodes to what a 20-line oracle says, and what was
//! decoded encodes to the same bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::frame_header::check(data));
