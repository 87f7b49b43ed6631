//! What glibc's allocator is told; others need no telling.

/// Has what long messages give back go to the system, and all threads share one region of memory
/// for the rest. glibc gives threads regions of their own, and reserves 64 MiB of addresses for each:
/// under a limit of the address space (`ulimit -v`) seven of them take what 512 MiB had left for
/// messages. Nothing is allocated for a message once its connection is warm, so threads hardly ever
/// meet there.
///
/// To be called before there is a second thread.
pub fn set_up() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        // From `malloc.h`.
        const M_MMAP_THRESHOLD: c_int = -3;
        const M_ARENA_MAX: c_int = -8;
        unsafe extern "C" {
            fn mallopt(param: c_int, value: c_int) -> c_int;
        }
        // The threshold is glibc's own, which it would raise with the first long block that is freed.
        for (param, value) in [(M_MMAP_THRESHOLD, 128 << 10), (M_ARENA_MAX, 1)] {
            // SAFETY: the declaration is that of `malloc.h`, and numbers are all it takes. If it
            // fails, things stay as they are.
            unsafe { mallopt(param, value) };
        }
    }
}
