//! What is the application's may panic, and that is nobody else's end.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `f`; of a panic in there nobody is told.
pub(super) fn quietly(f: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(f)) {
        // What it carries may panic when it is dropped.
        mem::forget(panic);
    }
}
