//! Invariant: no message refers further back than its window allows, nor to what the peer does not
//! have; with 8 bits as with 9, never further than 250 bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::deflate_distance::check(data));
