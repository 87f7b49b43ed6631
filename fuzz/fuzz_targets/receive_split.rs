//! Invariant: the same bytes in any split give the same events, the same violation and the same
//! number of bytes used, those of a naive model; memory stays under the limit, for none is taken.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::receive_split::check(data));
