//! Invariant: an offer of permessage-deflate is accepted exactly if an independent reader of
//! RFC 7692 §7.1 accepts it, and every answer keeps within its offer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| barews_fuzz::offers::check(data));
