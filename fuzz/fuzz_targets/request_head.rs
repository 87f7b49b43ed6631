//! Invariant: any bytes in any split give the same head, or the same error at the same byte, as
//! a naive parser has it; never a panic, never a byte beyond a limit.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::request_head::check(data));
